"""Debt, ablation, consumers and what goes away, as a person and a pipeline of CI call them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.cli.debt import day, spark
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import open_workspace


def git(*words: str) -> None:
    who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


@pytest.fixture
def trained(say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A starter project with a noise column, trained and promoted from uncommitted code."""
    rng = np.random.default_rng(0)
    a, b, noise = rng.normal(size=(3, 3_000)).round(4)
    late = (rng.random(3_000) < 1 / (1 + np.exp(-2 * a - b))).astype(int)
    table = pl.DataFrame({"a": a, "b": b, "noise": noise, "late": late})
    table.write_csv(tmp_path / "flights.csv")
    assert say("init", "flights.csv", "--target", "late").code == 0
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    git("init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text(".mainspring\n__pycache__\n")
    git("add", "-A")
    git("commit", "-q", "-m", "One")
    project = tmp_path / "project.py"
    project.write_text(project.read_text() + "\nOLD_LIMIT = 3\n")
    ran = say("run", "flights", "-p", "trees=20", "--register", "flights", "--json")
    assert ran.code == 0, ran.err
    assert say("promote", "flights/1", "--reason", "First.").code == 0
    return say


def test_a_noise_feature_a_dead_constant_and_uncommitted_code_are_found_by_exit_code(
    trained: Callable[..., Any], tmp_path: Path
) -> None:
    measured = trained("ablate", "flights@champion", "--json")
    assert measured.code == 1  # what CI looks at
    assert measured.json["without_gain"] == ["noise"]
    scanned = trained("debt", "--json").json
    found = {one["finding"]["kind"]: one["finding"] for one in scanned["owed"]}
    assert found["useless_feature"]["where"] == "feature noise"
    assert found["prototype"]["subject"] == "flights/1"
    assert "its code differed from the commit" in found["prototype"]["found"].lower()
    assert "Nothing reads OLD_LIMIT" in found["unused_config"]["found"]
    assert found["no_owner"]["severity"] == "high"  # a run by hand has no card
    assert set(found) == {
        "useless_feature",
        "prototype",
        "unused_config",
        "no_owner",
        "untested_step",
    }
    assert trained("debt", "--budget", "correction_cascade=0").code == 0
    out = tmp_path / "out" / "debt.md"
    assert trained("debt", "--budget", "prototype=0", "--markdown", str(out)).code == 1
    assert "**Over the budget.** 1 of kind prototype" in out.read_text()
    only = trained("debt", "--kind", "useless_feature", "--budget", "0").out
    assert "feature noise" in only
    assert "OLD_LIMIT" not in only

    name = found["prototype"]["id"]
    said = trained("debt", "accept", name, "--until", "2100-01-01", "--reason", "Later.")
    assert said.code == 0, said.err
    calm = trained("debt", "--budget", "prototype=0")
    assert calm.code == 0
    assert "; 1 accepted." in calm.out
    assert "Later." in calm.out
    shown = trained("debt", "trend").out
    assert "weight  " in shown
    assert len(trained("debt", "trend", "--json").json) == 4
    assert trained("debt", "accept", "debt_none", "--until", "2100-01-01",
                   "--reason", "x").code == 2  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("debt", "--budget", "much"), "budget"),
        (("debt", "--kind", "no_ownr"), "Did you mean 'no_owner'?"),
        (("debt", "accept", "debt_1", "--until", "soon", "--reason", "x"), "until"),
        (("deprecate", "model:none"), "--until"),
        (("dependents", "flights"), "feature:MODEL.COLUMN"),
    ],
    ids=["budget", "kind", "date", "deprecate", "dependents"],
)
def test_what_cannot_be_is_refused_in_one_line(say, words, says) -> None:
    with contextlib.closing(open_workspace(load({}))):
        pass
    said = say(*words)
    assert said.code == 2
    assert says in said.err


def test_consumers_come_and_go_and_hear_what_goes_away(say) -> None:
    with contextlib.closing(open_workspace(load({}))) as ws:
        ws.acting_as(service("test")).write(
            Permission.WORK, lambda tx: endpoints.ensure(tx, "tide", "tide", at=0.0)
        )
    assert "Nobody is declared" in say("consumers", "list").out
    made = say("consumers", "add", "tide", "billing", "--owner", "payments", "--token", "ci")
    assert "billing uses tide; payments answers for it." in made.out
    [row] = say("consumers", "list", "tide", "--json").json
    assert (row["declared"], row["tokens"], row["requests"]) == (True, ["ci"], 0)
    assert "consumer:billing" in say("dependents", "endpoint:tide").out
    gone = say("deprecate", "endpoint:tide", "--until", "2100-01-01", "--reason", "A better one.")
    assert "endpoint:tide goes away 2100-01-02 00:00:00 UTC: A better one." in gone.out
    assert "Declared consumers: tide: billing" in gone.out
    assert "A better one." in say("deprecate").out
    assert "goes away" in say("dependents", "endpoint:tide").out
    assert "stays after all" in say("deprecate", "endpoint:tide", "--undo").out
    assert "Nothing goes away." in say("deprecate").out
    assert say("consumers", "remove", "tide", "billing").code == 0
    assert say("consumers", "remove", "tide", "billing").code == 2


def test_a_day_is_whole_and_a_line_of_bars_begins_at_zero() -> None:
    assert day("2027-01-31") - day("2027-01-30") == 86_400
    with pytest.raises(BadInputError):
        day("9999-12-31")
    assert spark([0.0, 0.0]) == "▁▁"
    assert spark([]) == ""
