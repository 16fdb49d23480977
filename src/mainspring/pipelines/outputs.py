"""Keep what steps return as objects, and give it to the next step as it was.

Each type of value has a codec; ``register`` adds one. No pickle: a value without a codec is
refused. The same value always gives the same bytes, so that a step that ran again and returned
the same leaves what follows it untouched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mainspring.ground.errors import DamagedError, NotExactError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines.plain import from_json, is_plain, to_json

FORMAT = "1"  #: of all codecs together; part of every key, so that a new form reuses no old one
_MAX_PARTS = 1_000
_MAX_DEPTH = 16


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was kept."""

    digest: str
    type: str  #: the codec's name
    blobs: list[str] = []  #: every object it needs, its own digest included


class Form(Protocol):
    """How values of one type are kept."""

    name: str

    def takes(self, value: Any) -> bool:
        """Return whether the value is of this type; cheap, and imports nothing heavy."""
        ...

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the value; equal values give equal digests."""
        ...

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:
        """Return the value. Files may be put into ``folder``."""
        ...


class Codec:
    """A type of values and how they are kept: to objects under one digest, and back.

    ``blobs`` lists every object behind a digest, where there are more than the one; a result
    is reused only while all of them are there.
    """

    def __init__(
        self,
        name: str,
        kind: type,
        write: Callable[[Any, Objects], str],
        read: Callable[[str, Objects], Any],
        blobs: Callable[[str, Objects], list[str]] | None = None,
    ) -> None:
        self.name, self._kind = name, kind
        self._write, self._read, self._blobs = write, read, blobs

    def takes(self, value: Any) -> bool:
        """Return whether the value is of the type."""
        return isinstance(value, self._kind)

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the value."""
        digest = self._write(value, objects)
        more = self._blobs(digest, objects) if self._blobs else []
        return Stored(digest=digest, type=self.name, blobs=list(dict.fromkeys([digest, *more])))

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002  Form's
        """Return the value."""
        return self._read(digest, objects)


_registered: dict[str, Form] = {}


def register(codec: Form) -> None:
    """Add a codec; it is asked before those there are. The same name replaces one."""
    _registered[codec.name] = codec


def encode(value: Any, objects: Objects, words: str = "The value") -> Stored:
    """Keep a value of any type that has a codec.

    ``words`` begins the message, such as ``"Step train returned a value that"``.

    Raises:
        ProjectError: if no codec takes it, naming the type.
        NotExactError: if it could not be given back as it is.
    """
    return _encode(value, objects, words, 0)


def decode(digest: str, type_: str, objects: Objects, folder: Path) -> Any:
    """Return the value that was kept.

    Raises:
        ProjectError: if its codec is not registered here.
        NotFoundError, DamagedError: if its bytes are gone or changed.
    """
    codec = {**{one.name: one for one in _BUILT_IN}, **_registered}.get(type_)
    if codec is not None:
        return codec.decode(digest, objects, folder)
    if type_ != "parts":
        raise ProjectError(f"No codec is called {type_!r} here.")
    return _decode_parts(objects.get(digest), objects, folder)


def _encode(value: Any, objects: Objects, words: str, depth: int) -> Stored:
    for codec in (*_registered.values(), *_BUILT_IN):
        if codec.takes(value):
            try:
                return codec.encode(value, objects)
            except NotExactError as error:
                raise NotExactError(f"{words}: {error.message}", hint=error.hint) from error
    if type(value) in (list, tuple, dict):
        return _encode_parts(value, objects, words, depth)
    kind = type(value)
    raise ProjectError(
        f"{words}: a {kind.__module__}.{kind.__qualname__} cannot be kept.",
        hint="Return frames, arrays, models, text, bytes, files (Path), plain data,"
        " or lists, tuples and dicts of these.",
    )


def _encode_parts(value: Any, objects: Objects, words: str, depth: int) -> Stored:
    """Keep a list, tuple or dict part by part, and a manifest of the parts."""
    if depth >= _MAX_DEPTH or len(value) > _MAX_PARTS:
        raise ProjectError(
            f"{words}: more than {_MAX_PARTS:,} parts, or nested deeper than {_MAX_DEPTH}.",
            hint="Return a frame or an array.",
        )
    if isinstance(value, dict):
        if any(type(key) is not str for key in value):
            raise ProjectError(f"{words}: a dict of such values must have text as keys.")
        keys, parts = list(value), list(value.values())
    else:
        keys, parts = None, list(value)
    kept = [
        _encode(part, objects, f"{words} [{n if keys is None else keys[n]!r}]", depth + 1)
        for n, part in enumerate(parts)
    ]
    manifest = {
        "kind": type(value).__name__,
        "keys": keys,
        "parts": [{"digest": one.digest, "type": one.type} for one in kept],
    }
    digest = objects.put(canonical(manifest))
    blobs = dict.fromkeys([digest, *(blob for one in kept for blob in one.blobs)])
    return Stored(digest=digest, type="parts", blobs=list(blobs))


def _decode_parts(data: bytes, objects: Objects, folder: Path) -> Any:
    manifest = msgspec.json.decode(data)
    parts = []
    for number, part in enumerate(manifest["parts"]):
        inner = folder / str(number)  # two files of one name stay two
        parts.append(decode(part["digest"], part["type"], objects, inner))
    if manifest["kind"] == "dict":
        return dict(zip(manifest["keys"], parts, strict=True))
    return tuple(parts) if manifest["kind"] == "tuple" else parts


class _Bytes:
    """A codec that is two functions: to bytes and back."""

    def __init__(
        self,
        name: str,
        takes: Callable[[Any], bool],
        write: Callable[[Any], bytes],
        read: Callable[[bytes], Any],
    ) -> None:
        self.name, self.takes, self._write, self._read = name, takes, write, read

    def encode(self, value: Any, objects: Objects) -> Stored:
        digest = objects.put(self._write(value))
        return Stored(digest=digest, type=self.name, blobs=[digest])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002  Form's
        return self._read(objects.get(digest))


class _File:
    """A file: its bytes, and a manifest with its name."""

    name = "file"

    def takes(self, value: Any) -> bool:
        return isinstance(value, Path)

    def encode(self, value: Path, objects: Objects) -> Stored:
        if not value.is_file():
            raise ProjectError(
                f"There is no file {value}.",
                hint="Return the Path of a file that the step has written.",
            )
        if not re.fullmatch(r"[^/\\\x00-\x1f]{1,200}", value.name) or value.name.startswith("."):
            raise ProjectError(f"A file cannot be kept by the name {value.name!r}.")
        content = objects.put_file(value)
        digest = objects.put(canonical({"name": value.name, "content": content}))
        return Stored(digest=digest, type=self.name, blobs=[digest, content])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Path:
        manifest = msgspec.json.decode(objects.get(digest))
        name = str(manifest["name"])
        if name != Path(name).name or name.startswith("."):
            raise DamagedError(f"The object {digest} names no plain file.")
        target = folder / digest[:12] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.fetch(str(manifest["content"]), target)
        return target


def is_frame(value: Any) -> bool:
    """Return whether a value is a frame of polars or pandas; imports neither."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return library in ("polars", "pandas") and kind.__name__ in ("DataFrame", "LazyFrame")


def _write_frame(value: Any) -> bytes:
    """Return a frame as Parquet, checked to hold every column's type.

    One row group of a settled size, one chunk, no statistics: nothing that differs between two
    frames of the same rows is written.
    """
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    elif not isinstance(value, pl.DataFrame):
        value = _from_pandas(value)
    frame = value.rechunk()
    held = io.BytesIO()
    try:
        frame.write_parquet(held, compression="zstd", statistics=False, row_group_size=1 << 20)
        held.seek(0)
        back = pl.read_parquet_schema(held)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise NotExactError(f"the frame cannot be written as Parquet: {error}") from error
    for name, kind in frame.schema.items():
        if back.get(name) != kind:
            raise NotExactError(
                f"column {name} of type {kind} would come back as {back.get(name)}.",
                hint="Cast it first.",
            )
    if frame.width == 0 and frame.height > 0:
        raise NotExactError("a frame of rows without columns has nothing to keep.")
    return held.getvalue()


def _from_pandas(value: Any) -> Any:
    import polars as pl

    if type(value.index).__name__ != "RangeIndex":
        raise NotExactError(
            "a pandas frame with an index of its own would lose it.",
            hint="Return frame.reset_index().",
        )
    return pl.from_pandas(value)


def _read_frame(data: bytes) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(data))


def is_array(value: Any) -> bool:
    """Return whether a value is a numpy array; does not import numpy."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def _write_array(value: Any) -> bytes:
    import numpy as np

    if value.dtype.hasobject:
        raise NotExactError("an array of objects cannot be kept.", hint="Return a list.")
    held = io.BytesIO()
    np.save(held, np.asarray(value, order="C"), allow_pickle=False)
    return held.getvalue()


def _read_array(data: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(data), allow_pickle=False)


def _write_text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise NotExactError("text with half a surrogate pair cannot be kept.") from error


_BUILT_IN: tuple[Form, ...] = (
    _Bytes("frame", is_frame, _write_frame, _read_frame),
    _Bytes("array", is_array, _write_array, _read_array),
    _Bytes("text", lambda value: type(value) is str, _write_text, bytes.decode),
    _Bytes("bytes", lambda value: type(value) is bytes, lambda value: value, lambda data: data),
    _File(),
    _Bytes("json", is_plain, to_json, from_json),
)
