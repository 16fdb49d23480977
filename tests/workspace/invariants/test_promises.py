"""Every promise of the store is kept in a sound home, and each is missed when a hand breaks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.engine import reactor, tasks
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Alarm, LoopSpec, Rollout, Strategy, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load as settings
from mainspring.monitoring import alarms
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.invariants.asking import PROMISES, ask
from mainspring.workspace.opening import Workspace, open_workspace

NOW = 1_700_000_000.0


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "mainspring.toml").write_text("")
    made = open_workspace(settings(start=tmp_path, environ={}), clock=TurnedClock(NOW))
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"x": rng.normal(size=300), "y": rng.integers(0, 2, 300)})
    fitted = Model(LogisticRegression(), target="y").fit(rows)
    spec = LoopSpec(
        name="m", model="m", pipeline="p:train", endpoint="m", target="y", kind="binary"
    )

    def furnish(tx):
        for _ in range(2):
            version = Version(
                model="m",
                number=0,
                run=None,
                package=package.write(fitted, made.objects),
                signature=fitted.signature,
                card=None,
                metrics={},
                created=NOW,
                by="anna",
            )
            number = registry.register(tx, version).number
            gate.store_result(tx, gate.result("m", number, [], NOW, "engine"))
        registry.promote(tx, "m", 1, reason="The first.", at=NOW)
        endpoints.ensure(tx, "m", "m", at=NOW, loop="m")
        reactor.declare(tx, spec, at=NOW, champion=1)
        begun = Rollout(
            id="roll_1",
            endpoint="m",
            model="m",
            champion=1,
            challenger=2,
            strategy=Strategy.SHADOW,
            share=0.0,
            state="running",
            started=NOW,
        )
        rollouts.start(tx, begun)
        alarm = Alarm(
            id="alarm_1", endpoint="m", kind="drift", subject="x", reason="It moved.", raised=NOW,
            window="m:1",
        )  # fmt: skip
        alarms.raise_(tx, alarm)
        needs = [tasks.NewTask(id=f"t{n}", kind="k", payload={}, needs=[]) for n in range(2)]
        tasks.submit(tx, [*needs, tasks.NewTask(id="t9", kind="k", payload={}, needs=["t0"])])

    made.write(Permission.ADMIN, furnish)
    made.acting_as(service("engine")).write(Permission.WORK, _reacted)
    yield made
    made.close()


def _reacted(tx):
    reactor.Reactor(lambda *_: None, lambda *_: True).react_once(tx, NOW, "m")


def _broken(ws: Workspace) -> dict[str, list[str]]:
    return {one.name: one.broken for one in ask(ws) if one.broken}


def _by_hand(ws: Workspace, *statements: str) -> None:
    """Change the database as nobody should: without the guards that stand in it."""
    file = ws.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as hand:
        for (name,) in hand.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            hand.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            hand.execute(statement)
        hand.commit()


def test_a_sound_home_keeps_every_promise(ws):
    assert _broken(ws) == {}
    assert len({name for name, *_ in PROMISES}) == len(ask(ws)) == len(PROMISES)


BREAKS = {
    "aliases": "UPDATE aliases SET number = 2",
    "champions": "DELETE FROM gates WHERE number = 1",
    "numbers": "UPDATE models SET newest = 5",
    "views": "UPDATE views SET view = json_set(view, '$.champion', 2)",
    "commands": "UPDATE views SET view = json_set(view, '$.command', 'm-0009')",
    "rollouts": "UPDATE rollouts SET champion = 2, challenger = 1",
    "alarms": "UPDATE alarms SET outcome = 'dismissed'",
    "promotions": "UPDATE alias_history SET reason = ' '",
    "tasks": "UPDATE tasks SET unfinished = 4 WHERE id = 't9'",
    "leases": "UPDATE tasks SET state = 'leased', owner = NULL WHERE id = 't1'",
}


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_promise_that_a_hand_broke_is_told_by_name(ws, name):
    _by_hand(ws, BREAKS[name])
    found = _broken(ws)
    assert name in found
    assert all(isinstance(line, str) and line for line in found[name])


def test_two_trainings_at_once_are_told(ws):
    for n in range(2):
        new = tasks.NewTask(id=f"m-{n}", kind="train", payload={"loop": "m"})
        ws.write(Permission.ADMIN, lambda tx, new=new: tasks.submit(tx, [new]))
    assert _broken(ws) == {"single flight": ["Loop m has 2 trainings under way."]}


def test_bytes_that_are_gone_are_told_by_file(ws):
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, "m", 1))
    digest = package.read_manifest(version.package, ws.objects).files["model.skops"]
    [file] = [
        f
        for f in Path(ws.settings.objects_url).rglob("*")
        if f.name and digest.endswith(f.name) and f.is_file()
    ]
    file.unlink()
    assert _broken(ws) == {"packages": [f"model.skops of m/1, {digest[:12]}, is not here."]}


def test_captures_whose_index_names_a_file_that_is_gone_are_told(ws):
    folder = ws.captures("m")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").write_text(
        '{"files":[{"name":"a.parquet","low":0,"high":1,"rows":1200,"bytes":9}]}'
    )
    assert _broken(ws) == {"captures": ["a.parquet of m is not there (1,200 rows)."]}


def test_a_view_that_cannot_be_read_is_told_and_keeps_no_other_question_from_being_asked(ws):
    _by_hand(ws, "UPDATE views SET view = '{'", BREAKS["numbers"])
    found = _broken(ws)
    assert set(found) == {"views", "numbers"}
    assert "cannot be read" in found["views"][0]


def test_a_promise_that_is_broken_everywhere_names_twenty_places(ws):
    several = [
        f"INSERT INTO edges (task, needs, anyhow) VALUES ('t9', 'gone-{n}', FALSE)"
        for n in range(30)
    ]
    _by_hand(ws, *several)
    found = _broken(ws)["tasks"]
    assert len(found) == 21
    assert found[-1] == "and more"
