"""A run's files: put, get, list and delete them over HTTP, streamed.

A path that a client sends is looked up in a table and never opened: the bytes are objects,
known by their digest.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.experiments import artifacts, groups
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.ground.ports import Tx
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, chunks
from mainspring.web.mlflow.messages import Fields, from_query
from mainspring.web.mlflow.runs import active, artifact_uri, found, run_id
from mainspring.workspace.opening import Workspace

MAX_BYTES = 16 << 30  #: of one artifact
_PART = 1 << 20
_OCTETS = b"application/octet-stream"


def listed(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return what is in a folder of a run, by paths from the run's root."""
    run, folder = run_id(asked), _folder(asked.text_or("path"))

    def work(tx: Tx) -> dict[str, Any]:
        number = _experiment(tx, found(tx, run).experiment)
        files = [_entry(one, one.path) for one in artifacts.entries(tx, run, folder)]
        answer: dict[str, Any] = {"root_uri": artifact_uri(number, run)}
        return {**answer, "files": files} if files else answer

    return ws.read(Permission.READ, work)


class Files:
    """Answers requests below ``/api/2.0/mlflow-artifacts/artifacts``."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = "/api/2.0/mlflow-artifacts/artifacts"
        who: Principal = scope["state"]["principal"]
        asks = scope["method"] in ("GET", "HEAD")
        authorise(who, Permission.READ if asks else Permission.LOG)
        ws = self._ws.acting_as(who)
        path = scope["path_params"].get("path", "")
        if asks and not path:
            await self._list(ws, scope, send)
        elif asks:
            await self._get(ws, path, send)
        elif scope["method"] == "PUT":
            await self._put(ws, path, scope, receive, send)
        else:
            await self._delete(ws, path, send)

    async def _list(self, ws: Workspace, scope: Scope, send: Send) -> None:
        where = Fields(from_query(scope["query_string"])).text_or("path")

        def work(tx: Tx) -> list[dict[str, Any]]:
            run, folder = _place(tx, where)
            several = artifacts.entries(tx, run, folder)
            return [_entry(one, one.path.rpartition("/")[2]) for one in several]

        files = await self._threads.run(lambda: ws.read(Permission.READ, work))
        await send_bytes(
            send, msgspec.json.encode({"files": files} if files else {}), "application/json"
        )

    async def _get(self, ws: Workspace, path: str, send: Send) -> None:
        def work(tx: Tx) -> artifacts.Artifact:
            run, name = _place(tx, path)
            return artifacts.get(tx, run, name)

        one = await self._threads.run(lambda: ws.read(Permission.READ, work))
        with _temporary(ws) as file:
            await self._threads.run(lambda: ws.objects.fetch(one.digest, file))
            head = [
                (b"content-type", _OCTETS),
                (b"content-length", str(one.size).encode()),
                (b"content-disposition", b"attachment"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            async for part in self._parts(file):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _put(
        self, ws: Workspace, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # Refused before a stranger's gigabytes are read.
        await self._threads.run(lambda: ws.read(Permission.READ, lambda tx: _target(tx, path)))
        with _temporary(ws) as file:
            await self._receive(file, scope, receive)

            def keep() -> None:
                size, digest = file.stat().st_size, ws.objects.put_file(file)

                def work(tx: Tx) -> None:
                    run, name = _target(tx, path)
                    artifacts.put(tx, run, name, digest, size, ws.clock.now())

                ws.write(Permission.LOG, work)

            await self._threads.run(keep)
        await send_bytes(send, b"{}", "application/json")

    async def _delete(self, ws: Workspace, path: str, send: Send) -> None:
        def work(tx: Tx) -> None:
            run, name = _target(tx, path)
            if not artifacts.remove(tx, run, name):
                raise NotFoundError(f"No such artifact: {path[:200]!r}")

        await self._threads.run(lambda: ws.write(Permission.LOG, work))
        await send_bytes(send, b"{}", "application/json")

    async def _receive(self, file: Path, scope: Scope, receive: Receive) -> None:
        held = bytearray()
        with file.open("wb", buffering=0) as target:
            async for part in chunks(scope, receive, MAX_BYTES):
                held += part
                if len(held) >= _PART:
                    full, held = bytes(held), bytearray()
                    await self._threads.run(partial(_append, target, full))
            await self._threads.run(partial(_append, target, bytes(held)))

    async def _parts(self, file: Path) -> AsyncIterator[bytes]:
        with file.open("rb", buffering=0) as source:
            while part := await self._threads.run(lambda: source.read(_PART)):
                yield part


# ---------------------------------------------------------------- parts


def _append(target: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[target.write(rest) :]


@contextmanager
def _temporary(ws: Workspace) -> Iterator[Path]:
    """Give a file of our own naming, which is gone in the end."""
    with tempfile.TemporaryDirectory(dir=ws.home / "run", prefix="artifact.") as folder:
        file = Path(folder) / "bytes"
        file.touch(mode=0o600)
        yield file


def _place(tx: Tx, where: str) -> tuple[str, str]:
    """Return the run and the path below its root that ``experiment/run/artifacts/...`` names.

    Raises:
        NotFoundError: if there is no such run in that experiment.
        BadInputError: if the path is none.
    """
    number, _, rest = _clean(where).partition("/")
    run, _, rest = rest.partition("/")
    root, _, path = rest.partition("/")
    if root != "artifacts" or not number.isdecimal():
        raise NotFoundError(f"No such artifact: {where[:200]!r}")
    if str(_experiment(tx, found(tx, run).experiment)) != number:
        raise NotFoundError(f"No such artifact: {where[:200]!r}")
    return run, path


def _target(tx: Tx, where: str) -> tuple[str, str]:
    """Return as :func:`_place` does what may be written to."""
    run, path = _place(tx, where)
    active(tx, run)
    return run, artifacts.check_path(path)


def _folder(text: str) -> str:
    return _clean(text) if text not in ("", ".", "./") else ""


def _clean(text: str) -> str:
    """Return a path that leads nowhere else; one that is still encoded is none.

    Raises:
        BadInputError: if it is none.
    """
    try:
        return artifacts.check_path(text.rstrip("/"))
    except BadInputError:
        raise BadInputError(f"Invalid path: {text[:100]!r}", field="path") from None


def _experiment(tx: Tx, key: str) -> int:
    return groups.by_keys(tx, [key])[key].id


def _entry(one: artifacts.Entry, path: str) -> dict[str, Any]:
    if one.size is None:
        return {"path": path, "is_dir": True}
    return {"path": path, "is_dir": False, "file_size": one.size}
