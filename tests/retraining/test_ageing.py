"""How models age on a history: hand-made losses, laws, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.retraining import ageing
from mainspring.retraining.table import Stream

DAY = 86_400.0


def _stream(periods: int = 10, rows: int = 20) -> Stream:
    """Return a stream of days; what models say on it is made up by the tests."""
    import polars as pl

    count = periods * rows
    return Stream(
        rows=pl.DataFrame({"x": np.zeros(count)}),
        target=np.zeros(count),
        times=np.arange(count) * DAY / rows,
        period=np.arange(count) // rows,
        starts=[f"day {n}" for n in range(periods)],
        begins=np.arange(periods) * DAY,
        length_s=DAY,
        kind="regression",
        classes=[],
        scale=1.0,
        notices=[],
        dropped=0,
    )


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model lose 0.1, 0.02 more for each day of age, and 0.3 more on day 6 at any age."""

    def answer(replay, learnt, period):
        rows = replay.rows(period)
        age = period - learnt.end // 20
        loss = 0.1 + 0.02 * age + (0.3 if period == 6 else 0.0)
        return np.zeros((rows.stop - rows.start, 1)), np.full(rows.stop - rows.start, loss)

    monkeypatch.setattr(ageing.Replay, "answer", answer)


@pytest.mark.usefixtures("rising")
def test_the_rise_is_that_of_age_alone_though_a_day_was_hard_for_all():
    found = ageing.staleness(_stream(), tolerance=0.05)
    assert [age.periods for age in found.ages] == [0, 1, 2, 3, 4, 5]
    assert [age.rise for age in found.ages] == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08, 0.1])
    assert [age.n for age in found.ages] == [8, 7, 6, 5, 4, 3]
    assert all(age.low == pytest.approx(age.high) for age in found.ages)
    assert found.rises
    assert found.rise_per_day == pytest.approx(0.02)
    assert found.limit_days == pytest.approx(2.5)
    assert "0.05 is passed at 2.5 days" in found.found


@pytest.mark.usefixtures("rising")
def test_the_cadence_that_pays_is_where_loss_and_cost_together_are_least():
    """20 rows a day, 0.02 a day: every T days lose 0.2 (T - 1) a day and cost 1.6 / T."""
    found = ageing.staleness(_stream(), cost=1.6)
    totals = {one.periods: one.total for one in found.cadences}
    assert totals[1] == pytest.approx(1.6)
    assert totals[2] == pytest.approx(0.2 + 0.8)
    assert totals[4] == pytest.approx(0.6 + 0.4)
    assert totals[3] == pytest.approx(0.4 + 1.6 / 3)
    assert found.best_periods == 3
    assert found.best_days == pytest.approx(np.sqrt(2 * 1.6 / (0.02 * 20)))


@pytest.mark.usefixtures("rising")
def test_without_a_cost_the_shortest_cadence_is_the_best():
    assert ageing.staleness(_stream()).best_periods == 1


def test_where_nothing_ages_no_limit_is_suggested(monkeypatch):
    def same(replay, learnt, period):
        rows = replay.rows(period)
        return np.zeros((rows.stop - rows.start, 1)), np.full(rows.stop - rows.start, 0.2)

    monkeypatch.setattr(ageing.Replay, "answer", same)
    found = ageing.staleness(_stream())
    assert not found.rises
    assert (found.limit_days, found.best_days) == (None, None)
    assert "is not shown" in found.found


@pytest.mark.parametrize("field", ["tolerance", "cost", "value_per_loss"])
def test_what_cannot_be_is_named(field):
    with pytest.raises(BadInputError, match="must be 0 or more"):
        ageing.staleness(_stream(), **{field: -1.0})
