"""Decide how many workers an endpoint should have, by target tracking. Pure: no clock, no process.

Workers are added in proportion to how far the load is over the target, at once but not oftener
than a cool-down allows; they are taken away only after fewer would have done for a while. What
was too few for a load is remembered, so that a constant load never swings between two numbers.

After Kubernetes' horizontal pod autoscaler (the ratio, a tolerance of a tenth, and the largest
recommendation within a window before a step down) and the target tracking policies of AWS
Application Auto Scaling (an out and an in cool-down).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

TOLERANCE = 0.1  #: of the target; a load within it is on target
#: Less on average is who looks at ``/status`` now and then, not somebody who waits for an answer.
UNDER_WAY = 0.5
FEW = 10  #: predictions that a 95th percentile needs
#: After this a number that was too few is tried again: a newer version may be faster.
FORGET_S = 900.0


@dataclass(frozen=True)
class Target:
    """What is wanted of an endpoint's workers; the names are those of ``ground.serving``."""

    fewest: int = 1
    most: int = 1
    in_flight: float = 8.0
    latency_ms: float | None = None
    out_after_s: float = 2.0
    in_after_s: float = 60.0
    idle_s: float = 300.0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Target:
        """Return what the engine told; what is missing or no number is as it is by default."""
        numbers = {
            one.name: told[one.name]
            for one in fields(cls)
            if isinstance(told.get(one.name), int | float)
        }
        found = cls(**numbers)
        return replace(found, most=max(int(found.most), int(found.fewest), 1))


@dataclass(frozen=True)
class Load:
    """What all workers of an endpoint together do."""

    flying: float = 0.0  #: requests under way, those that wait too
    rate: float = 0.0  #: predictions answered a second
    p95_ms: float | None = None


@dataclass(frozen=True)
class Course:
    """Where the scaling of one endpoint stands."""

    wanted: int
    busy: float  #: when it was last asked
    grown: float = -math.inf  #: when the last step up was
    fewer_since: float | None = None
    peak: int = 0  #: most that were needed since then
    #: (workers, rate, when): they were too few for it
    short: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True)
class Change:
    """A step, and why."""

    before: int
    after: int
    why: str


def decide(target: Target, course: Course, load: Load, now: float) -> tuple[Course, Change | None]:
    """Return where the scaling stands now, and the step that is to be taken, if any."""
    if load.flying >= UNDER_WAY or load.rate > 0:
        course = replace(course, busy=now)
    low = target.fewest if course.wanted == 0 else max(target.fewest, 1)
    bounded = min(max(course.wanted, low), target.most)
    if bounded != course.wanted:
        return _step(course, bounded, f"{target.fewest} to {target.most} are wanted")
    if course.wanted == 0:
        return course, None
    if target.fewest == 0 and now - course.busy >= target.idle_s:
        return _step(course, 0, f"nobody asked for {target.idle_s:g} s")
    need, why = _needed(target, course.wanted, load)
    need = min(need, target.most)
    if need > course.wanted:
        return _out(target, replace(course, fewer_since=None), load, need, why, now)
    return _in(target, course, load, now)


def woken(course: Course, now: float) -> tuple[Course, Change]:
    """Return the step from none to one, as somebody has come."""
    found, change = _step(replace(course, busy=now), 1, "a request came")
    assert change is not None  # noqa: S101  from 0 to 1
    return found, change


def _step(course: Course, after: int, why: str) -> tuple[Course, Change | None]:
    done = replace(course, wanted=after, fewer_since=None, peak=0)
    return done, Change(course.wanted, after, why)


def _needed(target: Target, workers: int, load: Load) -> tuple[int, str]:
    """Return how many the load is too much for fewer than, and the sentence that says so."""
    need = math.ceil(load.flying / target.in_flight - TOLERANCE)
    why = f"{load.flying:.1f} in flight, {target.in_flight:g} a worker are wanted"
    if target.latency_ms is not None and load.p95_ms is not None:
        over = load.p95_ms / target.latency_ms
        if over > 1 + TOLERANCE:
            # A queue's latency grows faster than its load: a step at most doubles.
            by_latency = min(math.ceil(workers * over), 2 * workers)
            if by_latency > need:
                need = by_latency
                why = f"p95 {load.p95_ms:.3g} ms, {target.latency_ms:g} ms are wanted"
    return need, why


def _out(
    target: Target, course: Course, load: Load, need: int, why: str, now: float
) -> tuple[Course, Change | None]:
    if now - course.grown < target.out_after_s:
        return course, None
    kept = [one for one in course.short if one[0] != course.wanted and now - one[2] < FORGET_S]
    short = (*kept, (course.wanted, load.rate, now))
    return _step(replace(course, grown=now, short=short), need, why)


def _in(target: Target, course: Course, load: Load, now: float) -> tuple[Course, Change | None]:
    fewer = _enough(target, course, load, now)
    if fewer >= course.wanted:
        return replace(course, fewer_since=None, peak=0), None
    since = course.fewer_since
    if since is None:
        return replace(course, fewer_since=now, peak=fewer), None
    course = replace(course, peak=max(course.peak, fewer))
    if now - since < target.in_after_s:
        return course, None
    why = f"{course.peak} would have done for {target.in_after_s:g} s"
    return _step(course, course.peak, why)


def _enough(target: Target, course: Course, load: Load, now: float) -> int:
    """Return how many would do, with room to spare, and were not too few before."""
    fewer = max(math.ceil(load.flying / target.in_flight + TOLERANCE), target.fewest, 1)
    if target.latency_ms is not None and load.p95_ms is not None:
        one_less = load.p95_ms * course.wanted / max(course.wanted - 1, 1)
        roomy = one_less < (1 - TOLERANCE) * target.latency_ms
        fewer = max(fewer, course.wanted - 1 if roomy else course.wanted)
    too_few = [
        workers
        for workers, rate, at in course.short
        if load.rate >= (1 - TOLERANCE) * rate and now - at < FORGET_S
    ]
    return max(fewer, *(workers + 1 for workers in too_few)) if too_few else fewer


def quantile_ms(edges_s: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return a quantile of a histogram, as the upper edge of its bin; None of too few."""
    whole, seen = sum(counts), 0
    if whole < FEW:
        return None
    for place, count in enumerate(counts):
        seen += count
        if seen >= share * whole:
            return 1000 * edges_s[min(place, len(edges_s) - 1)]
    return None


def excess(connections: Mapping[str, int]) -> dict[str, int]:
    """Return how many connections each worker should let go, so that all have about as many.

    A worker is left alone until it has a quarter and one more than its share: a client that is
    moved costs a new connection.
    """
    if len(connections) < 2:
        return {}
    share = sum(connections.values()) / len(connections)
    return {
        name: number - math.ceil(share)
        for name, number in connections.items()
        if number > 1.25 * share + 1
    }


def together(loads: Iterable[tuple[float, float, Sequence[int]]], edges: Sequence[float]) -> Load:
    """Return the load of workers, each with its requests under way, rate and latencies."""
    flying = rate = 0.0
    counts = [0] * (len(edges) + 1)
    for one, answered, took in loads:
        flying, rate = flying + one, rate + answered
        if len(took) == len(counts):
            counts = [a + b for a, b in zip(counts, took, strict=True)]
    return Load(flying, rate, quantile_ms(edges, counts, 0.95))
