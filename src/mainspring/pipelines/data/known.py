"""Where files and chunks that are known are kept, so that they are kept once.

Only hints: whoever goes by one makes sure that the object is there, and says so if it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import delete, select

from mainspring.ground.ports import Tx
from mainspring.pipelines.data.manifest import Part
from mainspring.pipelines.data.tables import data_parts as table

_AT_ONCE = 2_000  # SQLite takes a bounded number of variables
BATCH = 50_000  #: hints written in one transaction


def find(tx: Tx, digests: Iterable[str]) -> dict[str, Part]:
    """Return where those of some files or chunks are kept that are known, by digest."""
    found: dict[str, Part] = {}
    for part in in_parts([bytes.fromhex(one) for one in digests], _AT_ONCE):
        for row in tx.all(select(table).where(table.c.digest.in_(part))):
            found[row.digest.hex()] = Part(row.object.hex(), row.start, row.length)
    return found


def note(tx: Tx, places: Mapping[str, Part]) -> None:
    """Keep where files or chunks are kept; what is said of them last counts."""
    rows = [
        {
            "digest": bytes.fromhex(digest),
            "object": bytes.fromhex(part.object),
            "start": part.offset,
            "length": part.length,
        }
        for digest, part in sorted(places.items())  # neighbours in the index, so half the work
    ]
    if rows:
        if tx.dialect == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
        added = insert(table)
        new = {name: added.excluded[name] for name in ("object", "start", "length")}
        tx.run(added.on_conflict_do_update(index_elements=["digest"], set_=new), rows)


def forget(tx: Tx, objects: Collection[str]) -> int:
    """Take away what is said of objects that are gone; return how many hints went."""
    gone = [bytes.fromhex(one) for one in objects]
    return sum(
        tx.run(delete(table).where(table.c.object.in_(part))) for part in in_parts(gone, _AT_ONCE)
    )


def in_parts(items: list[Any], most: int) -> Iterator[list[Any]]:
    """Cut a list into pieces."""
    for start in range(0, len(items), most):
        yield items[start : start + most]
