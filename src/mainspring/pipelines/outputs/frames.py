"""Tables: frames of polars and pandas, series, tables of pyarrow; as Parquet that is bit-stable.

A lazy frame is never collected: it is streamed to a file in row groups of a settled size, in the
order of its rows, and given on as a lazy frame over that file.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.ground.errors import NotExactError
from mainspring.ground.ports import Objects
from mainspring.pipelines.outputs import files
from mainspring.pipelines.outputs.forms import Bytes, Stored, library

#: Rows of a row group of a lazy frame: what a reader holds at once, and few enough to be small.
GROUP = 1 << 17
_WHOLE_GROUP = 1 << 20  # of a frame that was in memory anyway


def is_frame(value: Any) -> bool:
    """Return whether a value is a frame of polars or pandas; imports neither."""
    return library(value) in ("polars", "pandas") and type(value).__name__ in (
        "DataFrame",
        "LazyFrame",
    )


def is_lazy(value: Any) -> bool:
    """Return whether a value is a lazy frame of polars; does not import it."""
    return library(value) == "polars" and type(value).__name__ == "LazyFrame"


def write_frame(frame: Any) -> bytes:
    """Return a frame of polars as Parquet, checked to hold every column's type.

    Row groups of a settled size, one chunk, no statistics: nothing that differs between two
    frames of the same rows is written.

    Raises:
        NotExactError: if a column's type would come back as another.
    """
    import polars as pl

    frame = frame.rechunk()
    held = io.BytesIO()
    try:
        frame.write_parquet(
            held, compression="zstd", statistics=False, row_group_size=_WHOLE_GROUP
        )
        held.seek(0)
        _check_schema(frame.schema, pl.read_parquet_schema(held))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise NotExactError(f"the frame cannot be written as Parquet: {error}") from error
    if frame.width == 0 and frame.height > 0:
        raise NotExactError("a frame of rows without columns has nothing to keep.")
    return held.getvalue()


def _read_frame(data: bytes) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(data))


def _check_schema(was: Any, back: Any) -> None:
    for name, kind in was.items():
        if back.get(name) != kind:
            raise NotExactError(
                f"column {name} of type {kind} would come back as {back.get(name)}.",
                hint="Cast it first.",
            )


def _is_polars(name: str) -> Any:
    return lambda value: library(value) == "polars" and type(value).__name__ == name


def _write_series(value: Any) -> bytes:
    return write_frame(value.to_frame())


def _read_series(data: bytes) -> Any:
    return _read_frame(data).to_series()


class Lazy:
    """A lazy frame of polars, streamed to Parquet and scanned again."""

    name = "lazy"

    def takes(self, value: Any) -> bool:
        """Return whether the value is a lazy frame."""
        return is_lazy(value)

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Stream the rows to a file in their order, and keep the file."""
        import polars as pl

        with tempfile.TemporaryDirectory(prefix="mainspring-lazy-") as place:
            file = Path(place) / "rows.parquet"
            try:
                schema = value.collect_schema()
                value.sink_parquet(
                    file,
                    compression="zstd",
                    row_group_size=GROUP,
                    maintain_order=True,  # or the order of rows, and the digest, would be chance
                )
                _check_schema(schema, pl.read_parquet_schema(file))
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise NotExactError(
                    f"the lazy frame cannot be written as Parquet: {error}"
                ) from error
            digest = objects.put_file(file)
        return Stored(digest=digest, type=self.name, blobs=[digest])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:
        """Return a lazy frame over the object's own file, or over a copy of it in ``folder``."""
        return files.scan(digest, self.name, objects, folder)


def _is_pandas(value: Any) -> bool:
    return library(value) == "pandas" and type(value).__name__ in ("DataFrame", "Series")


def _write_pandas(value: Any) -> bytes:
    """Return a frame or series of pandas as Parquet, with its index, checked to come back.

    Raises:
        NotExactError: if it would not come back as it is, or pyarrow is not there to write it.
    """
    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None:
        raise NotExactError("keeping a pandas frame as a table needs pyarrow.")
    import pyarrow as pa

    frame = value
    if isinstance(value, pd.Series):
        frame = value.to_frame(name=_NAMELESS if value.name is None else value.name)
    held = io.BytesIO()
    try:
        table = pa.Table.from_pandas(frame)
        freq = getattr(frame.index, "freqstr", None)
        told = {**table.schema.metadata, _FREQ: (freq or "").encode()}
        _arrow_written(table.replace_schema_metadata(told), held)
        back = _read_pandas(held.getvalue())
        pd.testing.assert_frame_equal(
            frame, back, check_exact=True, check_index_type=True, check_column_type=True
        )
    except (AssertionError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        found = " ".join(str(error).split())[:200]
        raise NotExactError(
            f"the pandas {type(value).__name__} would not come back as it is: {found}",
            hint="Give every column one type, and columns and levels of the index a text as name.",
        ) from error
    return held.getvalue()


#: What a column is called that was a series without a name; and where an index's beat is kept.
_NAMELESS, _FREQ = "mainspring: no name", b"mainspring.freq"


def _read_pandas(data: bytes) -> Any:
    table = _arrow_read(data)
    freq = (table.schema.metadata or {}).get(_FREQ, b"").decode()
    frame = table.to_pandas()
    if freq:
        frame.index.freq = freq
    return frame


def _read_pandas_series(data: bytes) -> Any:
    found = _read_pandas(data)
    series = found[found.columns[0]]
    return series.rename(None) if series.name == _NAMELESS else series


def _is_arrow(value: Any) -> bool:
    return library(value) == "pyarrow" and type(value).__name__ == "Table"


def _write_arrow(value: Any) -> bytes:
    """Return a table of pyarrow as Parquet, with its schema and what the schema says of itself.

    Raises:
        NotExactError: if a column's type would come back as another.
    """
    import pyarrow as pa

    held = io.BytesIO()
    try:
        _arrow_written(value, held)
        back = _arrow_read(held.getvalue()).schema
    except (pa.ArrowException, ValueError) as error:
        raise NotExactError(f"the table cannot be written as Parquet: {error}") from error
    if not back.equals(value.schema, check_metadata=True):
        raise NotExactError("the table would come back with other types.", hint="Cast it first.")
    return held.getvalue()


def _arrow_written(table: Any, to: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(
        table.combine_chunks(),
        to,
        compression="zstd",
        row_group_size=_WHOLE_GROUP,
        write_statistics=False,
        store_schema=True,
    )


def _arrow_read(data: bytes) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(data))


def kinds() -> Iterator[Any]:
    """Yield the codecs of this file."""
    yield Lazy()
    yield Bytes("frame", _is_polars("DataFrame"), write_frame, _read_frame)
    yield Bytes("series", _is_polars("Series"), _write_series, _read_series)
    yield Bytes(
        "pandas",
        lambda value: _is_pandas(value) and type(value).__name__ == "DataFrame",
        _write_pandas,
        _read_pandas,
    )
    yield Bytes(
        "pandas_series",
        lambda value: _is_pandas(value) and type(value).__name__ == "Series",
        _write_pandas,
        _read_pandas_series,
    )
    yield Bytes("arrow", _is_arrow, _write_arrow, _arrow_read)
