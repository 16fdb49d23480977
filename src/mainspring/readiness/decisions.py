"""Write down what was decided and why, once, and read it back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, func, insert, select

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.gates import GateResult
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.objects import Decision, Evidence, Record
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence as ledger
from mainspring.readiness import registry, verdicts
from mainspring.readiness.tables import decisions, overrides


class Override(Record, frozen=True, kw_only=True):
    """An approver's word that a refused version may meet traffic, and why."""

    model: str
    number: int
    reason: str
    at: float
    by: str


def record(tx: Tx, decision: Decision) -> None:
    """Keep a decision; one that is kept already is left alone.

    Raises:
        BadInputError: if it gives no reason.
    """
    if not decision.reason.strip():
        raise BadInputError("A decision needs a reason.", field="reason")
    if tx.one(select(decisions.c.id).where(decisions.c.decision == decision.id)) is not None:
        return
    values: dict[str, Any] = msgspec.structs.asdict(decision)
    values["decision"] = values.pop("id")
    values["evidence"] = canonical(decision.evidence).decode()
    tx.run(insert(decisions).values(**values))


def list_decisions(
    tx: Tx,
    loop: str | None = None,
    limit: int = 100,
    subject: str | None = None,
    before: str | None = None,
    kind: str | None = None,
) -> list[Decision]:
    """Return decisions, the newest first, of one loop or subject or kind, or of all.

    ``before`` names a decision: only those made before it are returned.

    Raises:
        NotFoundError: if ``before`` names none.
    """
    query = select(decisions).order_by(decisions.c.id.desc()).limit(limit)
    if loop is not None:
        query = query.where(decisions.c.loop == loop)
    if subject is not None:
        query = query.where(decisions.c.subject == subject)
    if kind is not None:
        query = query.where(decisions.c.kind == kind)
    if before is not None:
        last = tx.one(select(decisions.c.id).where(decisions.c.decision == before))
        if last is None:
            raise NotFoundError(f"There is no decision {before[:80]!r}.", field="cursor")
        query = query.where(decisions.c.id < last.id)
    return _read(tx, query)


def kinds(tx: Tx, loop: str | None = None) -> dict[str, int]:
    """Return how many decisions of each kind there are, of one loop or of all."""
    query = select(decisions.c.kind, func.count()).group_by(decisions.c.kind)
    if loop is not None:
        query = query.where(decisions.c.loop == loop)
    return {row[0]: row[1] for row in tx.all(query)}


def get(tx: Tx, decision: str) -> Decision:
    """Return one decision by its id.

    Raises:
        NotFoundError: if there is none.
    """
    found = _read(tx, select(decisions).where(decisions.c.decision == decision))
    if not found:
        raise NotFoundError(f"There is no decision {decision!r}.")
    return found[0]


def override(tx: Tx, model: str, number: int, reason: str, at: float) -> Override:
    """Keep that a refused version may meet traffic; the caller records the decision.

    The store asks for the permission to promote. It opens no way past the rollout: the
    champion alias still wants a passed gate.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if its gate passed and is fresh, so that nothing needs overriding.
        BadInputError: if the reason is blank.
    """
    if not reason.strip():
        raise BadInputError("An override needs a reason.", field="reason")
    registry.get(tx, model, number)
    newest = verdicts.latest(tx, model, number)
    if newest is not None and newest.passed and newest.fresh(tx.now()):
        raise ConflictError(f"The gate of {model}/{number} passed; it needs no override.")
    who = tx.who.name
    tx.run(insert(overrides).values(model=model, number=number, reason=reason, at=at, by=who))
    failed = [check.name for check in newest.checks if not check.passed] if newest else []
    over = newest.id if newest else None
    told = {"failed": failed, "stale": bool(newest and newest.passed), "gate": over}
    tx.audit("gate.override", f"version:{model}/{number}", told, reason)
    given = Evidence(
        id=new_id("ev"),
        kind="override",
        subject=f"{model}/{number}",
        passed=None,
        found=f"{who} let it into a canary, past {', '.join(failed) or _gap(newest)}: {reason}",
        at=tx.now(),
        by=who,
        automatic=False,
        detail=told,
        opens=[f"gate:{over}"] if over else [],
    )
    ledger.record(tx, given)
    return Override(model=model, number=number, reason=reason, at=at, by=who)


def _gap(newest: GateResult | None) -> str:
    return "a gate that never looked" if newest is None else "a gate that is stale"


def overridden(tx: Tx, model: str, number: int) -> bool:
    """Return whether an override lets a version meet traffic: one given over its newest gate.

    A gate that looks again after the override has the word again.
    """
    newest = verdicts.latest(tx, model, number)
    given = ledger.newest(tx, "override", f"{model}/{number}")
    return given is not None and given.detail.get("gate") == (newest.id if newest else None)


def overrides_of(tx: Tx, model: str, number: int) -> list[Override]:
    """Return who let a refused version in, the newest first."""
    rows = tx.all(
        select(overrides)
        .where(overrides.c.model == model, overrides.c.number == number)
        .order_by(overrides.c.id.desc())
    )
    return [
        Override(model=row.model, number=row.number, reason=row.reason, at=row.at, by=row.by)
        for row in rows
    ]


def _read(tx: Tx, query: Select[Any]) -> list[Decision]:
    return [
        Decision(
            id=row.decision,
            at=row.at,
            made=row.made,
            kind=row.kind,
            subject=row.subject,
            reason=row.reason,
            by=row.by,
            loop=row.loop,
            cause=row.cause,
            evidence=msgspec.json.decode(row.evidence),
        )
        for row in tx.all(query)
    ]
