"""What the model listens to, in a window and at training."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.monitoring.sights import people, sight

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import ColumnProfile, Profile
from mainspring.monitoring.attribution import attribution_on_inputs, shares_of


def listens(weights):
    """A model whose score is a weighted sum."""

    def score(rows: pl.DataFrame):
        total = np.zeros(rows.height)
        for name, weight in weights.items():
            total += weight * rows[name].cast(pl.Float64).to_numpy()
        return total.reshape(-1, 1)

    return score


def frame(rows=2000, seed=1, scale=(1.0, 1.0, 1.0)):
    rng = np.random.default_rng(seed)
    captured = people(rows, seed).drop("_y", "sex", "age", "branch", "income")
    return captured.with_columns(
        **{
            name: pl.Series(rng.normal(size=rows) * s)
            for name, s in zip("abc", scale, strict=True)
        }
    )


def seen(rows, score, shares=None):
    shares = shares or {"a": 0.6, "b": 0.3, "c": 0.1}
    columns = [
        ColumnProfile(name=name, type="number", rows=9, missing=0, share=share)
        for name, share in shares.items()
    ]
    return sight(rows, baseline=Profile(rows=9, columns=columns), score=score)


USUAL = {"a": 0.6, "b": 0.3, "c": 0.1}


def test_the_same_world_keeps_its_ranking():
    ranking, *columns = attribution_on_inputs(seen(frame(), listens(USUAL)))
    assert ranking.value == pytest.approx(1.0)
    assert ranking.verdict == "quiet"
    assert {one.subject: one.baseline for one in columns} == USUAL
    assert sum(one.value for one in columns) == pytest.approx(1.0)
    assert columns[0].value == pytest.approx(0.6, abs=0.05)


def test_swapped_importances_are_an_alarm_that_names_the_columns():
    # The model is the same: its first input hardly varies any more, its last does.
    moved = attribution_on_inputs(seen(frame(scale=(0.01, 0.1, 30.0)), listens(USUAL)))[0]
    assert moved.verdict == "alarm"
    assert moved.value < 0.9
    assert "a carried 60% of the response at training" in moved.why
    assert "most is c" in moved.why


def test_a_hundred_windows_of_near_ties_raise_no_alarm():
    model, ties = listens(dict.fromkeys("abc", 1.0)), dict.fromkeys("abc", 1 / 3)
    found = [attribution_on_inputs(seen(frame(400, seed), model, ties))[0] for seed in range(100)]
    assert {one.verdict for one in found} == {"quiet"}


def test_it_does_not_depend_on_the_types_of_columns():
    rows = people(800, 3).drop("_y")

    def score(given: pl.DataFrame):
        return (given["income"] + (given["branch"] == "north").cast(pl.Float64)).to_numpy()[
            :, None
        ]

    shares = shares_of(rows, ["sex", "branch", "income"], score)
    assert shares["sex"] == 0.0
    assert shares["income"] > shares["branch"] > 0


def test_what_cannot_be_judged_is_said():
    def refuses(rows: pl.DataFrame):
        raise BadInputError("Column 'a' is missing.")

    cases = [
        (seen(frame(100), listens(USUAL)), "too few rows"),
        (seen(frame(0), listens(USUAL)), "too few rows"),
        (seen(frame().drop("b"), listens(USUAL)), "not judged"),
        (seen(frame(), listens(USUAL), {"a": 1.0}), "not judged"),
        (seen(frame(), refuses), "not judged"),
        (seen(frame(), None), "not judged"),
    ]
    for given, verdict in cases:
        found = attribution_on_inputs(given)
        assert [one.verdict for one in found] == [verdict]
        assert found[0].value is None
        assert found[0].why.startswith("Not judged: ")


def test_a_constant_window_moves_nothing():
    still = frame().with_columns(a=pl.lit(1.0), b=pl.lit(2.0), c=pl.lit(3.0))
    ranking = attribution_on_inputs(seen(still, listens(USUAL)))[0]
    assert ranking.value == 1.0  # nothing moves the score: a tie is not held against the model
