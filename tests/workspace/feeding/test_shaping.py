"""Rows take the form of captured ones; what cannot be used is refused by its line."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, Signature
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.reading import LINE
from mainspring.workspace.feeding.shaping import Shaper, seconds, settled

BINARY = Signature(
    columns=[Column(name="x", type="float"), Column(name="n", type="int")],
    kind="binary", target="y", classes=["no", "yes"],
)  # fmt: skip
THREE = Signature(columns=[], kind="multiclass", target="y", classes=["a", "b", "c"])
NUMBER = Signature(columns=[], kind="regression", target="y")


def shape(columns: Columns, signature: Signature = BINARY, **values):
    rows = len(next(iter(values.values())))
    part = pl.DataFrame({LINE: range(11, 11 + rows), **values})
    shaper = Shaper(
        name="log", columns=columns, signature=signature, received=1000.0, version=7, batch="b"
    )
    return shaper.shape(part)


def test_a_row_is_kept_as_our_own_endpoints_keep_theirs():
    rows, labels = shape(
        Columns(id="id", time="t", score=["p"], label="y"),
        id=["order-7", "plain"], t=[5.0, 6.0], p=[0.25, 1.0], y=["yes", None],
        x=["1.5", ""], n=[1, 2],
    )  # fmt: skip
    assert rows["_boot"].to_list() == ["order", "plain"]
    assert rows["_n"].to_list() == [7, -1]
    assert rows["_version"].to_list() == [7, 7]
    assert rows["_score"].to_list() == [0.25, 1.0]
    assert rows.columns[-2:] == ["x", "n"]
    assert labels is not None
    assert labels.rows() == [("order-7", "yes")]


def test_rows_without_ids_are_numbered_by_their_batch():
    rows, _ = shape(Columns(score=["p"]), p=[0.1, 0.2])
    assert rows.select("_boot", "_n").rows() == [("b", 0), ("b", 1)]
    assert rows["_time"].to_list() == [1000.0, 1000.0], "as of now"


@pytest.mark.parametrize(
    ("columns", "values", "told"),
    [
        (Columns(score=["p"]), {"p": [0.5, 1.7]}, "line 12: a score is a probability"),
        (Columns(score=["p"]), {"p": ["0.5", "high"]}, "line 12: a score is a number"),
        (Columns(prediction="c"), {"c": ["yes", "maybe"]}, "line 12: the classes are no, yes"),
        (Columns(score=["p"], time="t"), {"p": [0.5, 0.5], "t": ["2026-01-01", "?"]}, "line 12"),
        (Columns(score=["p"], time="t"), {"p": [0.5, 0.5], "t": [1.0, None]}, "line 12: a time"),
        (Columns(score=["p"], id="i"), {"p": [0.5, 0.5], "i": ["a", ""]}, "line 12: an id"),
        (Columns(score=["p"], id="i"), {"p": [0.5, 0.5], "i": ["a", "b" * 65]}, "line 12: an id"),
        (Columns(), {"x": [1.0, 2.0]}, "looks like the prediction"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_line(columns, values, told):
    with pytest.raises(BadInputError, match=told):
        shape(columns, **values)


def test_a_class_alone_is_a_score_of_one():
    rows, _ = shape(Columns(prediction="c"), c=["yes", "no", None])
    assert rows["_score"].to_list()[:2] == [1.0, 0.0]
    assert rows["_score"].is_nan().to_list() == [False, False, True]
    rows, _ = shape(Columns(prediction="c"), THREE, c=["c", "a"])
    assert rows["_score"].to_list() == [[0, 0, 1], [1, 0, 0]]


def test_several_scores_are_a_list_or_a_column_each():
    listed, _ = shape(Columns(score=["p"]), THREE, p=[[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
    apart, _ = shape(Columns(score=["a", "b", "c"]), THREE, a=[0.1, 1.0], b=[0.2, 0], c=[0.7, 0])
    assert listed["_score"].to_list() == apart["_score"].to_list()
    with pytest.raises(BadInputError, match="line 11: 3 scores are wanted"):
        shape(Columns(score=["p"]), THREE, p=[[0.1, 0.9], [0.5, 0.5]])
    with pytest.raises(BadInputError, match="2 score columns"):
        shape(Columns(score=["a", "b"]), THREE, a=[0.1], b=[0.9])


def test_a_regression_takes_any_number():
    rows, _ = shape(Columns(prediction="p"), NUMBER, p=[-3.0, 1e9])
    assert rows["_score"].to_list() == [-3.0, 1e9]


def test_values_of_another_type_stay_for_a_monitor_to_count():
    assert settled(pl.Series("x", ["1", "two"]), "float").to_list() == ["1", "two"]
    assert settled(pl.Series("x", [1.5]), "int").to_list() == [1.5]
    assert settled(pl.Series("x", [7]), "str").to_list() == [7]
    assert settled(pl.Series("x", ["TRUE", "false"]), "bool").to_list() == [True, False]
    assert settled(pl.Series("x", [{"a": 1}]), "str").to_list() == ['{"a":1}']


def test_times_are_read_in_many_ways():
    for given_, unit in (
        ([1.7e9], ""), ([1.7e12], "milliseconds"), ([1.7e15], "microseconds"),
        ([1.7e18], "nanoseconds"), (["2023-11-14T22:13:20Z"], ""),
        (["2023-11-14 22:13:20"], ""), (["2023-11-14T23:13:20+01:00"], ""), (["1700000000"], ""),
    ):  # fmt: skip
        times, said = seconds(pl.Series(given_))
        assert (times.to_list(), said) == ([1.7e9], unit), given_
    days = pl.Series(["1970-01-02"]).str.to_date()
    assert seconds(days)[0].to_list() == [86_400.0]


@given(st.floats(0, 4e9))
def test_a_time_written_as_iso_is_the_same_time(at):
    from mainspring.ground.clock import iso

    [found] = seconds(pl.Series([iso(at)]))[0].to_list()
    assert abs(found - at) <= 1.0
