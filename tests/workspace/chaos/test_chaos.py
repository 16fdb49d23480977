"""A copy of a home is broken on purpose: it reaches nobody, and keeps its promises."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from mainspring.engine import reactor, tasks
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import LoopSpec
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.ground.settings import load as settings
from mainspring.web.api import call
from mainspring.workspace.chaos import load, rounds
from mainspring.workspace.chaos.copying import copy_home
from mainspring.workspace.chaos.rounds import Round, chaos
from mainspring.workspace.opening import Workspace, open_workspace


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    root = tmp_path / "project"
    root.mkdir()
    (root / "mainspring.toml").write_text("")
    found = settings(start=root, environ={})
    with closing(open_workspace(found)) as ws:
        _furnish(ws)
    return found


def _furnish(ws: Workspace) -> None:
    ws.objects.put(b"an object of the home")
    call(ws, "channels.add", name="log", kind="log")
    call(ws, "tokens.create", name="ci", role="viewer")
    spec = LoopSpec(
        name="tide",
        model="tide",
        pipeline="project:train",
        endpoint="tide",
        target="y",
        kind="binary",
        root=ws.settings.root,
    )
    step = tasks.NewTask(id="s1", kind="step", payload={}, group="run_1")

    def work(tx) -> None:
        reactor.declare(tx, spec, 0.0)
        tasks.submit(tx, [step])

    ws.write(Permission.ADMIN, work)


def _ask(found: Settings, query: str) -> list[tuple]:
    with closing(sqlite3.connect(found.database_url.removeprefix("sqlite:///"))) as copy:
        return copy.execute(query).fetchall()


def test_a_copy_tells_nobody_starts_nothing_and_finds_no_code(home, tmp_path) -> None:
    (tmp_path / "copy").mkdir()
    copy = copy_home(home, tmp_path / "copy")
    for table in ("channels", "tokens", "webhooks", "schedules"):
        assert _ask(copy, f"SELECT count(*) FROM {table}") == [(0,)]
    assert _ask(copy, "SELECT state FROM tasks WHERE id = 's1'") == [("cancelled",)]
    [(spec,)] = _ask(copy, "SELECT spec FROM loops")
    assert json.loads(spec)["root"] == str(tmp_path / "copy")
    assert _ask(home, "SELECT count(*) FROM channels") == [(1,)]  # the home is as it was
    assert _ask(home, "SELECT state FROM tasks WHERE id = 's1'") == [("ready",)]
    [ours] = [f for f in Path(home.objects_url).rglob("*") if f.is_file()]
    [theirs] = [f for f in Path(copy.objects_url).rglob("*") if f.is_file()]
    assert ours.samefile(theirs)


def test_a_home_elsewhere_is_not_copied(home, tmp_path) -> None:
    far = msgspec.structs.replace(home, database="postgresql://h/d")
    with pytest.raises(BadInputError, match="Only a home with SQLite") as told:
        copy_home(far, tmp_path)
    assert told.value.field == "chaos"


def test_a_home_survives_the_death_of_its_engine_and_of_who_writes(home, tmp_path) -> None:
    (tmp_path / "copy").mkdir()
    said: list[str] = []
    found = chaos(home, tmp_path / "copy", rounds=1, seed=3, tell=said.append)
    assert found.survived, found
    [one] = found.rounds
    assert sorted(one.killed) == ["engine", "writer"]
    assert one.rows >= load.ROWS  # a round begins with what was acknowledged first
    assert found.rows >= one.rows
    assert found.labels >= one.labels
    assert said[0] == "copying the home"
    assert said[-1] == "coming to rest"


def test_what_was_acknowledged_and_is_not_there_is_told(home, tmp_path) -> None:
    (tmp_path / "copy").mkdir()
    with closing(open_workspace(copy_home(home, tmp_path / "copy"))) as ws:
        load.furnish(ws)
        claimed = Round(number=1, lived_s=1.0, killed=[], rows=50, labels=0, broken=[])
        assert rounds._lost(ws, [claimed]) == ["acknowledged: 50 rows, and 0 are there."]
