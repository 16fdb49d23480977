import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics import comoments
from mainspring.numerics.errors import BinsDifferError, OutOfRangeError


def table(seed, rows=400, missing=0.2):
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(rows, 4)) @ rng.normal(size=(4, 4)) + [0, 1e6, -5, 1e-3]
    made[rng.random(made.shape) < missing] = np.nan
    return made


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_correlations_are_those_of_pandas_pair_by_pair(missing):
    rows = table(1, missing=missing)
    found = comoments.correlations(comoments.of_rows(rows))
    assert np.allclose(found, pd.DataFrame(rows).corr(), atol=1e-9)


@given(st.lists(st.integers(0, 400), max_size=6), st.sampled_from([0.0, 0.3]))
def test_parts_merge_to_the_whole(cuts, missing):
    rows = table(2, missing=missing)
    parts = [comoments.of_rows(part) for part in np.split(rows, sorted(cuts))]
    merged = parts[0]
    for part in parts[1:]:
        merged = comoments.merge(part, merged)
    whole = comoments.of_rows(rows)
    assert np.array_equal(merged.rows, whole.rows)
    assert np.allclose(comoments.correlations(merged), comoments.correlations(whole), atol=1e-9)


def test_a_constant_column_and_one_without_values_have_no_correlation():
    rows = np.column_stack([[0.1] * 50, [np.nan] * 50, np.arange(50)])
    found = comoments.correlations(comoments.of_rows(rows))
    assert np.isnan(found[:2]).all()
    assert found[2, 2] == pytest.approx(1)


def test_what_is_kept_comes_back_and_nonsense_is_refused():
    moments = comoments.of_rows(table(3))
    back = comoments.unpack(comoments.pack(moments))
    assert np.array_equal(back.products, moments.products)
    with pytest.raises(OutOfRangeError):
        comoments.unpack(b"nonsense")
    with pytest.raises(BinsDifferError):
        comoments.merge(moments, comoments.of_rows(np.ones((3, 2))))
