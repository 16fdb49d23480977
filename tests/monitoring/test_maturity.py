"""How long labels take is learnt from those that came, and a class that comes late is named."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.monitoring.labelled import BINARY, NUMBER, POLICY, rows, sight, window

from mainspring.monitoring import maturity

DAY = 86_400.0


def aged(count, seed, yes=1.0, no=1.0):
    """Return rows whose labels came after so many days on average, by class."""
    rng = np.random.default_rng(seed)
    frame = rows(count, seed)
    mean = np.where(frame["_y"].to_numpy() == 1, yes, no) * DAY
    return frame.with_columns(_arrived=frame["_time"] + rng.exponential(mean))


@given(st.lists(st.floats(0, 1e8), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_never_too_early_and_at_most_a_quarter_too_late(ages, share):
    found = maturity.age_quantile(maturity._counted(np.array(ages)), share)
    exact = float(np.quantile(ages, share, method="inverted_cdf"))
    assert exact <= found * (1 + 1e-9)
    assert found <= max(exact * 1.25 * (1 + 1e-9), 1.0)


def test_windows_add_up():
    first, second = (maturity.arrivals(aged(1_000, s), BINARY) for s in (1, 2))
    both = maturity.arrivals(pl.concat([aged(1_000, 1), aged(1_000, 2)]), BINARY)
    assert maturity._added([first["all"], second["all"]]) == both["all"]
    assert set(both["by_class"]) == {"no", "yes"}


def judged(frames):
    return [
        window(number, performance={"arrival": maturity.arrivals(frame, BINARY)})
        for number, frame in enumerate(frames)
    ][::-1]


def test_the_delay_is_learnt_once_enough_labels_came():
    assert maturity.learnt_delay([]) is None
    assert maturity.learnt_delay(judged([aged(50, 1)])) is None
    learnt = maturity.learnt_delay(judged([aged(2_000, s) for s in (1, 2)]))
    assert 3.0 * DAY < learnt < 3.0 * DAY * 1.25  # 95 % of an exponential: 3.0 means
    share = msgspec.structs.replace(POLICY, label_share=0.95)
    assert maturity.effective(POLICY, learnt) == 500.0
    assert maturity.effective(share, learnt) == learnt
    assert maturity.effective(share, None) == 500.0


def test_a_declared_delay_that_is_too_short_is_a_notice():
    one, *_ = maturity.label_ages(sight(aged(2_000, 1)))
    assert (one.subject, one.verdict) == ("label_age", "notice")
    assert "95% of 2,000 labels came within 3" in one.why
    assert one.detail["mature_at"] == 1_500.0
    long = msgspec.structs.replace(POLICY, label_delay_s=10 * DAY)
    assert maturity.label_ages(sight(aged(2_000, 1), policy=long))[0].verdict == "quiet"


def test_a_class_that_comes_late_is_named():
    found = {one.subject: one for one in maturity.label_ages(sight(aged(4_000, 1, yes=6.0)))}
    one = found["label_age/yes"]
    assert one.verdict == "notice"
    assert "come later than others" in one.why
    assert "holds too few of them" in one.why
    assert "label_age/no" not in found  # it is early by as much: said once
    even = {one.subject: one for one in maturity.label_ages(sight(aged(4_000, 2)))}
    assert {one.verdict for name, one in even.items() if "/" in name} == {"quiet"}


def test_what_windows_before_said_counts_too():
    earlier = tuple(judged([aged(1_000, s, yes=6.0) for s in range(3)]))
    found = maturity.label_ages(sight(aged(100, 9, yes=6.0), earlier=earlier))
    assert found[0].rows == 3_100
    assert found[1].verdict == "notice"


def test_odd_arrivals_are_stated():
    assert maturity.label_ages(sight(rows(500, 1))) == []  # nothing says when labels came
    assert maturity.label_ages(sight(rows(500, 1), labelled=False)) == []
    back = rows(500, 1).with_columns(_arrived=pl.col("_time") - 1e6)  # a clock jumped back
    assert maturity.label_ages(sight(back))[0].value == 1.0
    unknown = rows(500, 1).with_columns(_arrived=pl.lit(None, dtype=pl.Float64))
    assert maturity.arrivals(unknown, BINARY) == {}
    values = aged(500, 1).with_columns(_y=pl.col("_score") * 7)
    assert set(maturity.arrivals(values, NUMBER)["by_class"]) == {"low", "high"}
    assert maturity.age_quantile({}, 0.5) is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(3 * DAY, "3 d"), (7_200, "2 h"), (90, "1.5 min"), (2, "2 s"), (None, "")],
)
def test_ages_are_told_in_a_unit_that_fits(seconds, told):
    assert told in maturity._told(seconds)
