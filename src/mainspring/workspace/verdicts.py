"""Compare a run with the one it was made again as, and say whether the same came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mainspring.experiments.capture.packages import versions
from mainspring.ground import environment
from mainspring.workspace.again import CannotError, Past

Verdict = Literal["same", "differs", "cannot"]

#: What the run's own record is kept under; it differs from one run to the next.
_OURS = "mainspring/"
_SYSTEM = "system/"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of both runs; None where one of them lacks it."""

    key: str
    was: Any
    now: Any
    same: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a run again."""

    run: str
    again: str | None
    verdict: Verdict
    why: str
    params: list[Pair] = []
    metrics: list[Pair] = []
    artifacts: list[Pair] = []
    inputs: list[Pair] = []  #: digests of the data they read
    packages: list[str] = []  #: what differs, in words
    notes: list[str] = []


def compare(past: Past, now: Past, *, tolerance: float, notes: Sequence[str]) -> Comparison:
    """Compare a run with the one it was made again as.

    Metrics are the same if they differ by at most ``tolerance``, relative to the larger; NaN is
    the same as NaN. Load, and what a run keeps of itself, are left out.
    """
    params = _pairs(past.run["params"], now.run["params"])
    metrics = _pairs(
        _own(past.run["metrics"], _SYSTEM), _own(now.run["metrics"], _SYSTEM), tolerance
    )
    files = _pairs(_own(past.artifacts, _OURS), _own(now.artifacts, _OURS))
    inputs = _pairs(_digests(past), _digests(now))
    parts = {"param": params, "metric": metrics, "artifact": files, "input": inputs}
    wrong = [
        f"{sum(not one.same for one in pairs)} of {len(pairs)} {name}s"
        for name, pairs in parts.items()
        if not all(one.same for one in pairs)
    ]
    why = ", ".join(wrong) or _alike(parts)
    if past.run["status"] != now.run["status"]:
        wrong.insert(0, f"it {past.run['status']} then and {now.run['status']} now")
        why = "; ".join([wrong[0], ", ".join(wrong[1:])] if wrong[1:] else wrong)
    return Comparison(
        run=past.id,
        again=now.id,
        verdict="differs" if wrong else "same",
        why=why,
        params=params,
        metrics=metrics,
        artifacts=files,
        inputs=inputs,
        packages=_packages(past, now),
        notes=list(notes),
    )


def _alike(parts: Mapping[str, Sequence[Pair]]) -> str:
    counts = ", ".join(f"{len(pairs)} {name}s" for name, pairs in parts.items() if pairs)
    return f"{counts} are the same" if counts else "there is nothing to compare"


def _digests(one: Past) -> dict[str, str]:
    return {f"{use.dataset.name} ({use.context})": use.dataset.digest for use in one.inputs}


def cannot(run: str, why: str, notes: Sequence[str] = ()) -> Comparison:
    """Return the verdict on a run that cannot be made again."""
    return Comparison(run=run, again=None, verdict="cannot", why=why, notes=list(notes))


def chosen(past: Past, made: Sequence[Mapping[str, Any]]) -> str:
    """Return which of the runs that the command made is the one made again.

    Raises:
        CannotError: if it made none, or none in the same place.
    """
    if not made:
        raise CannotError("the command ended and made no run")
    nth = past.run["tags"].get("mainspring.nth")
    found = [one for one in made if one["tags"].get("mainspring.nth") == nth]
    if len(found) != 1:
        found = [one for one in found or made if one["name"] == past.run["name"]]
    if len(found) != 1 and len(made) == 1:
        found = list(made)
    if len(found) != 1:
        raise CannotError(f"the command made {len(made)} runs, and none is clearly this one")
    return str(found[0]["id"])


def _pairs(
    was: Mapping[str, Any], now: Mapping[str, Any], tolerance: float | None = None
) -> list[Pair]:
    return [
        Pair(key=key, was=was.get(key), now=now.get(key), same=_same(key, was, now, tolerance))
        for key in sorted({*was, *now})
    ]


def _same(
    key: str, was: Mapping[str, Any], now: Mapping[str, Any], tolerance: float | None
) -> bool:
    if key not in was or key not in now:
        return False
    a, b = was[key], now[key]
    # NaN crosses JSON as null or by its name, and is then equal to itself.
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    if tolerance is None or not numbers:
        return bool(a == b)
    return math.isclose(a, b, rel_tol=tolerance) or (math.isnan(a) and math.isnan(b))


def _own(values: Mapping[str, Any], ours: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith(ours)}


def _packages(past: Past, now: Past) -> list[str]:
    before, after = _installed(past), _installed(now)
    if before is None or after is None:
        return ["not known of both"]
    return environment.differences(before, after)


def _installed(one: Past) -> dict[str, str] | None:
    if one.ran_on is None or one.ran_on.packages is None:
        return None
    found = one.ran_on.packages
    return {**versions(found.installed), "python": found.python}
