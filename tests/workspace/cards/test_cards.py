"""Cards of a real package in a real home: measured, said, written in every form, kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import mainspring as ms
from mainspring.engine import reactor
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Card, LoopSpec, MonitorPolicy, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load as settings
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace, open_workspace

NOW = 1_700_000_000.0


def loans(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    sex, income = rng.choice(["f", "m"], rows, p=[0.4, 0.6]), rng.normal(size=rows)
    paid = rng.random(rows) < 1 / (1 + np.exp(-2 * income - (sex == "m")))
    return pl.DataFrame({"sex": sex, "income": income, "paid": paid})


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root: Path = tmp_path_factory.mktemp("cards")
    (root / "mainspring.toml").write_text("")
    made = open_workspace(settings(start=root, environ={}), clock=TurnedClock(NOW))
    features = {"man": "cast(sex = 'm' as double)", "income": "income"}
    model = Model(
        LogisticRegression(), target="paid", columns=["sex", "income"], features=features
    )
    fitted = model.fit(loans(1500, 1), loans(1500, 2))
    version = Version(
        model="loans",
        number=0,
        run=None,
        package=package.write(fitted, made.objects),
        signature=fitted.signature,
        card=Card(purpose="Say who pays back.", owner="credit", limitations="One bank only."),
        metrics=fitted.metrics,
        created=NOW,
        by="anna",
    )
    spec = LoopSpec(
        name="loans",
        model="loans",
        pipeline="own:make",
        endpoint="loans",
        target="paid",
        kind="binary",
        monitor=MonitorPolicy(slices=["sex", "income < 0", "gone > 1"]),
        root=str(root),
    )
    made.write(Permission.REGISTER, lambda tx: registry.register(tx, version))
    made.write(Permission.LOOP, lambda tx: reactor.declare(tx, spec, NOW))
    yield made
    made.close()


def test_a_card_measures_the_rows_kept_at_training_and_every_declared_slice(ws) -> None:
    told = json.loads(call(ws, "cards.export", ref="loans/1", form="json")["text"])
    auc = told["measured"]["auc"]
    assert auc["low"] < auc["estimate"] < auc["high"]
    assert told["rows_measured"] == 1500
    assert {one["name"] for one in told["slices"]} == {"sex=f", "sex=m", "income < 0"}
    losses = [one["loss"] for one in told["slices"]]
    assert losses == sorted(losses, reverse=True)
    assert "scikit-learn" in told["packages"]


def test_a_card_is_written_as_markdown_html_and_sagemakers_shape(ws) -> None:
    text = call(ws, "models.card", ref="loans/1")["markdown"]
    assert "## Purpose\n\nSay who pays back." in text
    assert "| sex=f |" in text
    page = call(ws, "cards.export", ref="loans/1", form="html")["text"]
    assert page.startswith("<!doctype html>")
    assert "Say who pays back." in page
    shape = json.loads(call(ws, "cards.export", ref="loans/1", form="sagemaker")["text"])
    assert shape["model_overview"]["model_owner"] == "credit"
    with pytest.raises(BadInputError, match="no form 'pdf'") as told:
        call(ws, "cards.export", ref="loans/1", form="pdf")
    assert told.value.field == "form"


def test_what_is_said_anew_stands_and_what_was_said_before_is_kept(ws) -> None:
    late = {"text": "Rates stay.", "owner": "credit", "review_by": "2020-01-01"}
    call(ws, "cards.set", model="loans", number=1, ethics="Refusals are seen by a person.")
    call(ws, "cards.set", model="loans", number=1, assumptions=[late])
    call(ws, "cards.set", model="loans", number=1, assumptions=[late])  # nothing new
    told = call(ws, "cards.history", model="loans", number=1)
    assert [len(one["card"]["assumptions"]) for one in told] == [1, 0, 0]
    assert told[-1]["card"]["ethics"] == ""
    text = call(ws, "models.card", ref="loans/1")["markdown"]
    assert "Refusals are seen by a person." in text
    assert "| Rates stay. | credit | 2020-01-01 | overdue |" in text


@pytest.mark.parametrize("number", [2, 99])
def test_a_version_that_is_not_there_has_no_card(ws, number) -> None:
    with pytest.raises(NotFoundError):
        call(ws, "cards.set", model="loans", number=number, owner="me")
    with pytest.raises(NotFoundError):
        call(ws, "cards.export", ref=f"loans/{number}")


def test_an_assumption_that_says_no_day_changes_nothing(ws) -> None:
    before = call(ws, "cards.history", model="loans", number=1)
    bad = {"text": "It holds.", "owner": "me", "review_by": "next week"}
    with pytest.raises(BadInputError, match="YYYY-MM-DD"):
        call(ws, "cards.set", model="loans", number=1, assumptions=[bad])
    assert call(ws, "cards.history", model="loans", number=1) == before


def test_a_data_sheet_tells_its_versions_and_who_learnt_from_it(ws, monkeypatch) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", ws.settings.home)
    with ms.run("sheets") as run:
        run.log_dataset(loans(50, 3), "loans", "training")
    call(ws, "datasheets.set", name="loans", owner="credit", licence="In house.")
    text = call(ws, "datasheets.export", name="loans")["text"]
    assert "## Owner\n\ncredit" in text
    assert f"run {run.id}" in text
    told = json.loads(call(ws, "datasheets.export", name="loans", form="json")["text"])
    assert told["sheet"]["licence"] == "In house."
    assert told["digest"] == told["digests"][0][0]
    with pytest.raises(NotFoundError, match="no dataset 'loan'"):
        call(ws, "datasheets.set", name="loan", owner="me")
