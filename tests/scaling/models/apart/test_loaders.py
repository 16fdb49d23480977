"""What a model of a user's answers becomes scores, or is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.scaling.models.apart.loaders import answers

TWO = {"kind": "binary", "classes": ["no", "yes"]}
BITS = {"kind": "binary", "classes": ["0", "1"]}
THREE = {"kind": "multiclass", "classes": ["a", "b", "c"]}
NUMBERS = {"kind": "multiclass", "classes": ["1", "2", "3"]}
VALUE = {"kind": "regression", "classes": []}


@pytest.mark.parametrize(
    ("found", "told", "wanted"),
    [
        ([0.25, 1.0], TWO, [[0.25], [1.0]]),
        (["yes", "no"], TWO, [[1.0], [0.0]]),
        (np.array([[0.75, 0.25]]), TWO, [[0.25]]),
        ([1, 0], BITS, [[1.0], [0.0]]),
        ([True, False], BITS, [[1.0], [0.0]]),
        (np.array([0.5, 0.125]), BITS, [[0.5], [0.125]]),
        ([2, 1], {"kind": "binary", "classes": ["1", "2"]}, [[1.0], [0.0]]),
        (["c"], THREE, [[0.0, 0.0, 1.0]]),
        (np.array([2.0]), NUMBERS, [[0.0, 1.0, 0.0]]),
        (np.array([[0.2, 0.3, 0.5]]), THREE, [[0.2, 0.3, 0.5]]),
        (pd.DataFrame({"p": [0.5]}), TWO, [[0.5]]),
        (pl.DataFrame({"a": [0.5], "b": [0.5]}), TWO, [[0.5]]),
        (pd.Series([3, 4]), VALUE, [[3.0], [4.0]]),
        (pl.Series([3.5]), VALUE, [[3.5]]),
    ],
    ids=range(14),
)
def test_answers_of_every_shape_become_scores(found: Any, told: Any, wanted: Any) -> None:
    assert answers(found, told, len(wanted)) == wanted


@pytest.mark.parametrize(
    ("found", "told", "why"),
    [
        ([0.5], TWO, "1 answers to 2 rows"),
        ([0.5, 1.5], TWO, "1.5, which is no probability"),
        ([float("nan"), 0.1], TWO, "nan, which is no probability"),
        (["maybe", "yes"], TWO, "'maybe', the classes are no, yes"),
        ([[0.5, 0.5], [0.2, 0.8]], THREE, "2 scores a row, there are 3 classes"),
        ([[1.0, 2.0], [1.0, 2.0]], VALUE, "a regression gives one"),
        ([[1.0], 2.0], VALUE, "lists for some rows"),
        ([None, 1.0], TWO, "'None'"),
    ],
    ids=range(8),
)
def test_answers_that_are_none_are_refused_in_words(found: Any, told: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        answers(found, told, 2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_probability_stays_what_it_was_whichever_way_it_is_told(shares: list[float]) -> None:
    wanted = [[one] for one in shares]
    assert answers(shares, TWO, len(shares)) == wanted
    assert answers([[1 - one, one] for one in shares], TWO, len(shares)) == wanted
