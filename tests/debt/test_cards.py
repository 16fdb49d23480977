"""Cards fill themselves as far as a machine can know, and name what a person owes."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.debt.cards import REQUIRED, draft, markdown, missing
from mainspring.ground.objects import (
    Card,
    CheckResult,
    Column,
    ColumnProfile,
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
RUN = Run(
    id="run_1",
    experiment="e",
    name="n",
    status=RunStatus.FINISHED,
    started=0.0,
    metrics={"auc": 0.81, "loss": 0.1},
)


def _version(card, **given):
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
        "card": card,
        "metrics": {"auc": 0.81},
        "created": 0.0,
        "by": "engine",
    }
    return Version(**{**base, **given})


def test_required_are_the_fields_that_only_a_person_knows():
    assert REQUIRED == ("purpose", "owner", "limitations")


def test_a_draft_tells_the_data_and_the_metrics_and_owes_the_rest():
    card = draft(run=RUN, profile=PROFILE, span=(0.0, 86_400.0))
    assert card.data == (
        "1,200 rows with 2 columns from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z."
    )
    assert card.metrics == {"auc": 0.81, "loss": 0.1}
    assert missing(card) == ["purpose", "owner", "limitations"]


def test_what_a_person_wrote_stays():
    mine = Card(purpose="p", owner="o", limitations="l", data="mine", metrics={"x": 1.0})
    assert draft(mine, RUN, PROFILE) == mine
    assert missing(mine) == []


def test_a_draft_of_nothing_is_blank():
    assert draft() == Card(purpose="", owner="", limitations="")
    assert missing(None) == list(REQUIRED)


def test_the_card_prints_what_is_known_and_names_what_is_not():
    card = Card(purpose="Find who leaves.", owner="", limitations="Adults only.")
    judged = GateResult(
        id="g",
        model="churn",
        number=3,
        passed=False,
        checks=[CheckResult(name="card", passed=False, found="owner | blank", wanted="a card")],
        at=0.0,
        by="engine",
    )
    text = markdown(_version(card, data={"rows": "d" * 64}, code="c" * 64), judged, PROFILE)
    assert text.startswith("# churn/3\n\nRegistered 1970-01-01T00:00:00Z by engine.\n")
    assert "## Owner\n\n_Missing: who answers for it._" in text
    assert "| auc | 0.81 |" in text
    assert "| age | float | yes | 18 to 90, 1.0% missing |" in text
    assert "| plan | str | yes | 2 values |" in text
    assert "| card | **failed** | owner \\| blank | a card |" in text
    assert f"| data: rows | `{'d' * 64}` |" in text


def test_an_unjudged_version_without_a_card_prints_too():
    text = markdown(_version(None))
    assert "Not judged yet." in text
    assert text.count("_Missing:") == 3


@given(st.text(max_size=30))
def test_no_name_breaks_out_of_its_table(name):
    profile = Profile(rows=1, columns=[])
    signature = Signature(columns=[Column(name=name, type="int")], kind="binary", target="y")
    text = markdown(_version(None, signature=signature), None, profile)
    (line,) = [x for x in text.split("\n") if "| int | yes |" in x]
    assert line.replace("\\\\", "").replace("\\|", "").count("|") == 5
