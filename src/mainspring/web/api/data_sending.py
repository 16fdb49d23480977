"""Data versions between machines: what lacks, pieces of files, a version of them, and reading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.pipelines.data.manifest import Kind
from mainspring.web.api.data import DataRef, DatasetName
from mainspring.web.api.fields import Request
from mainspring.web.api.journals import Digest
from mainspring.web.api.operations import operation
from mainspring.workspace.data.receiving import (
    MAX_FILES,
    MAX_PART,
    MAX_PIECES,
    MOST_ASKED,
    Committed,
    Lacking,
    Taken,
)
from mainspring.workspace.opening import Workspace

_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class AskPieces(Request, frozen=True, kw_only=True):
    """Which pieces."""

    digests: Annotated[
        list[Digest],
        Meta(max_length=MOST_ASKED, description="Of files below a megabyte, or of chunks."),
    ]


class SendPieces(Request, frozen=True, kw_only=True):
    """Of which bytes the body is."""

    digest: Digest


class CommitData(Request, frozen=True, kw_only=True):
    """Of which dataset, of which kind, and which version it will be."""

    name: DatasetName
    kind: Annotated[Kind, Meta(description="What it is.", examples=["folder"])]
    digest: Digest
    message: Annotated[str, Meta(max_length=10_000, description="Why, in words.")] = ""
    source: Annotated[str, Meta(max_length=4_000, description="Where it came from.")] = ""


class ReadPart(Request, frozen=True, kw_only=True):
    """Which bytes of which object of which version."""

    version: DataRef
    object: Digest
    start: Annotated[int, Meta(ge=0, le=2**62, description="Where they begin.")] = 0
    count: Annotated[int, Meta(ge=1, le=MAX_PART, description="How many at most.")] = MAX_PART


@operation(
    "pieces.lacking",
    "POST",
    "/api/v1/data-lacking",
    Permission.LOG,
    example={"digests": [_EXAMPLE]},
)
def lacking(ws: Workspace, request: AskPieces) -> Lacking:
    """Say which of some pieces are not kept yet. Those that are stay for a day at least."""
    from mainspring.workspace.data import receiving

    return receiving.lacking(ws, request.digests)


@operation(
    "pieces.send",
    "PUT",
    "/api/v1/data-pieces/{digest}",
    Permission.LOG,
    takes_bytes=MAX_PIECES,
    example={"digest": _EXAMPLE},
)
def send(ws: Workspace, request: SendPieces, body: Path) -> Taken:
    """Keep pieces of files; the digest in the path is that of the whole body.

    The body is one MessagePack array of byte strings of 1 byte to 4 MiB. Each is known by its
    sha256 from then on. Sending one again changes nothing. What no version names goes with a
    collection, a day later at the earliest.
    """
    from mainspring.workspace.data import receiving

    return receiving.take(ws, request.digest, body)


@operation(
    "pieces.commit",
    "POST",
    "/api/v1/data/{name}/versions",
    Permission.LOG,
    takes_bytes=MAX_FILES,
    example={
        "name": "flights",
        "kind": "folder",
        "digest": _EXAMPLE,
        "message": "May is in",
        "source": "/home/ada/flights",
    },
)
def commit(ws: Workspace, request: CommitData, body: Path) -> Committed:
    """Make a list of files the next version of a dataset, or say what lacks for it.

    The body is one MessagePack array with an array for each file: path, size, sha256 (32 bytes),
    whether it is executable, and of a file of a megabyte and more an array of its chunks, each an
    array of length and sha256. What is in the newest version, or is kept under its own
    digest, needs no chunks. Every file's bytes are verified; nothing is added before all are
    there. ``digest`` is that of the version, so that a list that was garbled makes none.
    """
    from mainspring.workspace.data import receiving

    return receiving.commit(
        ws,
        request.name,
        request.kind,
        request.digest,
        body,
        message=request.message,
        source=request.source,
    )


@operation(
    "pieces.read",
    "GET",
    "/api/v1/data-bytes",
    Permission.READ,
    media="application/octet-stream",
)
def read(ws: Workspace, request: ReadPart) -> bytes:
    """Read bytes of an object that a version is kept in: its manifest names which and where.

    They may be fewer than asked for, at the object's end. Whoever puts a file together from them
    checks its digest.
    """
    from mainspring.workspace.data import receiving

    return receiving.part(ws, request.version, request.object, request.start, request.count)
