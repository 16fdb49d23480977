"""Values counted on an even grid fall into the same cells as values that were sorted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics.histograms import reference_edges
from mainspring.numerics.profiles import count_single, present_single, single

ROWS = 40_000
KINDS = {
    "normal": lambda rng: rng.normal(size=ROWS),
    "heavy tails": lambda rng: rng.standard_t(1.5, ROWS),
    "rounded": lambda rng: np.round(rng.exponential(size=ROWS), 1),
    "few values": lambda rng: rng.integers(0, 5, ROWS).astype(float),
    "mostly zero": lambda rng: np.where(rng.random(ROWS) < 0.8, 0, rng.exponential(size=ROWS)),
    "huge": lambda rng: 1e30 * rng.normal(size=ROWS),
    "beyond single precision": lambda rng: 1e300 * rng.normal(size=ROWS),
    "far from 0": lambda rng: 1e6 + 1e-2 * rng.normal(size=ROWS),
    "tiny": lambda rng: 1e-42 * rng.normal(size=ROWS),
    "infinite": lambda rng: np.where(rng.random(ROWS) < 0.01, np.inf, rng.normal(size=ROWS)),
    "missing": lambda rng: np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS)),
}


def by_sorting(edges, values) -> list[int]:
    ordered = np.sort(values).astype(np.float64)
    below = np.searchsorted(ordered, np.asarray(edges), side="right")
    return np.diff(below, prepend=0, append=ordered.size).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_grid_counts_as_sorting_does(kind) -> None:
    rng = np.random.default_rng(0)
    before = single(KINDS[kind](rng))
    edges = reference_edges(before) if np.isfinite(before).any() else np.zeros(1)
    values = present_single(KINDS[kind](rng))
    found = count_single(edges, values)
    assert found.tolist() == by_sorting(edges, values)
    assert found.tolist() == count_single(edges, rng.permutation(values)).tolist()


@given(
    edges=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30, unique=True),
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([1e-6, 1.0, 300.0, 1e5]),
)
def test_whatever_the_edges_every_value_is_counted_in_its_cell(edges, seed, spread) -> None:
    rng = np.random.default_rng(seed)
    near = np.repeat(np.asarray(edges), 700)[:10_000]  # on the edges, and next to them
    values = present_single(np.concatenate((near, spread * rng.normal(size=20_000))))
    ascending = sorted(edges)
    assert count_single(ascending, values).tolist() == by_sorting(ascending, values)
