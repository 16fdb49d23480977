"""A card tells what is recorded, names what a person owes, and no cell breaks out of it."""

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from mainspring.debt.cards import datasheet, markdown, sagemaker, sections
from mainspring.debt.cards.datasheet import DataFacts
from mainspring.debt.cards.facts import CardFacts
from mainspring.ground.objects import (
    Assumption,
    Card,
    CheckResult,
    Column,
    ColumnProfile,
    DataSheet,
    Evidence,
    GateResult,
    Profile,
    Run,
    RunStatus,
    Signature,
    Version,
)

PROFILE = Profile(
    rows=1200,
    columns=[
        ColumnProfile(name="age", type="number", rows=1200, missing=12, low=18.0, high=90.0),
        ColumnProfile(
            name="plan", type="category", rows=1200, missing=0, categories={"a": 700, "b": 500}
        ),
    ],
    metrics={"auc": 0.8},
)
CARD = Card(
    purpose="Find who leaves.",
    owner="",
    limitations="Adults only.",
    ethics="Nobody is refused anything.",
    risk="low",
    assumptions=[Assumption(text="Plans stay.", owner="ops", review_by="1970-01-05")],
)
GATE = GateResult(
    id="g",
    model="churn",
    number=3,
    passed=False,
    checks=[CheckResult(name="card", passed=False, found="owner | blank", wanted="a card")],
    at=0.0,
    by="engine",
)
RUN = Run(
    id="run_1",
    experiment="e",
    name="n",
    status=RunStatus.FINISHED,
    started=0.0,
    params={"C": "0.5"},
)


def _version(**given) -> Version:
    base = {
        "model": "churn",
        "number": 3,
        "run": "run_1",
        "package": "a" * 64,
        "signature": Signature(
            columns=[Column(name="age", type="float"), Column(name="plan", type="str")],
            kind="binary",
            target="churned",
        ),
        "card": CARD,
        "metrics": {"auc": 0.81},
        "created": 0.0,
        "by": "engine",
        "data": {"rows": "d" * 64},
        "code": "c" * 64,
    }
    return Version(**{**base, **given})


FACTS = CardFacts(
    version=_version(),
    profile=PROFILE,
    span=(0.0, 86_400.0),
    run=RUN,
    gate=GATE,
    aliases=["champion"],
    measured={"auc": {"estimate": 0.81, "low": 0.79, "high": 0.83, "n": 900}},
    rows_measured=900,
    slices=[{"name": "plan=b", "loss": 0.3, "low": None, "high": None, "rows": 80}],
    packages={"scikit-learn": "1.9.1"},
    evidence=[
        Evidence(
            id="ev_1", kind="load", subject="churn/3", passed=True, found="4 ms.", at=0.0, by="x"
        )
    ],
    code_state={"git commit": "abc"},
    now=9 * 86_400.0,
)


def _text(facts: CardFacts) -> str:
    return markdown.text("churn/3", sections.headline(facts), sections.card(facts))


def test_the_card_prints_what_is_known_and_names_what_is_not():
    text = _text(FACTS)
    assert text.startswith(
        "# churn/3\n\nRegistered 1970-01-01T00:00:00Z by engine; it is champion.\n"
    )
    for said in (
        "## Owner\n\n_Missing: who answers for it._",
        "## Ethical considerations\n\nNobody is refused anything.",
        "## Risk\n\nLow",
        "| Plans stay. | ops | 1970-01-05 | overdue |",
        "| auc | 0.81 | 0.79 | 0.83 | 900 |",
        "| plan=b | 0.3 |  |  | 80 |",
        "1,200 rows with 2 columns from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z.",
        "| age | float | yes | 18 to 90, 1.0% missing |",
        "| plan | str | yes | 2 values |",
        "| card | failed | owner \\| blank | a card |",
        "| load | passed | 4 ms. | 1970-01-01T00:00:00Z | ev_1 |",
        "| scikit-learn | 1.9.1 |",
        f"| rows | {'d' * 64} |",
        "| git commit | abc |",
    ):
        assert said in text


def test_an_unjudged_version_without_a_card_prints_too():
    text = _text(CardFacts(version=_version(card=None, metrics={}, data={})))
    assert "Not judged yet." in text
    assert "Nothing was measured." in text
    assert text.count("_Missing:") == 7


def test_metrics_without_rows_say_that_they_have_no_interval():
    text = _text(dataclasses.replace(FACTS, measured={}))
    assert "no rows were kept to measure an interval on" in text
    assert "| auc | 0.81 |" in text


@given(st.text(max_size=30))
def test_no_name_breaks_out_of_its_table(name):
    signature = Signature(columns=[Column(name=name, type="int")], kind="binary", target="y")
    text = _text(CardFacts(version=_version(card=None, signature=signature)))
    (line,) = [x for x in text.split("\n") if "| int | yes |" in x]
    assert line.replace("\\\\", "").replace("\\|", "").count("|") == 5


def test_sagemakers_shape_holds_the_same_and_nothing_blank():
    found = sagemaker.content(FACTS)
    json.dumps(found, allow_nan=False)
    assert found["model_overview"]["problem_type"] == "Binary Classification"
    assert "model_owner" not in found["model_overview"]
    assert found["intended_uses"]["risk_rating"] == "Low"
    job = found["training_details"]["training_job_details"]
    assert job["training_datasets"] == [f"rows=sha256:{'d' * 64}"]
    assert job["user_provided_hyper_parameters"] == [{"name": "C", "value": "0.5"}]
    names = [one["name"] for one in found["evaluation_details"]]
    assert names == ["Held-out rows", "Slices", "Gate"]
    [auc] = found["evaluation_details"][0]["metric_groups"][0]["metric_data"]
    assert auc == {
        "name": "auc",
        "type": "number",
        "value": 0.81,
        "notes": "95 % interval 0.79 to 0.83",
    }
    [card] = found["evaluation_details"][2]["metric_groups"][0]["metric_data"]
    assert card["value"] is False  # a False is said, and not left out as blank
    custom = found["additional_information"]["custom_details"]
    assert custom["missing"] == "owner"
    assert "overdue" in custom["assumption 1"]


def test_lists_are_cut_at_the_limits_of_sagemakers_schema():
    many = {f"d{place:02d}": "d" * 64 for place in range(40)}
    metrics = {f"m{place:02d}": 1.0 for place in range(90)}
    facts = dataclasses.replace(FACTS, version=_version(data=many, metrics=metrics))
    job = sagemaker.content(facts)["training_details"]["training_job_details"]
    assert len(job["training_datasets"]) == 15
    assert len(job["user_provided_training_metrics"]) == 50


def test_a_data_sheet_asks_what_nobody_said():
    facts = DataFacts(
        name="plans",
        digest="e" * 64,
        sheet=DataSheet(owner="ops", licence="CC0"),
        profile=PROFILE,
        digests=[("e" * 64, 0.0)],
        readers=["churn/3"],
    )
    text = markdown.text("plans", datasheet.headline(facts), datasheet.sections(facts))
    assert "Version eeeeeeeeeeee of plans: 1,200 rows, 2 columns." in text
    assert "## Owner\n\nops" in text
    assert "## Privacy\n\n_Missing: what of it is about persons" in text
    assert "| age | number | 1.00% | 18 to 90 |" in text
    assert "churn/3" in text
    assert datasheet.missing(facts.sheet) == [
        "purpose",
        "collection",
        "privacy",
        "upkeep",
        "limitations",
    ]
