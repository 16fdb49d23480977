"""Say whether a run done again gave the same: the same bytes, or metrics within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

Verdict = Literal["identical", "equal within tolerance", "different"]
_SHOWN = 3


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run: the digest of what each step returned, and its metrics."""

    run: str
    outputs: dict[str, str | None]  #: in the order of the steps
    metrics: dict[str, float] = {}
    error: str = ""  #: why it did not finish


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """How what a step returned differs from what it had returned."""

    verdict: Literal["identical", "within", "unknown", "beyond"]
    where: str = ""  #: the first place that differs, in words
    largest: float = 0.0  #: relative difference of numbers


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """What came of doing a version's run again."""

    verdict: Verdict
    found: str
    differing: list[str]  #: steps that gave other bytes in some run, in their order
    largest: dict[str, float | None]  #: metric -> largest relative difference; None: not there

    @property
    def passed(self) -> bool:
        """Return whether it counts as the same."""
        return self.verdict != "different"


def compare(
    was: Made,
    again: Sequence[Made],
    tolerance: float,
    values: Mapping[str, Apart] | None = None,
) -> Reproduction:
    """Compare a run with those that were made again as it.

    A metric counts as equal if it differs by at most ``tolerance`` of the larger, in every run;
    NaN is equal to NaN. ``values`` says how what steps returned differs, by step: frames, arrays
    and plain data by their numbers. Where bytes differ that nobody can compare so, such as text
    or a model, the metrics decide.
    """
    failed = next((one for one in again if one.error), None)
    if failed is not None:
        return _verdict("different", f"it failed: {failed.error}", [], {})
    differing = [
        step
        for step, digest in was.outputs.items()
        if any(one.outputs.get(step) != digest for one in again)
    ]
    largest = {
        name: _apart(value, [one.metrics.get(name) for one in again])
        for name, value in was.metrics.items()
    }
    times = "" if len(again) == 1 else f", {len(again)} times"
    if not differing:
        told = f"all {len(was.outputs)} steps gave the same bytes{times}"
        return _verdict("identical", told, [], largest)
    known = values or {}
    first = f"{differing[0]} gave other bytes{_where(known.get(differing[0]))}"
    far = [step for step in differing if step in known and known[step].verdict == "beyond"]
    beyond = [name for name, value in largest.items() if value is None or value > tolerance]
    if beyond:
        told = f"{first}, and {_beyond(beyond, was, again, largest, tolerance)}"
        return _verdict("different", told, differing, largest)
    if far:
        more = "" if far[0] == differing[0] else f", and {far[0]}{_where(known[far[0]])}"
        return _verdict("different", f"{first}{more}", differing, largest)
    blind = [step for step in differing if step not in known or known[step].verdict == "unknown"]
    if blind and not largest:
        return _verdict("different", f"{first}, and no metric was kept", differing, largest)
    told = first
    if len(blind) < len(differing):
        most = max(known[step].largest for step in differing if step not in blind)
        count = len(differing) - len(blind)
        whose = "its numbers" if count == 1 else f"the numbers of {count} steps"
        told += f"; {whose} are at most {most:.2g} apart" if most else ""
    if largest:
        name = max(largest, key=lambda one: largest[one] or 0.0)
        told += f"; {len(largest)} metrics are within {tolerance:.3g} of what they were{times}"
        told += f", at most {largest[name] or 0.0:.2g} apart ({name})"
    return _verdict("equal within tolerance", told, differing, largest)


def _where(found: Apart | None) -> str:
    return f" ({found.where})" if found is not None and found.where else ""


def _verdict(
    verdict: Verdict, found: str, differing: list[str], largest: dict[str, float | None]
) -> Reproduction:
    return Reproduction(verdict=verdict, found=found, differing=differing, largest=largest)


def _apart(was: float, now: Sequence[float | None]) -> float | None:
    """Return how far values are from one, relative to it; None if one is not there."""
    found = 0.0
    for one in now:
        if one is None or math.isnan(one) != math.isnan(was):
            return None
        if one == was or math.isnan(was):
            continue
        if math.isinf(one) or math.isinf(was):
            return None
        found = max(found, abs(one - was) / max(abs(was), abs(one)))
    return found


def _beyond(
    names: Sequence[str],
    was: Made,
    again: Sequence[Made],
    largest: Mapping[str, float | None],
    tolerance: float,
) -> str:
    told = []
    for name in names[:_SHOWN]:
        now = [one.metrics.get(name) for one in again]
        if largest[name] is None:
            told.append(f"{name} was {was.metrics[name]:.6g} and is {_words(now)}")
        else:
            worst = max((one for one in now if one is not None),
                        key=lambda one: abs(one - was.metrics[name]))  # fmt: skip
            apart = f"{largest[name]:.2g} apart, {tolerance:.3g} allowed"
            told.append(f"{name} was {was.metrics[name]:.6g} and is {worst:.6g} ({apart})")
    more = f" and {len(names) - _SHOWN} more metrics" if len(names) > _SHOWN else ""
    return ", ".join(told) + more


def _words(now: Sequence[Any]) -> str:
    return " or ".join("not there" if one is None else f"{one:.6g}" for one in now)
