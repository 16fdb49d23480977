"""The quick check of one row says what the thorough one says, or leaves the row to it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, Signature
from mainspring.scaling.models.check import check
from mainspring.scaling.models.one_row import OneRow

SIGNATURE = Signature(
    columns=[
        Column(name="x", type="float", nullable=True),
        Column(name="n", type="int", nullable=False),
        Column(name="y", type="float", nullable=False),
        Column(name="word", type="str", nullable=True),
        Column(name="yes", type="bool"),
    ],
    target="t",
    kind="regression",
)
ROW = {"x": 1.5, "n": 3, "y": 2.0, "word": "a", "yes": True}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=1),
)


@given(st.sampled_from(sorted(ROW)), VALUES)
def test_any_value_in_any_column_is_taken_as_the_thorough_check_takes_it(name, value):
    columns = {column: [value if column == name else ROW[column]] for column in ROW}
    quick = OneRow(SIGNATURE).check(columns)
    if quick is None:
        return
    thorough = check(columns, SIGNATURE)
    assert list(quick.columns) == list(thorough.columns)
    assert quick.types == thorough.types
    assert quick.rows == thorough.rows == 1
    for column, values in thorough.columns.items():
        mine = quick.columns[column]
        assert type(mine) is type(values)
        if isinstance(values, list):
            assert mine == values
        else:
            assert mine.dtype == values.dtype
            np.testing.assert_array_equal(mine, values)


def test_a_plain_row_needs_no_closer_look():
    quick = OneRow(SIGNATURE).check({name: [value] for name, value in ROW.items()})
    assert quick is not None
    assert quick.columns["n"].tolist() == [3]
    gap = OneRow(SIGNATURE).check({**{n: [v] for n, v in ROW.items()}, "x": [None]})
    assert gap is not None
    assert math.isnan(gap.columns["x"][0])
    assert gap.has_missing()


@pytest.mark.parametrize(
    "change",
    [
        {"x": [1.0, 2.0]},
        {"y": [None]},
        {"n": [2.0]},
        {"y": [math.inf]},
        {"y": [True]},
        {"z": [1.0]},
        {"y": 1.0},
    ],
    ids=["rows", "gap", "decimal", "infinite", "truth", "unknown", "scalar"],
)
def test_what_is_not_plain_is_left_to_the_thorough_check(change):
    columns = {**{name: [value] for name, value in ROW.items()}, **change}
    assert OneRow(SIGNATURE).check(columns) is None


def test_a_missing_column_is_still_named():
    columns = {name: [value] for name, value in ROW.items() if name != "word"}
    assert OneRow(SIGNATURE).check(columns) is None
    with pytest.raises(BadInputError, match="'word' is missing"):
        check(columns, SIGNATURE)
