"""A look at the captures misses no row that is sealed or folded in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.scaling.serving import capture
from mainspring.scaling.serving.capture import Batch, CaptureWriter

ROWS = 5
#: A row far ahead of its reception: how far it moves the watermark is seen in its segment alone.
AT = 4e9

LOOKS: dict[str, Callable[[Path, pl.Series], Any]] = {
    "read": lambda folder, ids: capture.read(folder).height,
    "watermark": lambda folder, ids: capture.watermark(folder),
    "oldest": lambda folder, ids: capture.oldest(folder),
    "rows": lambda folder, ids: capture.rows_since(folder, None),
    "times": lambda folder, ids: len(capture.times(folder, None, 1e10)),
    "next": lambda folder, ids: capture.next_time(folder, 0.0),
    "there": lambda folder, ids: capture.there(folder, ids).sum(),
}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[CaptureWriter]:
    """A writer whose rows are written and not sealed."""
    made = CaptureWriter(tmp_path / "captures", seal_s=1e9)
    rows = Batch(
        first=made.reserve(ROWS),
        received=AT - 10.0,
        times=np.full(ROWS, AT),
        columns={"x": np.linspace(0, 1, ROWS)},
        types={"x": "float"},
        versions=np.ones(ROWS, dtype=np.int64),
        scores=np.full((ROWS, 1), 0.5),
    )
    assert made.append(rows)
    assert made.flush()
    yield made
    made.close()


@pytest.mark.parametrize("folds", [False, True], ids=["sealed", "folded"])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("after", range(4))
def test_what_is_sealed_or_folded_during_a_look_is_in_it(
    writer: CaptureWriter, monkeypatch: pytest.MonkeyPatch, look: str, after: int, folds: bool
) -> None:
    ids = pl.Series(writer.ids(0, ROWS))
    wanted = LOOKS[look](writer.folder, ids)
    assert wanted
    steps = [0]

    def happens() -> None:
        steps[0] += 1
        if steps[0] == after + 1:
            writer.close()
            if folds:
                assert capture.compact(writer.folder) == ROWS

    listed, index = Path.glob, capture.shelf.read_index

    def glob(self: Path, pattern: str) -> Iterator[Path]:
        found = list(listed(self, pattern))
        if self == writer.folder:
            happens()
        return iter(found)

    def read_index(folder: Path) -> Any:
        found = index(folder)
        happens()
        return found

    monkeypatch.setattr(Path, "glob", glob)
    monkeypatch.setattr(capture.shelf, "read_index", read_index)
    assert LOOKS[look](writer.folder, ids) == wanted
