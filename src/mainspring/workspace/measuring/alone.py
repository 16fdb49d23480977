"""Serve one packaged version and nothing else, until the standard input closes.

``python -m mainspring.workspace.measuring.alone FOLDER``: the first line of the input is JSON,
``[secret, package, objects]``. It says its port and the version's form when it answers, and when
it ends the most memory that it held, in MB (null where the system does not tell). Captures go to
FOLDER and are thrown away with it.
"""

from __future__ import annotations

import hmac
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


def main(folder: str) -> None:
    """Serve what the input says."""
    from mainspring.backends.objects import open_objects
    from mainspring.ground.errors import UnauthenticatedError
    from mainspring.ground.objects import Routing
    from mainspring.ground.permissions import Principal, owner
    from mainspring.ground.settings import Settings
    from mainspring.scaling.models import load
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.capture import CaptureWriter
    from mainspring.scaling.serving.server import serve

    secret, package, url = msgspec.json.decode(sys.stdin.readline(), type=tuple[str, str, str])
    objects = open_objects(url)
    wanted = f"Bearer {secret}".encode()

    def admit(scope: Mapping[str, Any]) -> Principal:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, wanted):
            raise UnauthenticatedError("This process answers only who started it.")
        return owner()

    routing = Routing(endpoint="load", model="load", champion=1, champion_package=package)
    app = EndpointApp(
        "load",
        lambda: routing,
        lambda digest: load.load(digest, objects),
        CaptureWriter(Path(folder) / "captures"),
        admit,
        Settings(root=folder, home=folder),
        changed=lambda: 0,
    )

    def ready(port: int) -> None:
        champion = app.generations.current.champion
        form = "" if champion is None else champion.served.form
        _say([port, form])

    def wait() -> None:
        sys.stdin.read()
        _say(most_memory_mb())
        os._exit(0)  # nobody asks any more, and what was captured is thrown away

    threading.Thread(target=wait, daemon=True).start()
    serve(app, "127.0.0.1", 0, ready, threading.Event())


def most_memory_mb() -> float | None:
    """Return the most memory that this process held, in MB; None where nobody knows."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage, which on Linux starts with what the process that forked this one held.
        for line in status.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return None
    try:
        import resource
    except ImportError:  # Windows
        return None
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / 2**20 if sys.platform == "darwin" else held / 1024


def _say(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
