"""The files of versions over HTTP: listed and read, verified, never written.

``versions/MODEL/NUMBER/PATH`` below the root of all artifacts names one; every other path is
left to whoever answers for the files of runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.mlflow.messages import Fields, from_query
from mainspring.web.mlflow.models import named, number_of
from mainspring.web.mlflow.places import clean
from mainspring.web.mlflow.sources import PACKAGES
from mainspring.workspace.opening import Workspace

_PART = 1 << 20


class Packages:
    """Answers for the files of versions, and hands all other paths on."""

    def __init__(self, ws: Workspace, threads: Threads, rest: ASGIApp) -> None:
        self._ws = ws
        self._threads = threads
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path_params"].get("path", "")
        listing = not path
        if listing:
            path = Fields(from_query(scope["query_string"])).text_or("path")
        if path.strip("/").partition("/")[0] != PACKAGES:
            await self._rest(scope, receive, send)
            return
        scope["state"]["route"] = "/api/2.0/mlflow-artifacts/artifacts"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        if scope["method"] not in ("GET", "HEAD"):
            raise ConflictError("The files of a version are written once.", field="path")
        ws = self._ws.acting_as(who)
        files, rest = await self._threads.run(lambda: _files(ws, path.strip("/")))
        if listing:
            await _list(files, rest, ws, self._threads, send)
        else:
            await self._get(ws, files, rest, send)

    async def _get(self, ws: Workspace, files: dict[str, str], path: str, send: Send) -> None:
        if path not in files:
            raise NotFoundError(f"No such artifact: {path[:200]!r}")
        with tempfile.TemporaryDirectory(dir=ws.home / "run", prefix="package.") as folder:
            file = Path(folder) / "bytes"
            file.touch(mode=0o600)
            await self._threads.run(lambda: ws.objects.fetch(files[path], file))
            size = str(file.stat().st_size).encode()
            head = [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", size),
                (b"content-disposition", b"attachment"),
                (b"x-content-type-options", b"nosniff"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            with file.open("rb", buffering=0) as source:
                while part := await self._threads.run(lambda: source.read(_PART)):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class OneOfVersion:
    """Gives the file of a version that a query string names, as MLflow's own pages ask for it."""

    def __init__(self, ws: Workspace, threads: Threads, packages: ASGIApp) -> None:
        self._ws = ws
        self._threads = threads
        self._packages = packages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        asked = Fields(from_query(scope["query_string"]))
        path = clean(asked.text("path"))
        title, number = asked.text("name"), number_of(asked)
        ws = self._ws.acting_as(who)
        model = await self._threads.run(
            lambda: ws.read(Permission.READ, lambda tx: named(tx, title))
        )
        where = {"path": f"{PACKAGES}/{model}/{number}/{path}"}
        await self._packages({**scope, "path_params": where}, receive, send)


async def _list(
    files: dict[str, str], folder: str, ws: Workspace, threads: Threads, send: Send
) -> None:
    def look() -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        start = f"{folder}/" if folder else ""
        for path, digest in files.items():
            if not path.startswith(start):
                continue
            name, _, deeper = path[len(start) :].partition("/")
            entry: dict[str, Any] = {"path": name, "is_dir": bool(deeper)}
            if not deeper:
                entry["file_size"] = ws.objects.size(digest)
            found[name] = entry
        return [found[name] for name in sorted(found)]

    several = await threads.run(look)
    await send_bytes(
        send, msgspec.json.encode({"files": several} if several else {}), "application/json"
    )


def _files(ws: Workspace, where: str) -> tuple[dict[str, str], str]:
    """Return the files of the version that a path names, and the path from its root."""
    parts = where.split("/")
    if len(parts) < 3 or not parts[2].isascii() or not parts[2].isdecimal() or len(parts[2]) > 9:
        raise NotFoundError(f"No such artifact: {where[:200]!r}")
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, parts[1], int(parts[2])))
    found = package.read_manifest(version.origin or version.package, ws.objects).files
    return found, "/".join(parts[3:])
