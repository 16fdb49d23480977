import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics import distinct, tallies
from mainspring.numerics.errors import BinsDifferError
from mainspring.numerics.frequent import Frequent
from mainspring.numerics.histograms import count_values
from mainspring.numerics.merging import is_key, merge_columns, merge_profiles
from mainspring.numerics.profiles import OTHER, profile_columns
from mainspring.numerics.tallies import Tally


def texts(tally, counts, kind="String"):
    names = list(counts)
    data = [name.encode() for name in names]
    hashes = distinct.hash_texts(b"".join(data), [len(one) for one in data])
    repeats = np.array(list(counts.values()))
    return tallies.with_texts(tally, Frequent(counts, int(repeats.sum())), hashes, repeats, kind)


def numbers(values, kind="Fractional"):
    return tallies.with_numbers(Tally(), values, kind)


def test_moments_and_ends_are_those_of_numpy():
    values = np.random.default_rng(1).normal(1e9, 2.0, 100_000)
    found = tallies.finish("x", numbers(values))
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.std == pytest.approx(values.std(), rel=1e-6)
    assert (found.low, found.high) == (values.min(), values.max())
    assert found.quantiles["0.5"] == pytest.approx(np.median(values), abs=0.02)


def test_the_cells_are_those_that_a_window_is_counted_over():
    values = np.random.default_rng(2).integers(0, 200, 5_000)
    found = tallies.finish("x", numbers(values, "Integral"))
    exact = profile_columns({"x": values})[0]
    assert found.edges == exact.edges
    assert found.counts == exact.counts
    assert count_values(np.array(found.edges), values).counts.tolist() == found.counts


@given(
    st.lists(st.lists(st.floats(-1e9, 1e9, width=32), max_size=40), min_size=1, max_size=5),
    st.randoms(),
)
def test_profiles_of_parts_merge_to_that_of_the_whole_in_any_order(parts, random):
    whole = tallies.finish("x", numbers([value for part in parts for value in part]))
    random.shuffle(parts)
    merged = tallies.finish("x", numbers(parts[0]))
    for part in parts[1:]:
        merged = merge_columns(merged, tallies.finish("x", numbers(part)))
    for name in ("rows", "missing", "kind", "low", "high", "distinct", "counts", "quantiles"):
        assert getattr(merged, name) == getattr(whole, name)
    if whole.mean is not None:
        assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)


def test_a_column_is_of_the_kind_of_nine_in_ten_values_and_the_rest_is_wrong():
    found = tallies.finish("x", texts(numbers(np.arange(95), "Integral"), {"n/a": 5}))
    assert (found.type, found.kind, found.wrong) == ("number", "Integral", 5)
    assert sum(found.counts) == 95
    mixed = tallies.finish("x", texts(numbers(np.arange(80.0), "Integral"), {"n/a": 20}))
    assert (mixed.type, mixed.kind, mixed.wrong) == ("category", "String", 0)
    assert mixed.categories["n/a"] == 20
    assert mixed.categories["7"] == 1


def test_one_fraction_makes_a_column_of_whole_numbers_fractional():
    tally = tallies.merge(numbers(np.arange(99), "Integral"), numbers([0.5]))
    assert tallies.finish("x", tally).kind == "Fractional"


def test_merging_settles_the_kind_anew():
    letters = tallies.finish("x", texts(Tally(), {"a": 9}))
    digits = tallies.finish("x", numbers(np.arange(200), "Integral"))
    assert merge_columns(letters, digits).kind == "Integral"
    assert merge_columns(letters, digits).wrong == 9
    again = merge_columns(merge_columns(letters, digits), tallies.finish("x", texts(
        Tally(), {"b": 500})))  # fmt: skip
    assert again.kind == "String"
    assert again.categories["a"] == 9
    assert again.categories["7"] == 1


def test_beyond_a_thousand_values_each_count_states_its_error():
    many = {f"value {n}": 3 + n % 5 for n in range(3_000)} | {"often": 4_000}
    first = tallies.finish("x", texts(Tally(), many))
    assert len(first.categories) == 1_001
    assert sum(first.categories.values()) == first.rows
    assert first.categories_error == 0
    assert first.categories_rest == 7 or first.categories_rest == 6
    both = merge_columns(first, first)
    assert both.rows == 2 * first.rows
    for value, count in many.items():
        listed = both.categories.get(value)
        if listed is None:
            assert 2 * count <= both.categories_rest
        else:
            assert listed <= 2 * count <= listed + both.categories_error
    assert both.categories[OTHER] == both.rows - sum(
        n for name, n in both.categories.items() if name != OTHER
    )


def test_an_empty_column_is_of_no_kind_and_joins_anything():
    empty = tallies.finish("x", tallies.with_missing(Tally(), 4))
    assert (empty.kind, empty.missing, empty.distinct, empty.mean) == ("Unknown", 4, 0, None)
    joined = merge_columns(empty, tallies.finish("x", numbers([1.0, 2.0])))
    assert (joined.kind, joined.rows, joined.missing) == ("Fractional", 6, 4)


def test_infinities_are_in_the_distribution_and_in_no_moment():
    found = tallies.finish("x", numbers([1.0, np.inf, -np.inf, 3.0, np.nan]))
    assert (found.rows, found.missing, found.mean, found.low, found.high) == (5, 1, 2, 1, 3)
    assert sum(found.counts) == 4
    only = tallies.finish("x", numbers([np.inf]))
    assert (only.mean, only.low, only.counts) == (None, None, [])


def test_numbers_near_the_end_of_what_a_float_holds_have_no_moments_but_ranks():
    found = tallies.finish("x", numbers([1e308, 1.5e308, -1.7e308]))
    assert found.std is None
    assert found.quantiles["0.5"] == 1e308
    assert merge_columns(found, found).rows == 6


def test_a_key_has_a_value_of_its_own_in_every_row():
    rows = np.arange(5_000)
    assert is_key(tallies.finish("x", numbers(rows, "Integral")))
    assert not is_key(tallies.finish("x", numbers(rows)))  # fractional
    assert not is_key(tallies.finish("x", numbers([*range(1_000), 7], "Integral")))
    assert not is_key(tallies.finish("x", tallies.with_missing(numbers(rows, "Integral"), 1)))


def test_profiles_of_the_first_format_still_merge_over_their_edges_and_cannot_go_on():
    old = profile_columns({"x": [1.0, 2.0]})[0]
    assert merge_columns(old, old).rows == 4
    with pytest.raises(BinsDifferError):
        tallies.resume(old)


def test_a_column_of_one_part_is_missing_in_the_rows_of_the_other():
    from mainspring.numerics.merging import assemble

    one = assemble(2, [tallies.finish("x", numbers([1.0, 2.0]))], None)
    two = assemble(3, [tallies.finish("y", numbers([1.0, 2.0, 3.0]))], None)
    merged = {column.name: column for column in merge_profiles(one, two).columns}
    assert (merged["x"].rows, merged["x"].missing) == (5, 3)
    assert (merged["y"].rows, merged["y"].missing) == (5, 2)
