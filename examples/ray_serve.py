"""A package of graphopt on Ray Serve: replicas, batches, autoscaling, and a health that asks.

    graphopt package MODEL --format kserve -o FOLDER
    python -m examples.ray_local FOLDER                       # on this machine alone
    serve run examples.ray_serve:app folder=FOLDER            # on a cluster of Ray

A request is ``POST /`` with the inputs as ``.npz``, an answer has the outputs likewise; the header
``replica`` says which process gave it. What the model cannot answer gets 400 and one line. A
replica starts only if it answers its golden pair, with batches in a batch too, and is healthy as
long as it answers the first golden request.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pydantic
from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from graphopt import GraphoptError
from graphopt.golden import GOLDEN_FILE, Golden, load_golden
from graphopt.serving.batches import infer_together
from graphopt.serving.bodies import pack, unpack
from graphopt.serving.golden_answers import check_answers, check_batches
from graphopt.serving.served_model import BadRequest, ServedModel
from graphopt.serving.settings import read_settings


class Arguments(pydantic.BaseModel):
    """What is served, and by how many.

    Attributes:
        folder: A folder that ``graphopt package`` wrote, at the same place on each machine.
        replicas: Replicas that are always there. Each has a session of its own.
        most_replicas: Replicas under load; 0 is never more than ``replicas``.
        batch: Requests that run at once, at most; 1 runs each alone.
        wait: Seconds that a request waits for others to run with.
    """

    folder: str
    replicas: int = 2
    most_replicas: int = 0
    batch: int = 1
    wait: float = 0.005


def open_package(arguments: Arguments) -> tuple[ServedModel, Golden]:
    """The model and its golden pair.

    Raises:
        GraphoptError: The model cannot be opened, or does not answer the pair, alone or in a batch.
    """
    folder = Path(arguments.folder)
    served = ServedModel(read_settings(folder))
    golden = load_golden(folder / GOLDEN_FILE)
    ask_golden(served, golden, len(golden.requests))
    if arguments.batch > 1:
        check_batches(served, golden)
    return served, golden


def ask_golden(served: ServedModel, golden: Golden, count: int) -> None:
    """Raise where one of the first ``count`` golden requests is not answered rightly."""
    requests = golden.requests[:count]
    check_answers(golden, requests, [served.infer(request.inputs) for request in requests])


@serve.deployment(
    max_ongoing_requests=32,  # of one replica; the others wait in the proxy
    max_queued_requests=256,  # in the proxy; it answers more with 503, which clients send again
    health_check_period_s=5,
    health_check_timeout_s=30,
    graceful_shutdown_timeout_s=20,
)
class Replica:
    """One session that answers requests.

    Args:
        arguments: What is served.

    Raises:
        GraphoptError: The model cannot be opened, or does not answer its golden pair.
    """

    def __init__(self, arguments: Arguments) -> None:
        self._served, self._golden = open_package(arguments)
        self._together.set_max_batch_size(arguments.batch)
        self._together.set_batch_wait_timeout_s(arguments.wait if arguments.batch > 1 else 0)

    async def __call__(self, request: Request) -> Response:
        """The answer to a request; an error that is not the client's becomes a 500."""
        try:
            answer = await self._together(unpack(await request.body()))
            if isinstance(answer, GraphoptError):
                raise answer
        except BadRequest as error:
            return PlainTextResponse(str(error), 400)
        headers = {"replica": str(os.getpid())}
        return Response(pack(answer), 200, headers, "application/octet-stream")

    async def check_health(self) -> None:
        """Ask one golden request. Ray Serve replaces a replica where this raises or takes long."""
        await asyncio.to_thread(ask_golden, self._served, self._golden, 1)

    @serve.batch
    async def _together(self, requests: list[Any]) -> list[Any]:
        return await asyncio.to_thread(infer_together, self._served, requests)


def cores(folder: str) -> int:
    """The cores that a replica computes on."""
    return read_settings(Path(folder)).threads or os.cpu_count() or 1


def app(arguments: Arguments) -> serve.Application:
    """The application, for ``serve run`` and for the configuration of ``serve deploy``."""
    folder = str(Path(arguments.folder).absolute())
    cuda = read_settings(Path(folder)).provider == "cuda"
    scaling = {
        "min_replicas": arguments.replicas,
        "max_replicas": max(arguments.most_replicas, arguments.replicas),
        "target_ongoing_requests": 2 * arguments.batch,  # of one replica, on average
        "upscale_delay_s": 10,
        "downscale_delay_s": 120,
    }
    resources = {"num_cpus": cores(folder), "num_gpus": int(cuda)}
    replica = Replica.options(autoscaling_config=scaling, ray_actor_options=resources)
    return replica.bind(arguments.model_copy(update={"folder": folder}))
