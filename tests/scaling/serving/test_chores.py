"""One thread does the small recurring work of many."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mainspring.scaling.serving import capture, tallies
from mainspring.scaling.serving.chores import Chores
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch


@pytest.fixture
def chores() -> Iterator[Chores]:
    made = Chores("test")
    yield made
    made.close()


def test_work_has_its_turn_when_it_is_due_and_again_as_it_asks(chores: Chores) -> None:
    done, enough = [], threading.Event()

    def work() -> float | None:
        done.append(threading.current_thread().name)
        if len(done) == 3:
            enough.set()
            return None
        return 0.01

    chores.add(work, 0.0)
    assert enough.wait(60)
    assert done == ["test"] * 3


def test_what_one_raises_does_not_keep_another_from_its_turn(chores: Chores) -> None:
    turned = threading.Event()

    def fail() -> float | None:
        raise RuntimeError("on purpose")

    chores.add(fail, 0.0)
    chores.add(turned.set, 0.02)
    assert turned.wait(60)


def test_a_nearer_time_wins_and_who_is_removed_has_no_turn(chores: Chores) -> None:
    go, first, gone = threading.Event(), threading.Event(), threading.Event()
    chores.add(lambda: go.wait(60) and None, 0.0)  # nobody has a turn while this is under way
    late = chores.add(first.set, 3600.0)
    removed = chores.add(gone.set)
    removed.wake(0.0)
    removed.remove()
    removed.wake(0.0)
    late.wake(0.05)
    go.set()
    assert first.wait(60)
    assert not gone.is_set()


def _batch(first: int) -> Batch:
    return Batch(
        first=first,
        received=1.0,
        times=np.array([1.0]),
        columns={"x": np.array([2.0])},
        types={"x": "float"},
        versions=np.array([1]),
        scores=np.array([[0.5]]),
    )


def test_many_writers_and_tallies_share_one_thread_and_lose_nothing(
    chores: Chores, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    writers = [CaptureWriter(tmp_path / str(n), chores=chores) for n in range(20)]
    counts = [tallies.Tallies(w.folder, w.boot, lambda: 60.0, chores=chores) for w in writers]
    assert not set(threading.enumerate()) - before
    for writer, count in zip(writers, counts, strict=True):
        assert writer.append(_batch(writer.reserve(1)))
        count.add(1, 0.001, "answered")
    assert all(writer.flush(60) for writer in writers)
    for writer, count in zip(writers, counts, strict=True):
        writer.close()
        count.close()
        assert writer.written_rows == 1
        assert [one.requests for one in tallies.read(writer.folder, 0.0, 120.0)] == [1]
        assert capture.watermark(writer.folder) == 1.0
