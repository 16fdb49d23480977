"""Comparisons in memory: spread, groups, what differs."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments.compare import compare, grouped, spread
from mainspring.ground.objects import Run, RunStatus

values = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]), st.none()
)
texts = st.sampled_from(["1", "2", "10", "a", None])


def a_run(number: int, value: float | None, text: str | None = None) -> Run:
    return Run(
        id=f"r{number}",
        experiment="e",
        name="n",
        status=RunStatus.FINISHED,
        started=float(number),
        metrics={} if value is None else {"m": value},
        params={} if text is None else {"C": text},
        tags={"mainspring.git.commit": str(number), "mainspring.nth": str(number)},
    )


@given(st.lists(values, min_size=1, max_size=12))
def test_a_spread_is_what_statistics_say_of_the_finite_values(held: list[float | None]) -> None:
    found = spread([a_run(n, value) for n, value in enumerate(held)], "m")
    finite = [value for value in held if value is not None and math.isfinite(value)]
    assert found.runs == len(finite)
    assert found.odd == len([v for v in held if v is not None]) - len(finite)
    if not finite:
        assert (found.mean, found.sd, found.lowest, found.highest_run) == (None,) * 4
        return
    assert found.mean == pytest.approx(statistics.fmean(finite), abs=1e-6)
    assert (found.lowest, found.highest) == (min(finite), max(finite))
    assert held[int(str(found.lowest_run)[1:])] == min(finite)
    if len(finite) > 1:
        assert found.sd == pytest.approx(statistics.stdev(finite), abs=1e-6)
        assert float(found.low or 0) <= float(found.mean or 0) + 1e-9
        assert float(found.high or 0) >= float(found.mean or 0) - 1e-9


@given(st.lists(texts, min_size=1, max_size=12))
def test_groups_share_the_runs_out_and_come_by_value(held: list[str | None]) -> None:
    several = [a_run(n, float(n), text) for n, text in enumerate(held)]
    groups = grouped(several, "param", "C")
    assert sorted(run for group in groups for run in group.runs) == sorted(r.id for r in several)
    order = ["1", "2", "10", "a", None]
    places = [order.index(group.value) for group in groups]
    assert places == sorted(places)
    for group in groups:
        assert {held[int(run[1:])] for run in group.runs} == {group.value}
        assert group.metrics["m"].runs == len(group.runs)


@given(st.lists(texts, min_size=2, max_size=6))
def test_what_differs_and_what_is_the_same_are_all_there_is(held: list[str | None]) -> None:
    told = compare([a_run(n, 1.0, text) for n, text in enumerate(held)])
    if len(set(held)) == 1:
        assert told.params == []
        assert told.same_params == ({} if held[0] is None else {"C": held[0]})
    else:
        assert told.params[0].values == held
    assert [row.key for row in told.code] == ["commit"]
    assert (told.tags, told.same_tags) == ([], {})


def test_huge_values_have_no_finite_deviation_and_say_so() -> None:
    found = spread([a_run(0, 1.7e308), a_run(1, -1.7e308), a_run(2, 1.7e308)], "m")
    assert found.sd in ("inf", "nan")
    assert found.highest == 1.7e308
