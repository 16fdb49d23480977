"""Who answers which row: several versions by weight, sticky columns, and the version before.

Every test asks a real server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scaling.conftest import ROW, Stage

from mainspring.ground.objects import RoutedArm, Signature, Strategy
from mainspring.scaling.models import load
from mainspring.scaling.serving import capture, tallies
from mainspring.scaling.serving.pairing import PairCounts, Pairing, difference

BINARY = Signature(columns=[], kind="binary", target="y")


def arms(one: Stage, *parts: tuple[int, str, float], **more: Any) -> None:
    told = [RoutedArm(version=n, package=package, weight=weight) for n, package, weight in parts]
    one.route(arms=told, strategy=Strategy.AB, rollout="r", **more)


def rows(count: int) -> list[dict[str, Any]]:
    return [{**ROW, "distance": 100.0 + n % 50} for n in range(count)]


def pairs(one: Stage) -> dict[int, Any]:
    one.app.close()
    return tallies.Follower(one.folder, "r", 0.0).total()


@pytest.fixture
def ailing(first: str, objects: Any) -> Callable[[str], load.Served]:
    """A loader whose package ``broken`` raises, and ``odd`` gives no numbers."""

    class Broken(load.Served):
        def score(self, rows: Any) -> Any:
            raise ZeroDivisionError("broken")

    class Odd(load.Served):
        def score(self, rows: Any) -> Any:
            return super().score(rows) * np.nan

    def loader(digest: str) -> load.Served:
        kind = {"broken": Broken, "odd": Odd}.get(digest)
        served = load.load(digest if kind is None else first, objects)
        if kind is not None:
            served.__class__ = kind
            served.digest = digest
        return served

    return loader


def test_each_row_is_answered_by_one_of_three_by_their_weights(stage, first, second) -> None:
    one = stage()
    arms(one, (1, first, 50.0), (2, second, 30.0), (3, second, 20.0))
    answer = one.predict(rows(4000))
    shares = [np.mean(np.array(answer["versions"]) == number) for number in (1, 2, 3)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.04)
    one.captures.flush()
    kept = capture.read(one.folder)
    assert kept["_version"].to_list() == answer["versions"]
    assert kept["_other_version"].null_count() == 4000 or set(kept["_other_version"]) == {-1}
    status = one.client.get("/status").json()
    assert status["strategy"] == "ab"
    assert status["arms"] == {"1": 50.0, "2": 30.0, "3": 20.0}
    assert status["versions"]["3"]["variant"] == "arm"
    alone = stage()
    alone.route(champion=2, champion_package=second)
    for number in range(20):  # each row has the score of the version that is said to answer it
        if answer["versions"][number] == 2:
            mine = alone.predict([rows(20)[number]])["predictions"]
            assert mine == [answer["predictions"][number]]


def test_rows_with_the_same_value_of_a_sticky_column_are_answered_alike(
    stage, first, second
) -> None:
    one = stage()
    arms(one, (1, first, 1.0), (2, second, 1.0), sticky="distance")
    seen: dict[float, set[int]] = {}
    for _ in range(3):
        asked = rows(200)
        for row, version in zip(asked, one.predict(asked)["versions"], strict=True):
            seen.setdefault(row["distance"], set()).add(version)
    assert all(len(versions) == 1 for versions in seen.values())
    assert {next(iter(versions)) for versions in seen.values()} == {1, 2}


def test_an_arm_that_fails_is_answered_for_by_the_champion_and_counted(
    stage, first, second, ailing
) -> None:
    one = stage(loader=ailing)
    arms(one, (1, first, 1.0), (2, "broken", 1.0), (3, "odd", 1.0), (4, second, 1.0))
    versions = [v for _ in range(80) for v in one.predict(rows(3))["versions"]]
    assert set(versions) == {1, 4}
    found = pairs(one)
    assert found[2].failed == found[2].tried > 20
    assert found[3].odd == found[3].tried > 20
    assert found[4].failed == 0
    assert 0 < found[4].timed < found[4].tried  # the champion scores some of its rows, too
    assert found[4].rows > 0


def test_one_arm_that_cannot_be_loaded_leaves_the_others_and_the_champion(
    stage, first, second
) -> None:
    one = stage()
    arms(one, (1, first, 1.0), (2, "0" * 64, 1.0), (3, second, 1.0))
    assert set(one.predict(rows(300))["versions"]) == {1, 3}
    assert "challenger 2" in one.client.get("/status").json()["trouble"]


def test_a_canary_counts_how_it_does_beside_the_champion(stage, second) -> None:
    one = stage()
    one.route(
        challenger=2, challenger_package=second, strategy=Strategy.CANARY, share=0.2, rollout="r",
        slowdown=3.0,
    )  # fmt: skip
    for _ in range(5):
        one.predict(rows(40))
    found = pairs(one)[2]
    assert (found.tried, found.failed, found.rows) == (5, 0, 200)
    assert sum(found.shifts.values()) == 200
    assert sum(found.mine.values()) == sum(found.theirs.values()) == found.timed
    assert found.stuck <= found.moved < 200


def test_the_version_before_answers_for_a_new_champion_that_fails(stage, first, ailing) -> None:
    one = stage(loader=ailing)
    for package in ("broken", "odd"):
        one.route(
            champion=2, champion_package=package, challenger=1, challenger_package=first,
            strategy=Strategy.SHADOW, rollout="r", watch=True,
        )  # fmt: skip
        assert set(one.predict(rows(4))["versions"]) == {1}
    found = pairs(one)
    assert (found[2].tried, found[2].failed, found[2].odd) == (2, 2, 1)


def test_what_fails_in_both_is_the_fault_of_neither(stage, ailing) -> None:
    one = stage(loader=ailing)
    one.route(
        champion=2, champion_package="broken", challenger=1, challenger_package="broken",
        strategy=Strategy.SHADOW, rollout="r", watch=True,
    )  # fmt: skip
    answer = one.client.post("/invocations", json={"dataframe_records": rows(1)})
    assert answer.status_code == 500
    assert pairs(one) == {}


# ---------------------------------------------------------------- counting


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(SCORES, SCORES)
@settings(max_examples=50)
def test_the_difference_of_two_answers_never_exceeds_what_their_losses_allow(mine, theirs):
    count = min(len(mine), len(theirs))
    a, b = np.array(mine[:count])[:, None], np.array(theirs[:count])[:, None]
    apart = difference(a, b, BINARY)
    for truth in (0.0, 1.0):
        roots = np.abs(a[:, 0] - truth) + np.abs(b[:, 0] - truth)  # the roots of both losses
        assert (apart <= roots + 1e-12).all()
    assert (difference(b, a, BINARY) == apart).all()
    assert (difference(a, a, BINARY) == 0).all()


def test_one_row_a_request_is_enough_to_see_that_a_version_never_moves():
    pairing, whole = Pairing(), PairCounts()
    for number in range(10):
        theirs = np.array([[0.1 * (number % 2)]])
        whole.add(pairing.scores(2, np.array([[0.5]]), theirs, BINARY))
    assert (whole.moved, whole.stuck, whole.rows) == (9, 9, 10)
    assert whole.shifts == {8: 5, 10: 5}


def test_slow_is_what_takes_so_many_times_as_long_and_longer_than_anybody_feels():
    pairing = Pairing()
    assert pairing.times(0.0300, 0.0050, 3.0).slow == 1
    assert pairing.times(0.0010, 0.0001, 3.0).slow == 0  # ten times, but not 2 ms more
    assert pairing.times(0.0300, 0.0050, None).slow == 0
    assert pairing.times(0.0120, 0.0050, 3.0).slow == 0
