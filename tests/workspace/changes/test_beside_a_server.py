"""A change in a runner is judged by the server's gate, and beside what its champion is sent."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from homes import NOW, InProcess, add_version, settle
from sklearn.linear_model import LogisticRegression
from whole_loop import rows_of

from mainspring.cli import integration
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.web.app import build_app
from mainspring.workspace import engines
from mainspring.workspace import gates as known
from mainspring.workspace.changes import report, sides
from mainspring.workspace.changes.sides import Side
from mainspring.workspace.opening import Workspace, open_workspace
from serving_in_a_thread import served as answering

#: What the branch would be judged by if it brought its own.
SOFT = {"tide": {"needs_card": False, "max_latency_ms": 60_000.0}}
Reported = Callable[[str | None, list[str]], report.Report]


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reported:
    """What is reported in a new home, of a server if one is named, on a model of some columns."""
    root = tmp_path / "runner"
    root.mkdir()
    (root / "project.py").write_text("")
    own = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(root)]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "First."]):
        subprocess.run([*own, *words], check=True)
    columns, truth, _ = rows_of(0)
    rows = pl.DataFrame({**columns, "y": truth}).with_columns(c=pl.col("a") * 2)

    def report_on(url: str | None, asked: list[str]) -> report.Report:
        home = tmp_path / "homes" / "-".join([*asked, "far" if url else "here"])
        settings = Settings(root=str(root), home=str(home), url=url, gates=SOFT)
        with contextlib.closing(open_workspace(settings, clock=TurnedClock(NOW))) as ws:
            ws._started.append(InProcess())
            model = Model(LogisticRegression(), "y", "binary", columns=asked)
            made = package.write(model.fit(rows.head(180), holdout=rows.tail(60)), ws.objects)

            def run(*words: Any) -> Side:
                if "--smoke" in words[4]:
                    return Side(commit="c")
                add_version(ws, 1, made, passed=True)
                return Side(commit="c", version="tide/1")

            monkeypatch.setattr(sides, "run", run)
            monkeypatch.setattr(engines, "settle", lambda ws, _: settle(ws))
            found = report.reported(
                report.Wanted(
                    root=str(root), home=str(home), pipeline="tide", model="tide", base="main"
                ),
                ws,
                lambda model: integration._champion(settings, model),
                lambda _: None,
                lambda model: integration._gate(settings, model),
            )
            assert known.show(ws, "tide").gate.needs_card == bool(url)
        return found

    return report_on


def test_the_servers_gate_judges_where_the_branch_would_bring_a_softer_one(
    served: Workspace, reported: Reported
) -> None:
    with answering(build_app(served)) as url:
        found = reported(url, ["a", "b"])
    assert found.versions == {"head": "tide/1", "champion": "tide/1"}
    assert found.gate is not None
    assert [one.name for one in found.gate.checks if not one.passed] == ["card"]
    assert "The gate is the server's." in found.markdown
    alone = reported(None, ["a", "b"])
    assert alone.passed
    assert "server" not in alone.markdown


def test_what_callers_of_the_servers_champion_do_not_send_is_refused(
    served: Workspace, reported: Reported
) -> None:
    with answering(build_app(served)) as url:
        found = reported(url, ["a", "b", "c"])
    assert found.gate is not None
    checks = {one.name: one for one in found.gate.checks}
    asked = "it needs the column 'c', which callers do not send (champion: tide/1 of the server)"
    assert checks["data contract"].found == asked
    assert not checks["data contract"].passed
    assert "data contract: it needs the column 'c'" in found.why
    assert checks["champion"].found == "not judged here: tide/1 is at the server"
    assert "Losses beside it are told above and not judged" in found.markdown
    assert "### Gate of tide/1: refused" in found.markdown, "the home keeps what was judged"
