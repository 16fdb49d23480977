"""Each event starts at most one run, under two engines and in spite of workers that die."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from homes import NOW, InProcess, add_version, work_as_engine

from mainspring.engine import leases, tasks, triggers
from mainspring.engine.triggers import Trigger
from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Alarm, Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.pipelines.data import versions as data
from mainspring.readiness import registry
from mainspring.workspace.engines import make_engine
from mainspring.workspace.events import noticing, sources, verbs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.searching import run_page

PROJECT = """
import mainspring as ms

@ms.step
def say(x: str) -> str:
    if x == "bad":
        raise ValueError("bad")
    return x

@ms.pipeline
def tell(x: str = "none") -> str:
    return say(x)

@ms.pipeline
def after(x: str = "none") -> str:
    return say(x)
"""


@pytest.fixture
def place(ws: Workspace, executor: InProcess) -> Workspace:
    Path(ws.settings.root).mkdir(exist_ok=True)
    (Path(ws.settings.root) / "project.py").write_text(PROJECT)
    return ws


def put(ws: Workspace, on: str, pipeline: str = "tell", name: str = "t", **more: Any) -> Trigger:
    source, what = sources.read(on)
    given = {"name": name, "source": source, "what": what, "root": ws.settings.root}
    wanted = msgspec.convert({**given, "pipeline": pipeline, **more}, Trigger)
    return verbs.put(ws, wanted).trigger


def log(ws: Workspace, *digests: str, name: str = "flights", run: str = "run_x") -> None:
    """Let a run read versions of a dataset, each once."""

    def work(tx: Tx) -> None:
        if runs.brief(tx, run) is None:
            runs.create(
                tx,
                Run(id=run, experiment="e", name=run, status=RunStatus.RUNNING, started=NOW),
            )
        told = [Dataset(name=name, digest=d, source_type="local", source="x") for d in digests]
        datasets.log(tx, run, [Use(dataset=one) for one in told], ws.clock.now())

    work_as_engine(ws, work)


def work(ws: Workspace, *, seconds: float = 0.0) -> None:
    """Let two engines do what there is to do, after the clock was turned."""
    ws.clock.turn(seconds)  # type: ignore[attr-defined]
    one, two = make_engine(ws, "one"), make_engine(ws, "two")
    while any((one.step_once(), two.step_once())):
        pass
    assert not one.troubles | two.troubles


def begun(ws: Workspace) -> list[Run]:
    found = [run for run in run_page(ws, limit=100).runs if "trigger:" in (run.cause or "")]
    return sorted(found, key=lambda run: int((run.cause or "").rpartition(":")[2]))


def states(ws: Workspace, name: str = "t") -> list[str]:
    return [one.event.state for one in reversed(verbs.shown(ws, name, 100)[1])]


def test_each_new_version_of_a_dataset_starts_one_run_with_its_version(place: Workspace) -> None:
    log(place, "before")
    put(place, "dataset:flights", params={"x": "{event.version}"})
    work(place)
    assert begun(place) == []
    log(place, "v1", "v2")
    log(place, "other", name="weather")
    work(place)
    work(place)
    assert [run.params for run in begun(place)] == [{"x": "v1"}, {"x": "v2"}]
    assert {run.status for run in begun(place)} == {"finished"}
    cause, lines = verbs.cause_of(place, begun(place)[0].id)
    assert (cause or "").startswith("trigger:t:")
    assert "version=v1" in lines[0]


def test_a_data_version_starts_a_run_and_a_run_that_reads_it_does_not(place: Workspace) -> None:
    put(place, "dataset:flights", params={"x": "{event.version}"})

    def add(tx: Tx) -> None:
        new = data.DataVersion(
            name="flights", number=0, digest="a" * 64, manifest="b" * 64, kind="file",
            created=NOW, by="test", files=1, bytes=3,
        )  # fmt: skip
        data.add(tx, new)

    work_as_engine(place, add)
    work(place)
    log(place, "a" * 64)
    work(place)
    assert [run.params for run in begun(place)] == [{"x": "1"}]


def test_a_worker_that_died_before_its_commit_leaves_one_run(place: Workspace) -> None:
    put(place, "dataset:flights")
    log(place, "v1")
    engine = make_engine(place, "first")
    own = place.acting_as(service("test"))
    for _ in range(20):
        engine.one_pass()
        lease = work_as_engine(
            place,
            lambda tx: leases.claim(tx, "w", 30.0, place.clock.now(), kinds=[noticing.NOTE]),
        )
        if lease is not None:
            engine.work(lease, None, next_one=False)
        begin = work_as_engine(
            place,
            lambda tx: leases.claim(tx, "w", 30.0, place.clock.now(), kinds=[noticing.BEGIN]),
        )
        if begin is not None:
            break
    assert begin is not None
    handler = noticing.Begins(own).begin
    first, second = handler(begin), handler(begin)  # the first worker died, another took over
    for done in (second, first):
        assert done.apply is not None
        work_as_engine(place, done.apply)
    assert len(begun(place)) == 1
    assert states(place) == ["begun"]


def test_events_that_come_together_start_one_run_for_the_newest(place: Workspace) -> None:
    put(
        place, "dataset:flights", params={"x": "{event.version} of {event.count}"},
        debounce_s=30.0,
    )  # fmt: skip
    log(place, "v1", "v2")
    work(place)
    assert begun(place) == []
    log(place, "v3")
    work(place, seconds=20)
    assert begun(place) == []
    work(place, seconds=31)
    assert [run.params for run in begun(place)] == [{"x": "v3 of 3"}]


def test_more_runs_than_an_hour_allows_wait_for_the_next(place: Workspace) -> None:
    put(place, "dataset:flights", per_hour=2)
    log(place, "v1", "v2", "v3")
    work(place)
    assert (len(begun(place)), states(place)) == (2, ["begun", "begun", "waiting"])
    work(place, seconds=3601)
    assert len(begun(place)) == 3


def test_what_a_filter_refuses_starts_nothing_and_says_why(place: Workspace) -> None:
    put(place, "dataset:flights", filters=["version like v1*"])
    log(place, "v1", "v2")
    work(place)
    assert sorted(states(place)) == ["begun", "skipped"]
    skipped = next(one.event for one in verbs.shown(place, "t")[1] if one.event.state == "skipped")
    assert "version like v1*" in skipped.why
    tried = verbs.tried(place, "t", {"version": "v2"})
    assert (tried.starts, "does not hold" in tried.why) == (False, True)


def test_a_chain_of_triggers_ends_at_its_depth_and_says_so(place: Workspace) -> None:
    """Each run's pipeline writes the dataset that starts the other: no circle of run ends."""
    put(place, "dataset:a", name="t", depth=2)
    put(place, "dataset:b", name="u", depth=2)
    log(place, "v0", name="a")
    for number in range(6):
        work(place)
        newest = begun(place)[-1] if begun(place) else None
        if newest is None:
            continue
        other = "b" if newest.tags[sources.TRIGGER] == "t" else "a"
        log(place, f"v{number + 1}", name=other, run=newest.id)
    assert [run.tags[sources.TRIGGER] for run in begun(place)] == ["t", "u"]
    why = verbs.shown(place, "t")[1][0].event.why
    assert "2 triggers led to it one after another" in why


def test_a_pipeline_that_would_start_itself_is_refused(place: Workspace) -> None:
    with pytest.raises(BadInputError, match="would start itself") as caught:
        put(place, "run:tell", "tell")
    assert caught.value.field == "on"
    put(place, "run:tell", "after", "one")
    with pytest.raises(BadInputError, match="two -> one"):
        put(place, "run:project:after", "tell", "two")


def test_the_end_of_a_run_starts_the_next_pipeline(place: Workspace) -> None:
    put(place, "dataset:flights", "tell", "first", params={"x": "{event.version}"})
    put(place, "run:tell:finished", "after", "then", params={"x": "{event.run}"})
    put(place, "run:tell:failed", "after", "sorry", params={"x": "sorry"})
    log(place, "v1")
    work(place)
    first, then = begun(place)[0], begun(place)[-1]
    assert sorted(run.pipeline or "" for run in begun(place)) == ["project:after", "project:tell"]
    told = next(run for run in (first, then) if run.pipeline == "project:after")
    made = next(run for run in (first, then) if run.pipeline == "project:tell")
    assert told.params == {"x": made.id}
    log(place, "bad")
    work(place)
    assert [one.event.state for one in verbs.shown(place, "sorry")[1]] == ["begun"]


def test_a_trigger_rests_after_failing_so_often_in_a_row(place: Workspace) -> None:
    put(place, "dataset:flights", params={"x": "bad"}, fails=2)
    log(place, "v1", "v2", "v3")
    work(place)
    assert [run.status for run in begun(place)] == ["failed", "failed"]
    one, _ = verbs.shown(place, "t")
    assert one.paused is not None
    assert "2 runs in a row failed" in one.why
    place.clock.turn(60.0)  # type: ignore[attr-defined]
    verbs.resume(place, "t")
    work(place)
    assert len(begun(place)) == 3


def test_a_model_whose_alias_moves_and_an_alarm_start_runs(
    place: Workspace, packages: tuple[Path, dict[str, str]]
) -> None:
    shutil.copytree(packages[0], place.settings.objects_url, dirs_exist_ok=True)
    add_version(place, 1, packages[1]["good"], passed=True)
    put(place, "model:tide@champion", params={"x": "{event.version}"})
    put(place, "alarm:tide", name="a", params={"x": "{event.subject}"})
    work_as_engine(place, lambda tx: registry.set_alias(tx, "tide", "champion", 1, "good", NOW))
    alarm = Alarm(
        id="alarm_1", endpoint="tide", kind="drift", subject="col", reason="it moved",
        raised=5.0, window="w", evidence={},
    )  # fmt: skip
    work_as_engine(place, lambda tx: alarms.raise_(tx, alarm))
    work(place)
    assert {run.params["x"] for run in begun(place)} == {"tide/1", "col"}


def test_a_file_starts_a_run_once_it_is_settled_and_again_when_it_changes(
    place: Workspace,
) -> None:
    folder = Path(place.settings.root) / "in"
    folder.mkdir()
    (folder / "old.csv").write_text("1")
    put(place, "file:in/*.csv", params={"x": "{event.name} {event.size}"})
    file = folder / "new.csv"
    watch = make_engine(place, "one")

    def look(seconds: float) -> None:
        place.clock.turn(seconds)  # type: ignore[attr-defined]
        while watch.step_once():
            pass

    look(3)
    file.write_text("12")
    look(3)
    file.write_text("123")  # it is still being written
    os.utime(file, ns=(1, 1))
    look(3)
    assert begun(place) == []
    look(3)
    assert [run.params for run in begun(place)] == [{"x": "new.csv 3"}]
    look(3)
    file.write_text("1234")
    look(3)
    look(3)
    assert [run.params["x"] for run in begun(place)] == ["new.csv 3", "new.csv 4"]


@pytest.mark.parametrize(
    ("on", "more", "field"),
    [
        ("moon:full", {}, "on"),
        ("dataset", {}, "on"),
        ("webhook:x", {}, "on"),
        ("dataset:f", {"params": {"x": "{event.nothing}"}}, "x"),
        ("dataset:f", {"params": {"y": "1"}}, "y"),
        ("dataset:f", {"filters": ["what"]}, "filter"),
        ("dataset:f", {"per_hour": 0}, "per_hour"),
        ("dataset:f", {"pipeline": "none"}, None),
    ],
)
def test_what_cannot_be_a_trigger_is_refused_by_name(
    place: Workspace, on: str, more: dict[str, Any], field: str | None
) -> None:
    with pytest.raises(BadInputError) as caught:
        put(place, on, **more)
    assert field is None or caught.value.field == field
    assert place.read(Permission.READ, triggers.every) == []
    assert place.read(Permission.READ, lambda tx: tasks.known(tx, [])) == set()
