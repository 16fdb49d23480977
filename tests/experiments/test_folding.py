from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from mainspring.experiments import artifacts, chunks, folding, groups, histories, metrics, runs
from mainspring.experiments import frames as f
from mainspring.experiments.chunks import Series
from mainspring.experiments.curves import thin
from mainspring.experiments.folding import Stretch
from mainspring.experiments.tables import METADATA, metric_points
from mainspring.experiments.tables import runs as table
from mainspring.ground.errors import BadInputError, DamagedError, PermissionDeniedError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store, Tx

WHO = service("test")
DIGEST = "a" * 64


@pytest.fixture
def store(open_test_store: Callable[..., Store]) -> Store:
    return open_test_store(METADATA)


def packed(*frames: f.AnyFrame) -> bytes:
    return b"".join(f.packed(f.encode(one)) for one in frames)


def begun(run: str = "run_1", **more: object) -> f.Begun:
    cells = {"experiment": "flights", "name": "first", "started": 5.0, "parent": None}
    rest = {"own": True, "params": {}, "tags": {}}
    return f.Begun(run, *{**cells, **rest, **more}.values())


def fold(
    store: Store,
    data: bytes,
    start: int = 0,
    journal: str = "jrn_1",
    ended: float | None = None,
    owner: str = "me",
) -> folding.Folded:
    one = Stretch(journal=journal, start=start, data=data, owner=owner, ended=ended)
    return store.write(WHO, Permission.LOG, lambda tx: folding.fold(tx, [one], 9.0))[journal]


def read(store: Store, work: Callable[[Tx], object]) -> object:
    return store.read(WHO, Permission.READ, work)


def history(store: Store, key: str = "loss", run: str = "run_1") -> list[tuple[int, float]]:
    points, more = store.read(WHO, Permission.READ, lambda tx: metrics.history(tx, run, key))
    assert more is None
    return [(one.step, one.value) for one in points]


def test_what_a_journal_says_becomes_a_run(store: Store) -> None:
    data = packed(
        begun(params={"rate": "0.1"}, tags={"who": "é"}, parent="run_0"),
        f.Params("run_1", {"depth": "3"}),
        f.Tags("run_1", {"who": None, "x": "y"}),
        f.Points("run_1", None, 6.0, {"loss": 0.5, "auc": 0.7}),
        f.Points("run_1", None, 7.0, {"loss": 0.25}),
        f.File("run_1", "plots/roc.png", DIGEST, 5, 7.0),
        f.Ended("run_1", "finished", 8.0),
    )
    assert fold(store, data).position == len(data)
    assert read(store, lambda tx: runs.get(tx, "run_1")) == Run(
        id="run_1",
        experiment="flights",
        name="first",
        status=RunStatus.FINISHED,
        started=5.0,
        ended=8.0,
        parent="run_0",
        params={"rate": "0.1", "depth": "3"},
        metrics={"loss": 0.25, "auc": 0.7},
        tags={"x": "y"},
    )
    assert history(store) == [(0, 0.5), (1, 0.25)]
    kept = read(store, lambda tx: artifacts.get(tx, "run_1", "plots/roc.png"))
    assert kept == artifacts.Artifact(path="plots/roc.png", digest=DIGEST, size=5, time=7.0)


def test_folding_a_stretch_again_or_in_overlapping_parts_changes_nothing(store: Store) -> None:
    frames = [begun(), *(f.Points("run_1", n, 6.0, {"loss": float(n)}) for n in range(10))]
    data = packed(*frames)
    cut = len(packed(*frames[:4]))
    assert fold(store, data[: cut + 3]).position == cut  # the torn frame is not taken
    assert fold(store, data[: cut + 3]).position == cut
    assert fold(store, data[10:], start=10).position == len(data)
    assert fold(store, data).position == len(data)
    assert history(store) == [(n, float(n)) for n in range(10)]


def test_a_gap_is_not_jumped(store: Store) -> None:
    data = packed(begun(), f.Points("run_1", 0, 6.0, {"loss": 1.0}))
    assert fold(store, data[50:], start=50).position == 0
    assert fold(store, data).position == len(data)


@given(st.integers(0, 200))
def test_a_torn_tail_of_a_dead_process_is_left_out(at: int) -> None:
    frames = [begun(), *(f.Points("run_1", n, 6.0, {"loss": 1.0}) for n in range(3))]
    data = packed(*frames)[:at]
    got = f.read(data)
    sizes = [len(packed(*frames[:n])) for n in range(5)]
    assert got.size == max(size for size in sizes if size <= at)
    assert not got.damaged


def test_runs_of_a_process_that_died_are_crashed_and_ended_ones_are_not(store: Store) -> None:
    frames = (
        begun("run_1"),
        begun("run_2"),
        f.Ended("run_2", "failed", 7.0),
        begun("run_3", own=False),
    )
    told = fold(store, packed(*frames) + b"torn", ended=8.0)
    assert told.closed
    states = {one.id: (one.status, one.ended) for one in _every(store)}
    assert states == {
        "run_1": ("crashed", 8.0),
        "run_2": ("failed", 7.0),
        "run_3": ("running", None),
    }
    assert fold(store, packed(*frames), ended=8.0).closed


def _every(store: Store) -> list[Run]:
    def work(tx: Tx) -> list[Run]:
        ids = [row.id for row in tx.all(select(table.c.id).order_by(table.c.id))]
        gone = runs.hidden(tx, ids)
        return [one for one in runs.several(tx, ids) if one.id not in gone]

    return store.read(WHO, Permission.READ, work)


def test_a_run_that_crashed_may_go_on_in_another_journal(store: Store) -> None:
    fold(store, packed(begun()), ended=8.0)
    more = packed(begun(), f.Resumed("run_1", 9.0), f.Points("run_1", None, 9.0, {"loss": 1.0}))
    fold(store, more, journal="jrn_2")
    [run] = _every(store)
    assert (run.status, run.ended) == ("running", None)
    fold(store, packed(f.Ended("run_1", "finished", 11.0)), len(more), "jrn_2", ended=12.0)
    [run] = _every(store)
    assert (run.status, run.ended) == ("finished", 11.0)


def test_a_damaged_frame_stops_its_journal_and_is_told_of(store: Store) -> None:
    first, rest = packed(begun()), packed(f.Points("run_1", 0, 6.0, {"loss": 1.0}))
    told = fold(store, first + b"\x05" + rest[1:] + rest, ended=8.0)
    assert told == folding.Folded(position=len(first), damaged=True)
    [run] = _every(store)
    assert (run.status, run.metrics) == ("running", {})


def test_of_two_values_of_a_param_the_first_stays_and_the_other_is_a_note(store: Store) -> None:
    fold(store, packed(begun(params={"rate": "0.1"})))
    more = packed(begun(own=False), f.Params("run_1", {"rate": "0.2", "depth": "3"}))
    fold(store, more, journal="jrn_2")
    [run] = _every(store)
    assert run.params == {"rate": "0.1", "depth": "3"}
    [note] = store.read(WHO, Permission.READ, lambda tx: folding.notes_of(tx, "run_1"))
    assert "rate is '0.1'" in note
    assert "'0.2'" in note


def test_a_run_of_a_deleted_experiment_is_hidden_with_it_and_comes_back_with_it(
    store: Store,
) -> None:
    def delete(tx: Tx) -> int:
        made = groups.create(tx, "flights", {}, 1.0)
        groups.delete(tx, made.id, 2.0)
        return made.id

    number = store.write(WHO, Permission.LOG, delete)
    fold(store, packed(begun(), f.Points("run_1", 0, 6.0, {"loss": 1.0})))
    assert _every(store) == []
    store.write(WHO, Permission.LOG, lambda tx: groups.restore(tx, number, 3.0))
    assert [one.id for one in _every(store)] == ["run_1"]


def test_what_is_logged_for_a_run_that_is_gone_becomes_a_note(store: Store) -> None:
    fold(store, packed(f.Points("run_9", 0, 6.0, {"loss": 1.0}), f.Ended("run_9", "failed", 7.0)))
    [note] = store.read(WHO, Permission.READ, lambda tx: folding.notes_of(tx, "run_9"))
    assert "loss" in note


def test_an_experiment_may_have_any_name(store: Store) -> None:
    fold(store, packed(begun(experiment="My flights!")))
    found = store.read(WHO, Permission.READ, lambda tx: groups.by_name(tx, "My flights!"))
    assert found is not None
    assert [one.experiment for one in _every(store)] == [found.key]


def test_a_journal_does_not_decide_how_a_pipelines_run_ends(store: Store) -> None:
    status = RunStatus.RUNNING
    one = Run(
        id="run_1", experiment="e", name="n", status=status, started=1.0, pipeline="project:train"
    )
    store.write(WHO, Permission.LOG, lambda tx: runs.create(tx, one))
    fold(store, packed(f.Points("run_1", 0, 6.0, {"loss": 1.0}), f.Ended("run_1", "failed", 7.0)))
    [found] = _every(store)
    assert (found.status, found.metrics) == (RunStatus.RUNNING, {"loss": 1.0})
    [note] = store.read(WHO, Permission.READ, lambda tx: folding.notes_of(tx, "run_1"))
    assert "steps decide" in note


def test_a_journal_belongs_to_who_began_it(store: Store) -> None:
    fold(store, packed(begun()))
    with pytest.raises(PermissionDeniedError, match="somebody else's"):
        fold(store, packed(begun("run_2")), owner="other")


@pytest.mark.parametrize(
    "bad",
    [
        begun("../up"),
        begun(experiment=" "),
        begun(started=math.inf),
        f.Params("run_1", {"": "x"}),
        f.Params("run_1", {"x": "a\0b"}),
        f.Points("run_1", 0, math.nan, {"loss": 1.0}),
        f.Points("run_1", 0, 1.0, {"k" * 251: 1.0}),
        f.File("run_1", "../up", DIGEST, 5, 7.0),
        f.File("run_1", "up", "x", 5, 7.0),
        f.Ended("run_1", "running", 7.0),
    ],
)
def test_what_cannot_be_kept_is_refused_whole(store: Store, bad: f.AnyFrame) -> None:
    with pytest.raises(BadInputError):
        fold(store, packed(begun(), bad))
    assert _every(store) == []


def test_every_bit_of_a_value_is_kept(store: Store) -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_1234))[0]
    values = [odd, math.inf, -math.inf, -0.0, 5e-324, 1.7e308]
    steps = [-(2**63), 2**63 - 1, 0, -1, 7, 8]
    points = [
        f.Points("run_1", step, 6.0, {"loss": value})
        for step, value in zip(steps, values, strict=True)
    ]
    fold(store, packed(begun(), *points))
    got = store.read(WHO, Permission.READ, lambda tx: histories.series(tx, "run_1", "loss"))
    assert got.values.tobytes() == np.array(values).tobytes()
    assert got.steps.tolist() == steps


def test_points_keep_their_order_and_place_through_both_doors(store: Store) -> None:
    """Rows of a server's own writes and chunks of journals are one history."""
    wanted: list[float] = []
    fold(store, packed(begun()))
    at = len(packed(begun()))
    for turn in range(12):
        rows = [float(len(wanted) + n) for n in range(turn % 4)]
        for value in rows:
            store.write(
                WHO,
                Permission.LOG,
                lambda tx, value=value: metrics.log(tx, "run_1", {"loss": value}, at=6.0),
            )
        wanted += rows
        more = [float(len(wanted) + n) for n in range(turn * 3 % 7)]
        data = packed(*(f.Points("run_1", None, 6.0, {"loss": value}) for value in more))
        at = fold(store, data, at).position
        wanted += more
        assert [value for _, value in history(store)] == wanted
    assert [step for step, _ in history(store)] == list(range(len(wanted)))
    seen: list[float] = []
    after: int | None = 0
    while after is not None:
        page, after = store.read(
            WHO,
            Permission.READ,
            lambda tx, after=after: metrics.history(tx, "run_1", "loss", after=after, limit=5),
        )
        seen += [one.value for one in page]
        assert after in (None, len(seen))
    assert seen == wanted


def test_rows_become_chunks_and_equal_points_are_still_known(store: Store) -> None:
    fold(store, packed(begun()))
    points = [
        metrics.Point(key="loss", value=math.nan if n == 3 else float(n), step=n, time=5.0)
        for n in range(8)
    ]
    store.write(WHO, Permission.LOG, lambda tx: metrics.log_once(tx, "run_1", points))
    assert store.write(WHO, Permission.LOG, lambda tx: histories.tidy(tx, least=9)) == 0
    assert store.write(WHO, Permission.LOG, lambda tx: histories.tidy(tx, least=8)) == 1
    rows = select(func.count().label("rows")).select_from(metric_points)
    assert store.read(WHO, Permission.READ, lambda tx: tx.one(rows)).rows == 0
    store.write(WHO, Permission.LOG, lambda tx: metrics.log_once(tx, "run_1", points))
    late = [metrics.Point(key="loss", value=0.5, step=3, time=5.0)]
    store.write(WHO, Permission.LOG, lambda tx: metrics.log_once(tx, "run_1", late))
    assert len(history(store)) == 9


def test_many_points_at_once_are_a_chunk_at_once(store: Store) -> None:
    fold(store, packed(begun()))
    many = [metrics.Point(key="loss", value=0.5, step=n, time=5.0) for n in range(2_000)]
    store.write(WHO, Permission.LOG, lambda tx: metrics.log_points(tx, "run_1", many))
    rows = select(func.count().label("rows")).select_from(metric_points)
    assert store.read(WHO, Permission.READ, lambda tx: tx.one(rows)).rows == 0
    assert len(history(store)) == 2_000


def test_a_curve_of_several_runs_is_thinned(store: Store) -> None:
    data = packed(*(f.Points("run_1", n, 6.0, {"loss": math.sin(n)}) for n in range(3_000)))
    fold(store, packed(begun()) + data)
    pairs = [("run_1", "loss"), ("run_1", "none")]
    found = store.read(WHO, Permission.READ, lambda tx: metrics.curves(tx, pairs, points=50))
    assert 20 < len(found["run_1", "loss"]) <= 50
    assert len(found["run_1", "none"]) == 0
    with pytest.raises(BadInputError, match="points"):
        store.read(WHO, Permission.READ, lambda tx: metrics.curve(tx, "run_1", "x", points=4))


ARRAYS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.floats()))


@given(ARRAYS)
def test_a_chunk_gives_back_every_bit(points: list[tuple[int, float, float]]) -> None:
    steps, times, values = zip(*points, strict=True) if points else ((), (), ())
    one = Series(np.array(steps, np.int64), np.array(times, float), np.array(values, float))
    back = chunks.unpack(chunks.pack(one), len(one))
    for mine, theirs in ((one.steps, back.steps), (one.times, back.times)):
        assert mine.tobytes() == theirs.tobytes()
    assert one.values.tobytes() == back.values.tobytes()


def test_a_chunk_that_is_not_whole_is_refused() -> None:
    one = chunks.pack(Series(np.arange(5), np.ones(5), np.ones(5)))
    with pytest.raises(DamagedError):
        chunks.unpack(one[:-1], 5)
    with pytest.raises(DamagedError):
        chunks.unpack(b"\x09" + one[1:], 5)


@given(st.lists(st.floats(), min_size=1, max_size=400), st.integers(5, 60))
def test_a_thinned_curve_keeps_ends_extremes_and_what_is_no_number(
    values: list[float], points: int
) -> None:
    whole = np.array(values)
    got = thin(Series(np.arange(len(values)), np.ones(len(values)), whole), points)
    assert len(got) <= max(points, min(len(values), points))
    assert got.steps[0] == 0
    assert got.steps[-1] == len(values) - 1
    assert (np.diff(got.steps) > 0).all()
    assert got.values.tobytes() == whole[got.steps].tobytes()
    numbers = whole[~np.isnan(whole)]
    if len(numbers):
        assert got.values[~np.isnan(got.values)].max() == numbers.max()
        assert got.values[~np.isnan(got.values)].min() == numbers.min()
    assert np.isnan(got.values).any() == np.isnan(whole).any()
