"""What a step of a run returned, told without loading it: its kind, its size, its plain value."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import outputs, reading
from mainspring.pipelines.outputs.files import local, read_folder
from mainspring.workspace.opening import Workspace
from mainspring.workspace.running import RESULT
from mainspring.workspace.tracking.catching_up import caught_up

_MOST_PARTS = 8  #: of a dict or list that are told
_LETTERS = 200  #: of a text or a plain value that are told
_MOST_BYTES = 16 << 20  #: of what is looked into
_TABLES = {"frame", "lazy", "pandas", "arrow", "series", "pandas_series"}
#: What bytes are kept as: the suffix of a file of them.
_SUFFIX = dict.fromkeys(_TABLES, ".parquet") | {"text": ".txt", "json": ".json", "bytes": ".bin"}


class Returned(Record, frozen=True, kw_only=True):
    """What a step returned."""

    run: str
    step: str | None  #: null where the pipeline returns nothing
    type: str = ""  #: how it is kept, such as frame, json, folder or parts
    digest: str | None = None
    words: str = "nothing"
    value: Any = None  #: of a short text or of plain data; null for all else


def returned(ws: Workspace, run: str, step: str | None = None) -> Returned:
    """Return what a step returned; without a name what the pipeline does.

    Raises:
        NotFoundError: if there is no such run or step.
        ConflictError: if the step has not returned anything yet.
        BadInputError: if the run is of no pipeline.
    """

    def work(tx: Tx) -> tuple[str, str, str]:
        found = runs.get(tx, run)
        if found.pipeline is None:
            raise BadInputError(
                f"Run {run} is of no pipeline, so that no step returned anything.",
                field="run",
                hint=f"See what it logged: mainspring show {run}",
            )
        name = step or found.tags.get(RESULT, "")
        return (name, *reading.output_of(tx, run, name)) if name else ("", "", "")

    name, digest, type_ = caught_up(ws).read(Permission.READ, work)
    if not name:
        return Returned(run=run, step=None)
    kind = type_.partition("@")[0]  # the mark behind it says whose pickle it is
    words, value = _told(ws, digest, kind, 0)
    return Returned(run=run, step=name, type=kind, digest=digest, words=words, value=value)


def write(ws: Workspace, found: Returned, to: Path) -> Path:
    """Write what a step returned into a folder, and return the file or folder that it became.

    Raises:
        BadInputError: if the pipeline returned nothing, or what is no file by itself.
    """
    kind, digest = found.type, found.digest
    if found.step is None or digest is None:
        raise BadInputError("The pipeline returns nothing that could be written.", field="step")
    if kind not in (*_SUFFIX, "file", "folder"):
        raise BadInputError(
            f"What {found.step} returned is kept as {kind}, which is no file by itself.",
            field="to",
            hint=f'In Python: mainspring.result("{found.run}", "{found.step}", to="{to}")',
        )
    to.mkdir(parents=True, exist_ok=True)
    if kind in ("file", "folder"):
        return Path(outputs.decode(digest, kind, ws.objects, to))
    target = to / f"{found.step.replace('/', '_')}{_SUFFIX[kind]}"
    ws.objects.fetch(digest, target)
    return target


def _told(ws: Workspace, digest: str, kind: str, depth: int) -> tuple[str, Any]:
    """Return in words what an object holds, and its value if that is plain and short."""
    size = ws.objects.size(digest)
    if kind in _TABLES:
        return _table(ws, digest, kind, size), None
    if kind in ("text", "json") and size <= _MOST_BYTES:
        return _plain(ws.objects.get(digest), kind)
    if kind == "parts" and size <= _MOST_BYTES and depth < 2:
        return _parts(ws, msgspec.json.decode(ws.objects.get(digest)), depth), None
    if kind == "file":
        named = msgspec.json.decode(ws.objects.get(digest))
        return f"file {named['name']}, {_size(ws.objects.size(str(named['content'])))}", None
    if kind == "folder":
        files = read_folder(digest, ws.objects).files
        return f"folder of {len(files):,} files, {_size(sum(one.size for one in files))}", None
    return (f"{kind}, {_size(size)}" if kind == "bytes" else kind), None


def _table(ws: Workspace, digest: str, kind: str, size: int) -> str:
    word = "series" if "series" in kind else "frame"
    if getattr(ws.objects, "path_of", None) is None and size > _MOST_BYTES:
        return f"{word}, {_size(size)}"
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="mainspring-told-") as folder:
        try:
            scanned = pl.scan_parquet(local(digest, ws.objects, Path(folder) / "table"))
            names = list(scanned.collect_schema())
            rows = scanned.select(pl.len()).collect().item()
        except pl.exceptions.PolarsError:  # such as a column of a type that only pyarrow has
            return f"{word}, {_size(size)}"
    names = [one for one in names if not one.startswith("__index_level_")]  # pandas' own
    return f"series of {rows:,}" if word == "series" else f"frame {rows:,} x {len(names)}"


def _plain(data: bytes, kind: str) -> tuple[str, Any]:
    text = data.decode()
    if len(text) > _LETTERS:
        return f"{text[:_LETTERS]}... ({len(text):,} letters)", None
    return text, text if kind == "text" else msgspec.json.decode(data)


def _parts(ws: Workspace, manifest: dict[str, Any], depth: int) -> str:
    parts, keys = manifest["parts"], manifest["keys"]
    told = [
        _told(ws, one["digest"], str(one["type"]).partition("@")[0], depth + 1)[0]
        for one in parts[:_MOST_PARTS]
    ]
    if keys is not None:
        told = [f"{key}: {words}" for key, words in zip(keys, told, strict=False)]
    more = [f"and {len(parts) - _MOST_PARTS:,} more"] if len(parts) > _MOST_PARTS else []
    return f"({', '.join([*told, *more])})" if keys is None else ", ".join([*told, *more])


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
