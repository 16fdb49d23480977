"""Scan a whole package: every file's digest, what is pickled, what archives and code it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mainspring.ground import identity
from mainspring.ground.errors import DamagedError, NotFoundError
from mainspring.ground.ports import Objects
from mainspring.ground.records import Record
from mainspring.scaling.models import package
from mainspring.scaling.models.native_form import ALLOWED
from mainspring.scaling.models.scanning import archives, onnx_files, pickles
from mainspring.scaling.models.scanning.findings import Budget, Found, Grave

_LIBRARIES = (b"\x7fELF", b"MZ\x90", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_LIBRARY_NAMES = (".so", ".dll", ".dylib", ".exe", ".pyd")
_PARQUET = b"PAR1"
_NPY = b"\x93NUMPY"
_PICKLE_NAMES = (".pkl", ".pickle", ".cloudpickle", ".joblib", ".pth", ".pt", ".bin", ".dill")


class Scanned(Record, frozen=True, kw_only=True):
    """What a scan of a package found."""

    package: str
    files: int
    size: int  #: bytes
    damaged: list[str] = []  #: files whose bytes are not those of their digest, or are gone
    pickled: list[str] = []  #: files that run code when they are loaded
    forms: list[str] = []  #: in which forms the model is there: onnx, skops, pickle, ...
    found: list[Found] = []


def scan(digest: str, objects: Objects) -> Scanned:
    """Return what is to be said against a package; nothing of it is loaded or run.

    Raises:
        NotFoundError, DamagedError: if its manifest is not there or not what it was.
    """
    manifest = package.read_manifest(digest, objects)
    budget = Budget()
    size = 0
    damaged: list[str] = []
    pickled: list[str] = []
    found: list[Found] = []
    for path, wanted in sorted(manifest.files.items()):
        try:
            data = objects.get(wanted)
        except (NotFoundError, DamagedError):
            damaged.append(path)
            continue
        if identity.sha256(data) != wanted:
            damaged.append(path)
            continue
        size += len(data)
        found += _file(path, data, budget, pickled, 0)
        if archives.leads_outside(path):
            told = "its path leads outside of the package"
            found.append(Found(path=path[:200], grave=Grave.DANGER, told=told))
    return Scanned(
        package=digest,
        files=len(manifest.files),
        size=size,
        damaged=damaged,
        pickled=pickled,
        forms=_forms(manifest.files, pickled),
        found=found,
    )


def _file(
    path: str, data: bytes, budget: Budget, pickled: list[str], depth: int
) -> Iterator[Found]:
    """Say what is to be said against one file, and against those in it."""
    if data.startswith(_LIBRARIES) or path.lower().endswith(_LIBRARY_NAMES):
        yield Found(path=path, grave=Grave.DANGER, told="it is a program or a library")
        return
    if path.endswith(".py"):
        yield Found(path=path, grave=Grave.NOTE, told="it is Python, run by who loads it by name")
    if path.endswith(".onnx"):
        yield from onnx_files.judged(path, data)
        return
    if data[:4] == data[-4:] == _PARQUET:
        return
    if _is_pickle(path, data):
        pickled.append(path)
        yield from pickles.judged(path, data)
    if data.startswith(_NPY):
        yield from _array(path, data, pickled)
    if archives.kind(data):
        yield from _archive(path, data, budget, pickled, depth)


def _archive(
    path: str, data: bytes, budget: Budget, pickled: list[str], depth: int
) -> Iterator[Found]:
    if depth >= archives.MOST_DEPTH:
        told = f"archives in archives, more than {archives.MOST_DEPTH} deep"
        yield Found(path=path, grave=Grave.DANGER, told=told)
        return
    for one in archives.unpacked(path, data, budget):
        if isinstance(one, Found):
            yield one
        elif path.endswith(".skops") and one[0].endswith("!schema.json"):
            yield from _skops(path, one[1])
        else:
            yield from _file(*one, budget, pickled, depth + 1)


def _is_pickle(path: str, data: bytes) -> bool:
    """Return whether a file is a pickle by its name, or by its content whatever its name says."""
    if path.lower().endswith(_PICKLE_NAMES) and not archives.kind(data):
        return True
    return (data[:1] == b"\x80" and pickles.looks_like_one(data)) or pickles.calls(data)


def _array(path: str, data: bytes, pickled: list[str]) -> Iterator[Found]:
    """Look at a numpy array: one of objects holds a pickle behind its header."""
    wide = 12 if data[6:7] >= b"\x02" else 10
    end = wide + int.from_bytes(data[8:wide], "little")
    if b"'O'" in data[:end] or b"|O" in data[:end]:
        pickled.append(path)
        yield from pickles.judged(path, data[end:])


def _skops(path: str, schema: bytes) -> Iterator[Found]:
    """Look at the types that a skops file would build: by their names, without a library."""
    try:
        named = sorted(set(_types(json.loads(schema))))
    except (ValueError, RecursionError) as error:
        told = f"its list of types cannot be read: {error}"
        yield Found(path=path, grave=Grave.UNKNOWN, told=told[:200])
        return
    strange = [one for one in named if one not in ALLOWED and pickles.gravity(one) is not None]
    bad = [one for one in strange if pickles.gravity(one) is Grave.DANGER]
    rest = [one for one in strange if one not in bad]
    for grave, names in ((Grave.DANGER, bad), (Grave.UNKNOWN, rest)):
        if names:
            told = f"it names {', '.join(names[:8])}, which may not be built"
            yield Found(path=path, grave=grave, told=told)


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("__module__"), str) and isinstance(node.get("__class__"), str):
            yield f"{node['__module__']}.{node['__class__']}"
        if isinstance(node.get("module_path"), str) and isinstance(node.get("function"), str):
            yield f"{node['module_path']}.{node['function']}"
        for part in node.values():
            yield from _types(part)
    elif isinstance(node, list):
        for part in node:
            yield from _types(part)


def _forms(files: dict[str, str], pickled: list[str]) -> list[str]:
    by_name = {
        ".onnx": "onnx",
        ".skops": "skops",
        ".safetensors": "safetensors",
        ".ubj": "ubj",
        ".lgb": "lgb",
    }
    known = [form for end, form in by_name.items() if any(p.endswith(end) for p in files)]
    return [*known, *(["pickle"] if pickled else [])]
