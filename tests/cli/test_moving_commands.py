"""Export and import, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring.experiments import runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace


def test_a_project_moves_to_another_home(say: Callable[..., Any], tmp_path: Path) -> None:
    ws = open_workspace(load({"home": str(tmp_path / "old")}))
    run = Run(
        id="run_a", experiment="flights", name="a", status=RunStatus.FINISHED, started=1.0,
        ended=2.0, metrics={"auc": 0.5},
    )  # fmt: skip
    ws.write(Permission.LOG, lambda tx: runs.create(tx, run))
    ws.close()
    written = say("export", "p.msar", "--experiment", "flights", "--home", "old")
    assert written.code == 0
    assert "1 runs" in written.out
    assert "sha256 " in written.out
    assert (tmp_path / "p.msar").stat().st_mode & 0o777 == 0o600
    taken = say("import", "archive", "p.msar", "--home", "new")
    assert taken.code == 0
    assert "rows were added, 0 were there already" in taken.out
    assert say("runs", "--home", "new", "--json").json["runs"][0]["metrics"] == {"auc": 0.5}
    again = say("import", "archive", "p.msar", "--home", "new", "--json")
    assert (again.json["added"], again.json["same"] > 0) == (0, True)
    everything = say("export", "all.msar", "--home", "new", "--json")
    assert json.loads(everything.out)["runs"] == 1


def test_what_cannot_be_is_said(say: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text.msar").write_text("no archive")
    for words, code, told in (
        (("export", "p.msar"), 2, "no Mainspring home"),
        (("import", "archive", "nothing.msar"), 2, "no file"),
        (("import", "archive", "text.msar"), 1, "archive is damaged"),
        (("export", "text.msar"), 2, "already"),
        (("export", "p.msar", "--url", "http://127.0.0.1:9"), 2, "--home"),
        (("export", "p.msar", "--experiment", "nope"), 2, "nope"),
    ):
        said = say(*words)
        assert said.code == code, words
        assert told in said.err
    assert not (tmp_path / "p.msar").exists()
