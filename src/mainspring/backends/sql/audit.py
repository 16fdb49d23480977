"""The audit log: who did what and why, each row sealed to the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text, insert, select

from mainspring.ground.identity import canonical
from mainspring.ground.ports import Tx

METADATA = MetaData()
AUDIT = Table(
    "audit",
    METADATA,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),  # 1, 2, 3 ... without a hole
    Column("at", Float(53), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON
    Column("reason", Text, nullable=False),
    Column("prev", Text, nullable=False),  # hash of row seq - 1
    Column("hash", Text, nullable=False),  # of everything above
)
FIRST = "0" * 64  #: what stands before the first row

_REFUSE = "audit rows are never changed"
GUARDS: list[tuple[str, Mapping[str, Sequence[str]]]] = [
    (
        "audit_append_only",
        {
            "sqlite": [
                f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit"
                f" BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END"
                for verb in ("update", "delete")
            ],
            "postgresql": [
                "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION '{_REFUSE}'; END $$",
                "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit"
                " FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            ],
        },
    )
]


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk along the chain found."""

    rows: int  #: how many rows were read
    ok: bool
    first_bad: int | None = None  #: seq of the first row that does not fit
    reason: str = ""


def append(
    tx: Tx,
    at: float,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    reason: str,
) -> None:
    """Add one row at the end of the chain.

    Its number and its seal come from the row before it as this transaction sees it, so a
    work that is rolled back leaves no hole. On PostgreSQL two transactions that append at
    once collide, and the later one runs again (see ``postgres.py``).
    """
    last = tx.one(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1))
    row: dict[str, Any] = {
        "seq": last.seq + 1 if last else 1,
        "at": float(at),
        "who": tx.who.name,
        "action": action,
        "subject": subject,
        "detail": canonical(dict(detail)).decode(),
        "reason": reason,
        "prev": last.hash if last else FIRST,
    }
    tx.run(insert(AUDIT).values(**row, hash=_seal(row)))


def verify(tx: Tx) -> AuditReport:
    """Walk the whole chain and say where it breaks, if it does.

    Finds a row that was changed, taken out, put in or moved. Rows cut off at the end leave
    a shorter chain that is whole; compare ``rows`` with a count kept elsewhere to see that.
    """
    prev, count = FIRST, 0
    while page := _page(tx, count):
        for row in page:
            bad = _wrong(row, count + 1, prev)
            if bad:
                return AuditReport(rows=count + 1, ok=False, first_bad=row.seq, reason=bad)
            prev, count = row.hash, count + 1
    return AuditReport(rows=count, ok=True)


def rows(tx: Tx, limit: int = 100) -> Sequence[Any]:
    """Return the newest rows, newest first."""
    return tx.all(select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(limit))


def _page(tx: Tx, after: int) -> Sequence[Any]:
    return tx.all(select(AUDIT).where(AUDIT.c.seq > after).order_by(AUDIT.c.seq).limit(1000))


def _wrong(row: Any, seq: int, prev: str) -> str:
    if row.seq != seq:
        return f"row {seq} is missing"
    if row.prev != prev:
        return "it does not follow the row before it"
    named = row._asdict()
    given = named.pop("hash")
    return "" if _seal(named) == given else "its content was changed"


def _seal(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(dict(row))).hexdigest()
