"""What a retraining learns from: as known at the moment, apart from the gate's rows, told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from homes import LOOP, NOW, settle, work_as_engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_loop import DAY, FIRST, rows_of

from mainspring.engine import reactor
from mainspring.experiments import artifacts, datasets
from mainspring.experiments import runs as experiments
from mainspring.ground.loops import Phase
from mainspring.ground.objects import LoopSpec, RetrainingPolicy, RowsPolicy
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, evidence, registry
from mainspring.retraining.training_set import TrainingSet
from mainspring.scaling.models.load import load
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts, assembling
from mainspring.workspace import datasets as named
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import models

PROJECT = """
from pathlib import Path
import polars as pl
from sklearn.linear_model import LogisticRegression
import mainspring as ms

@ms.step
def train(captured: str) -> ms.FittedModel:
    rows = ms.rows(captured)
    cut = rows.height * 4 // 5
    model = ms.Model(LogisticRegression(), "y", "binary", columns=["a", "b"], time="t")
    return model.fit(rows.head(cut), holdout=rows.tail(rows.height - cut))

@ms.pipeline
def tide(captured: str | None = None):
    return train(captured)

def rows(since: float, until: float) -> pl.DataFrame:
    return pl.read_parquet(Path(__file__).parent / "rows.parquet").filter(pl.col("t") <= until)
"""


def send(ws: Workspace, day: int) -> tuple[list[str], np.ndarray]:
    """Capture a day of rows, answered by version 1; return their ids and their truth."""
    columns, truth, times = rows_of(day)
    writer = CaptureWriter(ws.captures("tide"))
    package = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).package
    served = load(package, ws.objects)
    prepared = served.check(columns)
    first = writer.reserve(len(times))
    batch = Batch(
        first=first, received=NOW, times=times, columns=prepared.columns, types=prepared.types,
        versions=np.ones(len(times), dtype=np.int64), scores=served.score(prepared),
        other_versions=None, other_scores=None,
    )  # fmt: skip
    assert writer.append(batch)
    writer.close()
    return writer.ids(first, len(times)), truth


def sent(ws: Workspace, days: range) -> list[tuple[list[str], np.ndarray]]:
    """Capture days, each with its labels at once."""
    found = []
    for day in days:
        ids, truth = send(ws, day)
        acts.add_labels(ws, "tide", ids, truth.tolist())
        found.append((ids, truth))
    return found


def gathered(ws: Workspace, at: float, **changes: Any) -> assembling.Gathered | None:
    spec = with_rows(ws, **changes)
    champion = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1))
    return assembling.gather(ws.acting_as(service("test")), LabelShelf(), spec, champion, at)


def with_rows(ws: Workspace, holdout_s: float = DAY, **changes: Any) -> LoopSpec:
    policy = RetrainingPolicy(holdout_s=holdout_s, cooldown_s=0.0, rows=RowsPolicy(**changes))
    return msgspec.structs.replace(LOOP, retraining=policy, root=ws.settings.root)


@pytest.fixture
def project(served: Workspace) -> Workspace:
    root = Path(served.settings.root)
    root.mkdir()
    (root / "project.py").write_text(PROJECT)
    return served


# ---------------------------------------------------------------- as known at the moment


def test_a_label_that_came_later_is_not_used_and_is_counted(served: Workspace) -> None:
    sent(served, range(3))
    (ids, truth), moment = send(served, 3), FIRST + 4 * DAY - 1
    send(served, 5)  # the clock of the rows goes on, and then the labels of day 3 come
    acts.add_labels(served, "tide", ids, truth.tolist())
    found = gathered(served, moment)
    assert found is not None
    assert found.fresh["_time"].max() < FIRST + 3 * DAY
    assert found.labels_later == len(ids)
    later = gathered(served, FIRST + 9 * DAY)
    assert later is not None
    assert later.fresh["_time"].max() > FIRST + 3 * DAY
    assert later.labels_later == 0


def test_a_label_that_was_corrected_later_is_what_it_was_then(served: Workspace) -> None:
    days = sent(served, range(3))
    moment = FIRST + 3 * DAY
    before = gathered(served, moment)
    send(served, 4)
    ids, truth = days[0]
    acts.add_labels(served, "tide", ids, (1 - truth).tolist())
    then, now = gathered(served, moment), gathered(served, FIRST + 9 * DAY)
    assert before is not None
    assert then is not None
    assert now is not None
    assert then.training.equals(before.training)
    assert then.fresh.equals(before.fresh)
    first = now.training.filter(pl.col("_id").is_in(ids))
    assert first["y"].to_list() == (1 - truth).tolist()


def test_labels_that_came_before_any_row_was_captured_are_known(served: Workspace) -> None:
    acts.add_labels(served, "tide", ["a-1"], [1])
    found = served.read(
        Permission.READ,
        lambda tx: assembling.labels_known(LabelShelf(), tx, "tide", 0.0),
    )
    assert found["_id"].to_list() == ["a-1"]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moment=st.floats(FIRST, FIRST + 7 * DAY))
def test_at_any_moment_nothing_later_is_in_it_and_the_gates_rows_are_apart(
    week: Workspace, moment: float
) -> None:
    found = gathered(week, moment)
    again = gathered(week, moment)
    if found is None or again is None:
        assert found is again
        return
    assert found.training["_time"].max() < found.fresh["_time"].min()
    assert found.fresh["_time"].max() <= moment
    assert not set(found.training["_id"]) & set(found.fresh["_id"])
    arrived = week.read(
        Permission.READ, lambda tx: assembling.labels_known(LabelShelf(), tx, "tide", moment)
    )
    assert arrived["_arrived"].max() <= moment
    assert found.training.equals(again.training)


@pytest.fixture
def week(served: Workspace) -> Workspace:
    """Six days, each labelled when the next one is over."""
    before: tuple[list[str], np.ndarray] | None = None
    for day in range(6):
        now = send(served, day)
        if before is not None:
            acts.add_labels(served, "tide", before[0], before[1].tolist())
        before = now
    return served


# ---------------------------------------------------------------- a source of one's own


def test_a_source_adds_rows_and_says_what_it_left_out(project: Workspace) -> None:
    sent(project, range(2))
    columns, truth, times = rows_of(-5)
    rows = pl.DataFrame({**columns, "y": truth, "t": times, "known": times + DAY})
    late = rows.head(40).with_columns(known=pl.lit(FIRST + 30 * DAY))
    pl.concat([rows, late]).write_parquet(Path(project.settings.root) / "rows.parquet")
    for source in ("project:rows", "rows.parquet"):
        found = gathered(project, FIRST + 2 * DAY, source=source, known_at="known")
        assert found is not None
        assert found.left_out == {"whose target was not known yet": 40}
        assert found.training.filter(pl.col("_version").is_null()).height == rows.height
        assert found.training.filter(pl.col("_version").is_not_null()).height == 240
        assert "known" not in found.training.columns


def test_a_source_labels_captured_rows_by_their_ids(project: Workspace) -> None:
    days = [send(project, day) for day in range(2)]
    parts = []
    for day, (ids, truth) in enumerate(days):
        columns, _, times = rows_of(day)
        parts.append(pl.DataFrame({**columns, "y": truth, "t": times, "id": ids}))
    pl.concat(parts).write_parquet(Path(project.settings.root) / "rows.parquet")
    found = gathered(project, FIRST + 2 * DAY, source="rows.parquet", source_id="id")
    assert found is not None
    assert found.training["_version"].null_count() == 0
    assert found.training.height + found.fresh.height == 480
    assert found.pairs.height == 480


# ---------------------------------------------------------------- written down


def retrained(ws: Workspace, spec: LoopSpec) -> tuple[TrainingSet, str]:
    """Let a loop retrain once; return what it says it learnt from, and of which run."""
    acts.declare(ws, spec)
    settle(ws)
    acts.retrain(ws, "tide", "To see what it learns from.")
    settle(ws)
    made = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 4))
    assert made.run is not None
    tags = ws.read(Permission.READ, lambda tx: experiments.get(tx, made.run or "").tags)
    return assembling.read_record(ws, tags["mainspring.training_set"]), made.run


def test_a_training_set_is_a_dataset_an_artifact_and_evidence_on_the_version(
    project: Workspace,
) -> None:
    sent(project, range(4))
    record, run = retrained(project, with_rows(project))
    assert record.rows_by_source == {"captured": 720, "source": 0}
    assert (record.rows, record.fresh_rows) == (720, 240)
    assert record.end is not None
    assert record.fresh_start is not None
    assert record.end < record.fresh_start
    assert record.label_batch > 0

    def look(tx: Tx) -> tuple[Any, ...]:
        return (
            registry.get(tx, "tide", 4),
            evidence.newest(tx, "training_set", "tide/4"),
            [use.dataset for use in datasets.of_runs(tx, [run])[run]],
            artifacts.digests(tx, run, "mainspring"),
        )

    version, told, uses, kept = project.read(Permission.READ, look)
    assert version.data["captured"] == record.digest
    assert told.passed is True
    assert told.found.startswith("720 rows (720 captured) from 2023-12-09T00:00:00Z")
    assert told.opens == [f"artifact:{record.digest}", f"run:{run}"]
    assert [one.name for one in uses] == ["tide-training", "tide-fresh"]
    assert "training_set.json" in kept
    profile = named.of_dataset(project, "tide-training")
    assert (profile.digest, profile.profile.rows) == (record.digest, 720)
    links = {link.what: link for link in models.why(project, "tide/4").links}
    assert links["training set"].name == told.id
    assert "720 rows" in links["training set"].text


def test_the_same_rows_make_the_same_training_set(project: Workspace) -> None:
    sent(project, range(3))
    champion = project.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1))
    spec = with_rows(project)
    records = []
    for _ in range(2):
        engine = project.acting_as(service("test"))
        found = assembling.gather(engine, LabelShelf(), spec, champion, FIRST + 3 * DAY)
        assert found is not None
        records.append(assembling.assembled(engine, spec, champion, found, None).record)
    assert records[0] == records[1]


def test_windows_of_a_source_are_tried_and_the_winner_is_trained_on(project: Workspace) -> None:
    sent(project, range(3, 6))  # from the third day on it is the other way round
    parts = []
    for day in range(-12, 3):
        columns, truth, times = rows_of(day)
        parts.append(pl.DataFrame({**columns, "y": truth, "t": times}))
    pl.concat(parts).write_parquet(Path(project.settings.root) / "rows.parquet")
    spec = with_rows(
        project, source="project:rows", windows=["all", "2d", "weighted:half_life=12h"]
    )
    record, _ = retrained(project, spec)
    assert record.window is not None
    assert record.window.name in ("2d", "weighted:half_life=12h")
    assert {one.name: one.loss is not None for one in record.window.tried} == {
        "all": True, "2d": True, "weighted:half_life=12h": True,
    }  # fmt: skip
    assert record.rows < 15 * 240
    version = project.read(Permission.READ, lambda tx: registry.get(tx, "tide", 4))
    assert version.data["captured"] == (record.thinned or record.digest)


def test_a_sure_leak_ends_the_retraining_where_it_shall(project: Workspace) -> None:
    sent(project, range(3))
    columns, truth, times = rows_of(-1)
    rows = pl.DataFrame({**columns, "y": truth, "t": times})
    fresh = [pl.DataFrame({**rows_of(2)[0], "y": rows_of(2)[1]}).with_columns(t=pl.lit(times[0]))]
    pl.concat([rows, *fresh]).write_parquet(Path(project.settings.root) / "rows.parquet")
    acts.declare(project, with_rows(project, source="rows.parquet", refuse_leaks=True))
    settle(project)
    acts.retrain(project, "tide", "Again.")
    settle(project)

    def look(tx: Tx) -> tuple[Any, ...]:
        found = decisions.list_decisions(tx, "tide")
        told = evidence.newest(tx, "training_set", "model:tide")
        return found, told, reactor.view(tx, "tide")

    made, told, view = project.read(Permission.READ, look)
    assert made[0].kind == "reject"
    assert "The training set leaks: 240 of 240 fresh rows" in made[0].reason
    assert told.passed is False
    assert view.phase is Phase.IDLE


def test_a_model_that_shapes_its_own_labels_is_warned_of_in_words(project: Workspace) -> None:
    for day in range(4):
        ids, truth = send(project, day)
        columns, _, _ = rows_of(day)
        likely = np.asarray(columns["a"]) > 0  # what version 1 scores high
        chosen = np.flatnonzero(likely | (np.arange(len(ids)) % 20 == 0))
        acts.add_labels(project, "tide", [ids[n] for n in chosen], truth[chosen].tolist())
    monitor = msgspec.structs.replace(LOOP.monitor, label_delay_s=0.0)
    record, _ = retrained(project, msgspec.structs.replace(with_rows(project), monitor=monitor))
    assert record.feedback is not None
    assert record.feedback.shaped_share is not None
    assert record.feedback.shaped_share[1] > 0.5
    made = project.read(Permission.READ, lambda tx: decisions.list_decisions(tx, subject="tide/4"))
    [warning] = [one for one in made if one.kind == "warn"]
    assert warning.reason.startswith("Feedback loop: ")
    assert warning.loop == "tide"


def test_the_engine_may_ask_twice_and_is_told_once(project: Workspace) -> None:
    sent(project, range(3))
    retrained(project, with_rows(project))

    def twice(tx: Tx) -> int:
        told = evidence.newest(tx, "training_set", "tide/4")
        assert told is not None
        evidence.record(tx, told)
        return len(evidence.listing(tx, "tide/4", "training_set"))

    assert work_as_engine(project, twice) == 1
