"""A script that knows nothing of us trains, is retrained when its world turns, and is promoted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from homes import settle
from training_scripts import JOBLIB, MLFLOW, SKOPS
from whole_loop import Traffic

from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import project
from mainspring.readiness import decisions, registry
from mainspring.web.app import build_app
from mainspring.workspace import acts, assembling
from mainspring.workspace.around import declaring, running, trusting
from mainspring.workspace.around.scripts import code_of
from mainspring.workspace.children import trace
from mainspring.workspace.opening import Workspace
from serving_in_a_thread import served


def champion(ws: Workspace) -> int | None:
    return ws.read(Permission.READ, lambda tx: registry.champion(tx, "tide"))


def live(ws: Workspace, days: range) -> None:
    """Send days of rows with their labels, each judged before the next."""
    with contextlib.closing(Traffic(ws)) as traffic:
        for day in days:
            traffic.send(day)
            settle(ws, scanning=True)


@pytest.fixture
def url(ws: Workspace) -> Iterator[str]:
    """The home, served by a thread as ``mainspring up`` would."""
    with served(build_app(ws)) as found:
        yield found


def test_a_script_that_writes_a_file_is_retrained_when_its_world_turns(
    ws: Workspace, root: Path, close: Any
) -> None:
    spec = close(SKOPS, 'writes="model.skops",')
    before = (root / "data.csv").read_bytes(), (root / "train.py").read_bytes()
    assert spec.kind == "binary"
    assert spec.retraining.rows.source == "data.csv"
    settle(ws)
    assert champion(ws) == 1
    live(ws, range(2, 6))  # from the third day on the concept is the other way round

    def look(tx: Tx) -> tuple[Any, ...]:
        version = registry.get(tx, "tide", 2)
        return version, runs.get(tx, version.run or "").tags, registry.history(tx, "tide")

    version, tags, moves = ws.read(Permission.READ, look)
    assert moves[0].number == 1
    record = assembling.read_record(ws, tags["mainspring.training_set"])
    assert record.rows_by_source["captured"] > 200
    assert record.window is not None
    assert record.window.name == "2d"
    assert record.rows == 480
    assert version.signature.time == "t"
    assert version.trained_until == record.end
    # The project stays as it was: the script wrote beside its copy.
    assert before == ((root / "data.csv").read_bytes(), (root / "train.py").read_bytes())
    assert not (root / "model.skops").exists()


def test_a_model_that_an_mlflow_script_registered_gets_a_loop_that_runs_the_script(
    ws: Workspace, root: Path, close: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    spec = close(MLFLOW, declare=False)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=root, env=os.environ, capture_output=True, text=True
    )  # the way it was before there was a loop
    assert done.returncode == 0, done.stderr
    acts.declare(ws, spec)
    settle(ws)
    # What is registered already becomes the first version as it is; the script is not run.
    assert champion(ws) == 2
    live(ws, range(2, 8))

    def look(tx: Tx) -> tuple[Any, ...]:
        found = registry.versions(tx, "tide")
        return found, decisions.list_decisions(tx, "tide")

    versions, made = ws.read(Permission.READ, look)
    theirs = [one.number for one in versions if one.source is not None]
    ours = [one.number for one in versions if one.source is None]
    assert theirs[-1] == 1
    assert ours[-1] == 2
    assert len(ours) >= 2
    assert len(theirs) >= 2, "the script registered again, on the loop's rows"
    assert champion(ws) in ours
    assert (champion(ws) or 0) > 2
    kinds = [one.kind for one in reversed(made)]
    assert kinds.index("retrain") < kinds.index("canary") < kinds.index("promote", 2)


def test_a_pickle_is_opened_only_once_a_person_trusts_the_script(
    ws: Workspace, root: Path, close: Any
) -> None:
    close(JOBLIB, 'writes="model.joblib",')
    settle(ws)
    assert champion(ws) is None
    [told, *_] = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide"))
    assert "model.joblib is pickled" in told.reason
    code = code_of(root, "train.py")
    trusting.trust(ws, "train.py", code, "It is our own training.")
    trusting.trust(ws, "train.py", code, "Said twice.")
    made = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx))
    assert [one.subject for one in made if one.kind == "trust"] == ["script:train.py"]
    acts.retrain(ws, "tide", "It is trusted now.")
    settle(ws)
    assert champion(ws) == 1
    (root / "train.py").write_text((root / "train.py").read_text() + "\n# another script now\n")
    assert code_of(root, "train.py") != code


def test_trusting_needs_a_reason(ws: Workspace) -> None:
    with pytest.raises(BadInputError, match="needs a reason"):
        trusting.trust(ws, "train.py", "0" * 64, "  ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('raise SystemExit("the warehouse is shut")', "ended with 1: the warehouse is shut"),
        ("print(1)", "train.py wrote no model.skops"),
    ],
)
def test_a_script_that_fails_or_makes_nothing_says_so(
    ws: Workspace, root: Path, close: Any, text: str, told: str
) -> None:
    close(SKOPS, 'writes="model.skops",', declare=False)
    (root / "train.py").write_text(text)
    how = msgspec.json.encode(
        declaring.described(
            root, "train.py", model="tide", target="y", rows="data.csv", writes="model.skops"
        )
    )
    with pytest.raises((RuntimeError, BadInputError), match=told):
        running.run(None, how.decode(), str(root / "project.py"))


def test_an_edited_script_is_another_step(ws: Workspace, root: Path, close: Any) -> None:
    first = close(SKOPS, 'writes="model.skops",', declare=False)
    asked = {"root": str(root), "pipeline": first.pipeline, "params": {}}
    before = trace(asked)["code"]
    assert trace(asked)["code"] == before
    with (root / "train.py").open("a") as file:
        file.write("# an edit\n")
    (root / "project.py").touch()
    project.close()
    assert trace(asked)["code"] != before
    assert pl.read_csv(root / "data.csv").height == 2400
