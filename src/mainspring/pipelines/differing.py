"""Say where two values that a step returned differ, and by how much.

Numbers may be apart by a share of the larger; all else must be the same. Frames and arrays are
compared cell by cell, plain data and its parts by their path; of other types it is told which
of their files differ.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.ports import Objects
from mainspring.pipelines.plain import from_json

#: ``within``: numbers alone differ, and within the tolerance; ``unknown``: other bytes of a kind
#: that has no tolerance.
Verdict = Literal["identical", "within", "beyond", "unknown"]
_SHOWN = 60


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """How two values differ."""

    verdict: Verdict
    where: str = ""  #: the first place that differs, in words
    largest: float = 0.0  #: relative difference of numbers


class Kept(msgspec.Struct, frozen=True):
    """A value as it is kept."""

    digest: str
    type: str


def compare(was: Kept, now: Kept, objects: Objects, tolerance: float) -> Apart:
    """Return how two kept values differ."""
    if was == now:
        return Apart(verdict="identical")
    if was.type != now.type:
        return Apart(verdict="beyond", where=f"a {was.type} became a {now.type}")
    look = _BY_TYPE.get(was.type, _manifests)
    try:
        return look(objects.get(was.digest), objects.get(now.digest), objects, tolerance)
    except MainspringError as error:
        return Apart(verdict="unknown", where=f"it cannot be read: {error.message}")


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


def _settled(largest: float, where: str, tolerance: float) -> Apart:
    if largest == 0.0 and not where:
        return Apart(verdict="identical")
    verdict: Verdict = "within" if largest <= tolerance else "beyond"
    return Apart(verdict=verdict, where=where, largest=largest)


# ---------------------------------------------------------------- types


def _frames(was: bytes, now: bytes, _: Objects, tolerance: float) -> Apart:
    import polars as pl

    old, new = pl.read_parquet(io.BytesIO(was)), pl.read_parquet(io.BytesIO(now))
    for name in dict.fromkeys([*old.columns, *new.columns]):
        if name not in new.columns:
            return Apart(verdict="beyond", where=f"column {name} is gone")
        if name not in old.columns:
            return Apart(verdict="beyond", where=f"column {name} is new")
        if old.schema[name] != new.schema[name]:
            where = f"column {name} was {old.schema[name]} and is {new.schema[name]}"
            return Apart(verdict="beyond", where=where)
    if old.columns != new.columns:
        return Apart(verdict="beyond", where="its columns come in another order")
    if old.height != new.height:
        return Apart(verdict="beyond", where=f"{old.height:,} rows became {new.height:,}")
    worst, where = 0.0, ""
    for name in old.columns:
        distance, row, cells = _columns(old[name], new[name])
        if cells and (not where or distance > max(worst, tolerance)):
            pair = f"{_short(old[name][row])} -> {_short(new[name][row])}"
            where = f"column {name}, row {row}: {pair} ({cells:,} of {old.height:,} cells)"
        worst = max(worst, distance)
    return _settled(worst, where, tolerance)


def _columns(old: Any, new: Any) -> tuple[float, int, int]:
    """Return the largest difference of two columns, its row, and how many cells differ."""
    import numpy as np

    differs = (~old.eq_missing(new)).to_numpy()
    if not differs.any():
        return 0.0, 0, 0
    rows = np.flatnonzero(differs)
    if not old.dtype.is_numeric() or old.dtype.is_decimal():
        return math.inf, int(rows[0]), len(rows)
    a, b = (one.gather(rows).cast(float).to_numpy() for one in (old, new))
    missing = (old.is_null() != new.is_null()).to_numpy()[rows]
    far = _far(a, b)
    far[missing] = math.inf
    place = int(np.argmax(far))
    return float(far[place]), int(rows[place]), int((far > 0).sum())


def _far(a: Any, b: Any) -> Any:
    """Return relative differences of two arrays, element by element."""
    import numpy as np

    with np.errstate(all="ignore"):
        far = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        finite = np.isfinite(a) & np.isfinite(b)
    return np.where(same, 0.0, np.where(finite, far, np.inf))


def _arrays(was: bytes, now: bytes, _: Objects, tolerance: float) -> Apart:
    import numpy as np

    old, new = (np.load(io.BytesIO(one), allow_pickle=False) for one in (was, now))
    if old.dtype != new.dtype or old.shape != new.shape:
        kinds = [f"{one.dtype}{list(one.shape)}" for one in (old, new)]
        return Apart(verdict="beyond", where=f"{kinds[0]} became {kinds[1]}")
    if old.dtype.kind in "iufb":
        far = _far(old.astype(float), new.astype(float))
    elif old.dtype.kind == "c":
        far = np.maximum(_far(old.real, new.real), _far(old.imag, new.imag))
    else:
        far = np.where(old == new, 0.0, np.inf)
    cells = int((far > 0).sum())
    if not cells:  # only the bytes of NaN, or -0.0
        return Apart(verdict="within", where="its numbers are the same, their bytes are not")
    place = np.unravel_index(int(np.argmax(far)), far.shape)
    pair = f"{_short(old[place].item())} -> {_short(new[place].item())}"
    at = f"[{', '.join(map(str, map(int, place)))}]"
    where = f"element {at}: {pair} ({cells:,} of {far.size:,})"
    return _settled(float(far.max()), where, tolerance)


def _plain(was: bytes, now: bytes, _: Objects, tolerance: float) -> Apart:
    found = list(_walked("", from_json(was), from_json(now)))
    if not found:
        return Apart(verdict="within", where="the same values in another order or form")
    worst = max(found, key=lambda one: one[0])
    return _settled(worst[0], worst[1], tolerance)


def _walked(path: str, was: Any, now: Any) -> Iterator[tuple[float, str]]:
    """Yield each place at which plain data differs: by how much, and in words."""
    if isinstance(was, dict) and isinstance(now, dict) and list(was) == list(now):
        for key in was:
            yield from _walked(f"{path}[{key!r}]", was[key], now[key])
    elif isinstance(was, list | tuple) and type(was) is type(now) and len(was) == len(now):
        for number, pair in enumerate(zip(was, now, strict=True)):
            yield from _walked(f"{path}[{number}]", *pair)
    elif type(was) is type(now) and isinstance(was, int | float) and not isinstance(was, bool):
        distance = apart(float(was), float(now))
        if distance:
            yield distance, f"{path or 'the value'}: {_short(was)} -> {_short(now)}"
    elif was != now or type(was) is not type(now):
        yield math.inf, f"{path or 'the value'}: {_short(was)} -> {_short(now)}"


def _texts(was: bytes, now: bytes, _objects: Objects, _tolerance: float) -> Apart:
    old, new = was.decode("utf-8", "replace"), now.decode("utf-8", "replace")
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    at = min(len(old), len(new)) if at is None else at
    line = old.count("\n", 0, at) + 1
    pair = f"{_short(old[at : at + 20])} -> {_short(new[at : at + 20])}"
    return Apart(verdict="unknown", where=f"line {line}, character {at}: {pair}")


def _raw(was: bytes, now: bytes, _objects: Objects, _tolerance: float) -> Apart:
    if len(was) != len(now):
        return Apart(verdict="unknown", where=f"{len(was):,} bytes became {len(now):,}")
    at = next(n for n, (a, b) in enumerate(zip(was, now, strict=True)) if a != b)
    return Apart(verdict="unknown", where=f"byte {at:,} of {len(was):,}")


def _parts(was: bytes, now: bytes, objects: Objects, tolerance: float) -> Apart:
    old, new = msgspec.json.decode(was), msgspec.json.decode(now)
    if [old[k] for k in ("kind", "keys")] != [new[k] for k in ("kind", "keys")]:
        return Apart(verdict="beyond", where="it has other parts")
    if len(old["parts"]) != len(new["parts"]):
        counts = f"{len(old['parts'])} parts became {len(new['parts'])}"
        return Apart(verdict="beyond", where=counts)
    found: list[Apart] = []
    for number, pair in enumerate(zip(old["parts"], new["parts"], strict=True)):
        a, b = (Kept(one["digest"], one["type"]) for one in pair)
        one = compare(a, b, objects, tolerance)
        if one.verdict != "identical":
            name = old["keys"][number] if old["keys"] else number
            found.append(msgspec.structs.replace(one, where=f"[{name!r}] {one.where}"))
    return max(found, key=_grave) if found else Apart(verdict="identical")


def _grave(one: Apart) -> tuple[int, float]:
    order: dict[str, int] = {"within": 1, "unknown": 2, "beyond": 3}
    return order.get(one.verdict, 0), one.largest


def _manifests(was: bytes, now: bytes, _objects: Objects, _tolerance: float) -> Apart:
    """Return which files of two manifests differ; of bytes that are none, where they do."""
    try:
        old, new = (msgspec.json.decode(one) for one in (was, now))
    except msgspec.DecodeError:
        return _raw(was, now, _objects, _tolerance)
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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


_BY_TYPE: dict[str, Callable[[bytes, bytes, Objects, float], Apart]] = {
    "frame": _frames,
    "array": _arrays,
    "json": _plain,
    "text": _texts,
    "bytes": _raw,
    "parts": _parts,
}
