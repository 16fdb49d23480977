"""Keep what steps return as objects, and give it to the next step as it was.

Each type of value has a codec; ``register`` adds one. What none takes whole is taken apart
(lists, tuples, dicts, dataclasses, Structs), and what is left is pickled, where that may be (see
:mod:`pickled`). The same value always gives the same bytes, so that a step that ran again and
returned the same leaves what follows it untouched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import NotExactError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines import made
from mainspring.pipelines.outputs import files, frames, numbers, pickled
from mainspring.pipelines.outputs.forms import Bytes, Form, Stored
from mainspring.pipelines.plain import from_json, is_plain, to_json

FORMAT = "2"  #: of all codecs together; part of every key, so that a new form reuses no old one
_MAX_PARTS = 1_000
_MAX_DEPTH = 16

_registered: dict[str, Form] = {}


def register(codec: Form) -> None:
    """Add a codec; it is asked before those there are. The same name replaces one."""
    _registered[codec.name] = codec


def encode(value: Any, objects: Objects, words: str = "The value") -> Stored:
    """Keep a value of any type that has a codec, and else, in a home, whatever can be pickled.

    ``words`` begins the message, such as ``"Step train returned what cannot be kept"``.

    Raises:
        ProjectError: if nothing can keep it, naming the type.
        NotExactError: if it could not be given back as it is.
    """
    return _encode(value, objects, words, 0)


def decode(digest: str, type_: str, objects: Objects, folder: Path) -> Any:
    """Return the value that was kept.

    Raises:
        ProjectError: if its codec is not registered here, or its class is not there any more.
        NotFoundError, DamagedError: if its bytes are gone or changed.
        PermissionDeniedError: if it is a pickle, and not of this home.
    """
    name = type_.partition("@")[0]
    codec = {**_BUILT_IN, **_registered}.get(name)
    if codec is not None:
        return codec.decode(digest, objects, folder)
    if name == pickled.NAME:
        return pickled.decode(digest, objects)
    if name != "parts":
        raise ProjectError(f"No codec is called {name!r} here.")
    return _decode_parts(objects.get(digest), objects, folder)


def usable(type_: str, home: Path | None) -> bool:
    """Return whether a home can read what was kept as a type: a pickle only if it is its own."""
    _, at, mark = type_.partition("@")
    return not at or pickled.usable(mark, home)


def _encode(value: Any, objects: Objects, words: str, depth: int) -> Stored:
    refused = None
    for codec in (*_registered.values(), *_BUILT_IN.values()):
        if codec.takes(value):
            try:
                return codec.encode(value, objects)
            except NotExactError as error:
                refused = NotExactError(f"{words}: {error.message}", hint=error.hint)
                reason = error.message
                break
    if refused is None and (taken := _apart(value)) is not None:
        return _encode_parts(taken, objects, words, depth)
    if pickled.possible():
        return pickled.encode(value, objects, words, "" if refused is None else reason)
    if refused is not None:
        raise refused
    kind = type(value)
    raise ProjectError(
        f"{words}: a {kind.__module__}.{kind.__qualname__} cannot be kept.",
        hint="Return frames, arrays, models, text, bytes, files and folders (Path), plain data,"
        " or lists, tuples, dicts and dataclasses of these.",
    )


class _Apart(msgspec.Struct, frozen=True):
    """A value taken apart: what holds the parts together, and the parts."""

    kind: str  #: list, tuple, dict, or the class as "module:Name"
    keys: list[Any] | None
    parts: list[Any]


def _apart(value: Any) -> _Apart | None:
    """Return a value that is made of parts as its parts; None if it is not."""
    kind = type(value)
    if kind in (list, tuple):
        return _Apart(kind.__name__, None, list(value))
    if kind is dict:
        return _Apart("dict", list(value), list(value.values())) if is_plain([*value]) else None
    fields = made.fields_of(value)
    if fields is None:
        return None
    return _Apart(made.name_of(kind), list(fields), list(fields.values()))


def _encode_parts(value: _Apart, objects: Objects, words: str, depth: int) -> Stored:
    """Keep a value part by part, and a manifest of the parts."""
    if depth >= _MAX_DEPTH or len(value.parts) > _MAX_PARTS:
        raise ProjectError(
            f"{words}: more than {_MAX_PARTS:,} parts, or nested deeper than {_MAX_DEPTH}.",
            hint="Return a frame or an array.",
        )
    kept = [
        _encode(
            part,
            objects,
            f"{words} [{n if value.keys is None else value.keys[n]!r}]",
            depth + 1,
        )
        for n, part in enumerate(value.parts)
    ]
    manifest = {
        "kind": value.kind,
        "keys": None if value.keys is None else msgspec.Raw(to_json(value.keys)),
        "parts": [{"digest": one.digest, "type": one.type} for one in kept],
    }
    digest = objects.put(canonical(manifest))
    blobs = dict.fromkeys([digest, *(blob for one in kept for blob in one.blobs)])
    # What holds a pickle can be read where the pickle can be, and nowhere else.
    marks = {one.type.partition("@")[2] for one in kept} - {""}
    type_ = "@".join(["parts", *marks])
    return Stored(digest=digest, type=type_, blobs=list(blobs))


def _decode_parts(data: bytes, objects: Objects, folder: Path) -> Any:
    manifest = msgspec.json.decode(data)
    parts = []
    for number, part in enumerate(manifest["parts"]):
        inner = folder / str(number)  # two files of one name stay two
        parts.append(decode(part["digest"], part["type"], objects, inner))
    kind = str(manifest["kind"])
    if kind in ("list", "tuple"):
        return tuple(parts) if kind == "tuple" else parts
    keys = from_json(msgspec.json.encode(manifest["keys"]))
    named = dict(zip(keys, parts, strict=True))
    return named if kind == "dict" else made.build(kind, named)


def _write_text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise NotExactError("text with half a surrogate pair cannot be kept.") from error


def _named(*codecs: Form) -> dict[str, Form]:
    return {one.name: one for one in codecs}


_BUILT_IN: dict[str, Form] = _named(
    *frames.kinds(),
    numbers.ARRAY,
    numbers.Sparse(),
    Bytes("text", lambda value: type(value) is str, _write_text, bytes.decode),
    Bytes("bytes", lambda value: type(value) is bytes, lambda value: value, lambda data: data),
    *files.kinds(),
    Bytes("json", is_plain, to_json, from_json),
)
