"""Asks the health of a replica without Ray: right, and with another golden answer.

Called by the Python that has Ray: ``ask_health.py FOLDER``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys

from examples.ray_serve import Arguments, Replica
from graphopt.errors import VerificationFailed


def main(folder: str) -> None:
    replica = Replica.func_or_class(Arguments(folder=folder))
    asyncio.run(replica.check_health())
    golden = replica._golden
    first = golden.requests[0]
    other = {name: array + 1 for name, array in first.outputs.items()}
    requests = (dataclasses.replace(first, outputs=other), *golden.requests[1:])
    replica._golden = dataclasses.replace(golden, requests=requests)
    try:
        asyncio.run(replica.check_health())
    except VerificationFailed as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
