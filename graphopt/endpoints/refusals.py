"""What can go wrong between a client and a server, in one line each."""

from __future__ import annotations

__all__ = ["RequestRefused", "no_answer", "no_client", "too_slow", "unknown_model"]

from graphopt.errors import EnvironmentFailure, GraphoptError, UsageError


class RequestRefused(GraphoptError):
    """The server answered a request with an error.

    Args:
        url: The endpoint.
        model: The model.
        status: The status, such as ``400`` or ``StatusCode.INVALID_ARGUMENT``.
        reason: What the server said.
    """

    def __init__(self, url: str, model: str, status: str, reason: str) -> None:
        self.status, self.reason = status, " ".join(reason.split())
        super().__init__(f"{url}: model {model!r} refuses the request ({status}): {self.reason}")


def no_client(error: ImportError) -> EnvironmentFailure:
    """The client package is missing."""
    return EnvironmentFailure(
        f'tritonclient cannot be imported ({error}): pip install "graphopt[endpoint]"'
    )


def no_answer(url: str, reason: str) -> EnvironmentFailure:
    """Nothing answers at an address, or not in the protocol."""
    return EnvironmentFailure(
        f"{url}: no server of the protocol answers ({' '.join(reason.split())}): start it, or "
        "give its address"
    )


def too_slow(url: str, timeout: float) -> EnvironmentFailure:
    """No answer came in time."""
    return EnvironmentFailure(
        f"{url}: no answer within {timeout:g} s: give the server more time (--timeout)"
    )


def unknown_model(url: str, model: str, reason: str) -> UsageError:
    """The server has no model of this name."""
    return UsageError(
        f"{url}: there is no model {model!r} ({' '.join(reason.split())}): give the name that the "
        "server has it under (--model)"
    )
