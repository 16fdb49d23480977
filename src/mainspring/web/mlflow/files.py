"""The files of runs and logged models: put, get, list and delete them over HTTP, streamed.

A path that a client sends is looked up in a table and never opened: the bytes are objects,
known by their digest.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.experiments import artifacts
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.ground.ports import Tx
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, chunks
from mainspring.web.mlflow.messages import Fields, from_query
from mainspring.web.mlflow.places import Place, clean, entry, nothing_at, place, target, writable
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up

MAX_BYTES = 16 << 30  #: of one artifact
_MOST_AJAX = 10 << 20  #: of one that MLflow's own pages send
_PART = 1 << 20
_OCTETS = b"application/octet-stream"
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")

Find = Callable[[Tx, Fields], Place]


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
            await give(ws, self._threads, lambda tx: place(tx, path), scope, send)
        elif scope["method"] == "PUT":
            await take(ws, self._threads, lambda tx: target(tx, path), scope, receive)
            await send_bytes(send, b"{}", "application/json")
        else:
            await self._delete(ws, path, send)

    async def _list(self, ws: Workspace, scope: Scope, send: Send) -> None:
        where = Fields(from_query(scope["query_string"])).text_or("path")

        def work(tx: Tx) -> list[dict[str, Any]]:
            at = place(tx, where)
            several = artifacts.entries(tx, at.owner, at.path, of=at.of)
            return [entry(one, one.path.rpartition("/")[2]) for one in several]

        files = await self._threads.run(lambda: caught_up(ws).read(Permission.READ, work))
        await send_bytes(
            send, msgspec.json.encode({"files": files} if files else {}), "application/json"
        )

    async def _delete(self, ws: Workspace, path: str, send: Send) -> None:
        def work(tx: Tx) -> None:
            at = target(tx, path)
            if not artifacts.remove(tx, at.owner, at.path, of=at.of):
                raise nothing_at(path)

        await self._threads.run(lambda: ws.write(Permission.LOG, work))
        await send_bytes(send, b"{}", "application/json")


class OneFile:
    """Gives or takes the one file that a query string names, as MLflow's own pages ask for it."""

    def __init__(self, ws: Workspace, threads: Threads, find: Find) -> None:
        self._ws = ws
        self._threads = threads
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = "/get-artifact"
        who: Principal = scope["state"]["principal"]
        asks = scope["method"] in ("GET", "HEAD")
        authorise(who, Permission.READ if asks else Permission.LOG)
        ws, fields = self._ws.acting_as(who), Fields(from_query(scope["query_string"]))
        if asks:
            await give(ws, self._threads, lambda tx: self._find(tx, fields), scope, send)
            return
        await take(
            ws,
            self._threads,
            lambda tx: writable(tx, self._find(tx, fields)),
            scope,
            receive,
            most=_MOST_AJAX,
            least=1,
        )
        await send_bytes(send, b"{}", "application/json")


def of_run(_: Tx, asked: Fields) -> Place:
    """Return the file that ``run_id`` and ``path`` name."""
    run = asked.text_or("run_id") or asked.text("run_uuid")
    return Place(artifacts.RUNS, run, clean(asked.text("path")))


def of_upload(_: Tx, asked: Fields) -> Place:
    """Return the file that MLflow's own pages write."""
    run, path = asked.text_or("run_uuid"), asked.text_or("path")
    if not run:
        raise BadInputError("Request must specify run_uuid.", field="run_uuid")
    if not path:
        raise BadInputError("Request must specify path.", field="path")
    return Place(artifacts.RUNS, run, clean(path))


def of_model(_: Tx, asked: Fields) -> Place:
    """Return the file of a logged model that a path and ``artifact_file_path`` name."""
    return Place(artifacts.MODELS, asked.text("model_id"), clean(asked.text("artifact_file_path")))


async def give(
    ws: Workspace, threads: Threads, find: Callable[[Tx], Place], scope: Scope, send: Send
) -> None:
    """Send a file, or the part of it that ``Range`` asks for."""

    def work(tx: Tx) -> artifacts.Artifact:
        at = find(tx)
        return artifacts.get(tx, at.owner, at.path, of=at.of)

    # What scripts of this home logged is there by now.
    one = await threads.run(lambda: caught_up(ws).read(Permission.READ, work))
    part = _range(dict(scope["headers"]).get(b"range", b""), one.size)
    start, stop = part or (0, one.size)
    head = [
        (b"content-type", _OCTETS),
        (b"content-length", str(stop - start).encode()),
        (b"content-disposition", b"attachment"),
        (b"accept-ranges", b"bytes"),
        (b"etag", f'"{one.digest}"'.encode()),
    ]
    if part:
        head.append((b"content-range", f"bytes {start}-{stop - 1}/{one.size}".encode()))
    opening = {"type": "http.response.start", "status": 206 if part else 200, "headers": head}
    if scope["method"] == "HEAD":
        await send(opening)
        await send({"type": "http.response.body", "body": b""})
        return
    with temporary(ws) as file:
        await threads.run(lambda: ws.objects.fetch(one.digest, file))
        await send(opening)
        async for piece in _pieces(threads, file, start, stop):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def take(
    ws: Workspace,
    threads: Threads,
    find: Callable[[Tx], Place],
    scope: Scope,
    receive: Receive,
    *,
    most: int = MAX_BYTES,
    least: int = 0,
) -> None:
    """Keep what a request brings under a path.

    Raises:
        BadInputError: if it is less than ``least`` bytes, or cannot stand there.
        TooLargeError: if it is more than ``most``.
    """
    check_plain(scope)
    # Refused before a stranger's gigabytes are read.
    await threads.run(lambda: caught_up(ws).read(Permission.READ, find))
    with temporary(ws) as file:
        await receive_into(threads, file, scope, receive, most)
        if file.stat().st_size < least:
            raise BadInputError("Request must specify data.", field="data")
        await threads.run(lambda: keep(ws, find, file))


def keep(ws: Workspace, find: Callable[[Tx], Place], file: Path) -> None:
    """Keep a file's bytes under a path: first the bytes, then the row."""
    size, digest = file.stat().st_size, ws.objects.put_file(file)

    def work(tx: Tx) -> None:
        at = find(tx)
        artifacts.put(tx, at.owner, at.path, digest, size, ws.clock.now(), of=at.of)

    ws.write(Permission.LOG, work)


def check_plain(scope: Scope) -> None:
    """Refuse a body that is compressed: a small one may hold a very large one.

    Raises:
        BadInputError: if it says so.
    """
    if dict(scope["headers"]).get(b"content-encoding", b"identity") != b"identity":
        raise BadInputError("The body must not be compressed.", field="Content-Encoding")


async def receive_into(
    threads: Threads, file: Path, scope: Scope, receive: Receive, most: int
) -> None:
    """Write a request's body to a file, a piece at a time.

    Raises:
        TooLargeError: if it is larger than ``most`` bytes.
    """
    held = bytearray()
    with file.open("wb", buffering=0) as to:
        async for part in chunks(scope, receive, most):
            held += part
            if len(held) >= _PART:
                full, held = bytes(held), bytearray()
                await threads.run(partial(_append, to, full))
        await threads.run(partial(_append, to, bytes(held)))


@contextmanager
def temporary(ws: Workspace) -> Iterator[Path]:
    """Give a file of our own naming, which is gone in the end."""
    with tempfile.TemporaryDirectory(dir=ws.home / "run", prefix="artifact.") as folder:
        file = Path(folder) / "bytes"
        file.touch(mode=0o600)
        yield file


# ---------------------------------------------------------------- parts


async def _pieces(threads: Threads, file: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    with file.open("rb", buffering=0) as source:
        source.seek(start)
        while start < stop:
            most = min(_PART, stop - start)
            part = await threads.run(partial(source.read, most))
            if not part:
                return
            start += len(part)
            yield part


def _range(asked: bytes, size: int) -> tuple[int, int] | None:
    """Return the one part that is asked for; None for the whole, also where it makes no sense."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or match.groups() == (b"", b""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    return (start, stop) if start < stop else None


def _append(to: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[to.write(rest) :]
