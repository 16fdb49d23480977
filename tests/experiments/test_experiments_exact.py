from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments.exact import exact_float, exact_int, exact_text, param_text
from mainspring.experiments.metrics import check_point
from mainspring.ground.errors import BadInputError, NotExactError, TooLargeError


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (2**53 + 1, 0),
        (10**400, 0),
        (Decimal("0.1"), 0),
        (Fraction(1, 3), 0),
        (1, 2**63),
        (1, -(2**63) - 1),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(value: object, step: int) -> None:
    with pytest.raises(NotExactError):
        check_point("m", value, step, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "step", "at"),
    [
        ("m", "1", 0, 1.0),
        ("m", None, 0, 1.0),
        ("m", [1], 0, 1.0),
        ("m", np.array([1.0, 2.0]), 0, 1.0),
        ("m", 1, 1.5, 1.0),
        ("m", 1, True, 1.0),
        ("m", 1, 0, math.nan),
        ("", 1, 0, 1.0),
        ("k" * 251, 1, 0, 1.0),
        ("a\x00b", 1, 0, 1.0),
    ],
)
def test_what_is_no_point_is_refused(key: str, value: object, step: object, at: float) -> None:
    with pytest.raises(BadInputError):
        check_point(key, value, step, at)


@given(st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | st.booleans())
def test_a_number_keeps_its_value(value: float) -> None:
    assert exact_float(value, "m") == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_whole_number_of_64_bits_keeps_its_value(value: int) -> None:
    assert exact_int(value, "step") == value == exact_int(np.int64(value), "step")


def test_numpy_numbers_are_numbers() -> None:
    assert exact_float(np.float32(0.1), "m") == float(np.float32(0.1))
    assert param_text(np.int64(3), "p") == "3"


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "x\udfff"])
def test_text_that_a_database_would_alter_is_refused(text: str) -> None:
    with pytest.raises(NotExactError):
        exact_text(text, "tag")


def test_long_text_is_an_artifact() -> None:
    with pytest.raises(TooLargeError, match="artifact"):
        exact_text("x" * 64_001, "tag")


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", {"a": object()}, ["\ud800"]])
def test_a_param_is_plain(value: object) -> None:
    with pytest.raises(BadInputError):
        param_text(value, "p")
