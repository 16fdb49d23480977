"""Take in the truth as it arrives late, and join it to what was predicted.

Labels name predictions by id. A batch is stored as one checksummed frame of three columns: ids
of the form ``<prefix>-<number>`` are split, so that a label costs a few bytes. Where a
prediction has several labels the last writer wins: the later batch, and in a batch the later
row; those that say again what was known and those that contradict it are counted apart. An id
that no prediction has is kept all the same: its prediction may be on its way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from sqlalchemy import ColumnElement, and_, func, insert, select, update

from mainspring.ground.errors import BadInputError, DamagedError, NotExactError, TooLargeError
from mainspring.ground.objects import Signature
from mainspring.ground.ports import Tx
from mainspring.monitoring.tables import label_batches, monitors, start_monitor
from mainspring.monitoring.truth import targets, written
from mainspring.numerics.frames import FrameCorruptError, decode_frames, encode_frame

MOST_LABELS = 100_000
MOST_ID_CHARS = 64
MOST_TEXT_CHARS = 1_000

_SPLIT = re.compile(r"(.*)-(0|[1-9][0-9]{0,17})", re.DOTALL)
_KEPT = (bool, int, float, str)
_SCHEMA = {
    "_id": pl.String,
    "_label": pl.String,
    "_batch": pl.Int64,
    "_arrived": pl.Float64,
    "_given": pl.Int64,
    "_changed": pl.Boolean,
}


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What has come in for an endpoint so far."""

    batches: int
    labels: int
    duplicates: int  #: overwritten inside their own batch
    newest_batch: int  #: 0 if there is none
    newest_at: float | None


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions with their truth, and what could not be joined."""

    rows: pl.DataFrame  #: the captured columns and ``_label``, ``_batch``, ``_arrived``, ``_y``
    labels: int  #: labels looked at, after the last writer won
    replaced: int  #: labels that a later one overwrote
    unmatched: int  #: labels whose prediction is not among the captured rows
    foreign: dict[str, int]  #: label values that are none of the model's classes, with rows
    repeated: int = 0  #: captured rows whose label was given again, the same
    contradicted: int = 0  #: captured rows that were given different labels; the last counts
    batch: int = 0  #: the newest batch looked at


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of labels, checked and encoded."""

    payload: bytes
    labels: int
    duplicates: int


def add(
    tx: Tx,
    endpoint: str,
    ids: Sequence[str],
    values: Sequence[bool | int | float | str],
    at: float,
    watermark: float | None = None,
) -> int:
    """Keep one batch of labels and return its number; numbers grow.

    ``at`` is when it came, ``watermark`` the newest event time that was known then: how old a
    label was when it came is measured in event time, so that history played back is no different.
    At most 100,000 labels a batch; ids have 1 to 64 characters. An id given twice keeps its
    last value. Values are booleans, whole numbers of 64 bits, finite numbers or text.

    Raises:
        BadInputError: naming the row of the first id or label that cannot be used.
        TooLargeError: if the batch is too big.
        NotExactError: if a whole number does not fit into 64 bits.
    """
    return keep(tx, endpoint, prepare(ids, values), at, watermark)


def prepare(ids: Sequence[str], values: Sequence[bool | int | float | str]) -> Ready:
    """Return one batch of labels checked and encoded, to be kept later.

    Raises:
        BadInputError, TooLargeError, NotExactError: as :func:`add`.
    """
    plain_ids, plain = _plain(ids), _plain(values)
    if len(plain_ids) != len(plain):
        raise BadInputError(
            f"Every id needs one label, found {len(plain_ids)} ids and {len(plain)} labels.",
            field="labels",
        )
    if not plain:
        raise BadInputError("A batch needs at least one label, found none.", field="labels")
    if len(plain) > MOST_LABELS:
        raise TooLargeError(
            f"A batch holds at most {MOST_LABELS:,} labels, found {len(plain):,}.",
            field="labels",
            hint="Send it in parts.",
        )
    for row, (name, value) in enumerate(zip(plain_ids, plain, strict=True)):
        _check(row, name, value)
    last = dict(zip(plain_ids, plain, strict=True))
    payload = encode(list(last), list(last.values()))
    return Ready(payload=payload, labels=len(last), duplicates=len(plain) - len(last))


def keep(tx: Tx, endpoint: str, ready: Ready, at: float, watermark: float | None = None) -> int:
    """Keep a batch that was prepared, and return its number."""
    take_turn(tx, endpoint)
    statement = insert(label_batches).values(
        endpoint=endpoint,
        received=at,
        watermark=watermark,
        n=ready.labels,
        duplicates=ready.duplicates,
        payload=ready.payload,
    )
    return int(tx.all(statement.returning(label_batches.c.id))[0].id)


def read(
    tx: Tx,
    endpoint: str,
    after: int = 0,
    until: int | None = None,
    known_at: float | None = None,
) -> pl.DataFrame:
    """Return the labels of the batches ``after < number <= until``, one row an id.

    Columns ``_id``, ``_label`` (as text, see :func:`mainspring.monitoring.truth.written`),
    ``_batch``, ``_arrived`` (event time by which it had come), ``_given`` (how often the id was
    given in these batches) and ``_changed`` (whether it was given different labels). Of several
    labels of an id the last one stays, so rows are in batch order. With ``known_at`` only what
    had come by that event time is read: a label that came later, or was corrected later, is not
    there, or is what it was.

    Raises:
        DamagedError: if a stored batch fails its checksum.
    """
    kept = label_batches.c
    question = select(kept.id, kept.payload, kept.received, kept.watermark).where(
        kept.endpoint == endpoint, kept.id > after
    )
    if until is not None:
        question = question.where(kept.id <= until)
    if known_at is not None:
        question = question.where(~_later(known_at))
    parts = [
        _decode(row.id, row.payload).with_columns(
            _arrived=pl.lit(
                row.received if row.watermark is None else row.watermark, dtype=pl.Float64
            )
        )
        for row in tx.all(question.order_by(kept.id))
    ]
    if not parts:
        return pl.DataFrame(schema=_SCHEMA)
    return _last(pl.concat(parts))


def newest(tx: Tx, endpoint: str) -> int:
    """Return the number of the newest batch of an endpoint, 0 before the first."""
    kept = label_batches.c
    row = tx.one(select(func.max(kept.id).label("id")).where(kept.endpoint == endpoint))
    return 0 if row is None or row.id is None else int(row.id)


def newest_of_each(tx: Tx, after: int = 0) -> dict[str, int]:
    """Return the number of the newest batch of every endpoint that got one after a batch."""
    kept = label_batches.c
    query = select(kept.endpoint, func.max(kept.id).label("id")).where(kept.id > after)
    return {row.endpoint: int(row.id) for row in tx.all(query.group_by(kept.endpoint))}


def came_after(tx: Tx, endpoint: str, at: float) -> int:
    """Return how many labels of an endpoint came after an event time."""
    kept = label_batches.c
    counted = select(func.coalesce(func.sum(kept.n), 0).label("n"))
    row = tx.one(counted.where(kept.endpoint == endpoint, _later(at)))
    return 0 if row is None else int(row.n)


def _later(at: float) -> ColumnElement[bool]:
    """Return whether a batch came after an event time.

    What came before any row was captured has no event time of its own, and was there first.
    """
    mark = label_batches.c.watermark
    return and_(mark.is_not(None), mark > at)


def later(tx: Tx, endpoint: str, after: int, most: int) -> int:
    """Return the number of the ``most``-th batch after a cursor, or of the newest there is."""
    kept = label_batches.c
    question = select(kept.id).where(kept.endpoint == endpoint, kept.id > after)
    rows = tx.all(question.order_by(kept.id).limit(most))
    return int(rows[-1].id) if rows else after


def _last(labels: pl.DataFrame) -> pl.DataFrame:
    """Return the last label of every id, and what came of the others; in batch order."""
    if "_given" not in labels.columns:
        labels = labels.with_columns(
            _given=pl.lit(1, dtype=pl.Int64), _changed=pl.lit(value=False)
        )
    last = labels.unique("_id", keep="last", maintain_order=True)
    if last.height == labels.height:  # nearly always, and then there is nothing to count
        return last
    again = (
        labels.filter(pl.col("_id").is_duplicated())
        .group_by("_id")
        .agg(
            pl.col("_given").sum().alias("_sum"),
            (pl.col("_changed").any() | (pl.col("_label").n_unique() > 1)).alias("_any"),
        )
    )
    return (
        last.join(again, on="_id", how="left", maintain_order="left")
        .with_columns(
            _given=pl.coalesce("_sum", "_given"), _changed=pl.coalesce("_any", "_changed")
        )
        .drop("_sum", "_any")
    )


def received(tx: Tx, endpoint: str) -> Received:
    """Return what has come in for an endpoint; ``newest_batch`` is the cursor to read on from."""
    kept = label_batches.c
    row = tx.one(
        select(
            func.count(kept.id).label("batches"),
            func.coalesce(func.sum(kept.n), 0).label("labels"),
            func.coalesce(func.sum(kept.duplicates), 0).label("duplicates"),
            func.coalesce(func.max(kept.id), 0).label("newest_batch"),
            func.max(kept.received).label("newest_at"),
        ).where(kept.endpoint == endpoint)
    )
    if row is None:
        return Received(batches=0, labels=0, duplicates=0, newest_batch=0, newest_at=None)
    return Received(
        batches=int(row.batches),
        labels=int(row.labels),
        duplicates=int(row.duplicates),
        newest_batch=int(row.newest_batch),
        newest_at=row.newest_at,
    )


def join(captured: pl.DataFrame, labels: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return the captured rows whose truth is known, with ``_label``, ``_batch`` and ``_y``.

    ``_y`` is the class's number for classifiers (binary: 1 is the positive class) and the
    value for regression. A late label joins the row, and so the window, of its prediction.
    Use :func:`join_counted` to learn what was left out.
    """
    return join_counted(captured, labels, signature).rows


def join_counted(captured: pl.DataFrame, labels: pl.DataFrame, signature: Signature) -> Joined:
    """Join as :func:`join`, and count what could not be joined."""
    last = _last(labels.sort("_batch", maintain_order=True))
    known = captured.select(pl.col("_id").cast(pl.String).unique())
    unmatched = last.join(known, on="_id", how="anti").height
    both = captured.with_columns(pl.col("_id").cast(pl.String)).join(
        last, on="_id", how="inner", maintain_order="left"
    )
    both = both.with_columns(targets(both["_label"], signature).alias("_y"))
    strange = both.filter(pl.col("_y").is_null())["_label"].value_counts(sort=True)
    changed = int(both["_changed"].sum())
    return Joined(
        rows=both.filter(pl.col("_y").is_not_null()).drop("_given", "_changed"),
        labels=last.height,
        replaced=int(last["_given"].sum()) - last.height,
        unmatched=unmatched,
        foreign=dict(sorted(strange.rows())),
        repeated=int((both["_given"] > 1).sum()) - changed,
        contradicted=changed,
        batch=int(last["_batch"].max() or 0),  # type: ignore[arg-type]
    )


def decoded(ids: pl.Series, texts: Sequence[str]) -> pl.DataFrame:
    """Return labels that were never kept, one an id, as :func:`read` returns those that were."""
    rows = len(texts)
    return pl.DataFrame(
        {
            "_id": ids,
            "_label": pl.Series(texts, dtype=pl.String),
            "_batch": pl.Series([1] * rows, dtype=pl.Int64),
            "_arrived": pl.Series([0.0] * rows, dtype=pl.Float64),
            "_given": pl.Series([1] * rows, dtype=pl.Int64),
            "_changed": pl.Series([False] * rows, dtype=pl.Boolean),
        }
    )


def encode(ids: Sequence[str], values: Sequence[bool | int | float | str]) -> bytes:
    """Return one batch as bytes; values keep their type.

    Example:
        >>> decode(encode(["a-1", "plain"], [True, 2.5]))
        (['a-1', 'plain'], [True, 2.5])
    """
    prefixes: list[str | None] = []
    numbers = np.empty(len(ids), dtype=np.int64)
    for row, name in enumerate(ids):
        parts = _SPLIT.fullmatch(name)
        prefixes.append(parts[1] if parts else name)
        numbers[row] = int(parts[2]) if parts else -1
    small = numbers.size == 0 or numbers.max() < 2**31
    kind = _one_kind(values)
    column: Any
    if kind is bool or kind is int or kind is float:
        column = np.array(values, dtype={bool: "?", int: "<i8", float: "<f8"}[kind])
    elif kind is str:
        column = list(values)
    else:
        column = [msgspec.json.encode(value).decode() for value in values]
    meta = {"kind": kind.__name__ if kind else "json"}
    number = numbers.astype(np.int32) if small else numbers
    return encode_frame({"prefix": prefixes, "number": number, "value": column}, meta)


def decode(payload: bytes) -> tuple[list[str], list[bool | int | float | str]]:
    """Return the ids and values of a batch, in the order they were kept."""
    frame = next(decode_frames(payload))
    ids = [
        f"{prefix}-{number}" if number >= 0 else str(prefix)
        for prefix, number in zip(
            frame.columns["prefix"], np.asarray(frame.columns["number"]).tolist(), strict=True
        )
    ]
    column = frame.columns["value"]
    values: list[Any] = column.tolist() if isinstance(column, np.ndarray) else list(column)
    if frame.meta["kind"] == "json":
        values = [msgspec.json.decode(value) for value in values]
    return ids, values


def _decode(batch: int, payload: bytes) -> pl.DataFrame:
    """Return a batch as ``read`` does, by whole columns: a year of labels is read at once."""
    try:
        frame = next(decode_frames(payload))
    except (FrameCorruptError, StopIteration) as error:
        raise DamagedError(
            f"Label batch {batch} is damaged: {error}",
            hint="Restore the database, or send the batch's labels again.",
        ) from error
    column: Any = frame.columns["value"]
    values = pl.Series("_label", column)
    if frame.meta["kind"] == "json":
        values = pl.Series("_label", [written(msgspec.json.decode(v)) for v in column])
    elif frame.meta["kind"] == "float":
        values = pl.Series("_label", [written(v) for v in column.tolist()])
    table = pl.DataFrame(
        {"prefix": pl.Series(frame.columns["prefix"], dtype=pl.String),
         "number": frame.columns["number"], "_label": values.cast(pl.String)}
    )  # fmt: skip
    numbered = pl.concat_str("prefix", pl.lit("-"), pl.col("number").cast(pl.String))
    return table.select(
        pl.when(pl.col("number") >= 0).then(numbered).otherwise("prefix").alias("_id"),
        "_label",
        pl.lit(batch, dtype=pl.Int64).alias("_batch"),
    )


def take_turn(tx: Tx, endpoint: str) -> None:
    """Let batches of one endpoint be kept one after another.

    Where a database runs writes side by side, a lower number could otherwise be seen after a
    higher one, and whoever reads on from the higher one would never see it.
    """
    tx.run(start_monitor(tx.dialect, endpoint))
    mine = monitors.c.endpoint == endpoint
    tx.run(update(monitors).where(mine).values(batches=monitors.c.batches + 1))


def _plain(values: Any) -> list[Any]:
    """Return numpy and polars columns as the plain Python values they hold."""
    for way in ("to_list", "tolist"):
        if hasattr(values, way):
            return list(getattr(values, way)())
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _check(row: int, name: object, value: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MOST_ID_CHARS:
        raise BadInputError(
            f"Label {row}: a prediction id is text of 1 to {MOST_ID_CHARS} characters,"
            f" found {_shown(name)}.",
            field=f"ids[{row}]",
        )
    if type(value) not in _KEPT:
        raise BadInputError(
            f"Label {row} ({name}): a label is true or false, a number or text,"
            f" found {_shown(value)}.",
            field=f"labels[{row}]",
        )
    if isinstance(value, float) and not np.isfinite(value):
        raise BadInputError(
            f"Label {row} ({name}): {value} is not a label.",
            field=f"labels[{row}]",
            hint="Leave out predictions whose truth is not known.",
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise NotExactError(
            f"Label {row} ({name}): {_shown(value)} does not fit into 64 bits.",
            field=f"labels[{row}]",
        )
    if isinstance(value, str) and len(value) > MOST_TEXT_CHARS:
        raise TooLargeError(
            f"Label {row} ({name}): a label has at most {MOST_TEXT_CHARS} characters,"
            f" found {len(value)}.",
            field=f"labels[{row}]",
        )


def _shown(value: object) -> str:
    return repr(value)[:80]


def _one_kind(values: Sequence[Any]) -> type | None:
    kinds = set(map(type, values))
    return kinds.pop() if len(kinds) == 1 else None
