"""Give a skops file the same bytes whenever the same estimator is kept.

skops names parts by their place in memory and its archive bears the time it was written, so that
two fits of the same numbers look different. Here the parts are numbered in the order in which
they stand, and the archive has no time. What the file means, and what reads it, stay as they are.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

_SCHEMA = "schema.json"


def settled(data: bytes) -> bytes:
    """Return a skops file with numbered parts, without times."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {one.filename: archive.read(one) for one in archive.infolist()}
        packed = {one.filename: one.compress_type for one in archive.infolist()}
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    files[_SCHEMA] = json.dumps(_numbered(json.loads(files[_SCHEMA]), numbers, names)).encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        renamed: dict[str, str] = {name: names.get(name, name) for name in files}
        for name in sorted(files, key=lambda one: _order(renamed[one])):
            info = zipfile.ZipInfo(renamed[name])  # its time is the first of 1980
            info.compress_type = packed[name]
            archive.writestr(info, files[name])
    return held.getvalue()


def _order(name: str) -> tuple[int, str]:
    stem = name.partition(".")[0]
    return (int(stem), name) if stem.isdecimal() else (1 << 62, name)


def _numbered(node: Any, numbers: dict[int, int], names: dict[str, str]) -> Any:
    """Return a part of the schema with numbers for places, met in order."""
    if isinstance(node, list):
        return [_numbered(part, numbers, names) for part in node]
    if not isinstance(node, dict):
        return node
    found = {key: _numbered(part, numbers, names) for key, part in node.items()}
    place = found.get("__id__")
    if isinstance(place, int):
        found["__id__"] = numbers.setdefault(place, len(numbers) + 1)
    file = found.get("file")
    if isinstance(file, str) and file.partition(".")[0].isdecimal():
        stem, dot, kind = file.partition(".")
        number = numbers.setdefault(int(stem), len(numbers) + 1)
        found["file"] = names.setdefault(file, f"{number}{dot}{kind}")
    return found
