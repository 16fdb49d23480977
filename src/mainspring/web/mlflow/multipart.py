"""Large files in several parts, which MLflow's clients send side by side.

1. ``mpu/create`` names an upload and gives a URL for each part.
2. Each part is PUT to its URL and kept in a folder of the upload; the answer's ETag is its
   digest.
3. ``mpu/complete`` joins the parts in order, checks their digests, and keeps the file.
4. ``mpu/abort`` forgets the upload; so does a day without it being completed.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError, NotFoundError, TooLargeError
from mainspring.ground.identity import sha256_file
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, read_body, read_json
from mainspring.web.mlflow.files import MAX_BYTES, check_plain, keep, receive_into, temporary
from mainspring.web.mlflow.messages import Fields, missing
from mainspring.web.mlflow.places import clean, target
from mainspring.workspace.opening import Workspace

_MOST_PARTS = 10_000
_MOST_BODY = 4 << 20  #: of a message; ten thousand parts told of take 2 MB
_KEPT_S = 86_400.0  #: how long an upload may take
_ID = re.compile(r"[0-9a-f]{32}")
_STEP = 1 << 20


class Upload(msgspec.Struct, frozen=True):
    """What was said when an upload began."""

    where: str  #: the file's whole path, from its experiment
    parts: int
    who: str
    began: float


class Multipart:
    """Answers requests below ``/api/2.0/mlflow-artifacts/mpu``."""

    def __init__(self, ws: Workspace, threads: Threads, root: str) -> None:
        self._ws = ws
        self._threads = threads
        self._root = root  #: of the URLs that are given for parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = "/api/2.0/mlflow-artifacts/mpu"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.LOG)
        ws, asked = self._ws.acting_as(who), scope["path_params"]
        if "upload" in asked:
            await self._part(ws, scope, receive, send)
            return
        check_plain(scope)
        body = await read_body(scope, receive, _MOST_BODY)
        fields = Fields(read_json(body, ws.settings.max_depth))
        works: dict[str, Callable[[], dict[str, Any]]] = {
            "create": lambda: self._create(ws, asked["path"], fields, scope),
            "complete": lambda: _complete(ws, asked["path"], fields),
            "abort": lambda: _abort(ws, asked["path"], fields),
        }
        work = works.get(asked["verb"])
        if work is None:
            raise NotFoundError("There is no such endpoint on this server.")
        answer = await self._threads.run(work)
        await send_bytes(send, msgspec.json.encode(answer), "application/json")

    def _create(self, ws: Workspace, folder: str, asked: Fields, scope: Scope) -> dict[str, Any]:
        where, count = _where(folder, asked), asked.whole("num_parts", 1)
        if not 1 <= count <= _MOST_PARTS:
            raise BadInputError(
                f"Invalid value {count} for parameter 'num_parts' supplied: it must be 1 to"
                f" {_MOST_PARTS}.",
                field="num_parts",
            )
        ws.read(Permission.READ, lambda tx: target(tx, where))
        _forget_old(ws)
        number = secrets.token_hex(16)
        begun = Upload(where=where, parts=count, who=ws.who.name, began=ws.clock.now())
        place = _uploads(ws) / number
        place.mkdir(mode=0o700)
        (place / "upload").write_bytes(msgspec.json.encode(begun))
        headers = dict(scope["headers"])
        base = f"{scope['scheme']}://{headers[b'host'].decode('latin-1')}{self._root}"
        # Parts are sent without the client's own headers: it is given back what it showed.
        shown = headers.get(b"authorization")
        told = {} if shown is None else {"Authorization": shown.decode("latin-1")}
        return {
            "upload_id": number,
            "credentials": [
                {"url": f"{base}/part/{number}/{n}", "part_number": n, "headers": told}
                for n in range(1, count + 1)
            ],
        }

    async def _part(self, ws: Workspace, scope: Scope, receive: Receive, send: Send) -> None:
        number, part = scope["path_params"]["upload"], scope["path_params"]["part"]
        begun = await self._threads.run(lambda: _begun(ws, number))
        if not 1 <= part <= begun.parts:
            raise BadInputError(f"This upload has parts 1 to {begun.parts}.", field="part_number")
        check_plain(scope)
        with temporary(ws) as file:
            await receive_into(self._threads, file, scope, receive, MAX_BYTES)
            digest = await self._threads.run(lambda: sha256_file(file))
            file.replace(_uploads(ws) / number / f"{part}")
        head = [(b"etag", f'"{digest}"'.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b""})


def _complete(ws: Workspace, folder: str, asked: Fields) -> dict[str, Any]:
    number, begun = _named(ws, folder, asked)
    several = asked.several("parts")
    told = {one.whole("part_number"): one.text_or("etag").strip('"') for one in several}
    if len(several) != begun.parts or sorted(told) != list(range(1, begun.parts + 1)):
        raise BadInputError(
            f"This upload has parts 1 to {begun.parts}, each once; told of {len(several)}.",
            field="parts",
        )
    place = _uploads(ws) / number
    with temporary(ws) as file:
        with file.open("wb") as to:
            for part in range(1, begun.parts + 1):
                source = place / f"{part}"
                if not source.exists() or sha256_file(source) != told[part]:
                    raise BadInputError(f"Part {part} is not what was sent.", field="parts")
                with source.open("rb") as data:
                    shutil.copyfileobj(data, to, _STEP)
                if to.tell() > MAX_BYTES:
                    raise TooLargeError(f"A file may hold {MAX_BYTES >> 30} GB.", field="parts")
        keep(ws, lambda tx: target(tx, begun.where), file)
    shutil.rmtree(place)
    return {}


def _abort(ws: Workspace, folder: str, asked: Fields) -> dict[str, Any]:
    number, _ = _named(ws, folder, asked)
    shutil.rmtree(_uploads(ws) / number)
    return {}


# ---------------------------------------------------------------- parts


def _where(folder: str, asked: Fields) -> str:
    """Return a file's whole path: ``path`` is the file's name at the client's side."""
    name = asked.text("path").replace("\\", "/").rpartition("/")[2]
    return clean(f"{folder.rstrip('/')}/{name}")


def _named(ws: Workspace, folder: str, asked: Fields) -> tuple[str, Upload]:
    number = asked.text("upload_id")
    begun = _begun(ws, number)
    if begun.where != _where(folder, asked):
        raise BadInputError("This upload is of another file.", field="path")
    return number, begun


def _begun(ws: Workspace, number: str) -> Upload:
    if not number:
        raise missing("upload_id")
    file = _uploads(ws) / number / "upload" if _ID.fullmatch(number) else None
    if file is None or not file.is_file():
        raise NotFoundError("There is no such upload; it may have been completed or aborted.")
    begun = msgspec.json.decode(file.read_bytes(), type=Upload)
    if begun.who != ws.who.name:
        raise NotFoundError("There is no such upload; it may have been completed or aborted.")
    return begun


def _uploads(ws: Workspace) -> Path:
    folder = ws.home / "run" / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _forget_old(ws: Workspace) -> None:
    for place in _uploads(ws).iterdir():
        file = place / "upload"
        if file.is_file():
            begun = msgspec.json.decode(file.read_bytes(), type=Upload)
            if ws.clock.now() - begun.began > _KEPT_S:
                shutil.rmtree(place)
