"""The small parts of the workspace: calling, codecs, evidence, routing, scans, running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from homes import LOOP, NOW, InProcess, settle, work_as_engine
from whole_loop import DAY, FIRST, rows_of

from mainspring.engine import reactor
from mainspring.engine.tables import tasks as task_rows
from mainspring.engine.tasks import Lease, Task, get
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    ProjectError,
    StepFailedError,
    UnavailableError,
)
from mainspring.ground.loops import Phase
from mainspring.ground.objects import Alarm, Rollout, RunStatus, StepState, Strategy
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Outcome, Tx
from mainspring.monitoring import alarms, labels, windows
from mainspring.readiness import registry, verdicts
from mainspring.scaling.models.load import load
from mainspring.scaling.serving import rollouts
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts, calling, codecs, going_on, running
from mainspring.workspace.evidence import LabelShelf, labelled
from mainspring.workspace.handlers import standing
from mainspring.workspace.handlers.rollouts import RollingOut
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from mainspring.workspace.scans import Scans
from mainspring.workspace.views.searching import run_page

KILLED = Outcome(ok=False, error="killed by SIGKILL", killed=True)

PROJECT = """
import polars as pl
from sklearn.linear_model import LogisticRegression
import mainspring as ms
from pathlib import Path

HERE = Path(__file__).parent

@ms.step
def load(rows: int) -> pl.DataFrame:
    n = list(range(rows))
    return pl.DataFrame(dict(a=[float(i % 7) for i in n], y=[int(i % 7 > 3) for i in n]))

@ms.step
def train(rows: pl.DataFrame) -> ms.FittedModel:
    if (HERE / "broken").exists():
        raise ValueError("broken on purpose")
    return ms.Model(LogisticRegression(), "y", "binary", columns=["a"]).fit(rows, holdout=rows)

@ms.pipeline
def fit(rows: int = 200):
    return train(load(rows))

@ms.step
def register(model: ms.FittedModel) -> ms.FittedModel:
    return model

@ms.step
def judge(model: ms.FittedModel) -> int:
    return 1

@ms.step
def run_end(model: ms.FittedModel) -> int:
    return 2

@ms.pipeline
def named(rows: int = 200):
    model = register(train(load(rows)))
    judge(model)
    run_end(model)
    return model

@ms.pipeline
def nothing(rows: int = 200):
    load(rows)
"""


@pytest.fixture
def project(ws: Workspace) -> Path:
    root = Path(ws.settings.root)
    root.mkdir()
    (root / "project.py").write_text(PROJECT)
    return root


def send(ws: Workspace, day: int, rollout: Rollout | None = None) -> list[str]:
    """Capture a day of rows; in a rollout scored by version 1 and, the other way round, by 2."""
    columns, _, times = rows_of(day)
    writer = CaptureWriter(ws.captures("tide"))
    package = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).package
    prepared = load(package, ws.objects).check(columns)
    scores = load(package, ws.objects).score(prepared)
    first = writer.reserve(len(times))
    ones = np.ones(len(times), dtype=np.int64)
    batch = Batch(
        first=first, received=NOW, times=times, columns=prepared.columns, types=prepared.types,
        versions=ones, scores=scores,
        other_versions=2 * ones if rollout else None,
        other_scores=1 - scores if rollout else None,
    )  # fmt: skip
    assert writer.append(batch)
    writer.close()
    return writer.ids(first, len(times))


def begin(ws: Workspace) -> Rollout:
    rollout = Rollout(
        id="rollout_1", endpoint="tide", model="tide", champion=1, challenger=2,
        strategy=Strategy.CANARY, share=0.2, state="running", started=FIRST,
    )  # fmt: skip
    return work_as_engine(ws, lambda tx: rollouts.start(tx, rollout))


def lease(kind: str, **payload: Any) -> Lease:
    task = Task(
        id="t", kind=kind, payload=payload, group=None, state="leased", always=False, priority=0,
        due=None, attempt=1, last_attempt=3, max_attempts=3, backoff_s=1.0, owner="me",
        stop=False, result=None, error="", trace="", started=None, ended=None,
    )  # fmt: skip
    return Lease(task=task, owner="me", attempt=1)


# ---------------------------------------------------------------- calling, codecs


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (KILLED, UnavailableError),
        (Outcome(ok=False, error="x", code="CONFLICT"), ConflictError),
        (Outcome(ok=False, error="x", code="PROJECT"), ProjectError),
        (Outcome(ok=False, error="killed by SIGSEGV"), StepFailedError),
        (Outcome(ok=False, error="x", code="WHAT"), StepFailedError),
    ],
)
def test_an_outcome_is_raised_as_what_it_was(outcome: Outcome, kind: type[Exception]) -> None:
    assert type(calling.as_error(outcome)) is kind


def test_only_a_fitted_model_is_kept_as_a_model() -> None:
    codec = codecs.ModelCodec()
    assert not codec.takes({"a": 1})
    assert not codec.takes(type("FittedModel", (), {})())


# ---------------------------------------------------------------- runs


def test_a_run_is_carried_out_registered_and_judged(
    ws: Workspace, project: Path, executor: InProcess
) -> None:
    run = running.start_run(ws, "fit", register="tide")
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FINISHED
    assert [s.state for s in steps] == [StepState.DONE, StepState.DONE]
    assert record.tags["mainspring.version"] == "tide/1"
    again = running.start_run(ws, "fit")
    settle(ws)
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, again))
    assert [s.state for s in steps] == [StepState.REUSED, StepState.REUSED]
    assert executor.calls.count("step") == 2


def test_steps_may_be_called_as_what_follows_on_a_run_is(ws: Workspace, project: Path) -> None:
    run = running.start_run(ws, "named", register="tide")
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FINISHED
    assert [s.step for s in steps] == ["load", "train", "register", "judge", "run_end_2"]
    assert record.tags["mainspring.version"] == "tide/1"
    assert ws.read(Permission.READ, lambda tx: verdicts.latest(tx, "tide", 1)) is not None


def test_what_cannot_be_run_is_refused_before_it_begins(ws: Workspace, project: Path) -> None:
    with pytest.raises(BadInputError):
        running.start_run(ws, "fit", {"row": 3})
    with pytest.raises(BadInputError, match="nothing to register"):
        running.start_run(ws, "nothing", register="tide")
    with pytest.raises(ProjectError):
        running.start_run(ws, "fits")
    assert run_page(ws).runs == []


def test_a_broken_run_goes_on_from_where_it_broke(ws: Workspace, project: Path) -> None:
    (project / "broken").touch()
    run = running.start_run(ws, "fit")
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FAILED
    assert "broken on purpose" in steps[1].error
    with pytest.raises(ConflictError):
        running.cancel(ws, run)
    (project / "broken").unlink()
    going_on.resume(ws, run)
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FINISHED
    assert [s.attempt for s in steps] == [1, 2]
    with pytest.raises(ConflictError):
        going_on.resume(ws, run)


def test_a_cancelled_run_says_so(ws: Workspace, project: Path) -> None:
    run = running.start_run(ws, "fit")
    running.cancel(ws, run)
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.CANCELLED
    assert {s.state for s in steps} == {StepState.SKIPPED}


def test_a_step_killed_from_outside_is_tried_again(
    ws: Workspace, project: Path, executor: InProcess
) -> None:
    run = running.start_run(ws, "fit")
    executor.fates = [KILLED, KILLED]
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FINISHED
    assert steps[0].attempt == 3


def test_a_step_that_is_always_killed_fails_with_that_reason(
    ws: Workspace, project: Path, executor: InProcess
) -> None:
    run = running.start_run(ws, "fit")
    executor.fates = [KILLED] * 20
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FAILED
    assert "SIGKILL" in steps[0].error
    assert len(executor.fates) == 15


def test_a_step_whose_workers_died_says_so(ws: Workspace, project: Path) -> None:
    run = running.start_run(ws, "fit")
    dead = {"state": "leased", "lease_until": 0.0, "lease_s": 1.0, "owner": "x"}
    dead["attempt"] = task_rows.c.last_attempt
    first = task_rows.c.id == f"{run}:load"
    work_as_engine(ws, lambda tx: tx.run(task_rows.update().where(first).values(**dead)))
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FAILED
    assert steps[0].state is StepState.FAILED
    assert "worker died" in steps[0].error
    assert steps[1].state is StepState.SKIPPED


def test_a_run_ended_by_hand_meanwhile_is_left_as_it_is(ws: Workspace, project: Path) -> None:
    run = running.start_run(ws, "fit")
    ws.write(Permission.LOG, lambda tx: experiments.end(tx, run, RunStatus.FAILED, NOW))
    settle(ws)
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert record.status is RunStatus.FAILED
    assert steps[-1].state is StepState.DONE


# ---------------------------------------------------------------- routing, evidence, scans


def test_routing_names_a_challenger_only_beside_its_own_champion(served: Workspace) -> None:
    begin(served)
    now = served.read(Permission.READ, lambda tx: routing(tx, "tide"))
    assert (now.champion, now.challenger, now.share) == (1, 2, 0.2)
    work_as_engine(
        served, lambda tx: registry.promote(tx, "tide", 2, reason="Behind its back.", at=NOW)
    )
    now = served.read(Permission.READ, lambda tx: routing(tx, "tide"))
    assert (now.champion, now.challenger, now.share) == (2, None, 0.0)
    with pytest.raises(NotFoundError):
        served.read(Permission.READ, lambda tx: routing(tx, "ebb"))


def test_labels_are_read_once_and_joined_to_their_rows(served: Workspace) -> None:
    ids = send(served, 0)
    shelf = LabelShelf()
    signature = served.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).signature

    def joined(tx: Tx) -> pl.DataFrame:
        return labelled(served, shelf, tx, "tide", signature, FIRST, FIRST + DAY)

    assert served.read(Permission.READ, joined).height == 0
    acts.add_labels(served, "tide", ids[:3], [1, 0, 1])
    acts.add_labels(served, "tide", ["unknown-1", ids[0]], [1, 0])
    rows = served.read(Permission.READ, joined)
    assert dict(rows.select("_id", "_y").rows()) == {ids[0]: 0, ids[1]: 0, ids[2]: 1}
    last, known = served.read(Permission.READ, lambda tx: shelf.all(tx, "tide"))
    assert (last, known.height) == (2, 4)


def test_scans_find_one_window_at_a_time_and_each_once(served: Workspace) -> None:
    scans = Scans(served)
    assert served.read(Permission.READ, scans.all) == []
    send(served, 0)
    send(served, 2)
    first = {t.id for t in served.read(Permission.READ, scans.all) if t.kind == "window"}
    assert first == {f"window/{windows.window_id('tide', FIRST)}"}
    settle(served, scanning=True)
    done = served.read(Permission.READ, lambda tx: windows.monitor(tx, "tide"))
    assert done.judged_until == FIRST + 2 * DAY
    assert done.empty == 1


def test_scans_look_at_a_rollout_for_each_batch_and_day(served: Workspace) -> None:
    send(served, 0, begin(served))
    scans = Scans(served)

    def found() -> list[str]:
        return [t.id for t in served.read(Permission.READ, scans.all) if t.kind == "rollout"]

    seen = [found(), found()]
    acts.add_labels(served, "tide", ["a-1"], [1])
    seen.append(found())
    send(served, 1)
    seen.append(found())
    assert seen[0] == seen[1]
    assert len({one for ids in seen for one in ids}) == 3


def test_nothing_is_settled_while_a_new_version_is_made(served: Workspace) -> None:
    send(served, 0)
    scans = Scans(served)
    assert served.read(Permission.READ, scans.settled) == {}  # nobody has looked yet
    served.read(Permission.READ, scans.all)
    assert served.read(Permission.READ, scans.settled)["watermark:tide"] > FIRST
    busy = msgspec.structs.replace(
        served.read(Permission.READ, lambda tx: reactor.view(tx, "tide")), phase=Phase.TRAINING
    )
    text = msgspec.json.encode(busy).decode()
    work_as_engine(served, lambda tx: tx.run(reactor.t.views.update().values(view=text)))
    assert served.read(Permission.READ, scans.settled) == {}


# ---------------------------------------------------------------- watching


def made_roller(served: Workspace) -> RollingOut:
    ws = served.acting_as(service("test"))
    return RollingOut(ws, LabelShelf())


def alarm(window: str) -> Alarm:
    name = alarms.alarm_id("tide", "performance", "loss", window)
    return Alarm(
        id=name, endpoint="tide", kind="performance", subject="loss", reason="Worse.",
        raised=NOW, window=window,
    )  # fmt: skip


def test_two_windows_judged_at_once_raise_one_alarm_and_tell_of_one(served: Workspace) -> None:
    first, second = alarm("tide:1"), alarm("tide:2")
    told = [
        work_as_engine(served, lambda tx, a=a: standing.raised(tx, [a])) for a in (first, second)
    ]
    assert [[ref.id for ref in refs] for refs in told] == [[first.id], []]
    assert [a.id for a in served.read(Permission.READ, alarms.open_alarms)] == [first.id]


def test_a_rollout_that_waited_for_a_worker_counts_every_label(served: Workspace) -> None:
    rollout = begin(served)
    roller = made_roller(served)
    truth = [int(v) for v in rows_of(0)[1]]
    for day in (0, 1):
        acts.add_labels(served, "tide", send(served, day, rollout), truth)
    old = lease("rollout", loop=LOOP.name, rollout=rollout.id, watermark=FIRST)
    done = roller.labels(old)
    assert done.result["rows"] == 480, "labels without their rows would be lost for good"
    assert done.apply is not None
    work_as_engine(served, done.apply)
    now = served.read(Permission.READ, lambda tx: rollouts.get(tx, rollout.id))
    newest = served.read(Permission.READ, lambda tx: labels.received(tx, "tide")).newest_batch
    assert (now.rows, now.cursor) == (480, newest)
    assert roller.labels(old).result["rows"] == 0


def test_a_rollout_that_ended_meanwhile_says_nothing(served: Workspace) -> None:
    rollout = begin(served)
    roller = made_roller(served)
    acts.add_labels(served, "tide", send(served, 0, rollout), [int(v) for v in rows_of(0)[1]])
    done = roller.labels(lease("rollout", loop="tide", rollout=rollout.id, watermark=FIRST))
    acts.promote(served, "tide", 2, "By hand.")
    before = served.read(Permission.READ, lambda tx: reactor.history(tx, "tide"))
    assert done.apply is not None
    work_as_engine(served, done.apply)
    assert served.read(Permission.READ, lambda tx: reactor.history(tx, "tide")) == before


def test_two_that_take_the_same_labels_into_account_count_them_once(served: Workspace) -> None:
    rollout = begin(served)
    roller = made_roller(served)
    acts.add_labels(served, "tide", send(served, 0, rollout), [int(v) for v in rows_of(0)[1]])
    held = lease("rollout", loop="tide", rollout=rollout.id, watermark=FIRST)
    both = [roller.labels(held), roller.labels(held)]
    assert both[0].apply is not None
    assert both[1].apply is not None
    work_as_engine(served, both[0].apply)
    with pytest.raises(UnavailableError):  # the engine asks it again, and it sees what is new
        work_as_engine(served, both[1].apply)
    assert served.read(Permission.READ, lambda tx: rollouts.get(tx, rollout.id)).rows == 240


def test_a_window_of_one_who_serves_no_more_raises_nothing(served: Workspace) -> None:
    wrong = [1 - int(v) for v in rows_of(0)[1]]
    acts.add_labels(served, "tide", send(served, 0), wrong)
    send(served, 1)
    settle(served, scanning=True)
    acts.promote(served, "tide", 2, "By hand.")
    settle(served)
    send(served, 2)
    settle(served, scanning=True)
    found = served.read(Permission.READ, lambda tx: windows.get(tx, f"tide:{int(FIRST)}"))
    assert found.performance is not None
    assert found.performance["verdict"] == "alarm"
    kinds = {a.kind for a in served.read(Permission.READ, alarms.list_alarms)}
    assert "performance" not in kinds
    assert (
        served.read(Permission.READ, lambda tx: get(tx, f"labels/tide:{int(FIRST)}")) is not None
    )


def test_a_window_judged_late_belongs_to_who_served_in_it(served: Workspace) -> None:
    send(served, 0)
    send(served, 1)
    acts.promote(served, "tide", 2, "Before the window was judged.")
    settle(served, scanning=True)
    found = served.read(Permission.READ, lambda tx: windows.get(tx, f"tide:{int(FIRST)}"))
    assert found.version == 1
