"""Bias of facets in windows: quiet where all are treated alike, one alarm where they are not."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.sights import SIGNATURE, people, sight

from mainspring.ground.objects import Facet, MonitorPolicy, Signature
from mainspring.monitoring.bias import bias_on_inputs, bias_on_labels, report
from mainspring.monitoring.judge import judge_truth
from mainspring.numerics.fairness import MEANINGS

SEX = Facet(column="sex", disadvantaged=["f"])


def policy(*facets: Facet) -> MonitorPolicy:
    return MonitorPolicy(window_s=1000.0, bias=list(facets))


def reference(rows: int = 4000, gap: float = 0.0) -> pl.DataFrame:
    return people(rows, 99, gap).select("sex", "age", "branch", "income", "_score", "_y")


def by_subject(found):
    return {one.subject: one for one in found}


def test_without_a_declared_facet_nothing_is_said():
    assert bias_on_inputs(sight(people(500, 1))) == []
    assert bias_on_labels(sight(people(500, 1), labelled=True)) == []


def test_answers_alone_give_what_needs_no_label():
    found = by_subject(bias_on_inputs(sight(people(3000, 1), policy=policy(SEX))))
    assert set(found) == {"sex = f", "sex = f/DPPL", "sex = f/DI", "sex = f/FT"}
    assert {one.verdict for one in found.values()} == {"quiet"}
    band = found["sex = f/DPPL"]
    assert band.low < band.value < band.high
    assert found["sex = f"].value == 0.0


def test_labels_give_all_figures_and_training_stands_beside():
    facet = msgspec.structs.replace(SEX, group="branch")
    seen = sight(people(3000, 1), labelled=True, policy=policy(facet), reference=reference())
    found = by_subject(bias_on_labels(seen))
    assert {name.partition("/")[2] for name in found} - {""} == set(MEANINGS)
    assert all(one.verdict == "quiet" for one in found.values()), found
    assert found["sex = f/RD"].baseline == pytest.approx(0.0, abs=0.06)
    assert found["sex = f/CI"].baseline == pytest.approx(0.2, abs=0.05)
    assert found["sex = f/DPPL"].rows == 3000


def test_a_facet_treated_worse_alarms_once_with_all_its_metrics():
    seen = sight(people(3000, 2, gap=0.3), labelled=True, policy=policy(SEX))
    found = bias_on_labels(seen)
    alarms = [one for one in found if one.verdict == "alarm"]
    assert [one.subject for one in alarms] == ["sex = f"]
    assert "DI" in alarms[0].why
    assert "DPPL" in alarms[0].why
    assert by_subject(found)["sex = f/DPPL"].verdict == "notice"
    assert by_subject(found)["sex = f/DPPL"].line == 0.1


def test_the_alarm_is_raised_by_the_judge_and_not_again_while_it_is_open(world):
    from tests.monitoring.sights import window

    seen = sight(people(3000, 2, gap=0.3), labelled=True, policy=policy(SEX))
    _, raised = judge_truth(window(0.0, 1000.0, 3000), seen)
    assert ("bias", "sex = f") in {(one.kind, one.subject) for one in raised}
    _, again = judge_truth(window(0.0, 1000.0, 3000), seen, open_subjects={("bias", "sex = f")})
    assert "bias" not in {one.kind for one in again}


def test_eighty_fair_windows_raise_no_alarm():
    facets = policy(SEX, Facet(column="age", above=60), Facet(column="branch"))
    raised = [
        one
        for seed in range(80)
        for one in bias_on_inputs(sight(people(400, seed), policy=facets))
        if one.verdict == "alarm"
    ]
    assert raised == []


def test_labels_of_a_few_leave_the_rest_to_the_answers():
    frame = people(3000, 1)
    seen = sight(frame, policy=policy(SEX))
    few = sight(frame.head(20), labelled=True, policy=policy(SEX))
    found = by_subject(bias_on_labels(msgspec_joined(seen, few)))
    assert found["sex = f/DPPL"].rows == 3000
    assert found["sex = f/labels"].verdict == "not judged"
    assert "labelled rows" in found["sex = f/labels"].why


def msgspec_joined(seen, few):
    import dataclasses

    return dataclasses.replace(seen, joined=few.joined)


def test_values_are_compared_with_the_rest_and_numbers_cut():
    facets = policy(Facet(column="branch"), Facet(column="age", below=30), Facet(column="sex"))
    found = by_subject(bias_on_inputs(sight(people(3000, 1), policy=facets)))
    assert {name for name in found if "/" not in name} == {
        "branch = north", "branch = south", "branch = west", "age < 30", "sex = f",
    }  # fmt: skip


def test_what_cannot_be_judged_is_said():
    frame = people(3000, 1)
    facets = policy(
        Facet(column="hair"),
        Facet(column="sex", positive="maybe"),
        Facet(column="sex", group="team"),
        Facet(column="sex", disadvantaged=["x"]),
    )
    found = bias_on_inputs(sight(frame, policy=facets))
    assert [one.value for one in found] == [None] * 4
    assert [
        text
        for one, text in zip(
            found,
            ["no column 'hair'", "must be one of no, yes", "'team'", "30 of each"],
            strict=True,
        )
        if text in one.why
    ] == ["no column 'hair'", "must be one of no, yes", "'team'", "30 of each"]
    assert found[3].verdict == "too few rows"


@pytest.mark.parametrize("rows", [0, 1])
def test_windows_of_nothing_and_of_one_row_are_too_few(rows):
    frame = people(3000, 1).head(rows)
    for found in (
        bias_on_inputs(sight(frame, policy=policy(SEX, Facet(column="age", above=60)))),
        bias_on_labels(sight(frame, labelled=True, policy=policy(SEX))),
    ):
        assert {one.verdict for one in found} == {"too few rows"}


def test_odd_columns_raise_nothing():
    frame = people(300, 1)
    odd = frame.with_columns(
        age=pl.lit(None),
        branch=pl.Series([f"b{n}" for n in range(300)]),
        income=pl.lit(float("nan")),
        sex=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("sex"),
    )
    facets = policy(SEX, Facet(column="age", above=60), Facet(column="branch", group="sex"))
    found = bias_on_labels(sight(odd.with_columns(_y=1.0), labelled=True, policy=facets))
    assert all(one.why for one in found)
    none_scored = sight(frame.with_columns(_score=pl.lit(float("nan"))), policy=policy(SEX))
    assert {one.verdict for one in bias_on_inputs(none_scored)} == {"too few rows"}


def test_figures_do_not_depend_on_the_order_of_rows():
    frame = people(900, 5)
    seen = [
        bias_on_labels(sight(one, labelled=True, policy=policy(SEX)))
        for one in (frame, frame.sample(fraction=1.0, shuffle=True, seed=1))
    ]
    for one, two in zip(*seen, strict=True):
        assert one.value == pytest.approx(two.value, abs=1e-12)


def test_several_classes_and_values_are_measured_too():
    rng = np.random.default_rng(0)
    frame = people(1500, 1)
    three = Signature(**{
        **msgspec.structs.asdict(SIGNATURE), "kind": "multiclass", "classes": ["a", "b", "c"]
    })  # fmt: skip
    scores = rng.dirichlet([1, 1, 1], 1500)
    many = frame.with_columns(
        _score=pl.Series(scores.tolist()), _y=pl.Series(rng.integers(0, 3, 1500).astype(float))
    )
    facet = msgspec.structs.replace(SEX, positive="c")
    found = by_subject(
        bias_on_labels(sight(many, labelled=True, policy=policy(facet), signature=three))
    )
    said = scores.argmax(axis=1) == 2
    woman = frame["sex"].to_numpy() == "f"
    expected = said[~woman].mean() - said[woman].mean()
    assert found["sex = f/DPPL"].value == pytest.approx(expected)
    value = Signature(**{
        **msgspec.structs.asdict(SIGNATURE), "kind": "regression", "classes": []
    })  # fmt: skip
    bare = bias_on_inputs(sight(frame, policy=policy(SEX), signature=value))
    assert "positive_above" in bare[0].why
    above = msgspec.structs.replace(SEX, positive_above=0.5)
    found = by_subject(bias_on_inputs(sight(frame, policy=policy(above), signature=value)))
    assert found["sex = f/DI"].value == pytest.approx(1.0, abs=0.15)


def test_the_report_before_deployment_names_what_is_outside():
    found = by_subject(report(reference(gap=0.3), SEX, SIGNATURE, MonitorPolicy()))
    assert found["sex = f"].verdict == "alarm"
    assert found["sex = f/DI"].value < 0.8
    fair = by_subject(report(reference(), SEX, SIGNATURE, MonitorPolicy()))
    assert fair["sex = f"].verdict == "quiet"
    assert report(reference(), Facet(column="x"), SIGNATURE, MonitorPolicy())[0].value is None


def test_values_mean_the_same_however_they_are_written():
    frame = people(600, 1)
    whole = frame.with_columns(sex=(pl.col("sex") == "f").cast(pl.Int64))
    broken = frame.with_columns(sex=(pl.col("sex") == "f").cast(pl.Float64))
    yes = frame.with_columns(sex=pl.col("sex") == "f")
    expected = by_subject(bias_on_inputs(sight(frame, policy=policy(SEX))))["sex = f/DPPL"].value
    for rows, value in ((whole, "1"), (broken, "1"), (whole, "1.0"), (yes, "true")):
        facet = Facet(column="sex", disadvantaged=[value])
        found = by_subject(bias_on_inputs(sight(rows, policy=policy(facet))))
        assert found[f"sex = {value}/DPPL"].value == pytest.approx(expected)
