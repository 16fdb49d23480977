"""Serve one packaged version from a folder, where there is no home: in a container, say.

``python -m mainspring.scaling.serving.packaged serve`` is what an image does: it obeys the
containers' contracts of SageMaker and MLflow. The folder is MLflow's model directory with two
files beside it: ``manifest.json``, whose digest names the package, and ``version.json``, which
says whose package it is. Every file is compared with its digest before it is used.
"""

from __future__ import annotations

import hmac
import http.client
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import (
    BadInputError,
    DamagedError,
    MainspringError,
    NotFoundError,
    UnauthenticatedError,
)
from mainspring.ground.identity import sha256, sha256_file
from mainspring.ground.logs import line_of
from mainspring.ground.permissions import Principal, owner
from mainspring.ground.records import Record
from mainspring.ground.settings import load as load_settings

VERSION, MANIFEST = "version.json", "manifest.json"
#: Rows and figures of the training data: the manifest names them, and no answer needs them.
ASIDE = frozenset({"reference.parquet", "example.parquet", "profile.json"})
#: Where SageMaker puts a model, and where an image has its own.
MOUNTED, OWN = Path("/opt/ml/model"), Path("/opt/mainspring/model")
PORT = 8080
HEALTH_S = 2.0  # SageMaker gives /ping so long

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_RECORDED = ("no", "stdout")


class Packed(Record, frozen=True, kw_only=True):
    """``version.json``: whose package a folder holds."""

    format: int = 1
    model: str
    number: int
    package: str  #: digest of ``manifest.json``
    run: str | None = None
    created: float = 0.0


class Folder:
    """A packaged version in a folder, verified.

    Raises:
        NotFoundError: if a file is not there.
        DamagedError: if one is not what it was when it was packaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packed = msgspec.json.decode(self._bytes(VERSION), type=Packed)
        manifest = self._bytes(MANIFEST)
        if sha256(manifest) != self.packed.package:
            raise DamagedError(f"{folder / MANIFEST} is not the manifest of {self._named()}.")
        self.files: dict[str, str] = msgspec.json.decode(manifest, type=_Manifest).files
        for path, digest in self.files.items():
            if is_carried(path) and sha256_file(self._file(path)) != digest:
                raise DamagedError(f"{folder / path} is not what {self._named()} was made of.")

    def read(self, path: str) -> bytes:
        """Return the bytes of a file, verified again: it may have been changed since.

        Raises:
            NotFoundError, DamagedError: as above.
        """
        digest = self.files.get(path)
        if digest is None:
            raise NotFoundError(f"{self._named()} has no {path[:200]}.")
        data = self._bytes(path)
        if sha256(data) != digest:
            raise DamagedError(f"{self.folder / path} is not what {self._named()} was made of.")
        return data

    def _bytes(self, path: str) -> bytes:
        return self._file(path).read_bytes()

    def _file(self, path: str) -> Path:
        file = self.folder / path
        if not file.is_file():
            raise NotFoundError(
                f"There is no {path} in {self.folder}.",
                hint="A folder to serve is written by mainspring package, or by its --artifact.",
            )
        if not file.resolve().is_relative_to(self.folder.resolve()):
            raise BadInputError(f"{path!r} leads out of {self.folder}.", field="folder")
        return file

    def _named(self) -> str:
        return f"{self.packed.model}/{self.packed.number}"


class _Manifest(msgspec.Struct, frozen=True):
    files: dict[str, str]


def is_carried(path: str) -> bool:
    """Return whether a file of a package is in a folder that is served.

    >>> is_carried("model.onnx"), is_carried("members/mean/reference.parquet")
    (True, False)
    """
    return path.rpartition("/")[2] not in ASIDE


def serve_folder(
    folder: Path,
    host: str,
    port: int,
    *,
    record: str = "no",
    token: str | None = None,
    on_ready: Callable[[int], None] = lambda _: None,
) -> None:
    """Answer for the version in ``folder`` until SIGTERM; requests under way are finished.

    ``record`` is what becomes of rows and answers: ``no``, or ``stdout`` as lines of JSON. With
    ``token`` callers must show it (``Authorization: Bearer``), but for ``/ping`` and ``/health``.

    Raises:
        NotFoundError, DamagedError: if the folder is not what was packaged.
        BadInputError: if ``record`` is something else.
        ConflictError: if the port is in use.
    """
    from mainspring.ground.objects import Routing
    from mainspring.scaling.models.served import opened
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.recording import Printed, Unrecorded
    from mainspring.scaling.serving.server import serve

    if record not in _RECORDED:
        raise BadInputError(
            f"Rows are recorded to no or stdout, found {record[:40]!r}.", field="record"
        )
    held = Folder(folder)
    served = opened(held.packed.package, held.files, held.read)  # what is wrong ends it now
    name = held.packed.model
    routing = Routing(
        endpoint=name,
        model=name,
        champion=held.packed.number,
        champion_package=held.packed.package,
    )
    app = EndpointApp(
        name,
        lambda: routing,
        lambda _: served,
        Printed() if record == "stdout" else Unrecorded(),
        _admission(token),
        load_settings(),
        changed=lambda: 0,
        say=_say,
    )
    serve(app, host, port, on_ready, threading.Event())


def _admission(token: str | None) -> Callable[[Mapping[str, Any]], Principal]:
    wanted = None if token is None else f"Bearer {token}".encode()

    def admit(scope: Mapping[str, Any]) -> Principal:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if wanted is None or hmac.compare_digest(given, wanted):
            return owner()
        raise UnauthenticatedError("This endpoint asks for its token.", hint="Bearer TOKEN")

    return admit


def _say(level: str, event: str, fields: Mapping[str, Any]) -> None:
    from mainspring.ground.clock import SystemClock

    line = line_of(SystemClock().now(), level, "endpoint", os.getpid(), event, fields)
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()


# ---------------------------------------------------------------- the words of an image


def main(arguments: list[str]) -> int:
    """Do what an image is told: ``serve`` or ``health``. Return the exit code."""
    word = arguments[0] if arguments else "serve"
    try:
        if word == "serve" and len(arguments) <= 1:
            return _serve()
        if word == "health" and len(arguments) == 1:
            return health(_port(os.environ))
        raise BadInputError(
            f"This image serves a model; it does not know {' '.join(arguments)[:80]!r}.",
            field="command",
            hint="serve, or health. To train, package the pipeline.",
        )
    except MainspringError as error:
        hint = f" {error.hint}" if error.hint else ""
        _say("error", f"{error.message}{hint}", {})
        return error.exit_code


def _serve() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    environ = os.environ
    mounted = Path(environ.get("MAINSPRING_MODEL_DIR") or MOUNTED)
    folder = mounted if (mounted / VERSION).is_file() else OWN
    secret = environ.get("MAINSPRING_SERVE_TOKEN_FILE")
    token = Path(secret).read_text("utf-8").strip() if secret else None
    if token == "":
        raise BadInputError(f"The token in {secret} is blank.", field="token")

    def ready(port: int) -> None:
        _say("info", "serving", {"folder": str(folder), "port": port, "after_s": _age_s()})

    # All addresses of a container: nobody else could ask it. Which of them is published, and
    # to whom, is said where it is run.
    host = environ.get("MAINSPRING_HOST") or "0.0.0.0"  # noqa: S104
    record = environ.get("MAINSPRING_RECORD") or "no"
    serve_folder(folder, host, _port(environ), record=record, token=token, on_ready=ready)
    return 0


def _age_s() -> float | None:
    """Return how long ago this process began; None where the system does not tell."""
    try:
        began = int(Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text("ascii").split()[0])
    except (OSError, ValueError):
        return None
    return round(up - began / os.sysconf("SC_CLK_TCK"), 2)


def _port(environ: Mapping[str, str]) -> int:
    text = environ.get("SAGEMAKER_BIND_TO_PORT") or environ.get("MAINSPRING_PORT") or str(PORT)
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65_536:
        raise BadInputError(f"The port is {text[:40]!r}, wanted 1 to 65535.", field="port")
    return int(text)


def health(port: int) -> int:
    """Return 0 if what serves on a port here has a version to answer with, else 1."""
    host = os.environ.get("MAINSPRING_HOST") or "127.0.0.1"
    asked = http.client.HTTPConnection(
        host if host in LOOPBACK else "127.0.0.1", port, timeout=HEALTH_S
    )
    try:
        asked.request("GET", "/ping")
        return 0 if asked.getresponse().status == 200 else 1
    except OSError as error:
        _say("error", f"nothing answers on port {port}: {error}", {})
        return 1
    finally:
        asked.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
