"""Keep what was tried and measured, once, and read it back: the ledger of proofs."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, func, insert, select

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Evidence
from mainspring.ground.ports import Tx
from mainspring.readiness.tables import evidence as table


def record(tx: Tx, evidence: Evidence) -> None:
    """Keep evidence; what is kept already by its id is left alone.

    Raises:
        BadInputError: if it says nothing, or of nothing.
    """
    for field in ("kind", "subject", "found"):
        if not getattr(evidence, field).strip():
            raise BadInputError(f"Evidence needs a {field}.", field=field)
    if tx.one(select(table.c.id).where(table.c.evidence == evidence.id)) is not None:
        return
    values: dict[str, Any] = msgspec.structs.asdict(evidence)
    values["evidence"] = values.pop("id")
    values["passed"] = None if evidence.passed is None else int(evidence.passed)
    values["automatic"] = int(evidence.automatic)
    for field in ("detail", "opens"):
        values[field] = canonical(values[field]).decode()
    tx.run(insert(table).values(**values))


def get(tx: Tx, name: str) -> Evidence:
    """Return evidence by its id.

    Raises:
        NotFoundError: if there is none.
    """
    found = _read(tx, select(table).where(table.c.evidence == name))
    if not found:
        raise NotFoundError(f"There is no evidence {name[:80]!r}.", field="id")
    return found[0]


def newest(tx: Tx, kind: str, subject: str) -> Evidence | None:
    """Return the newest evidence of a kind on a subject, or None."""
    found = listing(tx, subject, kind, limit=1)
    return found[0] if found else None


def listing(
    tx: Tx, subject: str | None = None, kind: str | None = None, limit: int = 100
) -> list[Evidence]:
    """Return evidence, the newest first: of a subject, of a kind, or all."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    return _read(tx, query)


def standing(tx: Tx, *subjects: str) -> list[Evidence]:
    """Return the newest evidence of each kind on each subject: what stands today."""
    last = (
        select(func.max(table.c.id))
        .where(table.c.subject.in_(subjects))
        .group_by(table.c.subject, table.c.kind)
    )
    return _read(tx, select(table).where(table.c.id.in_(last)).order_by(table.c.id.desc()))


def _read(tx: Tx, query: Select[Any]) -> list[Evidence]:
    return [
        Evidence(
            id=row.evidence,
            kind=row.kind,
            subject=row.subject,
            passed=None if row.passed is None else bool(row.passed),
            found=row.found,
            at=row.at,
            by=row.by,
            automatic=bool(row.automatic),
            code=row.code,
            detail=msgspec.json.decode(row.detail),
            opens=msgspec.json.decode(row.opens),
        )
        for row in tx.all(query)
    ]
