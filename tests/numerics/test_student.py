"""Student's t with any degrees of freedom, central and shifted: hand cases, laws, scipy."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.student import beta_share, shifted_tail, student_point, student_tail

DEGREES = st.floats(1, 3_000)


@given(st.floats(0, 1), st.floats(0.5, 500), st.floats(0.5, 500))
@settings(max_examples=300)
def test_the_incomplete_beta_agrees_with_scipy(x, a, b):
    assert beta_share(x, a, b) == pytest.approx(special.betainc(a, b, x), abs=1e-11)


def test_the_incomplete_beta_by_hand():
    # I_x(1, b) = 1 - (1 - x)^b and I_x(a, 1) = x^a.
    assert beta_share(0.3, 1, 4) == pytest.approx(1 - 0.7**4, abs=1e-15)
    assert beta_share(0.3, 5, 1) == pytest.approx(0.3**5, abs=1e-15)


@given(st.floats(-1e6, 1e6), DEGREES)
@settings(max_examples=300)
def test_tails_agree_with_scipy(t, degrees):
    # Close to 0 it is scipy that is off, by 1e-10: see the arc tangent below.
    assert student_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), abs=1e-9)


@given(st.floats(1e-5, 1 - 1e-5), DEGREES)
def test_points_agree_with_scipy_and_undo_the_tail(probability, degrees):
    point = student_point(probability, degrees)
    assert point == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-7, abs=1e-7)
    assert student_tail(point, degrees) == pytest.approx(1 - probability, abs=1e-9)


def test_tails_at_one_degree_by_hand():
    # One degree of freedom is the Cauchy distribution: P(T > t) = 1/2 - atan(t) / pi.
    for t in (-3.0, 0.0, 9.8e-8, 0.5, 12.7):
        assert student_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, abs=1e-14)


@given(
    st.floats(-700, 700).filter(lambda t: abs(t) > 0.01),  # scipy's series does not end near 0
    st.one_of(st.integers(1, 5).map(float), DEGREES),
    st.floats(-60, 60),
)
@settings(max_examples=300)
def test_shifted_tails_agree_with_scipy_at_one_degree_too(t, degrees, shift):
    expected = float(stats.nct.sf(t, degrees, shift))
    assert shifted_tail(t, degrees, shift) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 7, 60])
@pytest.mark.parametrize(("t", "shift"), [(12.706, 3.0), (2.0, 0.5), (0.0, -1.0), (63.7, 40.0)])
def test_shifted_tails_are_the_integral_they_are_defined_as(degrees, t, shift):
    def inner(s):
        return stats.norm.cdf(shift - t * s / math.sqrt(degrees)) * stats.chi.pdf(s, degrees)

    top = math.sqrt(degrees) + 14
    turn = [shift * math.sqrt(degrees) / t] if t and 0 < shift * degrees**0.5 / t < top else []
    points = sorted({0.01, math.sqrt(degrees), *turn})
    expected, _ = integrate.quad(inner, 0, top, points=points, limit=500, epsabs=1e-13)
    assert shifted_tail(t, degrees, shift) == pytest.approx(expected, abs=1e-10)


def test_a_shifted_tail_by_hand():
    # At t = 0 it asks only whether Z + shift is above 0.
    for degrees in (1, 2.5, 80):
        expected = stats.norm.cdf(1.25)
        assert shifted_tail(0.0, degrees, 1.25) == pytest.approx(expected, abs=1e-13)
    assert shifted_tail(math.inf, 3, 1.0) == 0.0
    assert shifted_tail(-math.inf, 3, 1.0) == 1.0


@given(st.floats(-50, 50), DEGREES)
def test_without_a_shift_it_is_students_t(t, degrees):
    assert shifted_tail(t, degrees, 0.0) == pytest.approx(student_tail(t, degrees), abs=1e-10)


@given(st.floats(-20, 20), DEGREES, st.floats(-30, 30), st.floats(0, 10))
def test_a_larger_shift_never_lies_above_less_often(t, degrees, shift, more):
    lower = shifted_tail(t, degrees, shift)
    assert shifted_tail(t, degrees, shift + more) >= lower - 1e-10
    mirrored = 1 - shifted_tail(-t, degrees, -shift)
    assert lower == pytest.approx(mirrored, abs=1e-10)


def test_what_has_no_answer_is_refused():
    for refused in (
        lambda: beta_share(1.5, 1, 1),
        lambda: student_tail(1.0, 0.5),
        lambda: student_point(0.0, 2.5),
        lambda: shifted_tail(1.0, 0.2, 0.0),
        lambda: shifted_tail(1.0, 2, math.nan),
    ):
        with pytest.raises(OutOfRangeError):
            refused()
