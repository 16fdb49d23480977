"""What is deleted can be restored, until gc; gc takes nothing that anybody needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from homes import NOW, settle
from sqlalchemy import func, select

from mainspring.backends.sql import audit
from mainspring.experiments import artifacts, finding, groups, logged, metrics, retention, runs
from mainspring.experiments.tables import logged_artifacts
from mainspring.experiments.tables import retention as policies
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    DamagedError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.objects import DAY_S, Decision, Run, RunStatus
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.pipelines.tables import step_results, steps
from mainspring.readiness import decisions
from mainspring.testing.s3 import S3Server
from mainspring.workspace.engines import make_engine
from mainspring.workspace.keeping import ageing, deleting, owning, reclaiming, texts
from mainspring.workspace.keeping.collecting import Collected, collect
from mainspring.workspace.opening import Workspace, open_workspace

WEEK = 7 * DAY_S


@pytest.fixture
def home(tmp_path: Path, home_url: str) -> Iterator[Workspace]:
    """A home on each kind of database."""
    found = open_workspace(
        Settings(root=str(tmp_path), home=str(tmp_path / "home"), database=home_url),
        clock=TurnedClock(NOW),
    )
    yield found
    found.close()


def add(ws: Workspace, name: str, *, status: str = "finished", data: bytes = b"", **more) -> str:
    """Keep a run that ended just now, with an artifact if there is data."""
    started = more.pop("started", NOW)
    run = Run(
        id=f"run_{name}", experiment=more.pop("experiment", "flights"), name=name,
        status=RunStatus(status), started=started,
        ended=None if status == "running" else started + 1, **more,
    )  # fmt: skip
    digest = ws.objects.put(data) if data else ""

    def work(tx: Tx) -> None:
        runs.create(tx, run)
        if data:
            artifacts.put(tx, run.id, "file.bin", digest, len(data), NOW)

    ws.write(Permission.LOG, work)
    return run.id


def shown(ws: Workspace) -> set[str]:
    return set(ws.read(Permission.READ, lambda tx: finding.page(tx, finding.Search())).ids)


def turn(ws: Workspace, seconds: float) -> None:
    assert isinstance(ws.clock, TurnedClock)
    ws.clock.turn(seconds)


def gone(ws: Workspace, run: str) -> bool:
    try:
        ws.read(Permission.READ, lambda tx: runs.get(tx, run))
    except NotFoundError:
        return True
    return False


def reasons(done: deleting.Deleted | Collected) -> dict[str, str]:
    return {one.run: one.reason for one in done.kept}


def rows_naming(ws: Workspace, run: str) -> int:
    """How many rows of any table still say the run's id, but for the audit log."""

    def work(tx: Tx) -> int:
        count = 0
        for table in texts.tables():
            for column in texts.texts_of(table):
                if table.name != "audit":
                    found = select(func.count()).select_from(table).where(column == run)
                    count += tx.all(found)[0][0]
        return count

    return ws.read(Permission.ADMIN, work)


# ---------------------------------------------------------------- deleting and restoring


def test_a_deleted_run_is_hidden_and_comes_back_whole(home: Workspace) -> None:
    run = add(home, "one", data=b"bytes", params={"C": "1"}, tags={"who": "team"})
    before = home.read(Permission.READ, lambda tx: runs.get(tx, run))
    assert deleting.delete_runs(home, [run], reason="A wrong table.").deleted == [run]
    assert deleting.delete_runs(home, [run]).deleted == []
    assert shown(home) == set()
    assert deleting.restore_runs(home, [run]).restored == [run]
    assert deleting.restore_runs(home, [run]).restored == []
    assert home.read(Permission.READ, lambda tx: runs.get(tx, run)) == before
    log = home.read(Permission.ADMIN, lambda tx: audit.rows(tx, 10))
    assert [(row.action, row.reason) for row in log] == [
        ("run.restore", ""), ("run.delete", "A wrong table."),
    ]  # fmt: skip


def test_runs_are_deleted_by_a_filter(home: Workspace) -> None:
    good, bad = add(home, "good", metrics={"auc": 0.9}), add(home, "bad", metrics={"auc": 0.4})
    looked = deleting.delete_runs(home, filter="metrics.auc < 0.6", dry_run=True)
    assert looked.deleted == [bad]
    assert not home.read(Permission.READ, lambda tx: runs.hidden(tx, [good, bad]))
    assert deleting.delete_runs(home, filter="metrics.auc < 0.6").deleted == [bad]
    with pytest.raises(BadInputError, match="Name the runs"):
        deleting.delete_runs(home, filter="  ")


def test_a_run_that_others_need_stays_and_says_why(home: Workspace) -> None:
    parent, alone = add(home, "parent"), add(home, "alone")
    child = add(home, "child", parent=parent)
    running = add(home, "running", status="running")
    told = add(home, "told")
    decision = Decision(
        id="dec_1", at=NOW, made=NOW, kind="retrain", subject="loop:tide", reason=f"See {told}.",
        by="loop",
    )  # fmt: skip
    home.write(Permission.PROMOTE, lambda tx: decisions.record(tx, decision))
    done = deleting.delete_runs(home, [parent, alone, running, told])
    assert done.deleted == [alone]
    assert reasons(done) == {
        parent: f"run {child} is below it",
        running: "it is still running",
        told: "decision 1 names it",
    }
    done = deleting.delete_runs(home, [parent], children=True)
    assert done.deleted == [parent, child], "who needs it goes with it"


def test_a_run_that_is_not_there_is_named(home: Workspace) -> None:
    for act in (deleting.delete_runs, deleting.restore_runs):
        with pytest.raises(NotFoundError, match="run_nope"):
            act(home, ["run_nope"])


def test_an_experiment_goes_and_comes_with_its_runs(home: Workspace) -> None:
    run, other = add(home, "one"), add(home, "other", experiment="weather")
    deleting.delete_experiment(home, "flights")
    assert shown(home) == {other}
    with pytest.raises(ConflictError, match="experiment flights of these runs is deleted"):
        deleting.restore_runs(home, [run])
    assert deleting.restore_experiment(home, "flights").deleted is None
    assert shown(home) == {run, other}
    with pytest.raises(ConflictError, match="default"):
        deleting.delete_experiment(home, "Default")
    add(home, "busy", status="running")
    with pytest.raises(ConflictError, match="run_busy of flights is still running"):
        deleting.delete_experiment(home, "flights")


# ---------------------------------------------------------------- gc


def test_gc_takes_out_what_was_deleted_long_enough_ago(home: Workspace) -> None:
    old, fresh = add(home, "old", data=b"x" * 1000), add(home, "fresh", data=b"y" * 1000)
    left = add(home, "left", data=b"z" * 1000, params={"C": "1"})
    point = metrics.Point(key="auc", value=0.5, step=1, time=NOW)
    home.write(Permission.LOG, lambda tx: runs.log_points(tx, old, [point]))
    deleting.delete_runs(home, [old])
    turn(home, WEEK + 1)
    deleting.delete_runs(home, [fresh])
    looked = collect(home, dry_run=True)
    assert looked.purged == [old]
    assert not gone(home, old)
    done = collect(home)
    assert (done.purged, done.before, done.after) == (looked.purged, looked.before, looked.after)
    assert (done.before.objects, done.after.objects) == (3, 2)
    assert done.before.size - done.after.size == 1000
    assert gone(home, old)
    assert rows_naming(home, old) == 0
    assert home.objects.has(sha256(b"y" * 1000))
    assert deleting.restore_runs(home, [fresh]).restored == [fresh]
    assert home.read(Permission.READ, lambda tx: runs.get(tx, left)).params == {"C": "1"}
    assert collect(home).purged == []
    assert home.read(Permission.ADMIN, audit.verify).ok


def test_bytes_that_two_runs_share_stay_for_the_other(home: Workspace) -> None:
    first, second = add(home, "first", data=b"shared"), add(home, "second", data=b"shared")
    deleting.delete_runs(home, [first])
    turn(home, WEEK + 1)
    assert collect(home).purged == [first]
    assert home.objects.get(sha256(b"shared")) == b"shared"
    deleting.delete_runs(home, [second])
    turn(home, WEEK + 1)
    collect(home)
    assert not home.objects.has(sha256(b"shared"))


def test_objects_put_within_a_day_stay(home: Workspace) -> None:
    orphan = home.objects.put(b"about to be named")
    path = Path(home.settings.objects_url) / orphan[:2] / orphan[2:]
    os.utime(path, (NOW - DAY_S + 60, NOW - DAY_S + 60))
    assert collect(home).young == 1
    assert home.objects.has(orphan)
    turn(home, 120)
    assert collect(home).young == 0
    assert not home.objects.has(orphan)


def test_manifests_are_followed_however_deep(home: Workspace) -> None:
    leaf = home.objects.put(b"leaf" * 100)
    inner = home.objects.put(canonical({"parts": [{"digest": leaf}]}))
    outer = home.objects.put(canonical(["x" * 200, {"files": {"a": inner}}]))
    stray = home.objects.put(canonical({"digest": leaf}))
    run = add(home, "one")
    home.write(Permission.LOG, lambda tx: artifacts.put(tx, run, "m.json", outer, 1, NOW))
    collect(home)
    assert all(home.objects.has(one) for one in (leaf, inner, outer))
    assert not home.objects.has(stray)


def test_a_manifest_too_large_to_hold_is_read_piece_by_piece(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = home.objects.put(b"leaf")
    manifest = home.objects.put(b'{"pad":"' + b" " * ((1 << 20) - 30) + leaf.encode() + b'"}')
    monkeypatch.setattr(reclaiming, "HELD_BYTES", 1000)
    run = add(home, "one")
    home.write(Permission.LOG, lambda tx: artifacts.put(tx, run, "m.json", manifest, 1, NOW))
    collect(home)
    assert home.objects.has(leaf)


def test_a_damaged_manifest_stops_gc_before_anything_goes(home: Workspace) -> None:
    leaf = home.objects.put(b"leaf" * 10)
    manifest = home.objects.put(canonical({"digest": leaf, "pad": "x" * 64}))
    run = add(home, "one")
    home.write(Permission.LOG, lambda tx: artifacts.put(tx, run, "m.json", manifest, 1, NOW))
    path = Path(home.settings.objects_url) / manifest[:2] / manifest[2:]
    path.write_bytes(b"{" + b"x" * 100)
    with pytest.raises(DamagedError):
        collect(home)
    assert home.objects.has(leaf)


def test_what_any_text_or_file_of_the_home_names_stays(home: Workspace) -> None:
    by_tag, by_file = home.objects.put(b"by tag"), home.objects.put(b"by file")
    add(home, "one", tags={"see": f"the file {by_tag}, above all"})
    folder = home.home / "journals"
    folder.mkdir(exist_ok=True)
    (folder / "j").write_bytes(b"\x00frame\x01" + by_file.encode() + b"\x02")
    collect(home)
    assert home.objects.has(by_tag)
    assert home.objects.has(by_file)
    (folder / "j").unlink()
    collect(home)
    assert not home.objects.has(by_file)


def test_an_experiment_goes_for_good_once_its_runs_have(home: Workspace) -> None:
    add(home, "one", tags={"a": "b"})
    home.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", DAY_S, None, NOW))
    deleting.delete_experiment(home, "flights")
    turn(home, WEEK + 1)
    done = collect(home)
    assert (done.purged, done.experiments) == (["run_one"], ["flights"])
    assert home.read(Permission.READ, lambda tx: groups.by_name(tx, "flights")) is None
    assert home.read(Permission.READ, lambda tx: tx.all(select(policies))) == []


def test_only_an_admin_collects(home: Workspace) -> None:
    other = home.acting_as(Principal(name="ci", role=Role.CONTRIBUTOR))
    with pytest.raises(PermissionDeniedError):
        collect(other)


def test_everything_of_a_run_belongs_to_it() -> None:
    """A table that refers to runs is emptied with them; one that only mentions them is not."""
    owned = {table.name for table, _ in owning.of_runs(["x"])}
    assert owned >= {"runs", "params", "tags", "metrics", "metric_points", "artifacts", "steps"}
    assert not owned & {"versions", "experiments", "decisions", "datasets", "logged_models"}


def test_gc_reclaims_in_a_bucket_too(tmp_path: Path) -> None:
    with S3Server() as s3:
        settings = Settings(
            root=str(tmp_path), home=str(tmp_path / "home"), objects=s3.bucket("kept")
        )
        ws = open_workspace(settings, clock=TurnedClock(NOW))
        add(ws, "left", data=b"left")
        deleting.delete_runs(ws, [add(ws, "old", data=b"old")])
        turn(ws, WEEK + 1)
        done = collect(ws)
        assert (done.before.objects, done.after.objects) == (2, 1)
        assert ws.objects.get(sha256(b"left")) == b"left"
        assert not ws.objects.has(sha256(b"old"))
        ws.close()


COLLECT = """
import sys
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.workspace.keeping.collecting import collect
from mainspring.workspace.opening import open_workspace
home, now = sys.argv[1], float(sys.argv[2])
collect(open_workspace(Settings(root=home, home=home), clock=TurnedClock(now)))
"""


@pytest.mark.parametrize("point", ["gc.purged:1", "gc.deleted:1", "gc.deleted:7"])
def test_gc_killed_in_the_middle_loses_nothing_and_goes_on(ws: Workspace, point: str) -> None:
    left = [add(ws, f"left{n}", data=b"left%d" % n) for n in range(5)]
    deleting.delete_runs(ws, [add(ws, f"old{n}", data=b"old%d" % n) for n in range(10)])
    turn(ws, WEEK + 1)
    ended = subprocess.run(
        [sys.executable, "-c", COLLECT, str(ws.home), str(ws.clock.now())],
        env={**os.environ, "MAINSPRING_KILL_AT": point},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    for number, run in enumerate(left):
        assert not gone(ws, run)
        assert ws.objects.get(sha256(b"left%d" % number)) == b"left%d" % number
    done = collect(ws)
    assert done.after.objects == 5
    assert all(gone(ws, f"run_old{n}") for n in range(10))


# ---------------------------------------------------------------- retention


def test_retention_deletes_old_runs_but_the_best_and_the_marked(home: Workspace) -> None:
    best = add(home, "best", metrics={"auc": 0.9})
    worst = add(home, "worst", metrics={"auc": 0.1})
    nothing = add(home, "nothing")
    marked = add(home, "marked", tags={retention.KEEP: "for the paper"})
    running = add(home, "running", status="running")
    elsewhere = add(home, "elsewhere", experiment="weather")
    kept = retention.read_best("1:metrics.auc")
    home.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", 90 * DAY_S, kept, NOW))
    turn(home, 89 * DAY_S)
    assert collect(home).aged == 0
    turn(home, 2 * DAY_S)
    young = add(home, "young", started=home.clock.now())
    assert collect(home, dry_run=True).aged == 2
    done = collect(home)
    assert (done.aged, done.purged) == (2, []), "they can be restored for a week"
    everything = [best, worst, nothing, marked, running, elsewhere, young]
    hidden = home.read(Permission.READ, lambda tx: runs.hidden(tx, everything))
    assert hidden == {worst, nothing}
    log = home.read(Permission.ADMIN, lambda tx: audit.rows(tx, 10))
    line = next(row for row in log if row.action == "retention.apply")
    assert line.reason == "Retention of flights."
    assert set(msgspec.json.decode(line.detail)["runs"]) == {worst, nothing}
    turn(home, WEEK + 1)
    assert set(collect(home).purged) == {worst, nothing}


def test_the_lowest_may_be_the_best(home: Workspace) -> None:
    low, high = add(home, "low", metrics={"loss": 0.1}), add(home, "high", metrics={"loss": 9.0})
    best = retention.read_best("1:metrics.loss:lowest")
    home.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", DAY_S, best, NOW))
    turn(home, 3 * DAY_S)
    ageing.apply_now(home)
    assert home.read(Permission.READ, lambda tx: runs.hidden(tx, [low, high])) == {high}


@pytest.mark.parametrize(
    "text", ["", "10", "metrics.auc", "x:metrics.auc", "3:auc", "0:metrics.a"]
)
def test_what_is_no_number_of_best_runs_is_refused(home: Workspace, text: str) -> None:
    add(home, "one")
    with pytest.raises(BadInputError, match="keep_best"):
        home.write(
            Permission.ADMIN,
            lambda tx: retention.put(tx, "flights", 1.0, retention.read_best(text), NOW),
        )


def test_retention_is_set_listed_and_removed(home: Workspace) -> None:
    add(home, "one")
    home.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", 1.0, None, NOW))
    home.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", 2.0, None, NOW))
    found = home.read(Permission.READ, retention.listed)
    assert [(one.experiment, one.keep_s) for one in found] == [("flights", 2.0)]
    home.write(Permission.ADMIN, lambda tx: retention.remove(tx, "flights"))
    with pytest.raises(NotFoundError):
        home.write(Permission.ADMIN, lambda tx: retention.remove(tx, "flights"))
    with pytest.raises(NotFoundError):
        home.write(Permission.ADMIN, lambda tx: retention.put(tx, "nope", 1.0, None, NOW))


def test_the_engine_applies_retention_once_a_day(ws: Workspace) -> None:
    run = add(ws, "old")
    ws.write(Permission.ADMIN, lambda tx: retention.put(tx, "flights", DAY_S, None, NOW))
    turn(ws, 3 * DAY_S)
    engine = make_engine(ws, "engine")
    while engine.step_once():
        pass
    assert ws.read(Permission.READ, lambda tx: runs.hidden(tx, [run])) == {run}
    deleting.restore_runs(ws, [run])
    while engine.step_once():
        pass
    assert not ws.read(Permission.READ, lambda tx: runs.hidden(tx, [run])), "the day is done"


# ---------------------------------------------------------------- pipelines and loops


def test_a_run_whose_steps_another_reuses_stays(home: Workspace) -> None:
    first, second = add(home, "first"), add(home, "second")
    output = home.objects.put(b"what the step made")

    def work(tx: Tx) -> None:
        for run, other in ((first, None), (second, first)):
            cells = {
                "run": run, "step": "load", "position": 0, "pipeline": "p", "target": "t",
                "args": "{}", "options": "{}", "needs": "[]", "code": "c", "code_parts": "{}",
                "env": "e", "fresh": False, "state": "done", "output": output,
                "reused_from": other,
            }  # fmt: skip
            tx.run(steps.insert().values(**cells))
        made = {"key": "k", "output": output, "output_type": "bytes", "blobs": f'["{output}"]'}
        tx.run(step_results.insert().values(**made, run=first, step="load", made=NOW))

    home.write(Permission.ADMIN, work)
    done = deleting.delete_runs(home, [first])
    assert reasons(done) == {first: f"run {second} reuses a step of it"}
    home.write(Permission.LOG, lambda tx: [runs.hide(tx, run, NOW) for run in (first,)])
    turn(home, WEEK + 1)
    assert reasons(collect(home)) == {first: f"run {second} reuses a step of it"}
    assert home.objects.has(output)
    deleting.delete_runs(home, [second])
    turn(home, WEEK + 1)
    assert set(collect(home).purged) == {first, second}
    assert not home.objects.has(output), "the results that could be reused went with them"


def test_a_served_loop_is_served_after_gc(served: Workspace) -> None:
    from mainspring.readiness import registry
    from mainspring.scaling.models.load import load

    settle(served)
    before = {one.digest for one in served.objects.each()}
    stray = served.objects.put(b"stray")
    collect(served, older_than_s=0.0, young_s=0.0)
    assert {one.digest for one in served.objects.each()} == before - {stray}
    for version in served.read(Permission.READ, lambda tx: registry.versions(tx, "tide")):
        load(version.package, served.objects)


# ---------------------------------------------------------------- journals and logged models


def test_what_a_script_logged_and_nobody_folded_yet_stays(ws: Workspace) -> None:
    """Its file is named in a journal alone; gc folds it, and finds it named by a row."""
    import mainspring as ms

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAINSPRING_HOME", str(ws.home))
        run = ms.run("flights", capture=False)
        run.log(loss=0.5)
        run.log_text("bytes of a file", "notes.txt")
        collect(ws, older_than_s=0.0, young_s=0.0)
        assert ws.objects.has(sha256(b"bytes of a file"))
        run.end()
        done = ms.delete(run.id, reason="A wrong table.")
        assert done.deleted == [run.id]
        assert ms.restore(run.id).restored == [run.id]
        ms.delete(filter="metrics.loss < 1")
        assert ms.delete(run.id).deleted == []
    assert run.id in collect(ws, older_than_s=0.0, young_s=0.0).purged
    assert rows_naming(ws, run.id) == 0
    assert ws.objects.has(sha256(b"bytes of a file")), "this process's journal is not over"


def log_model(ws: Workspace, run: str, name: str) -> str:
    """Log a model of a run, with one file."""
    digest = ws.objects.put(name.encode() * 10)

    def work(tx: Tx) -> None:
        number = groups.by_name(tx, "flights").id
        one = logged.LoggedModel(
            id=f"m-{name}", experiment=number, name=name, run=run, created=NOW, changed=NOW
        )
        logged.create(tx, one)
        logged.link(tx, run, [logged.Link(model=one.id, role="output", step=0)])
        cells = {"path": "MLmodel", "digest": digest, "size": 1, "time": NOW}
        tx.run(logged_artifacts.insert().values(model=one.id, **cells))

    ws.write(Permission.LOG, work)
    return digest


def test_logged_models_go_with_their_runs_unless_others_use_them(home: Workspace) -> None:
    first, second = add(home, "first"), add(home, "second")
    alone, used, told = (log_model(home, first, name) for name in ("alone", "used", "told"))
    link = logged.Link(model="m-used", role="input", step=0)
    home.write(Permission.LOG, lambda tx: logged.link(tx, second, [link]))
    decision = Decision(
        id="dec_1",
        at=NOW,
        made=NOW,
        kind="x",
        subject="y",
        reason="It is models:/m-told.",
        by="me",
    )
    home.write(Permission.PROMOTE, lambda tx: decisions.record(tx, decision))
    assert deleting.delete_runs(home, [first]).deleted == [first]
    turn(home, WEEK + 1)
    looked, done = collect(home, dry_run=True), collect(home)
    assert (looked.purged, looked.after) == (done.purged, done.after)
    assert done.purged == [first]
    assert not home.objects.has(alone)
    assert home.objects.has(used)
    assert home.objects.has(told)
    home.write(Permission.LOG, lambda tx: logged.hide(tx, "m-used", home.clock.now()))
    deleting.delete_runs(home, [second])
    turn(home, WEEK + 1)
    collect(home)
    assert not home.objects.has(used)


PUTTING = """
import contextlib, fcntl, os, sys
from mainspring.experiments import artifacts
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace.opening import open_workspace
home, run = sys.argv[1:]
ws = open_workspace(Settings(root=home, home=home))
lock = open(home + "/ages", "w")  # who ages what another has just put takes his time away
for turn in range(40):
    for number in range(5):
        data = b"shared%d" % number * 20
        path = f"{os.getpid()}/{number}"
        fcntl.flock(lock, fcntl.LOCK_SH)
        digest = ws.objects.put(data)
        ws.write(Permission.LOG, lambda tx: artifacts.put(tx, run, path, digest, len(data), 1.0))
        assert ws.objects.get(digest) == data, "a row names what is gone"
        ws.write(Permission.LOG, lambda tx: artifacts.remove(tx, run, path))
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # aged by another, and collected since
            os.utime(ws.home / "objects" / digest[:2] / digest[2:], (1.0, 1.0))
        fcntl.flock(lock, fcntl.LOCK_UN)
"""


def test_gc_beside_those_who_put_takes_nothing_from_them(tmp_path: Path) -> None:
    """Three processes put the same bytes, name them, take the row back, and age them."""
    path = str(tmp_path / "home")
    with_clock = open_workspace(Settings(root=path, home=path))
    run = add(with_clock, "one")
    at_work = [
        subprocess.Popen(
            [sys.executable, "-c", PUTTING, path, run], stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    rounds = 0
    while any(one.poll() is None for one in at_work):
        collect(with_clock)
        rounds += 1
    told = [one.communicate()[1] for one in at_work]
    with_clock.close()
    assert [one.returncode for one in at_work] == [0, 0, 0], told
    assert rounds
