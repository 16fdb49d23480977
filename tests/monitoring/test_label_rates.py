"""All monitors of labels together: false alarms as rare as promised, harm found at once.

``make soak`` runs thousands of windows without drift; the rest is a sample of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.labelled import BINARY, POLICY, rows, sight, window

from mainspring.ground.objects import Finding
from mainspring.monitoring.judge import judge_labels, judge_truth

DECLARED = msgspec.structs.replace(POLICY, slices=["carrier"])
#: Windows of one version before another comes, with rows of training of its own.
LIFE = 50


def blocks(count: int, seed: int, length: int, effect: float) -> pl.DataFrame:
    """Return rows whose truth leans one way for a while, as when an hour or a customer does."""
    frame = rows(count, seed)
    if not effect:
        return frame
    rng = np.random.default_rng(seed + 1)
    lean = np.repeat(rng.normal(0, effect, count // length + 1), length)[:count]
    odds = np.log(frame["_score"] / (1 - frame["_score"])).to_numpy() + lean
    came = rng.random(count) < 1 / (1 + np.exp(-odds))
    return frame.with_columns(_y=came.astype(np.int64))


def judged(now: pl.DataFrame, before: pl.DataFrame, earlier=(), number: int = 0):
    """Return what is found of a window by all monitors of labels, and what is alarmed about."""
    seen = sight(now, before, policy=DECLARED, earlier=tuple(earlier), number=number)
    kept = window(number, rows=now.height)
    _, first = judge_labels(
        kept, seen.joined, seen.baseline.loss, DECLARED, signature=BINARY,
        reference=seen.reference,
    )  # fmt: skip
    # Windows of this world lie on one another: only their rows tell them apart.
    found, more = judge_truth(kept, seen)
    return found, {(alarm.kind, alarm.subject) for alarm in first + more}


def live(count: int, size: int, kept: int, length: int, effect: float) -> Iterator[set]:
    """Yield what each of so many windows without drift is alarmed about."""
    earlier: list = []
    before = rows(1, 0)
    for number in range(count):
        if number % LIFE == 0:
            before, earlier = blocks(kept, 7_000_000 + number, length, effect), []
        now = blocks(size, 1_000 * size + number, length, effect)
        found, alarmed = judged(now, before, earlier)
        earlier = [window(0, found=[one for one in found if one.monitor == "concept"])]
        yield alarmed


def told(found: list[Finding]) -> Counter[str]:
    return Counter(f"{one.monitor} {one.verdict}" for one in found)


@pytest.mark.parametrize(("length", "effect"), [(1, 0.0), (10, 0.5)])
def test_windows_without_drift_raise_nothing(length: int, effect: float) -> None:
    assert [found for found in live(40, 500, 3_000, length, effect) if found] == []


@pytest.mark.soak
@pytest.mark.parametrize(
    ("count", "size", "length", "effect"),
    [(3_000, 500, 1, 0.0), (3_000, 500, 10, 0.7), (600, 5_000, 1, 0.0), (600, 5_000, 100, 0.5)],
)
def test_thousands_of_windows_raise_as_few_as_promised(
    count: int, size: int, length: int, effect: float
) -> None:
    alarmed = [found for found in live(count, size, 5_000, length, effect) if found]
    # One in 1,000 is promised; so many more happen in one of 1,000 soaks by chance.
    assert len(alarmed) <= count / 1_000 + 3 * np.sqrt(count / 1_000) + 2, Counter(
        kind for found in alarmed for kind in found
    )


@pytest.mark.parametrize("size", [500, 5_000])
def test_a_relation_that_broke_is_found_in_the_first_window(size: int) -> None:
    before = rows(5_000, 1)
    found, alarmed = judged(rows(size, 2, broken=pl.col("hour") > 12), before)
    assert {("performance", "loss"), ("concept", "loss")} <= alarmed
    assert ("slice", "search") not in alarmed
    assert told(found)["concept alarm"] == 1


def test_a_moved_base_rate_is_found_in_the_first_window() -> None:
    _, alarmed = judged(rows(2_000, 3, late=1.0), rows(5_000, 1))
    assert ("calibration", "in_the_large") in alarmed


def test_a_harmless_shift_of_inputs_stays_silent() -> None:
    now = rows(6_000, 4).filter((pl.col("carrier") == "EV") | (pl.col("miles") > 900))
    assert judged(now, rows(8_000, 1))[1] == set()
