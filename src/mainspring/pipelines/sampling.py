"""Cut what a step brings in to a small sample, for a run that only shows that all of it works.

The sample is drawn without chance from outside: the same table gives the same rows, in their
order. Where a column has few values each of them stays, or a rare class would be gone and the
model refuse to learn. Tables of equal height that one step returns keep the same rows of each.
Lazy frames, Parquet files and folders of them are never read whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.pipelines.outputs import is_array, is_frame
from mainspring.pipelines.outputs.files import PARQUET
from mainspring.pipelines.outputs.frames import is_lazy

LEAST = 20  #: rows: below that nothing can be split and learnt from
_FEW_VALUES, _OF_EACH = 12, 10
_DEEPEST = 4  #: lists in dicts in lists
_ROW = "mainspring: row"
_BIG = 1 << 26  #: bytes of a file that is not read whole
_MOST_SHUFFLED = 50_000_000  #: rows: 400 MB of places


def cut(value: Any, rows: int, folder: Path) -> Any:
    """Return what a step returned with every table in it cut to about ``rows`` rows.

    Frames, arrays, CSV and Parquet files (written anew into ``folder``), folders in which there
    are such (each of its tables to its share), and lists, tuples and dicts of these. All else is
    as it was. Rare values may add up to as many rows again.
    """
    return _Cut(rows, folder).cut(value, 0)


class _Cut:
    def __init__(self, rows: int, folder: Path) -> None:
        self._rows, self._folder = rows, folder
        self._chosen: dict[int, Any] = {}  # height -> places, so that X and y stay together

    def cut(self, value: Any, depth: int) -> Any:
        if is_frame(value):
            return self._lazy(value).lazy() if is_lazy(value) else self._frame(value)
        if is_array(value) and value.ndim and len(value) > self._rows:
            return value[self._places(len(value), None)]
        if isinstance(value, Path):
            return self._files(value) if value.is_dir() else self._file(value, self._folder)
        if type(value) in (list, tuple) and depth < _DEEPEST:
            return type(value)(self.cut(part, depth + 1) for part in value)
        if type(value) is dict and depth < _DEEPEST:
            return {key: self.cut(part, depth + 1) for key, part in value.items()}
        return value

    def _frame(self, frame: Any) -> Any:
        import polars as pl

        if len(frame) <= self._rows:
            return frame
        if isinstance(frame, pl.DataFrame):
            return frame[self._places(frame.height, frame)]
        places = self._places(len(frame), pl.from_pandas(frame))
        return frame.iloc[places].reset_index(drop=True)

    def _lazy(self, frame: Any) -> Any:
        """Return the sample of a lazy frame as a frame; only the sample is ever held."""
        import polars as pl

        height = int(frame.select(pl.len()).collect(engine="streaming").item())
        if height <= self._rows:
            return frame.collect(engine="streaming")
        places = self._places(height, frame)
        numbered = frame.with_row_index(_ROW)
        wanted = pl.Series(places, dtype=pl.get_index_type())
        found = numbered.filter(pl.col(_ROW).is_in(wanted.implode())).collect(engine="streaming")
        return found.sort(_ROW).drop(_ROW)

    def _file(self, path: Path, folder: Path) -> Path:
        import polars as pl

        kind = path.suffix.lower()
        if kind not in (".csv", *PARQUET) or not path.is_file():
            return path
        big = path.stat().st_size > _BIG
        if kind == ".csv":
            frame: Any = pl.scan_csv(path) if big else pl.read_csv(path)
        else:
            frame = pl.scan_parquet(path) if big else pl.read_parquet(path)
        if not big and frame.height <= self._rows:
            return path
        small = self._lazy(frame) if is_lazy(frame) else self._frame(frame)
        target = folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == ".csv":
            small.write_csv(target)
        else:
            small.write_parquet(target)
        return target

    def _files(self, path: Path) -> Path:
        """Return a folder with each of its tables cut to its share; its other files are copied."""
        found = sorted(one for one in path.rglob("*") if one.is_file())
        tables = [one for one in found if one.suffix.lower() in (".csv", *PARQUET)]
        if not tables:
            return path
        root = self._folder / f"sampled-{path.resolve().name}"
        share = _Cut(max(self._rows // len(tables), LEAST), self._folder)
        for one in found:
            target = root / one.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if one not in tables:
                shutil.copyfile(one, target)
                continue
            share.forget()  # parts of one table are none that belong together row by row
            share._file(one, target.parent)
        return root

    def forget(self) -> None:
        self._chosen.clear()

    def _places(self, height: int, frame: Any) -> Any:
        """Return which rows of a table of this height stay, rising."""
        import numpy as np

        if height not in self._chosen:
            rng = np.random.default_rng(height)
            if is_lazy(frame) or height > _MOST_SHUFFLED:  # no room for a shuffle of all rows
                kept = set(rng.choice(height, self._rows, replace=False, shuffle=False).tolist())
                found = _by_value_lazily(frame) if is_lazy(frame) else iter(())
            else:
                order = rng.permutation(height)
                kept = set(order[: self._rows].tolist())
                found = iter(()) if frame is None else _by_value(frame, order)
            for places in found:
                short = _OF_EACH - sum(one in kept for one in places)
                more = [one for one in places if one not in kept][: max(short, 0)]
                if len(kept) + len(more) <= 2 * self._rows:
                    kept.update(more)
            self._chosen[height] = np.array(sorted(kept))
        return self._chosen[height]


def _by_value_lazily(frame: Any) -> Iterator[list[int]]:
    """Yield, for each value of a column that has few, some rows that hold it: the first ones."""
    import polars as pl

    texts = (pl.Boolean, pl.String, pl.Categorical, pl.Enum)
    columns = [
        name for name, kind in frame.collect_schema().items() if kind in texts or kind.is_integer()
    ]
    if not columns:
        return
    about = frame.select(pl.col(name).approx_n_unique() for name in columns)
    counts = about.collect(engine="streaming").row(0, named=True)
    few = [name for name in columns if counts[name] <= _FEW_VALUES]
    found: dict[tuple[str, Any], list[int]] = {}
    for part in frame.select(few).with_row_index(_ROW).collect_batches(maintain_order=True):
        for name in few:
            firsts = part.group_by(name).agg(pl.col(_ROW).head(2 * _OF_EACH))
            for value, places in firsts.iter_rows():
                known = found.setdefault((name, value), [])
                known += places[: 2 * _OF_EACH - len(known)]
    yield from sorted(found.values())


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
