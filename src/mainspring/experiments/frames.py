"""What a journal says, frame by frame: a length, a checksum, and one thing that happened.

A frame is 4 bytes of length, 4 of crc32 (both little-endian, both of the body), then the body
in MessagePack. A frame is written with one call, so that it is there whole or not at all.
"""

from __future__ import annotations

import re
import struct
from typing import Annotated, Any
from zlib import crc32

import msgspec
from msgspec import Meta

from mainspring.ground.errors import BadInputError, TooLargeError

HEAD = struct.Struct("<II")
MAX_FRAME = 8 << 20  #: of a body, in bytes; a run's params and tags fit many times
MOST_VALUES = 50_000  #: in a frame, and of those that are folded in one transaction
_SEARCHED = 64 << 20  # bytes that are summed up in search of a frame after damage

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Step = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Frame(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", gc=False):
    """One thing that happened to a run."""

    run: _Id


class Begun(Frame, frozen=True, array_like=True, tag="run"):
    """A run began, or another process begins to write to it: what is needed to make it."""

    experiment: str  #: its name
    name: str
    started: float  #: UTC seconds
    parent: str | None
    own: bool  #: the run ends with this journal's process
    params: dict[str, str]
    tags: dict[str, str]


class Resumed(Frame, frozen=True, array_like=True, tag="resumed"):
    """A run that had ended goes on."""

    time: float


class Params(Frame, frozen=True, array_like=True, tag="params"):
    """Params were set."""

    values: dict[str, str]


class Tags(Frame, frozen=True, array_like=True, tag="tags"):
    """Tags were set; None took one away."""

    values: dict[str, str | None]


class Points(Frame, frozen=True, array_like=True, tag="points"):
    """Metric values of one moment. Without a step each goes on by one from its latest."""

    step: _Step | None
    time: float
    values: dict[str, float]


class File(Frame, frozen=True, array_like=True, tag="file"):
    """A file was kept; its bytes are an object by then."""

    path: str
    digest: str
    size: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    time: float


class Extra(Frame, frozen=True, array_like=True, tag="extra"):
    """Something else that belongs to a run, such as a dataset; see ``taking.EXTRAS``."""

    subject: str
    data: dict[str, Any]
    time: float


class Ended(Frame, frozen=True, array_like=True, tag="ended"):
    """A run ended."""

    status: str
    time: float


AnyFrame = Begun | Resumed | Params | Tags | Points | File | Extra | Ended

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyFrame).decode
_BODY = re.compile(rb"[\x92-\x9a][\xa3-\xa7](?:run|resumed|params|tags|points|file|extra|ended)")


class Read(msgspec.Struct, frozen=True, gc=False):
    """What some bytes of a journal hold."""

    frames: list[AnyFrame]
    size: int  #: bytes of them that are whole frames, from the first on
    damaged: bool  #: whole frames follow after bytes that are none


def packed(body: bytes) -> bytes:
    """Return a body as the frame that is written.

    Raises:
        TooLargeError: if it is larger than a frame may be.
    """
    if len(body) > MAX_FRAME:
        raise TooLargeError(
            f"{len(body):,} bytes were logged at once; {MAX_FRAME:,} is the most.",
            hint="Log less in one call, or keep it as an artifact.",
        )
    return HEAD.pack(len(body), crc32(body)) + body


def read(data: bytes) -> Read:
    """Return the frames that bytes begin with, up to the first that is not whole.

    Raises:
        BadInputError: if a whole frame says something unknown.
    """
    found: list[AnyFrame] = []
    view, at, size = memoryview(data), 0, len(data)
    unpack, decode, take = HEAD.unpack_from, _decode, found.append
    try:
        while size - at >= 8:
            length, checksum = unpack(data, at)
            end = at + 8 + length
            if end > size or not 0 < length <= MAX_FRAME:
                break
            body = view[at + 8 : end]
            if crc32(body) != checksum:
                break
            take(decode(body))
            at = end
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BadInputError(
            f"The journal says something unknown after {at:,} bytes: {why}.", field="journal"
        ) from error
    return Read(found, at, next_frame(data, at + 1) is not None)


def is_broken(data: bytes) -> bool:
    """Return whether bytes begin with what never becomes a frame, whatever follows.

    Half of one may; so may zeros, which a file has that grew before it was written.
    """
    if len(data) < HEAD.size:
        return False
    length, checksum = HEAD.unpack_from(data)
    body = data[HEAD.size : HEAD.size + length]
    return bool(length > MAX_FRAME or (0 < length == len(body) and crc32(body) != checksum))


def check_count(count: int, what: str) -> None:
    """Refuse more values than a frame may hold, however small.

    Raises:
        TooLargeError: if there are more.
    """
    if count > MOST_VALUES:
        raise TooLargeError(
            f"{count:,} {what} were logged at once; {MOST_VALUES:,} is the most.",
            field=what,
            hint="Log them in several calls, or keep them as an artifact.",
        )


def size_of(data: bytes, count: int) -> int:
    """Return how many bytes the first whole frames take."""
    at = 0
    for _ in range(count):
        at += HEAD.size + int(HEAD.unpack_from(data, at)[0])
    return at


def next_frame(data: bytes, start: int) -> int | None:
    """Return where the first whole frame begins at or after a place, or None.

    Where so much looks like frames that it would take long to be sure, one is taken to be there.
    """
    view, left = memoryview(data), _SEARCHED
    if start >= len(data):
        return None
    for match in _BODY.finditer(data, start + HEAD.size):
        at = match.start() - HEAD.size
        length, checksum = HEAD.unpack_from(data, at)
        if not 0 < length <= min(MAX_FRAME, len(data) - match.start()):
            continue
        left -= length
        if left < 0:
            return at
        body = view[match.start() : match.start() + length]
        if crc32(body) == checksum:
            return at
    return None
