"""Keep what each scan found, and for how long somebody said that a finding may stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from mainspring.debt.findings import DebtFinding
from mainspring.debt.scan import Acceptance, Owed, counts, weight
from mainspring.debt.tables import acceptances, scans
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record


class ScanRow(Record, frozen=True, kw_only=True):
    """One scan of the ledger."""

    id: str
    at: float
    by: str
    scope: str = ""  #: a model's name; blank: everything
    open: int  #: findings that count
    accepted: int
    weight: int
    counts: dict[str, int] = {}
    ids: list[str] = []
    unseen: list[str] = []


def record(tx: Tx, owed: Sequence[Owed], unseen: Sequence[str], scope: str, at: float) -> ScanRow:
    """Write a scan down; the findings of the one before keep their ids alone."""
    row = ScanRow(
        id=new_id("scan"),
        at=at,
        by=tx.who.name,
        scope=scope,
        open=sum(one.counts for one in owed),
        accepted=sum(not one.counts for one in owed),
        weight=weight(owed),
        counts=counts(owed),
        ids=[one.finding.id for one in owed],
        unseen=list(unseen),
    )
    older = update(scans).where(scans.c.scope == scope, scans.c.findings != "[]")
    tx.run(older.values(findings="[]"))
    cells: dict[str, Any] = {
        **msgspec.structs.asdict(row),
        "counts": canonical(row.counts).decode(),
        "ids": canonical(row.ids).decode(),
        "unseen": canonical(row.unseen).decode(),
        "findings": canonical([one.finding for one in owed]).decode(),
    }
    cells["scan"] = cells.pop("id")
    tx.run(insert(scans).values(**cells))
    return row


def newest(tx: Tx, scope: str = "") -> tuple[ScanRow, list[DebtFinding]] | None:
    """Return the newest scan of a scope with what it found, or None before the first."""
    question = select(scans).where(scans.c.scope == scope).order_by(scans.c.id.desc()).limit(1)
    row = tx.one(question)
    if row is None:
        return None
    return _row(row), msgspec.json.decode(row.findings, type=list[DebtFinding])


def trend(tx: Tx, scope: str = "", limit: int = 100) -> list[ScanRow]:
    """Return the last scans of a scope, the oldest first."""
    question = select(scans).where(scans.c.scope == scope).order_by(scans.c.id.desc())
    return [_row(row) for row in reversed(tx.all(question.limit(limit)))]


def accept(tx: Tx, finding: str, until: float, reason: str, now: float) -> Acceptance:
    """Let a finding stand until a date; the newest word on a finding holds.

    Raises:
        NotFoundError: if no scan of the ledger found it.
        BadInputError: if the date is past or there is no reason.
    """
    if not reason.strip():
        raise BadInputError("An acceptance needs a reason.", field="reason")
    if until <= now:
        raise BadInputError(
            "The date of an acceptance lies ahead: it ends there, and the finding returns.",
            field="until",
        )
    if all(finding not in msgspec.json.decode(row.ids) for row in tx.all(_newest_ids())):
        raise NotFoundError(
            f"No scan found {finding[:80]!r}.",
            field="finding",
            hint="See what is owed: mainspring debt",
        )
    made = Acceptance(finding=finding, until=until, reason=reason.strip(), by=tx.who.name, at=now)
    cells = {**msgspec.structs.asdict(made), "acceptance": new_id("acc")}
    tx.run(insert(acceptances).values(**cells))
    tx.audit("debt.accept", finding, {"until": until, "reason": made.reason})
    return made


def accepted(tx: Tx) -> dict[str, Acceptance]:
    """Return the newest acceptance of every finding that has one."""
    rows = tx.all(select(acceptances).order_by(acceptances.c.id))
    return {
        row.finding: Acceptance(
            finding=row.finding, until=row.until, reason=row.reason, by=row.by, at=row.at
        )
        for row in rows
    }


def _newest_ids() -> Any:
    return select(scans.c.ids).where(scans.c.findings != "[]")


def _row(row: Any) -> ScanRow:
    return ScanRow(
        id=row.scan,
        at=row.at,
        by=row.by,
        scope=row.scope,
        open=row.open,
        accepted=row.accepted,
        weight=row.weight,
        counts=msgspec.json.decode(row.counts),
        ids=msgspec.json.decode(row.ids),
        unseen=msgspec.json.decode(row.unseen),
    )
