"""Take rows of a user's own source as they were known at a moment, and join them to captures.

What a warehouse says today is not what was known then. A row whose truth became known later is
left out; of a row that was answered here, the inputs that were captured count, for those the
model saw.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RowsPolicy, Signature
from mainspring.retraining.assemble import seconds
from mainspring.retraining.truth import places


class Known(NamedTuple):
    """Rows of a source that were known at a moment, and how many were not, by why."""

    rows: pl.DataFrame
    left_out: dict[str, int]


class Joined(NamedTuple):
    """Captured rows with a label, the other rows of the source, and those that are both."""

    captured: pl.DataFrame
    rest: pl.DataFrame
    pairs: pl.DataFrame  #: both: each raw column as captured, and as ``COLUMN@source``


def known(
    rows: pl.DataFrame, policy: RowsPolicy, target: str, time: str | None, at: float
) -> Known:
    """Return the rows whose target was known at ``at``, by time where there is one.

    Rows are left out that lie later than ``at``, whose target became known later or whose
    ``known_at`` is missing, and those without a target. A source without a time column gives
    rows that count as older than all others.

    Raises:
        BadInputError: naming the column that is missing.
    """
    wanted = [target, policy.known_at, policy.source_id]
    for name in [one for one in (*wanted, time) if one is not None]:
        if name not in rows.columns and name != time:
            raise BadInputError(
                f"The source has no column {name!r}.",
                field="source",
                hint=f"It has {', '.join(rows.columns[:30])}.",
            )
    left: dict[str, int] = {}

    def keep(frame: pl.DataFrame, mask: pl.Series, why: str) -> pl.DataFrame:
        kept = frame.filter(mask.fill_null(value=False))
        if kept.height < frame.height:
            left[why] = frame.height - kept.height
        return kept

    found = keep(rows, rows[target].is_not_null(), "without a target")
    if time is not None and time in found.columns:
        found = keep(found, seconds(found[time]) <= at, "later than the moment, or without a time")
        found = found.with_columns(_when=seconds(found[time])).sort("_when", maintain_order=True)
        found = found.drop("_when")
    if policy.known_at is not None:
        arrived = seconds(found[policy.known_at])
        found = keep(found, arrived <= at, "whose target was not known yet")
    return Known(found, left)


def join(
    captured: pl.DataFrame,
    labelled: pl.DataFrame,
    source: pl.DataFrame,
    policy: RowsPolicy,
    signature: Signature,
) -> Joined:
    """Join a source to captured rows by prediction id.

    ``captured`` are all captured rows, ``labelled`` those with a label (``_y``). A captured row
    without one takes that of the source; its inputs stay those captured. Columns of the source
    that only say when and which (``known_at``, ``source_id``) are no inputs and are dropped.
    """
    aside = [name for name in (policy.source_id, policy.known_at) if name is not None]
    inputs = {column.name for column in signature.columns}
    plain = source.drop([name for name in aside if name in source.columns and name not in inputs])
    if policy.source_id is None or captured.height == 0:
        return Joined(labelled, plain, pl.DataFrame())
    ids = source[policy.source_id].cast(pl.String)
    told = source.with_columns(_id=ids).unique("_id", keep="last", maintain_order=True)
    both = told.filter(pl.col("_id").is_in(captured["_id"].cast(pl.String).implode()))
    rest = plain.filter(~ids.is_in(both["_id"].implode()).fill_null(value=False))
    names = [name for name in (c.name for c in signature.columns) if name in both.columns]
    truth = places(both[signature.target], signature).cast(pl.Float64).alias("_y")
    later = both.select("_id", *[pl.col(name).alias(f"{name}@source") for name in names], truth)
    pairs = captured.with_columns(pl.col("_id").cast(pl.String)).join(
        later.filter(pl.col("_y").is_not_null()), on="_id", how="inner", maintain_order="left"
    )
    new = pairs.filter(~pairs["_id"].is_in(labelled["_id"].cast(pl.String).implode()))
    new = new.drop([f"{name}@source" for name in names])
    found = labelled
    if new.height:
        found = pl.concat(
            [labelled.with_columns(pl.col("_y").cast(pl.Float64)), new], how="diagonal_relaxed"
        )
    return Joined(found, rest, pairs)
