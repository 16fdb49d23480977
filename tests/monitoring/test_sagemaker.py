import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.monitoring import sagemaker
from mainspring.monitoring.constraints import check_frames
from mainspring.monitoring.profiling import profile_frames
from mainspring.numerics import contracts, sketches

RNG = np.random.default_rng(1)
ROWS = pl.DataFrame(
    {
        "x": RNG.normal(size=20_000),
        "n": RNG.integers(0, 40, 20_000),
        "city": pl.Series(np.array(["Ulm", "Bonn", "Kiel"])).gather(RNG.integers(0, 3, 20_000)),
        "gap": [None if i % 4 == 0 else float(i % 9) for i in range(20_000)],
        "none": pl.Series([None] * 20_000, dtype=pl.Float64),
    }
)
#: As SageMaker writes them: figures of a baseline of its own, by hand.
STATISTICS = {
    "version": 0.0,
    "dataset": {"item_count": 6},
    "features": [
        {
            "name": "age",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 5, "num_missing": 1},
                "mean": 3.0, "sum": 15.0, "std_dev": 1.4142135623730951, "min": 1.0, "max": 5.0,
                "distribution": {"kll": {
                    "buckets": [{"lower_bound": 1.0, "upper_bound": 5.0, "count": 5.0}],
                    "sketch": {"parameters": {"c": 0.64, "k": 2048.0},
                               "data": [[5.0], [2.0, 4.0]]},
                }},
            },
        },
        {
            "name": "plan",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 6, "num_missing": 0},
                "distinct_count": 2.0,
                "distribution": {"categorical": {"buckets": [
                    {"value": "a", "count": 4}, {"value": "b", "count": 2}]}},
            },
        },
    ],
}  # fmt: skip
CONSTRAINTS = {
    "version": 0.0,
    "features": [
        {"name": "age", "inferred_type": "Integral", "completeness": 0.5,
         "num_constraints": {"is_non_negative": True},
         "monitoringConfigOverrides": {"distribution_constraints": {"comparison_threshold": 0.3}}},
        {"name": "plan", "inferred_type": "String", "completeness": 1.0,
         "string_constraints": {"domains": ["a", "b"]}},
    ],
    "monitoring_config": {
        "evaluate_constraints": "Enabled", "emit_metrics": "Enabled",
        "datatype_check_threshold": 0.1, "domain_content_threshold": 0.1,
        "distribution_constraints": {"perform_comparison": "Enabled", "comparison_threshold": 0.1,
                                     "comparison_method": "Simple"},
    },
}  # fmt: skip


def by_name(profile):
    return {column.name: column for column in profile.columns}


def test_what_both_know_of_a_profile_crosses_and_comes_back():
    before = profile_frames([ROWS])
    after = sagemaker.read_statistics(sagemaker.statistics(before))
    assert after.rows == before.rows
    for name, column in by_name(before).items():
        back = by_name(after)[name]
        for field in ("kind", "rows", "missing", "low", "high", "mean", "std", "categories"):
            assert getattr(back, field) == pytest.approx(getattr(column, field)), (name, field)
    assert by_name(after)["city"].distinct == 3
    # Written again it is the same text.
    assert (
        sagemaker.statistics(after)["features"][0]["numerical_statistics"]["mean"]
        == (sagemaker.statistics(before)["features"][0]["numerical_statistics"]["mean"])
    )


def test_the_sketch_crosses_as_levels_of_powers_of_two():
    before = profile_frames([ROWS])
    told = sagemaker.statistics(before)["features"][0]["numerical_statistics"]["distribution"]
    levels = told["kll"]["sketch"]["data"]
    assert sum(len(level) << place for place, level in enumerate(levels)) == 20_000
    assert sum(bucket["count"] for bucket in told["kll"]["buckets"]) == 20_000
    assert len(told["kll"]["buckets"]) == 10
    back = by_name(sagemaker.read_statistics(sagemaker.statistics(before)))["x"]
    at = np.array(back.edges)
    true = np.searchsorted(np.sort(ROWS["x"].to_numpy()), at, side="right") / 20_000
    assert np.abs(np.cumsum(back.counts)[:-1] / 20_000 - true).max() <= 1e-3


def test_figures_of_sagemaker_are_read():
    age, plan = sagemaker.read_statistics(STATISTICS).columns
    assert (age.kind, age.rows, age.missing, age.mean, age.low, age.high) == (
        "Integral", 6, 1, 3.0, 1.0, 5.0,
    )  # fmt: skip
    assert age.quantiles["0.5"] == 4.0  # of 2 2 4 4 5
    assert (plan.categories, plan.distinct) == ({"a": 4, "b": 2}, 2.0)


def test_constraints_are_a_contract_and_come_back_as_they_were():
    contract = sagemaker.read_constraints(CONSTRAINTS)
    assert contract.columns == {
        "age": Expect(type="Integral", wrong=0.1, completeness=0.5, low=0.0),
        "plan": Expect(type="String", wrong=0.1, completeness=1.0, allowed=["a", "b"], unseen=0.1),
    }
    assert contract.extra == "refuse"
    assert sagemaker.constraints(contract) == CONSTRAINTS


def test_old_thresholds_are_the_share_that_must_agree():
    old = {**CONSTRAINTS, "monitoring_config": {"datatype_check_threshold": 1.0}}
    assert sagemaker.read_constraints(old).columns["age"].wrong == 0


def test_a_way_to_compare_categories_that_is_not_ours_is_refused_by_name():
    asked = {"perform_comparison": "Enabled", "categorical_drift_method": "ChiSquared"}
    config = {**CONSTRAINTS["monitoring_config"], "distribution_constraints": asked}
    contract = sagemaker.read_constraints({**CONSTRAINTS, "monitoring_config": config})
    profile = profile_frames([pl.DataFrame({"plan": ["a", "b"] * 50})])
    with pytest.raises(BadInputError, match="ChiSquared") as caught:
        sagemaker.drift(contract, profile, profile)
    assert caught.value.field == "categorical_drift_method"


def test_the_six_violations_have_their_names():
    contract = sagemaker.read_constraints(CONSTRAINTS)
    rows = pl.DataFrame({"age": ["x"] * 50 + [None] * 50, "more": [1] * 100})
    found = sagemaker.violations(check_frames(contract, [rows]), {"age": "far"})
    other = sagemaker.violations(
        check_frames(contract, [pl.DataFrame({"age": [None] * 100, "plan": ["c"] * 100})])
    )
    kinds = {one["constraint_check_type"] for one in found["violations"] + other["violations"]}
    assert kinds == {
        "data_type_check", "completeness_check", "baseline_drift_check", "missing_column_check",
        "extra_column_check", "categorical_values_check",
    }  # fmt: skip
    assert set(found["violations"][0]) == {"feature_name", "constraint_check_type", "description"}


def test_drift_is_the_largest_gap_beyond_the_line_of_the_column():
    contract = sagemaker.read_constraints(CONSTRAINTS)
    baseline = sagemaker.read_statistics(STATISTICS)
    same = profile_frames([pl.DataFrame({"age": [2, 2, 4, 4, 5], "plan": list("aaaabb")[:5]})])
    assert sagemaker.drift(contract, baseline, same) == {
        "plan": "Baseline drift distance: 0.1333 exceeds threshold: 0.1"
    }
    far = profile_frames([pl.DataFrame({"age": [40, 50], "plan": ["a", "a"]})])
    assert "distance: 1 exceeds threshold: 0.3" in sagemaker.drift(contract, baseline, far)["age"]


def test_the_robust_distance_takes_off_what_chance_makes():
    baseline, contract = profile_frames([ROWS.select("x")]), Contract()
    few = profile_frames([pl.DataFrame({"x": ROWS["x"].head(100) + 0.3})])
    assert sagemaker.drift(contract, baseline, few) == {}
    many = profile_frames([ROWS.select(pl.col("x") + 0.5)])
    assert "x" in sagemaker.drift(contract, baseline, many)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 5_000)), min_size=1, max_size=50))
def test_any_weights_come_back_from_their_binary_levels(pairs):
    values, weights = zip(*pairs, strict=True)
    one = sketches.of_pairs(values, weights, 0.0)
    points, rows = sketches.pairs(one)
    whole = rows.astype(int)
    data = [points[(whole >> n) & 1 == 1].tolist() for n in range(int(whole.max()).bit_length())]
    kll = {"sketch": {"parameters": {"k": 2048.0}, "data": data}}
    back, again = sketches.pairs(sagemaker._of_kll(kll, int(whole.sum())))
    assert back.tolist() == points.tolist()
    assert again.tolist() == whole.tolist()


def test_a_contract_of_ours_keeps_what_they_know():
    ours = contracts.suggest(profile_frames([ROWS]))
    back = sagemaker.read_constraints(sagemaker.constraints(ours))
    for name, expect in ours.columns.items():
        kind = expect.type if expect.type in ("Integral", "Fractional", "String") else None
        assert back.columns[name].type == kind
        assert back.columns[name].completeness == expect.completeness
        assert back.columns[name].allowed == expect.allowed


@pytest.mark.parametrize(
    "found",
    [{}, {"features": 3}, {"features": [{"name": "x", "inferred_type": "Integral",
     "numerical_statistics": {"common": {"num_present": "many"}}}]}],
)  # fmt: skip
def test_files_that_are_none_are_refused_by_name(found, tmp_path):
    with pytest.raises(BadInputError, match=r"features|'x'"):
        sagemaker.read_statistics(found)
    (tmp_path / "a.json").write_text("[")
    for name in ("a.json", "missing.json"):
        with pytest.raises(BadInputError, match=name):
            sagemaker.read(tmp_path / name)


@pytest.mark.parametrize(
    "feature",
    [{"inferred_type": "Number"}, {"completeness": 7}, {"string_constraints": {"domains": 3}}],
)
def test_constraints_that_are_none_are_refused_by_name(feature):
    with pytest.raises(BadInputError, match="'x'"):
        sagemaker.read_constraints({"features": [{"name": "x", **feature}]})
    with pytest.raises(BadInputError, match="threshold"):
        sagemaker.read_constraints(
            {"features": [], "monitoring_config": {"datatype_check_threshold": 7}}
        )


def test_files_are_written_by_their_names(tmp_path):
    told = profile_frames([ROWS])
    sagemaker.write(tmp_path / "out", statistics=sagemaker.statistics(told), violations={})
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "constraint_violations.json", "statistics.json",
    ]  # fmt: skip
    again = sagemaker.read(tmp_path / "out" / "statistics.json")
    assert msgspec.json.encode(again) == msgspec.json.encode(sagemaker.statistics(told))
