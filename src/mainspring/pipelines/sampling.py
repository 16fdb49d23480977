"""Cut what a step brings in to a small sample, for a run that only shows that all of it works.

The sample is drawn without chance from outside: the same table gives the same rows, in their
order. Where a column has few values each of them stays, or a rare class would be gone and the
model refuse to learn. Tables of equal height that one step returns keep the same rows of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.pipelines.outputs import is_array, is_frame

LEAST = 20  #: rows: below that nothing can be split and learnt from
_FEW_VALUES, _OF_EACH = 12, 10
_DEEPEST = 4  #: lists in dicts in lists


def cut(value: Any, rows: int, folder: Path) -> Any:
    """Return what a step returned with every table in it cut to about ``rows`` rows.

    Frames, arrays, CSV and Parquet files (written anew into ``folder``), and lists, tuples and
    dicts of these. All else is as it was. Rare values may add up to as many rows again.
    """
    return _Cut(rows, folder).cut(value, 0)


class _Cut:
    def __init__(self, rows: int, folder: Path) -> None:
        self._rows, self._folder = rows, folder
        self._chosen: dict[int, Any] = {}  # height -> places, so that X and y stay together

    def cut(self, value: Any, depth: int) -> Any:
        if is_frame(value):
            return self._frame(value)
        if is_array(value) and value.ndim and len(value) > self._rows:
            return value[self._places(len(value), None)]
        if isinstance(value, Path):
            return self._file(value)
        if type(value) in (list, tuple) and depth < _DEEPEST:
            return type(value)(self.cut(part, depth + 1) for part in value)
        if type(value) is dict and depth < _DEEPEST:
            return {key: self.cut(part, depth + 1) for key, part in value.items()}
        return value

    def _frame(self, frame: Any) -> Any:
        import polars as pl

        if isinstance(frame, pl.LazyFrame):
            frame = frame.collect()
        if len(frame) <= self._rows:
            return frame
        if isinstance(frame, pl.DataFrame):
            return frame[self._places(frame.height, frame)]
        places = self._places(len(frame), pl.from_pandas(frame))
        return frame.iloc[places].reset_index(drop=True)

    def _file(self, path: Path) -> Path:
        import polars as pl

        readers: dict[str, Any] = {".csv": pl.read_csv, ".parquet": pl.read_parquet}
        reader = readers.get(path.suffix.lower())
        if reader is None or not path.is_file():
            return path
        frame = reader(path)
        if frame.height <= self._rows:
            return path
        target = self._folder / path.name
        small = self._frame(frame)
        if path.suffix.lower() == ".csv":
            small.write_csv(target)
        else:
            small.write_parquet(target)
        return target

    def _places(self, height: int, frame: Any) -> Any:
        """Return which rows of a table of this height stay, rising."""
        import numpy as np

        if height not in self._chosen:
            order = np.random.default_rng(height).permutation(height)
            kept = set(order[: self._rows].tolist())
            for places in () if frame is None else _by_value(frame, order):
                short = _OF_EACH - sum(one in kept for one in places)
                more = [one for one in places if one not in kept][: max(short, 0)]
                if len(kept) + len(more) <= 2 * self._rows:
                    kept.update(more)
            self._chosen[height] = np.array(sorted(kept))
        return self._chosen[height]


def _by_value(frame: Any, order: Any) -> Iterator[list[int]]:
    """Yield, for each value of a column that has few, the rows that hold it, shuffled."""
    import polars as pl

    texts = (pl.Boolean, pl.String, pl.Categorical, pl.Enum)
    for column in frame.get_columns():
        if not (column.dtype in texts or column.dtype.is_integer()):
            continue
        if column.n_unique() > _FEW_VALUES:
            continue
        shuffled = pl.DataFrame({"value": column[order], "row": order})
        for part in shuffled.partition_by("value", maintain_order=True):
            yield part["row"].to_list()
