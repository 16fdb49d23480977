import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics import distinct
from mainspring.numerics.errors import OutOfRangeError

WORDS = st.lists(st.text(max_size=12), max_size=60)


def of_texts(words):
    data = [word.encode("utf-8", "surrogatepass") for word in words]
    return distinct.hash_texts(b"".join(data), [len(word) for word in data])


def of_numbers(values):
    return distinct.add(distinct.EMPTY, distinct.hash_numbers(values))


@given(WORDS)
def test_few_different_values_are_counted_exactly(words):
    known = distinct.add(distinct.EMPTY, of_texts(words))
    assert distinct.count(known) == len(set(words))
    assert distinct.relative_error(known) == 0
    again = sum(words.count(word) > 1 for word in set(words))
    assert distinct.repeated(known)[0] == (again / len(set(words)) if words else 0)


@pytest.mark.parametrize("different", [3_000, 50_000, 400_000])
def test_many_are_counted_within_four_standard_errors(different):
    values = np.random.default_rng(different).integers(0, different, 500_000)
    known = of_numbers(values)
    truth = pl.Series(values).n_unique()
    error = distinct.relative_error(known)
    assert 0 < error < 0.0223
    assert abs(distinct.count(known) / truth - 1) < 4 * error


def test_a_key_is_told_from_a_column_of_which_a_hundredth_comes_again():
    rows = np.arange(300_000)
    key, nearly = of_numbers(rows), of_numbers(np.concatenate((rows, rows[:3_000])))
    assert distinct.repeated(key) == (0.0, pytest.approx(0.00187, abs=1e-5))
    assert distinct.repeated(nearly)[0] == pytest.approx(0.01, abs=0.009)
    assert distinct.repeated(nearly)[0] > 0


@given(st.lists(st.lists(st.integers(0, 5_000), max_size=400), max_size=6), st.randoms())
def test_merging_gives_the_same_bytes_in_any_order(parts, random):
    whole = of_numbers(np.array([v for part in parts for v in part], dtype=np.int64))
    random.shuffle(parts)
    merged = distinct.EMPTY
    for part in parts:
        merged = distinct.merge(merged, of_numbers(np.array(part, dtype=np.int64)))
    assert distinct.pack(merged) == distinct.pack(whole)


def test_merging_full_sketches_is_that_of_the_whole_whichever_comes_first():
    rng = np.random.default_rng(7)
    one, two = rng.integers(0, 9_000, 20_000), rng.integers(5_000, 60_000, 90_000)
    whole = distinct.pack(of_numbers(np.concatenate((one, two))))
    few = of_numbers(one[:50])
    assert distinct.pack(distinct.merge(of_numbers(one), of_numbers(two))) == whole
    assert distinct.pack(distinct.merge(of_numbers(two), of_numbers(one))) == whole
    left = distinct.merge(few, of_numbers(two))
    assert distinct.pack(left) == distinct.pack(distinct.merge(of_numbers(two), few))


def test_what_is_kept_comes_back():
    known = of_numbers(np.random.default_rng(8).normal(size=10_000))
    back = distinct.unpack(distinct.pack(known))
    assert distinct.count(back) == distinct.count(known)
    assert back.counts.tolist() == known.counts.tolist()


def test_equal_numbers_are_one_value_whatever_their_type():
    whole = distinct.hash_numbers(np.array([0, 7, -7]))
    assert whole.tolist() == distinct.hash_numbers([-0.0, 7.0, -7.0]).tolist()


def test_large_whole_numbers_are_told_apart():
    large = np.array([2**62, 2**62 + 1, 2**62 + 2])
    assert distinct.count(of_numbers(large)) == 3
    assert distinct.count(of_numbers(large.astype(float))) == 1


def test_hashes_do_not_change_between_releases():
    assert distinct.hash_numbers([1.0]).tolist() == [9860564707913756141]
    assert of_texts(["Ulm", ""]).tolist() == [11355259241945976284, 16294208416658607535]


def test_texts_of_any_length_are_hashed_alike_wherever_they_stand():
    long = "x" * (distinct._BYTES_AT_ONCE + 5)
    words = ["", "a", long, "Köln", "a", ""]
    found = of_texts(words).tolist()
    assert found == [of_texts([word])[0] for word in words]
    assert len(set(found)) == 4


def test_lengths_that_do_not_fit_the_bytes_are_refused():
    with pytest.raises(OutOfRangeError):
        distinct.hash_texts(b"abc", [2])


@pytest.mark.parametrize("data", [b"", b"\x07\x01\x00\x00\x00\x00", b"\x01\x01\x09\x00\x00\x00xx"])
def test_bytes_that_are_no_sketch_are_refused(data):
    with pytest.raises(OutOfRangeError):
        distinct.unpack(data)
