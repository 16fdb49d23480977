"""Columns that no longer move together: found at once, with one cause, and quiet otherwise."""

import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
from mainspring.monitoring.joint import MOST_ROWS, SUBJECT, joint
from mainspring.monitoring.judge import judge_inputs
from mainspring.monitoring.sight import Sight
from mainspring.numerics.profiles import profile_columns

NAMES = ["a", "b", "c", "kind", "idle"]
POLICY = MonitorPolicy(window_s=1000.0)
SIGNATURE = Signature(
    columns=[Column(name=n, type="str" if n == "kind" else "float") for n in NAMES],
    kind="binary",
    target="y",
)


def table(rows: int, seed: int, sign: float = 1.0) -> pl.DataFrame:
    """Return rows in which a and b move together by 0.7 (or -0.7), and kind with a."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows)
    b = sign * 0.7 * a + np.sqrt(1 - 0.49) * rng.normal(size=rows)
    c = np.exp(rng.normal(size=rows) + 0.5 * a)
    c[rng.random(rows) < 0.05] = np.nan
    kind = np.where(a + rng.normal(size=rows) > 0.5, "high", "low")
    return pl.DataFrame(
        {
            "_time": np.sort(rng.uniform(0, 1000, rows)),
            "_version": np.ones(rows, dtype=np.int64),
            "_score": 1 / (1 + np.exp(-a)),
            "a": a,
            "b": b,
            "c": c,
            "kind": kind,
            "idle": a + 0.1 * rng.normal(size=rows),
        }
    )


REFERENCE = table(8_000, 1)
SHARES = {"a": 0.4, "b": 0.3, "c": 0.2, "kind": 0.1, "idle": 0.0}
BASELINE = Profile(rows=8_000, columns=profile_columns({n: REFERENCE[n] for n in NAMES}, SHARES))


def look(frame: pl.DataFrame, reference: pl.DataFrame | None = REFERENCE, **policy):
    return joint(
        Sight(
            frame=frame,
            baseline=BASELINE,
            signature=SIGNATURE,
            policy=msgspec.structs.replace(POLICY, **policy),
            span=(0.0, 1000.0),
            endpoint="e",
            version=1,
            window="e:0",
            reference=reference,
        )
    )


def test_windows_that_move_together_as_ever_are_quiet():
    for seed in range(2, 42):
        found = look(table(500, seed))
        assert [(one.subject, one.verdict) for one in found] == [(SUBJECT, "quiet")]
    assert 0.1 <= found[0].smallest < 0.6
    assert "may be chance" in found[0].why
    assert found[0].detail["pairs"] == 6


def test_a_correlation_that_flipped_is_found_in_the_first_window_though_no_column_drifts():
    frame = table(1_000, 5, sign=-1.0)
    window, alarms = judge_inputs(
        frame, BASELINE, SIGNATURE, POLICY, (0, 1000), "e", 1, reference=REFERENCE
    )
    assert {row["verdict"] for row in window.drift} == {"quiet"}
    assert {alarm.kind for alarm in alarms} == {"joint"}
    subjects = {alarm.subject for alarm in alarms}
    assert subjects == {"b"}
    assert "no longer moves together with" in alarms[0].reason
    assert "a and b from +0.6" in alarms[0].reason or "b from +0.6" in alarms[0].reason


def test_a_shuffled_column_is_one_cause_and_not_one_for_each_pair():
    frame = table(4_000, 5)
    shuffled = frame.with_columns(a=frame["a"].sample(fraction=1, shuffle=True, seed=1))
    alarms = [one for one in look(shuffled) if one.verdict == "alarm"]
    assert [one.subject for one in alarms] == ["a"]
    assert len(alarms[0].detail["pairs"]) == 3


def test_a_single_pair_is_named():
    frame = table(4_000, 5)
    # c apart from a only: b and kind hardly hang on it.
    rng = np.random.default_rng(0)
    apart = frame.with_columns(
        c=pl.Series(np.exp(rng.normal(size=4_000) + 0.3 * frame["b"].to_numpy()))
    )
    found = [one for one in look(apart, material_joint=0.2) if one.verdict == "alarm"]
    assert [one.subject for one in found] == ["a and c"]


def test_a_category_that_no_longer_goes_with_a_number_is_found():
    frame = table(4_000, 5)
    apart = frame.with_columns(kind=frame["kind"].sample(fraction=1, shuffle=True, seed=1))
    assert [one.subject for one in look(apart) if one.verdict == "alarm"] == ["kind"]


def test_what_the_model_ignores_is_not_compared():
    frame = table(4_000, 5)
    apart = frame.with_columns(idle=frame["idle"].sample(fraction=1, shuffle=True, seed=1))
    assert {one.verdict for one in look(apart)} == {"quiet"}


def test_a_change_below_the_line_is_quiet_however_certain():
    found = look(table(4_000, 5, sign=0.75), material_joint=0.5)
    assert [one.verdict for one in found] == ["quiet"]
    assert "Certain, but below 0.5" in found[0].why


def test_a_monotone_change_of_units_is_no_change_together():
    frame = table(4_000, 5).with_columns(pl.col("a") * 100, pl.col("c").exp().clip(0, 1e300))
    assert {one.verdict for one in look(frame)} == {"quiet"}


def test_the_order_of_rows_does_not_matter():
    frame = table(2_000, 5, sign=-1.0)
    assert look(frame) == look(frame.sample(fraction=1, shuffle=True, seed=2))


def test_a_large_window_is_sampled_evenly():
    found = look(table(3 * MOST_ROWS, 5))
    assert found[0].detail["compared_rows"] == MOST_ROWS
    assert found[0].rows == 3 * MOST_ROWS


def test_a_column_without_values_is_left_to_quality():
    found = look(table(2_000, 5).with_columns(b=pl.lit(None, dtype=pl.Float64)))
    assert [(one.subject, one.verdict) for one in found] == [(SUBJECT, "quiet")]
    assert found[0].detail["columns_left_out"] == 1


@pytest.mark.parametrize(
    ("frame", "reference", "said"),
    [
        (table(2_000, 5), None, "before reference rows were kept"),
        (table(2_000, 5), REFERENCE.head(20), "keeps 20 reference rows"),
        (table(3, 5), REFERENCE, "the window has 3 rows, 200 are needed"),
        (table(2_000, 5).clear(), REFERENCE, "the window has 0 rows"),
        (table(2_000, 5).drop("a", "b", "c"), REFERENCE, "listens to fewer than two columns"),
        (
            table(2_000, 5).with_columns(pl.lit(1.0).alias(n) for n in ("a", "b", "c")),
            REFERENCE,
            "fewer than two columns have values that differ",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(frame, reference, said):
    found = look(frame, reference)
    assert len(found) == 1
    assert found[0].value is None
    assert found[0].verdict in ("not judged", "too few rows")
    assert said in found[0].why


def test_unseen_categories_and_odd_types_say_nothing():
    odd = table(2_000, 5).with_columns(kind=pl.Series([[1]] * 2_000))
    new = table(2_000, 5).with_columns(kind=pl.lit("never seen"))
    for frame in (odd, new):
        found = look(frame)
        assert found[0].detail["columns_left_out"] == 1


def test_a_category_of_a_thousand_levels_raises_nothing_by_itself():
    # Its levels' mean scores would be learned by heart from the reference.
    rng = np.random.default_rng(0)
    many = [f"t{place}" for place in range(1000)]
    weights = 1 / np.arange(1, 1001)
    weights /= weights.sum()

    def with_many(frame):
        return frame.with_columns(kind=pl.Series(rng.choice(many, frame.height, p=weights)))

    reference = with_many(REFERENCE)
    profile = profile_columns({n: reference[n] for n in NAMES}, SHARES)
    for seed in range(20):
        window, alarms = judge_inputs(
            with_many(table(500, seed)),
            Profile(rows=8_000, columns=profile),
            SIGNATURE,
            POLICY,
            (0, 1000),
            "e",
            1,
            reference=reference,
        )
        assert alarms == []
        assert {one.verdict for one in window.found if one.monitor == "joint"} == {"quiet"}


def test_rows_in_runs_are_not_taken_for_a_change():
    alarms = 0
    for seed in range(30):
        runs = table(60, seed)
        at = np.repeat(np.arange(60), 15)
        frame = runs[at].with_columns(_time=np.linspace(0, 999, at.size))
        alarms += any(one.verdict == "alarm" for one in look(frame))
    assert alarms == 0
