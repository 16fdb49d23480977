import numpy as np
import pytest

from mainspring.ground.contracts import Contract, Expect
from mainspring.numerics.rowwise import RowChecks


def broken(expect, values):
    checks = RowChecks(Contract(columns={"x": expect}), ["x"])
    return [(one.check, one.count, one.row, one.strict) for one in checks.broken({"x": values})]


@pytest.mark.parametrize(
    ("expect", "values", "found"),
    [
        (Expect(low=0, high=9), [0, 9.0, 9.5, -1], ("range", 2, 2, True)),
        (Expect(low=0, outside=0.1), [-1], ("range", 1, 0, False)),
        (Expect(type="Integral"), [1, 2.0, 2.5], ("type", 1, 2, True)),
        (Expect(completeness=1.0), [1, None, float("nan")], ("completeness", 2, 1, True)),
        (Expect(allowed=["Ulm", "7"]), ["Ulm", "Bonn"], ("domain", 1, 1, True)),
        (Expect(allowed=["Ulm"], unseen=0.2), ["Bonn"], ("domain", 1, 0, False)),
        (Expect(allowed=["true"]), [True, False], ("domain", 1, 1, True)),
        (Expect(allowed=["1", "2.5"]), [1, 2.5, 3], ("domain", 1, 2, True)),
    ],
)
def test_what_breaks_a_check_is_counted_with_the_first_row(expect, values, found):
    assert broken(expect, values) == [found]
    assert broken(expect, np.array(values, dtype=object)) == [found]


def test_a_gap_is_neither_out_of_range_nor_unseen_nor_of_another_type():
    gaps = [None, float("nan")]
    for expect in (Expect(low=0), Expect(allowed=["a"]), Expect(type="Integral")):
        assert broken(expect, gaps) == []


def test_what_cannot_be_told_of_single_rows_is_not_asked():
    expect = Expect(completeness=0.99, unique=True, pattern="a", newest_within_s=1.0)
    assert not RowChecks(Contract(columns={"x": expect}), ["x"])
    assert not RowChecks(Contract(columns={"x": Expect(low=0)}), ["y"])
    checks = RowChecks(Contract(columns={"x": Expect(low=0)}), ["x"])
    assert checks.broken({}) == []
