"""ONNX Runtime in a process of its own, which a model may end."""

from __future__ import annotations

__all__ = ["Opened", "RuntimeDied", "SessionProcess", "TensorType"]

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graphopt.errors import EnvironmentFailure, ModelError, UsageError
from graphopt.passes.targets import provider_named
from graphopt.runtime import results, sessions
from graphopt.runtime.own_process import OwnProcess, ProcessFailed, serve
from graphopt.runtime.results import Result
from graphopt.runtime.sessions import Optimization, RuntimeRefused

_SECONDS = 3600.0
_PROFILED, _RUN = "_kernel_time", "model_run"
_RAISED: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (EnvironmentFailure, ModelError, RuntimeRefused, UsageError)
}

Array = npt.NDArray[Any]


class RuntimeDied(RuntimeRefused):
    """ONNX Runtime ended its process while it loaded or ran a model.

    Attributes:
        signal: Number of the signal that ended it, or None.
    """

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal


@dataclasses.dataclass(frozen=True)
class TensorType:
    """What a session says of an input or an output.

    Attributes:
        name: Its name.
        type: Its type by ONNX Runtime's name, such as ``tensor(float)``.
        shape: Its sizes, None where a size is symbolic; () where it has no dimensions, or it is not
            known how many.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Opened:
    """What a session says of its model.

    Attributes:
        inputs: Names of the inputs that must be given.
        outputs: Names of the outputs.
        version: Version of ONNX Runtime.
        takes: The inputs that must be given.
        gives: The outputs.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    version: str
    takes: tuple[TensorType, ...]
    gives: tuple[TensorType, ...]


class SessionProcess:
    """One session at a time, in one process for all of them; arrays pass through files.

    A model that ends the process costs no other: the next one is opened in a new process.
    """

    def __init__(self) -> None:
        self._process = OwnProcess("graphopt.runtime.session_process")
        self._profile: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> SessionProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and the session in it."""
        self._process.close()
        if self._profile is not None:
            self._profile.cleanup()

    def open(
        self,
        path: str | os.PathLike[str],
        *,
        provider: str = "cpu",
        optimization: Optimization = "all",
        library: str | os.PathLike[str] | None = None,
        custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
        profile: bool = False,
    ) -> Opened:
        """Open a model on all cores, in the place of the one before.

        Args:
            path: The model.
            provider: ``cpu``, or ``cuda`` without TF32: tolerances are those of float32.
            optimization: Level of ONNX Runtime's own graph optimization.
            library: Library of kernels to register.
            custom_op_libraries: Libraries of the user's own operators.
            profile: Record which nodes run.

        Raises:
            RuntimeDied: It ended the process.
            RuntimeRefused: ONNX Runtime cannot load the model.
            EnvironmentFailure: ONNX Runtime is missing, it refuses a library, or the provider does
                not start.
        """
        if profile:
            self._profile = tempfile.TemporaryDirectory(prefix="graphopt-profile-")
        found = self._ask(
            "open",
            path=os.fspath(path),
            provider=provider,
            optimization=optimization,
            library=None if library is None else os.fspath(library),
            custom_op_libraries=[os.fspath(each) for each in custom_op_libraries],
            profile=self._profile.name if profile and self._profile else None,
        )
        takes, gives = (
            tuple(TensorType(name, kind, tuple(shape)) for name, kind, shape in found[side])
            for side in ("takes", "gives")
        )
        return Opened(
            tuple(each.name for each in takes),
            tuple(each.name for each in gives),
            found["version"],
            takes,
            gives,
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Result]:
        """Run the session once, and return its outputs by name.

        Raises:
            RuntimeDied: It ended the process, and the session with it.
            RuntimeRefused: The inputs do not fit, or a kernel failed.
        """
        with tempfile.TemporaryDirectory(prefix="graphopt-arrays-") as directory:
            for number, array in enumerate(inputs.values()):
                np.save(Path(directory) / f"{number}.npy", array, allow_pickle=False)
            found = self._ask("run", directory=directory, inputs=list(inputs))
            return {name: results.read(written, Path(directory)) for name, written in found}

    def nodes_that_ran(self) -> list[frozenset[str]]:
        """Names of the nodes of each run since the session was opened to be profiled; it is closed.

        Raises:
            RuntimeDied: It ended the process.
        """
        return [frozenset(names) for names in self._ask("end profiling")]

    def _ask(self, what: Literal["open", "run", "end profiling"], **request: Any) -> Any:
        try:
            return self._process.ask({"do": what, **request}, seconds=_SECONDS)
        except ProcessFailed as error:
            if error.signal is not None:
                words = f"ONNX Runtime ended with signal {error.signal}"
                raise RuntimeDied(words, error.signal) from error
            if not error.kind:
                raise RuntimeDied(f"ONNX Runtime ended: {error}") from error
            raise _RAISED.get(error.kind, EnvironmentFailure)(str(error)) from error


class _Server:
    """The other end: what happens inside the process."""

    def __init__(self) -> None:
        self._session: Any = None

    def answer(self, request: dict[str, Any]) -> Any:
        what = request.pop("do")
        if what == "open":
            return self._open(**request)
        return self._run(**request) if what == "run" else self._end_profiling()

    def _open(
        self,
        path: str,
        profile: str | None,
        provider: str,
        optimization: Optimization,
        library: str | None,
        custom_op_libraries: Sequence[str],
    ) -> dict[str, Any]:
        self._session = None  # one model at a time is in memory
        self._session = sessions.create_session(
            path,
            provider=provider,
            threads=0,
            provider_options=provider_named(provider).exact_options,
            profile=Path(profile) / "profile" if profile else None,
            optimization=optimization,
            library=library,
            custom_op_libraries=custom_op_libraries,
        )
        return {
            "takes": [_typed(value) for value in self._session.get_inputs()],
            "gives": [_typed(value) for value in self._session.get_outputs()],
            "version": sessions.ort_version(),
        }

    def _run(self, directory: str, inputs: list[str]) -> list[tuple[str, Any]]:
        files = [Path(directory) / f"{number}.npy" for number in range(len(inputs))]
        arrays = [np.load(file, allow_pickle=False) for file in files]
        given = sessions.run(self._session, dict(zip(inputs, arrays, strict=True)))
        types = {value.name: value.type for value in self._session.get_outputs()}
        return [
            (name, results.write(result, types[name], Path(directory), f"result-{number}"))
            for number, (name, result) in enumerate(given.items())
        ]

    def _end_profiling(self) -> list[list[str]]:
        session, self._session = self._session, None
        events = json.loads(Path(session.end_profiling()).read_text())
        runs, names = [], set[str]()
        for event in events:
            name = event.get("name", "")
            if event.get("cat") == "Node" and name.endswith(_PROFILED):
                names.add(name.removesuffix(_PROFILED))
            elif name == _RUN:  # it comes after the nodes of the run
                runs.append(sorted(names))
                names = set()
        return runs


def _typed(value: Any) -> tuple[str, str, list[int | None]]:
    sizes = [size if isinstance(size, int) else None for size in value.shape or ()]
    return value.name, value.type, sizes


if __name__ == "__main__":
    serve(_Server().answer)
