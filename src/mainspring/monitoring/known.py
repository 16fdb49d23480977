"""Say of labels that come in what was known before: which are new, given again, or contradict."""

from __future__ import annotations

import polars as pl
from sqlalchemy import select

from mainspring.ground.ports import Tx
from mainspring.monitoring import labels
from mainspring.monitoring.tables import label_batches

#: What is known of ids: the last label of each, as text.
SCHEMA = {"_id": pl.String, "_known": pl.String}
AT_ONCE = 20  #: batches that are looked at together


def of(tx: Tx, endpoint: str, ids: pl.Series, after: int = 0) -> pl.DataFrame:
    """Return the last label of each of these ids in the batches after a number; one row an id.

    Batches are read a few at a time, so that a year of labels is never in memory at once.
    """
    wanted = ids.unique().alias("_id").to_frame()
    found = pl.DataFrame(schema=SCHEMA)
    kept = label_batches.c
    while True:
        here = select(kept.id).where(kept.endpoint == endpoint, kept.id > after)
        numbers = [row.id for row in tx.all(here.order_by(kept.id).limit(AT_ONCE))]
        if not numbers:
            return found
        part = labels.read(tx, endpoint, after, numbers[-1]).join(wanted, on="_id", how="semi")
        found = joined(found, part.select("_id", pl.col("_label").alias("_known")))
        after = numbers[-1]


def joined(before: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """Return what is known by both; what came later counts."""
    if not later.height:
        return before
    return pl.concat([before, later]).unique("_id", keep="last", maintain_order=True)


def judged(given: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return labels (``_id``, ``_label``) with ``_was``: new, repeated or changed.

    >>> given = pl.DataFrame({"_id": ["a", "b", "c"], "_label": ["1", "1", "1"]})
    >>> before = pl.DataFrame({"_id": ["b", "c"], "_known": ["1", "0"]})
    >>> judged(given, before)["_was"].to_list()
    ['new', 'repeated', 'changed']
    """
    was = (
        pl.when(pl.col("_known").is_null())
        .then(pl.lit("new"))
        .when(pl.col("_known") == pl.col("_label"))
        .then(pl.lit("repeated"))
        .otherwise(pl.lit("changed"))
        .alias("_was")
    )
    both = given.join(before, on="_id", how="left", maintain_order="left")
    return both.with_columns(was).drop("_known")
