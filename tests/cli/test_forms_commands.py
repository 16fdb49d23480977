"""Models that no run logged are registered by a command: code, an ONNX file, a graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import mainspring as ms

PREDICT = """
class Odds:
    def predict(self, frame):
        return (frame['a'] * 0.5 + 0.25).clip(0, 1)
"""
ROWS = pl.DataFrame({"a": [n / 40 for n in range(40)], "y": [int(n > 20) for n in range(40)]})


@pytest.fixture
def project(say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mainspring.toml").write_text("")
    (tmp_path / "predict.py").write_text(PREDICT)
    ROWS.write_csv(tmp_path / "rows.csv")
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / ".mainspring"))
    return tmp_path


def test_a_class_is_added_trusted_and_judged_and_then_a_member_of_a_graph(
    project: Path, say: Callable[..., Any]
) -> None:
    added = say("models", "add", "odds", "predict.py:Odds")
    assert added.code == 0, added.err
    assert "mainspring models trust odds/1" in added.out
    judge = ["--rows", "rows.csv", "--target", "y", "--at-least", "auc=0.9"]
    assert say("judge", "odds/1", *judge).code == 1  # nobody trusts it
    assert say("models", "trust", "odds/1", "--reason", "I wrote it.").code == 0
    judged = say("judge", "odds/1", *judge)
    assert judged.code == 0, judged.out + judged.err
    shown = say("evidence", "odds/1", "--kind", "parity")
    assert "Served by its library" in " ".join(shown.out.split())

    told = [{"name": "p", "model": "odds/1"}, {"name": "sure", "score": "p * p"}]
    (project / "graph.yaml").write_text(json.dumps({"stages": told}))
    made = say("models", "graph", "mix", "graph.yaml", "--json")
    assert made.code == 0, made.err
    assert made.json["source"] == "graph of odds/1"
    assert say("judge", "mix/1", *judge).code == 1  # its member's code is code all the same
    say("models", "trust", "mix/1", "--reason", "I wrote its member.")
    judged = say("judge", "mix/1", *judge)
    assert judged.code == 0, judged.out + judged.err


def test_the_verb_registers_the_same(project: Path) -> None:
    with ms.run() as run:
        kept = run.log_model(ms.Predictor("predict.py:Odds"), "model")
    assert kept.name == "model"
    made = ms.register("odds", ms.Predictor("predict.py:Odds", columns={"a": "float"}))
    assert (made.model, made.number) == ("odds", 1)
    assert [one.name for one in made.signature.columns] == ["a"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["models", "add", "odds", "nothing.onnx"], "There is no file nothing.onnx"),
        (["models", "add", "odds", "predict.py:a b"], "FILE.py:CLASS"),
        (["models", "add", "odds", "."], "has no MLmodel file"),
        (["models", "add", "odds", ".", "--file", "x"], "belong to FILE.py:CLASS"),
        (["models", "graph", "mix", "none.yaml"], "none.yaml cannot be read"),
        (["models", "graph", "mix", "rows.csv"], "holds no graph"),
    ],
    ids=range(6),
)
def test_what_is_no_model_is_refused(
    project: Path, say: Callable[..., Any], words: list[str], why: str
) -> None:
    said = say(*words)
    assert said.code != 0
    assert why in " ".join(said.err.split())


BOOSTED = """
import polars as pl
from xgboost import XGBClassifier

import mainspring as ms


@ms.step
def load() -> pl.DataFrame:
    late = [n % 24 > 15 for n in range(400)]
    gaps = [None if n % 10 == 0 else float(n % 7) for n in range(400)]
    return pl.DataFrame({"hour": [n % 24 for n in range(400)], "wind": gaps, "late": late})


@ms.step
def train(rows: pl.DataFrame) -> ms.FittedModel:
    estimator = XGBClassifier(n_estimators=10, n_jobs=1)
    return ms.Model(estimator, "late", "binary").fit(rows[:300], holdout=rows[300:])


@ms.pipeline
def trips():
    return train(load())
"""


def test_a_pipeline_s_booster_is_registered_with_what_its_forms_differ_by(
    project: Path, say: Callable[..., Any]
) -> None:
    (project / "boosted.py").write_text(BOOSTED)
    (project / "mainspring.toml").write_text(
        "[gates.trips]\nneeds_card = false\nat_least = {auc = 0.9}\n"
    )
    done = say("run", "boosted:trips", "--register", "trips")
    assert done.code == 0, done.err
    [kept] = say("evidence", "trips/1", "--kind", "parity", "--json").json
    assert kept["passed"]
    assert kept["detail"]["gaps"] >= 30
    assert "labels differ" in kept["found"]
    promoted = say("promote", "trips/1", "--reason", "The first.")
    assert promoted.code == 0, promoted.err
