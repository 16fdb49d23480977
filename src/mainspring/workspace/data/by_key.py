"""Which rows came, went and changed between two tables, by their key, in bounded memory.

Rows are told apart by 64-bit hashes of their key and of their other values. The tables are gone
through as often as it takes to never hold more than a few million hashes at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError

#: Rows whose hashes are held at once: about 16 bytes each, twice, and as much to join them.
AT_ONCE = 4_000_000
SHOWN = 20  #: keys of each kind that are named
_KEY, _ROW, _COUNT = "mainspring: key", "mainspring: row", "mainspring: count"


class KeyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by key."""

    key: list[str]
    added: int
    removed: int
    changed: int
    same: int
    repeated_before: int  #: rows beyond the first of their key
    repeated_after: int
    added_keys: list[list[str | None]] = []  #: the first few, as text
    removed_keys: list[list[str | None]] = []
    changed_keys: list[list[str | None]] = []


def changes(
    before: pl.LazyFrame,
    after: pl.LazyFrame,
    key: Sequence[str],
    rows: int,
    at_once: int = AT_ONCE,
) -> KeyChanges:
    """Return what became of the rows; ``rows`` is about how many the larger table has.

    Raises:
        BadInputError: if one of the tables lacks a column of the key, naming it.
    """
    kinds = [frame.collect_schema() for frame in (before, after)]
    for name in key:
        for which, kind in zip(("before", "after"), kinds, strict=True):
            if name not in kind:
                raise BadInputError(
                    f"The table {which} has no column {name[:200]!r}.",
                    field="key",
                    hint=f"It has {', '.join(list(kind)[:20])}.",
                )
    shared = [name for name in kinds[0] if name in kinds[1] and name not in key]
    passes = max(1, math.ceil(rows / at_once))
    count = dict.fromkeys(("added", "removed", "changed", "same", "twice", "twice_after"), 0)
    shown: dict[str, list[int]] = {"added": [], "removed": [], "changed": []}
    texts = [name for name in (*key, *shared) if kinds[0][name] != kinds[1][name]]
    old, new = (_hashed(frame, key, shared, texts) for frame in (before, after))
    for number in range(passes):
        left, right = (_of_pass(frame, number, passes) for frame in (old, new))
        joined = left.join(right, on=_KEY, how="full", coalesce=True, suffix="_after")
        row, row_after = pl.col(_ROW), pl.col(f"{_ROW}_after")
        state = (
            pl.when(row.is_null()).then(pl.lit("added"))
            .when(row_after.is_null()).then(pl.lit("removed"))
            .when((row == row_after) & (pl.col(_COUNT) == pl.col(f"{_COUNT}_after")))
            .then(pl.lit("same")).otherwise(pl.lit("changed"))
        )  # fmt: skip
        told = joined.select(_KEY, state.alias("state"))
        for name, many in told["state"].value_counts().iter_rows():
            count[name] += many
        count["twice"] += int(left[_COUNT].sum()) - left.height
        count["twice_after"] += int(right[_COUNT].sum()) - right.height
        for name, hashes in shown.items():
            found = told.filter(pl.col("state") == name)[_KEY].sort()
            hashes.extend(found[: SHOWN - len(hashes)].to_list())
    return KeyChanges(
        key=list(key),
        added=count["added"],
        removed=count["removed"],
        changed=count["changed"],
        same=count["same"],
        repeated_before=count["twice"],
        repeated_after=count["twice_after"],
        added_keys=_named(after, key, texts, shown["added"]),
        removed_keys=_named(before, key, texts, shown["removed"]),
        changed_keys=_named(after, key, texts, shown["changed"]),
    )


def _hashed(
    frame: pl.LazyFrame, key: Sequence[str], others: Sequence[str], texts: Sequence[str]
) -> pl.LazyFrame:
    """Return the hashes of a table's rows; a column of two types is compared as text."""

    def said(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.String) if name in texts else pl.col(name)

    row = pl.struct([said(name) for name in others]).hash(1) if others else pl.lit(0, pl.UInt64)
    return frame.select(
        pl.struct([said(name) for name in key]).hash(0).alias(_KEY), row.alias(_ROW)
    )


def _of_pass(frame: pl.LazyFrame, number: int, passes: int) -> pl.DataFrame:
    """Return the rows of one pass, those of one key together: their count and a sum of hashes."""
    part = frame.filter(pl.col(_KEY) % passes == number) if passes > 1 else frame
    # Halves, so that the sum of many hashes does not overflow.
    found = part.group_by(_KEY).agg(
        (pl.col(_ROW) // 2**32).sum().alias(_ROW),
        (pl.col(_ROW) % 2**32).sum().alias("low"),
        pl.len().alias(_COUNT),
    )
    held = found.with_columns(pl.struct(_ROW, "low").hash(2).alias(_ROW)).drop("low")
    return held.collect(engine="streaming")


def _named(
    frame: pl.LazyFrame, key: Sequence[str], texts: Sequence[str], hashes: Sequence[int]
) -> list[list[str | None]]:
    """Return the keys behind some hashes, as text, in order."""
    if not hashes:
        return []
    wanted = pl.Series(hashes, dtype=pl.UInt64)
    hashed = _hashed(frame, key, [], texts).select(_KEY)
    both = pl.concat([frame.select(key), hashed], how="horizontal")
    found = (
        both.filter(pl.col(_KEY).is_in(wanted.implode()))
        .select(pl.col(name).cast(pl.String) for name in key)
        .unique()
        .sort(key)
        .head(SHOWN)
        .collect(engine="streaming")
    )
    return [list(row) for row in found.iter_rows()]
