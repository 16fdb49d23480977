"""What a capture segment is: its name, its frames, and the rows they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.numerics.frames import MAGIC, Frame, FrameCorruptError, decode_frames, encode_frame
from mainspring.scaling.models.check import Values, series
from mainspring.scaling.models.features import Word

OPEN, SEALED, PARQUET = ".open", ".seg", ".parquet"
_SPLIT = r"(?s)^(.*)-(0|[1-9][0-9]{0,17})$"
NOBODY = -1  #: the version of a counterpart that did not score
PLAIN = -1  #: the number of a row whose id is not ``<prefix>-<number>``: it is the prefix alone
#: Event time may be that far ahead of the clock that received it; what lies beyond is taken
#: for a clock that jumped, and moves the watermark no further.
AHEAD_S = 300.0

#: What every captured row has beside its raw columns, as files keep it.
KEPT: dict[str, Any] = {
    "_boot": pl.String,
    "_n": pl.Int64,
    "_time": pl.Float64,
    "_received": pl.Float64,
    "_version": pl.Int64,
    "_other_version": pl.Int64,
}
#: What a row says of how it was answered; files of before do not have it. ``_share`` stands only
#: where rows were sampled, ``_inference`` and ``_request`` only where a client gave them.
ABOUT: dict[str, Any] = {
    "_ms": pl.Float32,
    "_role": pl.String,
    "_share": pl.Float64,
    "_inference": pl.String,
    "_request": pl.String,
}
#: How much room text of a column takes beside its characters, about.
_TEXT_BYTES = 49


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request: what came in, who scored it, what was answered.

    ``first`` is the number of the first row; the others follow, unless ``numbers`` says which.
    ``scores`` has shape (rows, k). ``other_scores`` are those of the counterpart in a rollout, or
    None. ``champion`` is who was champion then, ``seconds`` what the answer took, ``share`` of how
    many rows these were drawn, ``inference`` and ``request`` the client's own ids of the request.
    """

    first: int
    received: float
    times: npt.NDArray[np.float64]
    columns: dict[str, Values]
    types: dict[str, Word]
    versions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    other_versions: npt.NDArray[np.int64] | None = None
    other_scores: npt.NDArray[np.float64] | None = None
    champion: int | None = None
    seconds: float = math.nan
    share: float = 1.0
    inference: str | None = None
    request: str | None = None
    numbers: npt.NDArray[np.int64] | None = None
    ids: list[str] | None = None  #: the client's own ids of the rows

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.times)

    @property
    def bytes(self) -> int:
        """Return about how much memory the rows take."""
        taken = self.times.nbytes + self.versions.nbytes + self.scores.nbytes
        if self.other_scores is not None:
            taken *= 2
        for values in self.columns.values():
            if isinstance(values, list):
                taken += _TEXT_BYTES * len(values) + sum(len(v) for v in values if v)
            else:
                taken += values.nbytes
        return taken

    def only(self, wanted: npt.NDArray[np.bool_], share: float) -> Batch:
        """Return the rows that were drawn from these, as a share of them."""
        columns: dict[str, Values] = {
            name: [v for v, take in zip(values, wanted, strict=True) if take]
            if isinstance(values, list)
            else values[wanted]
            for name, values in self.columns.items()
        }
        return replace(
            self,
            times=self.times[wanted],
            columns=columns,
            versions=self.versions[wanted],
            scores=self.scores[wanted],
            share=share,
            numbers=self.numbered[wanted],
            ids=None
            if self.ids is None
            else [name for name, take in zip(self.ids, wanted, strict=True) if take],
        )

    @property
    def numbered(self) -> npt.NDArray[np.int64]:
        """Return the number of each row."""
        if self.numbers is not None:
            return self.numbers
        return np.arange(self.first, self.first + self.rows)

    def shape(self) -> tuple[Any, ...]:
        """Return what must be equal for two batches to share a frame."""
        kinds = ["t" if isinstance(v, list) else v.dtype.char for v in self.columns.values()]
        width, alone = self.scores.shape[1], self.other_scores is None
        told = (self.champion, self.share, self.ids is None)
        return *self.columns, *kinds, width, alone, *told


@dataclass(frozen=True, slots=True)
class Span:
    """How far a segment reaches: event times in UTC seconds, and its rows."""

    low: float
    high: float
    rows: int

    def joined(self, other: Span) -> Span:
        """Return the span of both."""
        return Span(min(self.low, other.low), max(self.high, other.high), self.rows + other.rows)


EMPTY = Span(math.inf, -math.inf, 0)


def encode(batches: Sequence[Batch], boot: str) -> bytes:
    """Return batches of one :meth:`Batch.shape` as one frame."""
    head = batches[0]
    counts = np.array([b.rows for b in batches])
    columns: dict[str, Any] = {
        "_n": _small(_numbers(batches, counts)),
        "_time": np.concatenate([b.times for b in batches]),
        "_received": np.repeat([b.received for b in batches], counts),
        "_version": _small(np.concatenate([b.versions for b in batches])),
        "_score": _small(np.concatenate([b.scores for b in batches])),
        "_ms": np.repeat(np.array([1000 * b.seconds for b in batches], np.float32), counts),
    }
    for name, told in (
        ("_inference", [b.inference for b in batches]),
        ("_request", [b.request for b in batches]),
    ):
        if any(told):
            columns[name] = [one for one, b in zip(told, batches, strict=True) for _ in b.times]
    if head.other_scores is not None:
        columns["_other_version"] = _small(_joined([b.other_versions for b in batches]))
        columns["_other_score"] = _small(_joined([b.other_scores for b in batches]))
    if head.ids is not None:
        columns["_id"] = [name for b in batches for name in b.ids or ()]
    for name, values in head.columns.items():
        if isinstance(values, list):
            columns[name] = [value for b in batches for value in b.columns[name]]
        else:
            columns[name] = _small(_joined([b.columns[name] for b in batches]))
    meta = {"boot": boot, "types": head.types, "champion": head.champion, "share": head.share}
    return encode_frame(columns, meta)


def _numbers(batches: Sequence[Batch], counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if any(b.numbers is not None for b in batches):
        return np.concatenate([b.numbered for b in batches])
    ends: npt.NDArray[np.int64] = np.cumsum(counts)
    starts = np.array([b.first for b in batches], dtype=np.int64) + counts - ends
    return np.arange(ends[-1]) + np.asarray(np.repeat(starts, counts), dtype=np.int64)


def _joined(parts: Sequence[Any]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if len(parts) > 1 else np.asarray(parts[0])


def _small(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in 32 bits where that loses nothing, for half the bytes."""
    if values.dtype == np.float64:
        with np.errstate(over="ignore"):
            half = values.astype(np.float32)
        same = half == values
        if same.all() or (same | np.isnan(values)).all():
            return half
    elif values.dtype == np.int64 and values.size:
        low, high = int(values.min()), int(values.max())
        if low >= -(2**31) and high < 2**31:
            return values.astype(np.int32)
    return values


def frames(data: bytes | memoryview) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield the rows of each frame and the byte behind it; see :func:`rows_of`."""
    for frame, end in _whole(data, []):
        yield _rows([frame]), end


def rows_of(path: Path, damage: list[str] | None = None) -> list[pl.DataFrame]:
    """Return the rows of a segment file.

    A torn tail ends it. A damaged frame is passed over, and told in ``damage``: reading goes on
    at the next header.
    """
    told = damage if damage is not None else []
    found = [frame for frame, _ in _whole(path.read_bytes(), told)]
    # Frames are small where requests are few; as many as are alike make one table at once.
    return [_rows(list(alike)) for _, alike in groupby(found, key=_kind)]


def _whole(data: bytes | memoryview, damage: list[str]) -> Iterator[tuple[Frame, int]]:
    view = memoryview(data)
    start = 0
    while True:
        reader = decode_frames(view[start:])
        try:
            for frame in reader:
                yield frame, start + reader.valid_bytes
        except FrameCorruptError as error:
            damage.append(str(error) if not start else f"{error} ({start:,} bytes on)")
            after = bytes(view).find(MAGIC, start + error.valid_bytes + 1)
            if after < 0:
                return
            start = after
        else:
            return


def _kind(frame: Frame) -> tuple[Any, ...]:
    return frame.meta, tuple(frame.columns)


def span_of(parts: Sequence[pl.DataFrame]) -> Span:
    """Return how far some rows reach."""
    found = EMPTY
    for part in parts:
        times = part["_time"]
        low, high = times.min(), times.max()
        if isinstance(low, float) and isinstance(high, float):
            found = found.joined(Span(low, high, part.height))
    return found


def mark_of(parts: Sequence[pl.DataFrame]) -> float | None:
    """Return how far some rows move the watermark; None without a row.

    A row moves it to its event time, and never more than :data:`AHEAD_S` past the moment it was
    received: one clock that jumped must not close every window there is.

    >>> mark_of([pl.DataFrame({"_time": [50.0, 9e9], "_received": [60.0, 60.0]})])
    360.0
    """
    marks = [
        part.select(pl.min_horizontal("_time", pl.col("_received") + AHEAD_S).max()).item()
        for part in parts
        if part.height
    ]
    return max((mark for mark in marks if mark is not None), default=None)


def _rows(alike: Sequence[Frame]) -> pl.DataFrame:
    types, meta = alike[0].meta["types"], alike[0].meta
    held = {name: _column([frame.columns[name] for frame in alike]) for name in alike[0].columns}
    rows = len(held["_n"])
    if "_id" in held:
        out = split_ids(pl.Series(held["_id"], dtype=pl.String))
    else:
        out = [pl.Series("_boot", [meta["boot"]] * rows, dtype=pl.String)]
        out.append(pl.Series("_n", held["_n"]).cast(KEPT["_n"]))
    out += [pl.Series(n, held[n]).cast(KEPT[n]) for n in ("_time", "_received", "_version")]
    out.append(_scores("_score", held["_score"]))
    if "_other_score" in held:
        others = pl.Series("_other_version", held["_other_version"]).cast(pl.Int64)
        scored = others != NOBODY
        out.append(others.set(~scored, None))
        scores = _scores("_other_score", held["_other_score"])
        out.append(pl.select(pl.when(scored).then(scores).alias("_other_score")).to_series())
    else:
        out.append(pl.Series("_other_version", [None] * rows, dtype=pl.Int64))
        empty = pl.Series("_other_score", [None] * rows, dtype=out[-2].dtype)
        out.append(empty)
    out += _about(meta, held, out[4])
    out += [series(name, types[name], held[name]) for name in types]
    return pl.DataFrame(out)


def split_ids(ids: pl.Series) -> list[pl.Series]:
    """Return ids as files keep them: what stands before a number, and the number.

    >>> [one.to_list() for one in split_ids(pl.Series(["order-17", "order"]))]
    [['order', 'order'], [17, -1]]
    """
    heads, numbers = ids.str.extract(_SPLIT, 1), ids.str.extract(_SPLIT, 2).cast(pl.Int64)
    boots = pl.select(pl.coalesce(heads, ids).alias("_boot")).to_series()
    return [boots, numbers.fill_null(PLAIN).alias("_n")]


def _column(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    return np.concatenate(parts)


def _about(meta: dict[str, Any], held: dict[str, Any], versions: pl.Series) -> Iterator[pl.Series]:
    """Yield the columns of :data:`ABOUT` that frames have."""
    champion, share = meta.get("champion"), meta.get("share", 1.0)
    if champion is not None:
        own = (
            pl.when(versions == champion).then(pl.lit("champion")).otherwise(pl.lit("challenger"))
        )
        yield pl.select(own.alias("_role")).to_series()
    if share < 1.0:
        yield pl.Series("_share", [share] * versions.len(), dtype=pl.Float64)
    for name in ("_ms", "_inference", "_request"):
        if name in held:
            yield pl.Series(name, held[name], dtype=ABOUT[name])


def _scores(name: str, values: npt.NDArray[Any]) -> pl.Series:
    wide = values.astype(np.float64)
    if wide.shape[1] == 1:
        return pl.Series(name, wide[:, 0])
    return pl.Series(name, wide).cast(pl.List(pl.Float64))


def sealed_name(stem: str, span: Span, suffix: str = SEALED) -> str:
    """Return a file name that says how far a segment reaches, in microseconds."""
    return f"{stem}_{math.floor(span.low * 1e6)}_{math.ceil(span.high * 1e6)}_{span.rows}{suffix}"


def span_in(name: str) -> Span | None:
    """Return how far a sealed segment reaches by its name; None if that is no such name."""
    parts = name.rpartition(".")[0].split("_")
    if len(parts) != 4:
        return None
    try:
        return Span(int(parts[1]) / 1e6, int(parts[2]) / 1e6, int(parts[3]))
    except ValueError:
        return None
