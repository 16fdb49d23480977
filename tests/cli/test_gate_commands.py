"""A model's one gate from the command line: declared, run, told to CI, approved, checked."""

from __future__ import annotations

import contextlib
import importlib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import MainspringError
from mainspring.ground.identity import sha256
from mainspring.ground.objects import DAY_S, Card, Version
from mainspring.ground.permissions import Permission, Principal, Role, service
from mainspring.ground.ports import Call, Outcome
from mainspring.ground.settings import load
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.workspace import approving
from mainspring.workspace.opening import Workspace, open_workspace


class InProcess:
    """Measures in this process; that it is done in one of its own is tried by the first test."""

    def run(self, call: Call, cancelled: Callable[[], bool] | None = None) -> Outcome:
        module, _, name = call.target.partition(":")
        try:
            value = getattr(importlib.import_module(module), name)(call.payload)
        except MainspringError as error:
            return Outcome(ok=False, error=str(error), code=error.code)
        return Outcome(ok=True, value=msgspec.to_builtins(value))

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gates run without starting a process each."""
    monkeypatch.setattr(Workspace, "executor", property(lambda _: InProcess()))


@pytest.fixture
def home(tmp_path: Path, say) -> Path:
    """A project with versions tide/1 and tide/2, and rows they did not learn from."""
    (tmp_path / "mainspring.toml").write_text(
        "[gates.tide]\nat_least = {auc = 0.7}\nvalid = '2w'\n"
    )
    a, b = np.random.default_rng(0).normal(size=(2, 400))
    rows = pl.DataFrame({"a": a, "b": b, "y": np.where(a + b > 0, 1, 0)})
    rows.tail(150).write_csv(tmp_path / "rows.csv")
    with contextlib.closing(open_workspace(load({}))) as ws:
        model = Model(LogisticRegression(), "y", "binary", columns=["a", "b"])
        digest = package.write(model.fit(rows.head(180), holdout=rows.slice(180, 60)), ws.objects)
        for number in (1, 2):
            version = Version(
                model="tide",
                number=number,
                run=None,
                package=digest,
                signature=package.signature(digest, ws.objects),
                card=Card(purpose="p", owner="o", limitations="l"),
                metrics={"auc": 0.9 + number / 100},
                created=ws.clock.now(),
                by="anna",
                data={"rows": sha256(str(number).encode())},
                code="c" * 64,
            )
            ws.acting_as(service("test")).write(
                Permission.WORK, lambda tx, v=version: registry.register(tx, v)
            )
    return tmp_path


def test_a_gate_is_declared_in_the_project_run_and_told_to_ci(say, home) -> None:
    assert say("gate", "show", "tide").out.count("declared nowhere") == 1
    assert say("gate", "declare", "tide").code == 0
    shown = say("gate", "show", "tide")
    assert "auc 0.7" in shown.out
    assert "14 days" in shown.out
    ran = say(
        "gate", "run", "tide/1", "--rows", "rows.csv", "--target", "y",
        "--junit", "out/gate.xml", "--markdown", "out/gate.md",
    )  # fmt: skip
    assert ran.code == 0, ran.err + ran.out
    assert "The gate passed" in ran.out
    suites = ET.parse(home / "out" / "gate.xml").getroot()
    names = [case.get("name") for case in suites.iter("testcase")]
    assert "metric auc" in names
    assert (suites.get("failures"), suites.get("tests")) == ("0", str(len(names)))
    assert "### Gate of tide/1: passed" in (home / "out" / "gate.md").read_text()
    again = say("gate", "run", "tide/1", "--json")  # on the rows it was judged on before
    assert again.code == 0, again.err
    assert again.json["gate"]["rows"]
    assert again.json["gate"]["gate"]["at_least"] == {"auc": 0.7}
    assert len(say("models", "tide/1", "--json").json["gates"]) == 2


def test_a_refused_version_is_exit_code_1_and_a_failure_for_ci(say, home, quick) -> None:
    assert say("gate", "declare", "tide", "--at-least", "auc=1.5").code == 0
    ran = say(
        "gate", "run", "tide/1", "--rows", "rows.csv", "--target", "y", "--junit", "gate.xml"
    )
    assert ran.code == 1
    assert "The gate refused" in ran.out
    assert ET.parse(home / "gate.xml").getroot().get("failures") == "1"
    assert say("promote", "tide/1", "--reason", "Please.").code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gate", "run", "tide"), "MODEL/NUMBER"),
        (("gate", "run", "tide/1", "--rows", "none.csv", "--target", "y"), "none.csv"),
        (("gate", "run", "tide/1", "--rows", "rows.csv"), "column to predict"),
        (("gate", "declare", "tide", "--at-least", "auc"), "auc"),
        (("gate", "declare", "tide", "--valid", "soon"), "valid"),
        (("gate", "declare", "tide", "--max-latency-ms", "-1"), "max_latency_ms"),
        (("approve", "tide/1", "--reason", " "), "reason"),
        (("gate", "comment", "tide/1", "--against", "flights/3"), "another model"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2_and_says_why(say, home, quick, words, told) -> None:
    said = say(*words)
    assert said.code == 2, said.out + said.err
    assert told in said.err


def test_a_gate_that_is_declared_nowhere_in_the_project_says_how(say, home, quick) -> None:
    (home / "mainspring.toml").write_text("")
    said = say("gate", "declare", "tide")
    assert said.code == 2
    assert "[gates.tide]" in said.err
    (home / "mainspring.toml").write_text("[gates.tide]\nat_leest = {auc = 0.7}\n")
    said = say("gate", "declare", "tide")
    assert said.code == 2
    assert "at_leest" in said.err


def test_judging_by_bounds_makes_them_the_models_gate(say, home, quick) -> None:
    asked = ("judge", "tide/1", "--rows", "rows.csv", "--target", "y")
    assert say(*asked, "--at-least", "auc=0.6").code == 0
    assert say("gate", "show", "tide", "--json").json["gate"]["at_least"] == {"auc": 0.6}
    assert say(*asked).code == 0, "without bounds it is judged by that gate"
    newest = say("models", "tide/1", "--json").json["gates"][0]
    assert newest["gate"]["at_least"] == {"auc": 0.6}


def test_another_person_approves_and_the_author_cannot(say, home, quick) -> None:
    assert say("gate", "declare", "tide", "--at-least", "auc=0.6", "--approval").code == 0
    ran = say("gate", "run", "tide/1", "--rows", "rows.csv", "--target", "y")
    assert ran.code == 1
    assert "waits for approval by another person" in ran.out
    assert "waits for approval" in say("models", "tide").out
    refused = say("promote", "tide/1", "--reason", "Now.")
    assert refused.code == 1
    assert "mainspring approve tide/1" in refused.err
    with contextlib.closing(open_workspace(load({}))) as ws:
        anna = ws.acting_as(Principal("anna", Role.APPROVER))
        with pytest.raises(Exception, match="anna cannot approve tide/1"):
            approving.approve(anna, "tide", 1, "Mine.")
    done = say("approve", "tide/1", "--reason", "Looked at the slices.")
    assert done.code == 0, done.err
    assert "approved by owner; its gate passed" in done.out
    assert say("promote", "tide/1", "--reason", "Now.").code == 0
    assert "owner" in say("evidence", "tide/1", "--kind", "approval").out


def test_the_production_checklist_says_what_stops_it_and_what_shows_it(say, home, quick) -> None:
    before = say("readiness", "tide/1", "--junit", "ready.xml", "--markdown", "ready.md")
    assert before.code == 1
    assert "never run: mainspring gate run tide/1" in before.out
    assert int(ET.parse(home / "ready.xml").getroot().get("failures") or 0) > 0
    assert "not ready" in (home / "ready.md").read_text()
    say("gate", "declare", "tide")
    say("gate", "run", "tide/1", "--rows", "rows.csv", "--target", "y")
    after = say("readiness", "tide/1", "--json").json
    told = {item["name"]: item["state"] for item in after["items"]}
    assert told["gate"] == "pass"
    assert told["lineage"] == "fail", "no run made it"
    assert told["tests"] == "not asked"


def test_a_checklist_goes_stale_by_itself(say, home, quick) -> None:
    say("gate", "declare", "tide")
    say("gate", "run", "tide/1", "--rows", "rows.csv", "--target", "y")
    from mainspring.workspace.views.readiness import checklist

    with contextlib.closing(open_workspace(load({}))) as known:
        now = known.clock.now()
    later = TurnedClock(now + 15 * DAY_S)
    with contextlib.closing(open_workspace(load({}), clock=later)) as ws:
        assert _states(ws)["gate"] == "stale"
        assert not checklist(ws, "tide", 1).ready


def _states(ws: Workspace) -> dict[str, str]:
    from mainspring.workspace.views.readiness import checklist

    return {item.name: item.state for item in checklist(ws, "tide", 1).items}


def test_a_pull_request_is_told_how_a_version_differs(say, home, quick) -> None:
    said = say("gate", "comment", "tide/2")
    assert said.code == 0
    assert "There is no champion to compare it with yet." in said.out
    say("gate", "declare", "tide")
    for number in (1, 2):
        say("gate", "run", f"tide/{number}", "--rows", "rows.csv", "--target", "y")
    say("promote", "tide/1", "--reason", "First.")
    assert "champion -> 1 by owner: First." in say("models", "tide").out
    told = say(
        "gate", "comment", "tide/2", "--markdown", "comment.md", "--links", "https://ml.example"
    )
    assert told.code == 0, told.err
    text = (home / "comment.md").read_text()
    assert text.startswith("## tide/2 against tide/1: passed")
    assert "| auc | 0.91 | 0.92 | +0.01 |" in text
    assert "| rows |" in text
    assert "Training rows: 180, now 180." in text
    assert "### Gate of tide/2: passed" in text
    other = say("gate", "comment", "tide/2", "--against", "1", "--json").json["markdown"]
    assert "against tide/1" in other
    itself = say("gate", "comment", "tide/1").out
    assert "It is the champion itself." in itself
