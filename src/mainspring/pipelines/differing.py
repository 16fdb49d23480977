"""Say where two values that a step returned differ, and by how much.

Numbers may be apart by a share of the larger; all else must be the same. Tables and arrays are
compared cell by cell (:mod:`mainspring.pipelines.cells`), plain data and its parts by their
path, folders file by file; of other types it is told which of their files differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.ports import Objects
from mainspring.pipelines import cells
from mainspring.pipelines.cells import EXACT, Place, short
from mainspring.pipelines.outputs.files import PARQUET, Entry, read_folder
from mainspring.pipelines.plain import from_json

#: ``within``: numbers alone differ, and within the tolerance; ``unknown``: other bytes of a kind
#: that has no tolerance.
Verdict = Literal["identical", "within", "beyond", "unknown"]
_MOST_FILES = 200  #: of a folder that are looked into; of more it is told that they differ


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """How two values differ."""

    verdict: Verdict
    where: str = ""  #: the first place that differs, in words
    largest: float = 0.0  #: relative difference of numbers


class Kept(msgspec.Struct, frozen=True):
    """A value as it is kept."""

    digest: str
    type: str


#: How values of one type are compared: the digests of both, the objects, the tolerance.
Look = Callable[[str, str, Objects, float], Apart]


def compare(
    was: Kept,
    now: Kept,
    objects: Objects,
    tolerance: float,
    more: Mapping[str, Look] | None = None,
) -> Apart:
    """Return how two kept values differ.

    ``more`` says how further types are compared, such as models.
    """
    if was == now:
        return Apart(verdict="identical")
    if was.type.partition("@")[0] != now.type.partition("@")[0]:
        return Apart(verdict="beyond", where=f"a {was.type} became a {now.type}")
    known = {**_BY_TYPE, **(more or {})}
    try:
        if was.type == "parts":
            return _parts(was.digest, now.digest, objects, tolerance, more)
        return known.get(was.type, manifests)(was.digest, now.digest, objects, tolerance)
    except MainspringError as error:
        return Apart(verdict="unknown", where=f"it cannot be read: {error.message}")


def settled(found: Place, tolerance: float, same: str) -> Apart:
    """Return the verdict on values of other bytes; ``same`` tells of no place that differs."""
    if not found.where:
        return Apart(verdict="within", where=f"{same}, their bytes are not")
    verdict: Verdict = "within" if found.largest <= tolerance else "beyond"
    return Apart(verdict=verdict, where=found.where, largest=found.largest)


# ---------------------------------------------------------------- numbers


def apart(was: float, now: float) -> float:
    """Return how far two numbers are apart, relative to the larger; infinite if one is none.

    >>> apart(100.0, 101.0) == 1 / 101, apart(float("nan"), float("nan"))
    (True, 0.0)
    """
    if was == now or (math.isnan(was) and math.isnan(now)):
        return 0.0
    if not (math.isfinite(was) and math.isfinite(now)):
        return math.inf
    return abs(was - now) / max(abs(was), abs(now))


# ---------------------------------------------------------------- types


def _tables(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    return settled(cells.tables(was, now, objects, tolerance), tolerance, "its cells are the same")


def _arrays(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    found = cells.arrays(objects.get(was), objects.get(now), tolerance)
    return settled(found, tolerance, "its numbers are the same")


def _sparse(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    old, new = (msgspec.json.decode(objects.get(one)) for one in (was, now))
    for name in ("class", "shape"):
        if old[name] != new[name]:
            where = f"its {name} was {old[name]} and is {new[name]}"
            return Apart(verdict="beyond", where=where)
    for name, digest in old["parts"].items():
        if name != "data" and new["parts"].get(name) != digest:
            return Apart(verdict="beyond", where=f"other elements are not zero ({name})")
    found = _arrays(old["parts"]["data"], new["parts"]["data"], objects, tolerance)
    return msgspec.structs.replace(found, where=f"data, {found.where}")


def _plain(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    found = list(_walked("", from_json(objects.get(was)), from_json(objects.get(now))))
    if not found:
        return Apart(verdict="within", where="the same values in another form")
    worst = max(found, key=lambda one: one[0])
    return settled(Place(largest=worst[0], where=worst[1]), tolerance, "")


def _walked(path: str, was: Any, now: Any) -> Iterator[tuple[float, str]]:
    """Yield each place at which plain data differs: by how much, and in words."""
    at = path or "the value"
    if type(was) is not type(now):
        kinds = [f"{type(one).__name__} {short(one)}" for one in (was, now)]
        yield math.inf, f"{at}: {kinds[0]} -> {kinds[1]}"
    elif isinstance(was, dict):
        yield from _walked_dicts(path, was, now)
    elif isinstance(was, list | tuple):
        if len(was) != len(now):
            yield math.inf, f"{at}: {len(was):,} parts became {len(now):,}"
        for number, pair in enumerate(zip(was, now, strict=False)):
            yield from _walked(f"{path}[{number}]", *pair)
    elif isinstance(was, set | frozenset):
        for told, items in (("is gone", was - now), ("is new", now - was)):
            if items:
                yield math.inf, f"{at}: {short(min(items, key=repr))} {told}"
    else:
        distance = _leaves(was, now)
        if distance is not None:
            yield distance, f"{at}: {short(was)} -> {short(now)}"


def _leaves(was: Any, now: Any) -> float | None:
    """Return how far two single values of one type are apart; None if they are the same."""
    if isinstance(was, float):
        zeros = was == now == 0 and math.copysign(1, was) != math.copysign(1, now)
        return apart(was, now) or (0.0 if zeros else None)
    if was == now:
        return None
    if not isinstance(was, int) or isinstance(was, bool):
        return math.inf
    try:
        return max(apart(float(was), float(now)), EXACT)
    except OverflowError:  # too large for a float
        return math.inf


def _walked_dicts(
    path: str, was: dict[Any, Any], now: dict[Any, Any]
) -> Iterator[tuple[float, str]]:
    for key in dict.fromkeys([*was, *now]):
        if key not in now or key not in was:
            word = "new" if key in now else "gone"
            yield math.inf, f"{path}[{key!r}] is {word}"
        else:
            yield from _walked(f"{path}[{key!r}]", was[key], now[key])
    if list(was) != list(now) and set(was) == set(now):
        yield 0.0, f"{path or 'the value'}: the same keys in another order"


def _texts(was: str, now: str, objects: Objects, _tolerance: float) -> Apart:
    old, new = (objects.get(one).decode("utf-8", "replace") for one in (was, now))
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    at = min(len(old), len(new)) if at is None else at
    line = old.count("\n", 0, at) + 1
    pair = f"{short(old[at : at + 20])} -> {short(new[at : at + 20])}"
    return Apart(verdict="unknown", where=f"line {line}, character {at}: {pair}")


def _raw(was: str, now: str, objects: Objects, _tolerance: float) -> Apart:
    old, new = objects.get(was), objects.get(now)
    if len(old) != len(new):
        return Apart(verdict="unknown", where=f"{len(old):,} bytes became {len(new):,}")
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b), 0)
    return Apart(verdict="unknown", where=f"byte {at:,} of {len(old):,}")


def _parts(
    was: str, now: str, objects: Objects, tolerance: float, more: Mapping[str, Look] | None
) -> Apart:
    old, new = (msgspec.json.decode(objects.get(one)) for one in (was, now))
    if [old[k] for k in ("kind", "keys")] != [new[k] for k in ("kind", "keys")]:
        return Apart(verdict="beyond", where="it has other parts")
    if len(old["parts"]) != len(new["parts"]):
        counts = f"{len(old['parts'])} parts became {len(new['parts'])}"
        return Apart(verdict="beyond", where=counts)
    found: list[Apart] = []
    for number, pair in enumerate(zip(old["parts"], new["parts"], strict=True)):
        a, b = (Kept(one["digest"], one["type"]) for one in pair)
        one = compare(a, b, objects, tolerance, more)
        if one.verdict != "identical":
            name = old["keys"][number] if old["keys"] else number
            found.append(msgspec.structs.replace(one, where=f"[{name!r}] {one.where}"))
    return max(found, key=_grave) if found else Apart(verdict="identical")


def _grave(one: Apart) -> tuple[int, float]:
    order: dict[str, int] = {"within": 1, "unknown": 2, "beyond": 3}
    return order.get(one.verdict, 0), one.largest


def _file(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    old, new = (msgspec.json.decode(objects.get(one)) for one in (was, now))
    if old["name"] != new["name"]:
        return Apart(verdict="beyond", where=f"{old['name']} is called {new['name']} now")
    return _contents(old["name"], old["content"], new["content"], objects, tolerance)


def _folders(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return the gravest of what differs in two folders, and which files do."""
    old, new = (read_folder(one, objects) for one in (was, now))
    a, b = ({one.path: one for one in folder.files} for folder in (old, new))
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    found = [
        _entries(name, a.get(name), b.get(name), objects, tolerance)
        for name in names[:_MOST_FILES]
    ]
    for told, ones in (
        ("gone", {*old.empty} - {*new.empty}),
        ("new", {*new.empty} - {*old.empty}),
    ):
        found += [
            Apart(verdict="beyond", where=f"the empty folder {one} is {told}") for one in ones
        ]
    if len(names) > _MOST_FILES:
        found.append(Apart(verdict="unknown", where=""))
    worst = max(found, key=_grave)
    more = f" ({len(names):,} files differ)" if len(names) > 1 else ""
    return msgspec.structs.replace(worst, where=f"{worst.where}{more}")


def _entries(
    name: str, was: Entry | None, now: Entry | None, objects: Objects, tolerance: float
) -> Apart:
    if was is None or now is None:
        return Apart(verdict="beyond", where=f"{name} is {'new' if was is None else 'gone'}")
    if was.content == now.content:
        told = "may be executed" if now.executable else "may no longer be executed"
        return Apart(verdict="beyond", where=f"{name} {told}")
    return _contents(name, was.content, now.content, objects, tolerance)


def _contents(name: str, was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return how two files of a name differ: by what its ending says it holds."""
    if was == now:
        return Apart(verdict="identical")
    kind = PurePosixPath(name).suffix.lower()
    look = _BY_ENDING.get(kind, _raw)
    try:
        found = look(was, now, objects, tolerance)
    except Exception as error:  # noqa: BLE001  whatever reads it: the ending may be a lie
        why = f"{type(error).__name__}, though it is called so"
        found = _raw(was, now, objects, tolerance)
        return msgspec.structs.replace(found, where=f"{name}, {found.where} ({why})")
    return msgspec.structs.replace(found, where=f"{name}, {found.where}")


def _json(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    old, new = (msgspec.json.decode(objects.get(one)) for one in (was, now))
    found = list(_walked("", old, new))
    if not found:
        return _texts(was, now, objects, tolerance)
    worst = max(found, key=lambda one: one[0])
    return settled(Place(largest=worst[0], where=worst[1]), tolerance, "")


def manifests(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return which files of two manifests differ; of bytes that are none, where they do."""
    try:
        old, new = (msgspec.json.decode(objects.get(one)) for one in (was, now))
    except msgspec.DecodeError:
        return _raw(was, now, objects, tolerance)
    a, b = dict(_flat("", old)), dict(_flat("", new))
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return Apart(verdict="unknown", where=told or "its manifest")


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}/{key}" if path else str(key), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(f"{path}[{number}]", inner)
    else:
        yield path.removeprefix("files/"), value


_BY_TYPE: dict[str, Look] = {
    **dict.fromkeys(("frame", "lazy", "series", "pandas", "pandas_series", "arrow"), _tables),
    "array": _arrays,
    "sparse": _sparse,
    "json": _plain,
    "text": _texts,
    "bytes": _raw,
    "file": _file,
    "folder": _folders,
}
_BY_ENDING: dict[str, Look] = {
    **dict.fromkeys(PARQUET, _tables),
    ".npy": _arrays,
    ".json": _json,
    **dict.fromkeys((".txt", ".csv", ".tsv", ".md", ".log", ".jsonl", ".html", ".yaml"), _texts),
}
