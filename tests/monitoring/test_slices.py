"""Declared slices are watched apart; found ones are honest, because others rows test them."""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.labelled import COLUMNS, POLICY, rows, sight

from mainspring.ground.errors import BadInputError
from mainspring.monitoring.slices import slices
from mainspring.monitoring.slicing import check_slices, cut_column

DECLARED = msgspec.structs.replace(
    POLICY, slices=["carrier", "miles", "hour >= 20 AND carrier = 'UA'"], search_slices=False
)
SEARCHED = msgspec.structs.replace(POLICY, slices=[])


def looked(now, policy, **given):
    found = slices(sight(now, policy=policy, **given))
    for one in found:
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
    return {one.subject: one for one in found}


def test_a_declared_slice_that_broke_is_the_only_alarm():
    now = rows(6_000, 1, broken=(pl.col("carrier") == "EV") & (pl.col("hour") > 8))
    found = looked(now, DECLARED)
    assert [name for name, one in found.items() if one.verdict == "alarm"] == ["carrier=EV"]
    bad = found["carrier=EV"]
    assert bad.rows == now.filter(pl.col("carrier") == "EV").height
    assert bad.value - bad.radius > bad.line > bad.baseline
    assert bad.smallest == pytest.approx(bad.radius + 0.01)
    assert "in this slice at training" in bad.why
    assert {"carrier=UA", "hour >= 20 AND carrier = 'UA'"} <= set(found)
    assert sum(one.rows for name, one in found.items() if name.startswith("miles")) == 6_000


def test_a_condition_may_be_a_slice():
    now = rows(6_000, 2, broken=(pl.col("carrier") == "UA") & (pl.col("hour") >= 20))
    found = looked(now, DECLARED)
    assert found["hour >= 20 AND carrier = 'UA'"].verdict == "alarm"


def test_a_small_slice_says_how_many_rows_it_needs():
    found = looked(rows(400, 3), DECLARED)
    assert found["carrier=EV"].verdict == "too few rows"
    assert "100 are needed" in found["carrier=EV"].why
    assert found["carrier=EV"].value is None


def test_a_value_that_training_never_had_is_in_no_slice():
    now = rows(2_000, 4).with_columns(carrier=pl.lit("XX"))
    found = looked(now, DECLARED)
    assert {one.rows for name, one in found.items() if name.startswith("carrier")} == {0}


def test_a_slice_without_rows_at_training_is_a_notice_at_most():
    before = rows(20_000, 99).filter(pl.col("hour") < 18)
    policy = msgspec.structs.replace(DECLARED, slices=["hour >= 18"])
    now = rows(4_000, 5, broken=pl.col("hour") >= 18)
    [one] = slices(sight(now, before, policy=policy))
    assert one.verdict == "notice"
    assert "of all rows at training" in one.why


def test_the_worst_slice_is_found_among_pairs_and_is_certain():
    where = (pl.col("carrier") == "UA") & (pl.col("hour") > 17)
    found = looked(rows(12_000, 6, broken=where), SEARCHED)
    told = found.pop("search")
    assert (told.verdict, told.value) == ("quiet", len(found))
    assert "Looked through" in told.why
    worst = max(found.values(), key=lambda one: one.value)
    assert worst.verdict == "alarm"
    assert "carrier=UA" in worst.subject
    assert "hour" in worst.subject
    assert worst.detail["found_by"] == "search"
    assert worst.rows < worst.detail["rows_in_all"]  # the other half found it


def test_a_search_through_windows_without_drift_finds_nothing_certain():
    told = [
        one.verdict
        for seed in range(60)
        for one in slices(sight(rows(3_000, seed), policy=SEARCHED))
    ]
    assert "alarm" not in told
    assert told.count("notice") <= 6  # 5 % of windows may have one, and some more by luck


def test_the_order_of_rows_does_not_matter():
    now = rows(5_000, 7, broken=pl.col("carrier") == "DL")
    assert looked(now, POLICY) == looked(now.sample(fraction=1.0, shuffle=True, seed=3), POLICY)


def test_odd_windows_are_told():
    assert slices(sight(rows(300, 1), labelled=False)) == []
    assert slices(sight(rows(0, 1), policy=SEARCHED)) == []
    gone = looked(rows(2_000, 1).drop("carrier"), DECLARED)
    assert gone["hour >= 20 AND carrier = 'UA'"].verdict == "not judged"
    assert "carrier" in gone["hour >= 20 AND carrier = 'UA'"].why
    without = looked(rows(2_000, 1), DECLARED, before=rows(0, 1))
    assert {one.verdict for one in without.values()} <= {"not judged", "too few rows"}
    empty = rows(2_000, 2).with_columns(miles=pl.lit(None, dtype=pl.Float64))
    told = looked(empty, DECLARED)
    assert {one.rows for name, one in told.items() if name.startswith("miles")} == {0}
    many = rows(3_000, 3).with_columns(carrier=pl.Series([f"c{n}" for n in range(3_000)]))
    found = looked(many, POLICY, before=many)  # as many values as rows
    assert [one.verdict for one in found.values()] == ["quiet"]


def test_cuts_are_those_of_training():
    kept = rows(4_000, 1)
    cut = cut_column("miles", sight(kept).baseline, kept)
    shares = np.bincount(cut.codes(kept), minlength=4) / 4_000
    assert shares == pytest.approx([0.25] * 4, abs=0.02)
    assert cut_column("miles", sight(kept).baseline, kept.with_columns(miles=pl.lit(1.0))) is None
    counts = kept.with_columns(count=pl.col("carrier"))
    assert cut_column("count", sight(kept).baseline, counts).names[0] == "count=UA"
    nights = kept.with_columns(night=pl.col("hour") > 20)
    assert cut_column("night", sight(kept).baseline, nights).names == ("night=false", "night=true")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("speed", "reads 'speed'"),
        ("miles > speed", "reads 'speed'"),
        ("miles >", "cannot be read|neither a column"),
        ("miles * 2", "true or false"),
        ("miles > avg(miles)", "other rows"),
        ("1 = 1", "reads no column"),
    ],
)
def test_what_is_no_slice_is_refused_by_name(text, told):
    with pytest.raises(BadInputError, match=told) as refused:
        check_slices(["carrier", text], COLUMNS)
    assert refused.value.field == "slices"


def test_columns_and_conditions_are_slices():
    check_slices(["carrier", "hour IN (5, 6)", "miles > 100 AND NOT carrier = 'EV'"], COLUMNS)
