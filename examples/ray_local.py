"""Serves a package of graphopt on Ray Serve on this machine alone, until SIGTERM or Ctrl-C.

    python -m examples.ray_local FOLDER --port 8000 --replicas 2 --batch 8

Ray stays on the loopback interface, without dashboard and usage statistics, and writes nothing into
the home folder.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
import threading

from graphopt import EnvironmentFailure, GraphoptError

MEGABYTE = 10**6

ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as there, Ray stays on the loopback interface
    # Of this run; without one Ray writes its own into the home folder.
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""Ray reads these when it is imported, and hands them on to all that it starts."""


def check_port(port: int) -> None:
    """Raise where somebody listens: Ray's proxy would try to start for ever.

    Raises:
        EnvironmentFailure: The port is taken, or not permitted.
    """
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise EnvironmentFailure(
            f"port {port}: {error.strerror}: give another one with --port"
        ) from error


def main() -> None:
    """Serve one folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help='Folder that "graphopt package" wrote.')
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--most-replicas", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait", type=float, default=0.005, help="Seconds.")
    options = vars(parser.parse_args())
    os.environ.update(ALONE)
    import ray
    from ray import serve

    from examples.ray_serve import Arguments, app, cores, open_package

    port = options.pop("port")
    arguments = Arguments(**options)
    open_package(arguments)  # what is wrong is one line here, and a long trace in Ray
    check_port(port)
    application = app(arguments)
    stop = threading.Event()
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            # Ray starts no replica whose cores are taken, and here they may share them.
            num_cpus=max(arguments.replicas, arguments.most_replicas) * cores(arguments.folder),
            object_store_memory=100 * MEGABYTE,  # requests go past it
            _node_ip_address="127.0.0.1",
        )
        # After Ray, whose own handler would abort.
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(application)
        print(f"serving {arguments.folder} at http://127.0.0.1:{port}", flush=True)
        stop.wait()
    except KeyboardInterrupt:
        pass
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    try:
        main()
    except GraphoptError as error:
        sys.exit(f"graphopt: error: {error}")
