"""Checkpoints: the newest few are kept, and what is damaged is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError
from mainspring.pipelines import checkpoint_rows, checkpoints, outputs
from mainspring.pipelines.checkpoints import Shelf, checkpoint, last_checkpoint
from mainspring.pipelines.context import StepContext, entered
from mainspring.pipelines.tables import METADATA


class Tx:
    """As much of a transaction as is needed, on an SQLite in memory."""

    def __init__(self) -> None:
        engine = create_engine("sqlite://")
        METADATA.create_all(engine, tables=[checkpoint_rows.checkpoints])
        self._connection = engine.connect()
        self.close = engine.dispose

    def all(self, statement: Any, values: Any = None) -> Any:
        return list(self._connection.execute(statement, values).all())

    def run(self, statement: Any, rows: Any = None, values: Any = None) -> int:
        return int(self._connection.execute(statement, values).rowcount)


@pytest.fixture
def tx() -> Any:
    made = Tx()
    yield made
    made._connection.close()
    made.close()


def put(tx: Any, scope: str, number: int, keep: int = 3, drop: tuple[int, ...] = ()) -> None:
    stored = outputs.Stored(digest=f"{number:064d}", type="json", blobs=[])
    checkpoint_rows.keep_one(
        tx, scope, number, stored, run="r", step="s", at=0.0, keep=keep, drop=drop
    )


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.integers(0, 30), max_size=12), keep=st.integers(1, 4))
def test_the_newest_few_are_kept(numbers: list[int], keep: int) -> None:
    tx: Any = Tx()
    for number in sorted(numbers):
        put(tx, "a", number, keep)
    put(tx, "other", 7)
    there = [one.step for one in checkpoint_rows.newest(tx, "a")]
    assert there == sorted(set(numbers))[-keep:]
    assert checkpoint_rows.forget(tx, "a") == len(there)
    assert [one.step for one in checkpoint_rows.newest(tx, "other")] == [7]
    tx._connection.close()
    tx.close()


def test_those_that_were_damaged_make_room(tx: Any) -> None:
    for number in (5, 6, 7):
        put(tx, "a", number)
    put(tx, "a", 6, drop=(7,))
    assert [one.step for one in checkpoint_rows.newest(tx, "a")] == [5, 6]


def test_one_that_is_damaged_is_passed_over_for_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = open_objects(str(tmp_path / "objects"))
    there = []
    for step in (1, 2, 3):
        stored = outputs.encode(np.full(4, step), objects)
        there.append(checkpoints.Kept(step=step, digest=stored.digest, type=stored.type))
    for file in (tmp_path / "objects").rglob("*"):
        if there[2].digest[-20:] in file.name:
            file.chmod(0o600)
            file.write_bytes(b"damaged")
    written: list[tuple[int, int, list[int]]] = []

    def write(step: int, stored: outputs.Stored, keep: int, drop: list[int], whose: str) -> None:
        written.append((step, keep, drop))

    shelf = Shelf(objects, there, tmp_path, write)
    with entered(StepContext("run", "train", objects, shelf=shelf)):
        found = last_checkpoint()
        assert found is not None
        assert (found.step, found.value.tolist()) == (2, [2, 2, 2, 2])
        checkpoint(np.full(4, 9), step=3)
        assert last_checkpoint() is not None
        assert last_checkpoint().step == 3  # type: ignore[union-attr]
    assert written == [(3, 3, [3])]
    assert "Checkpoint 3 is passed over" in capsys.readouterr().out


def test_outside_of_a_run_nothing_is_kept() -> None:
    checkpoint({"a": 1}, step=0)
    assert last_checkpoint() is None


@pytest.mark.parametrize(
    "given_", [{"step": -1}, {"step": 1.0}, {"step": True}, {"step": 1, "keep": 0}]
)
def test_what_is_no_number_of_a_step_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="must be a whole number"):
        checkpoint(1, **given_)
