"""Features become finite numbers for simpler models, whatever the fresh rows hold."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.workspace.measuring.simpler import encoder

LEARNT = pl.DataFrame(
    {
        "n": [1.0, 3.0, None, 8.0],
        "flag": [True, False, True, True],
        "word": ["a", "b", "a", None],
        "gone": pl.Series([None, None, None, None], dtype=pl.Float64),
    }
)


def test_numbers_gaps_and_texts_become_columns_by_hand() -> None:
    found = encoder(LEARNT)(LEARNT)
    # n and whether it was there; flag; gone and whether it was there; a, b.
    assert found.tolist() == [
        [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        [3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        [4.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        [8.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
    ]


def test_what_training_never_held_is_cut_to_what_it_did() -> None:
    fresh = LEARNT.head(1).with_columns(n=pl.lit(1e9), word=pl.lit("zebra"))
    row = encoder(LEARNT)(fresh)[0]
    assert row[0] == 8.0  # as far above the mean as training reached
    assert row[-2:].tolist() == [0.0, 0.0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.floats(), st.none() | st.booleans(), st.none() | st.text()),
        min_size=1,
        max_size=20,
    )
)
def test_no_value_of_a_fresh_row_gives_anything_but_finite_numbers(rows: list[tuple]) -> None:
    numbers, flags, words = zip(*rows, strict=True)
    fresh = pl.DataFrame(
        {"n": numbers, "flag": flags, "word": words, "gone": numbers},
        schema={"n": pl.Float64, "flag": pl.Boolean, "word": pl.String, "gone": pl.Float64},
        strict=False,
    )
    found = encoder(LEARNT)(fresh)
    assert found.shape == (len(rows), 7)
    assert np.isfinite(found).all()
