"""When a run done again counts as the same: by bytes, else by metrics, else not."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.objects import Evidence, Gate
from mainspring.readiness.checks import reproduced
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.reproductions import Made, compare

WAS = Made(run="run_1", outputs={"load": "aa", "train": "bb"}, metrics={"auc": 0.8})
OTHER = {"load": "aa", "train": "cc"}
DAY = 86_400.0


def test_the_same_bytes_are_identical_whatever_the_metrics() -> None:
    again = msgspec.structs.replace(WAS, metrics={})
    assert compare(WAS, [WAS, WAS], 0.0).verdict == "identical"
    assert compare(WAS, [again], 0.0).verdict == "identical"


def test_a_metric_must_be_there_and_near_in_every_run() -> None:
    near = msgspec.structs.replace(WAS, outputs=OTHER, metrics={"auc": 0.796})
    far = msgspec.structs.replace(WAS, outputs=OTHER, metrics={"auc": 0.7})
    gone = msgspec.structs.replace(WAS, outputs=OTHER, metrics={})
    assert compare(WAS, [near], 0.01).verdict == "equal within tolerance"
    assert compare(WAS, [near], 0.001).verdict == "different"
    assert compare(WAS, [near, far], 0.01).verdict == "different"
    told = compare(WAS, [gone], 0.5)
    assert told.found == "train gave other bytes, and auc was 0.8 and is not there"
    bare = Made(run="r", outputs={"train": "x"})
    assert compare(WAS, [bare], 1).differing == ["load", "train"]
    nothing = msgspec.structs.replace(WAS, metrics={})
    assert compare(nothing, [near], 0.1).found == (
        "train gave other bytes, and no metric was kept"
    )


def test_nan_is_equal_to_nan_and_to_nothing_else() -> None:
    nan = Made(run="r", outputs={"a": "1"}, metrics={"m": math.nan})
    same = Made(run="r", outputs={"a": "2"}, metrics={"m": math.nan})
    number = Made(run="r", outputs={"a": "2"}, metrics={"m": 0.0})
    endless = Made(run="r", outputs={"a": "2"}, metrics={"m": math.inf})
    assert compare(nan, [same], 0.0).passed
    assert not compare(nan, [number], 0.9).passed
    assert not compare(number, [msgspec.structs.replace(endless, outputs={"a": "3"})], 0.9).passed


def test_a_run_that_failed_is_different() -> None:
    failed = msgspec.structs.replace(WAS, error="train: ValueError: no")
    found = compare(WAS, [WAS, failed], 0.5)
    assert (found.verdict, found.found) == ("different", "it failed: train: ValueError: no")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 0.99))
def test_within_tolerance_is_symmetric(was: float, now: float, tolerance: float) -> None:
    one = Made(run="a", outputs={"s": "1"}, metrics={"m": was})
    two = Made(run="b", outputs={"s": "2"}, metrics={"m": now})
    assert compare(one, [two], tolerance).passed == compare(two, [one], tolerance).passed


def _judged(*known: Evidence, now: float = 100 * DAY):
    found = reproduced.check(GateInputs(evidence=known, now=now), Gate(reproduced=True))
    return found[0].passed, found[0].found


def test_the_check_wants_it_done_again_lately() -> None:
    made = Evidence(
        id="ev_1",
        kind="reproduced",
        subject="tide/1",
        passed=True,
        found="all 2 steps gave the same bytes",
        at=90 * DAY,
        by="engine",
        detail={"verdict": "identical"},
    )
    assert reproduced.check(GateInputs(), Gate()) == []
    assert _judged() == (False, "it was not made again; do it: mainspring reproduce VERSION")
    assert _judged(made) == (True, "all 2 steps gave the same bytes")
    assert _judged(made, now=121 * DAY) == (
        False,
        "all 2 steps gave the same bytes, but that was 31 days ago",
    )
    other = msgspec.structs.replace(
        made, passed=False, found="train gave other bytes", at=95 * DAY
    )
    assert _judged(made, other) == (False, "train gave other bytes")
