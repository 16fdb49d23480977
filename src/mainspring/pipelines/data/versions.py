"""Versions of datasets: numbered from 1 for each name, found by number or by digest.

Promises: a number never comes back; whoever adds what the newest version holds already gets
that version; two who add at once get two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, or_, select, update

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical, check_digest, check_name
from mainspring.ground.nearest import meant
from mainspring.ground.ports import Tx
from mainspring.pipelines.data.manifest import KINDS
from mainspring.pipelines.data.naming import DataVersion as DataVersion
from mainspring.pipelines.data.naming import Named as Named
from mainspring.pipelines.data.naming import Reference as Reference
from mainspring.pipelines.data.naming import parse as parse
from mainspring.pipelines.data.tables import data_versions as table

MAX_MESSAGE = 10_000


def add(tx: Tx, new: DataVersion) -> DataVersion:
    """Keep a new version and return it with its number; ``new.number`` is not looked at.

    If the newest version has the same digest and kind, that is returned instead.

    Raises:
        BadInputError: if the name, the kind, a digest or the message cannot be so.
    """
    check_name(new.name)
    check_digest(new.digest)
    check_digest(new.manifest or "", "manifest")
    if new.kind not in KINDS:
        raise BadInputError(f"kind must be one of {', '.join(KINDS)}.", field="kind")
    if len(new.message) > MAX_MESSAGE or "\x00" in new.message:
        raise BadInputError(
            f"A message has at most {MAX_MESSAGE:,} characters and no zero byte.", field="message"
        )
    last = newest(tx, new.name)
    if last is not None and (last.digest, last.kind) == (new.digest, new.kind):
        return last
    most = tx.one(select(func.max(table.c.number)).where(table.c.name == new.name))
    number = int((most[0] if most else None) or 0) + 1
    kept = msgspec.structs.replace(new, number=number, removed=None)
    tx.run(insert(table).values(_row(kept)))
    tx.audit("data.add", f"data:{kept.reference}", {"digest": kept.digest, "bytes": kept.bytes})
    return kept


def add_once(tx: Tx, new: DataVersion) -> DataVersion:
    """Keep a version that came from elsewhere, unless one of its content is there: return that.

    Raises:
        BadInputError: as :func:`add`.
    """
    check_name(new.name)
    same = (table.c.digest == new.digest) & (table.c.kind == new.kind)
    row = tx.one(_of(new.name).where(same).order_by(table.c.number.desc()).limit(1))
    return add(tx, new) if row is None else _version(row)


def newest(tx: Tx, name: str) -> DataVersion | None:
    """Return the newest version of a dataset that was not removed, if there is one."""
    row = tx.one(_of(name).order_by(table.c.number.desc()).limit(1))
    return None if row is None else _version(row)


def get(tx: Tx, name: str, number: int) -> DataVersion:
    """Return one version.

    Raises:
        NotFoundError: if there is none, or it was removed.
    """
    row = tx.one(_of(name).where(table.c.number == number))
    if row is None:
        raise _absent(tx, f"{name}@{number}", name)
    return _version(row)


def every(tx: Tx, name: str) -> list[DataVersion]:
    """Return the versions of a dataset, the newest first.

    Raises:
        NotFoundError: if there is none.
    """
    found = [_version(row) for row in tx.all(_of(name).order_by(table.c.number.desc()))]
    if not found:
        raise _absent(tx, name, name)
    return found


def older(tx: Tx, name: str, before: int | None, limit: int) -> list[DataVersion]:
    """Return the newest versions of a dataset that are older than a number; none if none are."""
    query = _of(name) if before is None else _of(name).where(table.c.number < before)
    return [_version(row) for row in tx.all(query.order_by(table.c.number.desc()).limit(limit))]


def by_digest(tx: Tx, digests: Sequence[str]) -> list[DataVersion]:
    """Return the versions of these contents, also those that were removed, oldest first."""
    found = []
    for start in range(0, len(digests), 500):  # SQLite takes a bounded number of variables
        here = table.c.digest.in_(list(digests[start : start + 500]))
        rows = tx.all(select(table).where(here).order_by(table.c.name, table.c.number))
        found += [_version(row) for row in rows]
    return found


def added_from(tx: Tx, path: str) -> list[DataVersion]:
    """Return the versions that were added from a path, oldest first."""
    mine = or_(table.c.source == path, table.c.source.endswith(f"/{path}", autoescape=True))
    query = select(table).where(mine).order_by(table.c.name, table.c.number)
    return [_version(row) for row in tx.all(query)]


def among(tx: Tx, name: str, digests: Sequence[str]) -> set[str]:
    """Return which of these digests are versions of a dataset."""
    found: set[str] = set()
    for start in range(0, len(digests), 500):  # SQLite takes a bounded number of variables
        here = table.c.digest.in_(list(digests[start : start + 500]))
        rows = tx.all(select(table.c.digest).where(table.c.name == name, here))
        found |= {row.digest for row in rows}
    return found


def names(tx: Tx) -> list[Named]:
    """Return every dataset, by name."""
    counted = (
        select(table.c.name, func.max(table.c.number).label("number"), func.count().label("count"))
        .where(table.c.removed.is_(None))
        .group_by(table.c.name)
        .subquery()
    )
    same = (table.c.name == counted.c.name) & (table.c.number == counted.c.number)
    found = select(table, counted.c.count).join(counted, same).order_by(table.c.name)
    return [Named(versions=row.count, newest=_version(row)) for row in tx.all(found)]


def resolve(tx: Tx, text: str) -> DataVersion:
    """Return the version that a reference means; see :func:`parse`.

    Of several versions with one digest it is the newest.

    Raises:
        BadInputError: if it cannot be read.
        NotFoundError: if there is none.
        ConflictError: if more than one digest begins so.
    """
    wanted = parse(text)
    if wanted.number is not None:
        return get(tx, wanted.name, wanted.number)
    if wanted.digest is None:
        found = newest(tx, wanted.name)
        if found is None:
            raise _absent(tx, text, wanted.name)
        return found
    begins = table.c.digest.startswith(wanted.digest)
    rows = tx.all(_of(wanted.name).where(begins).order_by(table.c.number.desc()))
    if not rows:
        raise _absent(tx, text, wanted.name)
    if len({row.digest for row in rows}) > 1:
        told = ", ".join(f"{wanted.name}@{row.number}" for row in rows[:5])
        raise ConflictError(f"{text} could be {told}.", field="dataset", hint="Give more digits.")
    return _version(rows[0])


def remove(tx: Tx, name: str, number: int) -> DataVersion:
    """Remove a version; its number does not come back, its bytes go with the next gc.

    Raises:
        NotFoundError: if there is none.
    """
    found = get(tx, name, number)
    here = (table.c.name == name) & (table.c.number == number)
    tx.run(update(table).where(here).values(removed=tx.now(), manifest=None))
    tx.audit("data.remove", f"data:{found.reference}", {"digest": found.digest})
    return found


def of_digest(tx: Tx, digest: str) -> list[DataVersion]:
    """Return the versions that hold some content, by name and number."""
    held = select(table).where(table.c.digest == digest, table.c.removed.is_(None))
    return [_version(row) for row in tx.all(held.order_by(table.c.name, table.c.number))]


def _of(name: str) -> Any:
    return select(table).where(table.c.name == name, table.c.removed.is_(None))


def _row(version: DataVersion) -> dict[str, Any]:
    return {**msgspec.structs.asdict(version), "meta": canonical(version.meta).decode()}


def _version(row: Any) -> DataVersion:
    fields = {name: getattr(row, name) for name in DataVersion.__struct_fields__}
    return DataVersion(**{**fields, "meta": msgspec.json.decode(row.meta)})


def _names(tx: Tx) -> list[str]:
    held = select(table.c.name).where(table.c.removed.is_(None))
    return [row.name for row in tx.all(held.distinct().order_by(table.c.name))]


def _absent(tx: Tx, text: str, name: str) -> NotFoundError:
    known = [str(row.number) for row in tx.all(_of(name).order_by(table.c.number.desc()))][:5]
    hint = f"{name} has versions {', '.join(known)}." if known else meant(name, _names(tx))
    return NotFoundError(f"There is no data version {text[:200]!r}.", field="dataset", hint=hint)
