"""Know data again: the digest, schema and profile of a frame, a file or a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.experiments import tabular
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import key_of, sha256_file

_TABLES = {".parquet": "scan_parquet", ".csv": "scan_csv", ".ndjson": "scan_ndjson"}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of some data."""

    digest: str  #: of what it holds
    source_type: str  #: local or code
    source: str  #: JSON
    schema: str | None  #: JSON: names and types of the columns
    profile: str | None  #: JSON: rows, missing values, the range of numbers


def describe(data: Any, source: str | None = None) -> Described:
    """Return what can be said of data: a path, or any table (see :mod:`tabular`).

    The digest of a frame is of its values, whatever library holds it; that of a file is of its
    bytes, that of a folder of all files below it. ``source`` says where a frame came from; it
    is the running script's own code if it is not given.

    Raises:
        NotFoundError: if there is no such file or folder.
        BadInputError: if it is neither a path nor a table, or a file that cannot be read.
    """
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data), source)
    frame = tabular.frame_of(data, "data")
    return Described(
        digest=tabular.digest(frame),
        source_type="code" if source is None else "local",
        source=_json({"tags": {}} if source is None else {"uri": source}),
        schema=tabular.schema(frame),
        profile=tabular.profile(frame),
    )


def _of_path(path: Path, source: str | None) -> Described:
    if "://" in os.fspath(path) or ":/" in os.fspath(path):
        raise BadInputError(
            f"{os.fspath(path)[:200]!r} is not on this machine, so its content is not known.",
            field="data",
            hint="Read it into a frame, and log that with source='...'.",
        )
    if not path.exists():
        raise NotFoundError(f"There is no file or folder {path}.", field="data")
    about, schema = _of_folder(path) if path.is_dir() else _of_file(path)
    return Described(
        digest=about.pop("digest"),
        source_type="local",
        source=_json({"uri": source or os.fspath(path.absolute())}),
        schema=schema,
        profile=_json(about),
    )


def _of_folder(folder: Path) -> tuple[dict[str, Any], None]:
    files = {
        one.relative_to(folder).as_posix(): one
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }
    digests = {_shown(name): sha256_file(one) for name, one in files.items()}
    size = sum(one.stat().st_size for one in files.values())
    return {"digest": key_of("folder", digests), "files": len(files), "bytes": size}, None


def _of_file(file: Path) -> tuple[dict[str, Any], str | None]:
    """Return what is known of a file; of a table its columns and rows too, read in a stream."""
    about: dict[str, Any] = {"digest": sha256_file(file), "bytes": file.stat().st_size}
    scan = _TABLES.get(file.suffix.lower())
    if scan is None:
        return about, None
    import polars as pl

    try:
        lazy = getattr(pl, scan)(file)
        columns = [
            {"name": name, "type": str(kind)} for name, kind in lazy.collect_schema().items()
        ]
        about["rows"] = int(lazy.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0][:200]
        raise BadInputError(f"{file} cannot be read as a table: {first}", field="data") from error
    return about, _json({"columns": columns})


def _shown(name: str) -> str:
    """Return a file's name as text that JSON can hold, two names never the same."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
