"""A small server of the protocol on the loopback interface, over HTTP, that can misbehave."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

_TYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
_LENGTH = "Inference-Header-Content-Length"


@dataclasses.dataclass
class Behaviour:
    """What the model ``twice`` of the server does: y = factor * x.

    Attributes:
        factor: What it multiplies by; 2 is right.
        takes_binary: Whether it reads bytes; without, it fails as a server does that takes all for
            JSON.
        answers_binary: Whether it answers in bytes where it is asked to.
        seconds: How long it thinks.
        shape: The shape that it says its input has.
        status: Status of every inference, 200 for an answer.
        garbage: What it says instead of anything.
    """

    factor: float = 2.0
    takes_binary: bool = True
    answers_binary: bool = True
    seconds: float = 0.0
    shape: tuple[int, ...] = (-1, 2)
    status: int = 200
    garbage: bytes = b""


@contextlib.contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The URL of a server that answers for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path != "/v2/models/twice":
                return self._answer(404, json.dumps({"error": "no such model"}).encode())
            tensors = [{"name": n, "datatype": "FP32", "shape": behaviour.shape} for n in "xy"]
            found = {"name": "twice", "inputs": tensors[:1], "outputs": tensors[1:]}
            return self._answer(200, json.dumps(found).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(behaviour.seconds)
            if behaviour.status != 200:
                return self._answer(behaviour.status, json.dumps({"error": "not\ntoday"}).encode())
            length = self.headers.get(_LENGTH)
            if length is not None and not behaviour.takes_binary:
                return self._answer(500, b"internal error")
            head = json.loads(body[: int(length)] if length else body)
            x = _read(head["inputs"][0], body[int(length) :] if length else b"")
            return self._infer(head["outputs"][0], (behaviour.factor * x).astype(x.dtype))

        def _infer(self, wanted: dict[str, Any], y: np.ndarray) -> None:
            output: dict[str, Any] = {"name": "y", "datatype": "FP32", "shape": y.shape}
            is_binary = wanted.get("parameters", {}).get("binary_data", False)
            tail = b""
            if is_binary and behaviour.answers_binary:
                tail = y.tobytes()
                output["parameters"] = {"binary_data_size": len(tail)}
            else:
                output["data"] = y.ravel().tolist()
            head = json.dumps({"model_name": "twice", "outputs": [output]}).encode()
            self._answer(200, head + tail, len(head) if tail else None)

        def _answer(self, status: int, body: bytes, header_length: int | None = None) -> None:
            body = behaviour.garbage or body
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if header_length is not None:
                self.send_header(_LENGTH, str(header_length))
            self.end_headers()
            with contextlib.suppress(OSError):  # a client that waits no longer
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _read(tensor: dict[str, Any], tail: bytes) -> np.ndarray:
    kind = _TYPES[tensor["datatype"]]
    if "binary_data_size" in tensor.get("parameters", {}):
        return np.frombuffer(tail, kind).reshape(tensor["shape"])
    return np.array(tensor["data"], kind).reshape(tensor["shape"])
