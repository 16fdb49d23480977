"""Send an artifact or a log as it is: to be kept as a file, or, if a plain picture, to be shown.

What others have stored is never run here. Only what begins as a PNG, JPEG, GIF or WebP gets
the type of a picture; all else leaves as bytes to be downloaded, and even the address of a
picture, opened by itself, stands in a sandbox that may load and run nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from mainspring.experiments import artifacts
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.workspace.opening import Workspace

_PART = 1 << 20
_OCTETS = "application/octet-stream"
#: Headers under which nothing that is answered can run or load anything here.
SEALED: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def picture_type(head: bytes) -> str | None:
    """Return the type of a picture by how it begins, whatever its name says.

    >>> picture_type(b"GIF89a..."), picture_type(b"<svg onload=...>")
    ('image/gif', None)
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def disposition(kind: str, path: str) -> bytes:
    """Return the header that names the file; a name of any letters stays ASCII.

    >>> disposition("attachment", 'plots/"é.png')
    b"attachment; filename*=UTF-8''%22%C3%A9.png"
    """
    return f"{kind}; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}".encode()


class StepLog:
    """Answers with all that is kept of what a step printed, as a file."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        from mainspring.workspace.views.steps import whole_log

        scope["state"]["route"] = "/runs/{run}/steps/{step}/log"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        ws = self._ws.acting_as(who)
        run, step = scope["path_params"]["run"], scope["path_params"]["step"]
        body = await self._threads.run(lambda: whole_log(ws, run, step))
        named = (b"content-disposition", disposition("attachment", f"{step}.log"))
        await send_bytes(send, body, _OCTETS, headers=[*SEALED, named])


class File:
    """Answers with one artifact of a run."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/runs/{run}/files"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        ws = self._ws.acting_as(who)
        run, path = scope["path_params"]["run"], scope["path_params"]["path"]
        one = await self._threads.run(
            lambda: ws.read(Permission.READ, lambda tx: artifacts.get(tx, run, path))
        )
        shown = scope["query_string"] == b"show=picture"
        tag = f'"{one.digest[:32]}{"-shown" if shown else ""}"'.encode()
        kept = [*SEALED, (b"etag", tag), (b"cache-control", b"private, no-cache")]
        if dict(scope["headers"]).get(b"if-none-match") == tag:
            await send_bytes(send, b"", _OCTETS, 304, kept)
            return
        with _temporary(ws) as file:
            await self._threads.run(lambda: ws.objects.fetch(one.digest, file))
            await self._send(file, one, kept, send, shown=shown)

    async def _send(
        self,
        file: Path,
        one: artifacts.Artifact,
        kept: list[tuple[bytes, bytes]],
        send: Send,
        *,
        shown: bool,
    ) -> None:
        with file.open("rb", buffering=0) as source:
            part = await self._threads.run(lambda: source.read(_PART))
            media = picture_type(part) if shown else None
            head = [
                (b"content-type", (media or _OCTETS).encode()),
                (b"content-length", str(one.size).encode()),
                (
                    b"content-disposition",
                    disposition("inline" if media else "attachment", one.path),
                ),
                *kept,
            ]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            while part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
                part = await self._threads.run(lambda: source.read(_PART))
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def _temporary(ws: Workspace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=ws.home / "run") as folder:
        yield Path(folder) / "artifact"
