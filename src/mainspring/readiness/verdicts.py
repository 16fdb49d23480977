"""Keep what the gate found, and say whether a version passed: its newest gate stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import insert, select

from mainspring.ground.identity import canonical
from mainspring.ground.objects import CheckResult, GateResult
from mainspring.ground.ports import Tx
from mainspring.readiness.tables import gates


def reason(checks: Sequence[CheckResult]) -> str:
    """Return one sentence that says how the gate ended and why."""
    failed = [check for check in checks if not check.passed]
    if not failed:
        compared = [c.found for c in checks if c.name == "champion" and c.evidence.get("rows")]
        told = f" On fresh rows: {compared[0]}." if compared else ""
        return f"The gate passed, all {len(checks)} checks.{told}"
    told = "; ".join(f"{c.name}: {c.found}, wanted {c.wanted}" for c in failed)
    return f"The gate refused, {len(failed)} of {len(checks)} checks failed. {told}."


def store_result(tx: Tx, judged: GateResult) -> None:
    """Keep a gate result; one that is kept already is left alone."""
    if tx.one(select(gates.c.id).where(gates.c.gate == judged.id)) is not None:
        return
    tx.run(
        insert(gates).values(
            gate=judged.id,
            model=judged.model,
            number=judged.number,
            passed=int(judged.passed),
            checks=canonical(judged.checks).decode(),
            at=judged.at,
            by=judged.by,
        )
    )
    failed = [check.name for check in judged.checks if not check.passed]
    tx.audit(
        "gate.pass" if judged.passed else "gate.refuse",
        f"version:{judged.model}/{judged.number}",
        {"gate": judged.id, "failed": failed},
        reason(judged.checks),
    )


def passed(tx: Tx, model: str, number: int) -> bool:
    """Return whether the newest gate on a version passed; without a gate it has not."""
    found = latest(tx, model, number)
    return found is not None and found.passed


def ever_passed(tx: Tx, model: str, number: int) -> bool:
    """Return whether any gate on a version passed, whatever later ones said."""
    asked = (gates.c.model == model) & (gates.c.number == number)
    return tx.one(select(gates.c.id).where(asked, gates.c.passed == 1).limit(1)) is not None


def latest(tx: Tx, model: str, number: int) -> GateResult | None:
    """Return the newest gate on a version, or None."""
    found = results(tx, model, number, limit=1)
    return found[0] if found else None


def results(tx: Tx, model: str, number: int, limit: int = 100) -> list[GateResult]:
    """Return the gates on a version, the newest first."""
    rows = tx.all(
        select(gates)
        .where(gates.c.model == model, gates.c.number == number)
        .order_by(gates.c.id.desc())
        .limit(limit)
    )
    return [
        GateResult(
            id=row.gate,
            model=row.model,
            number=row.number,
            passed=bool(row.passed),
            checks=msgspec.json.decode(row.checks, type=list[CheckResult]),
            at=row.at,
            by=row.by,
        )
        for row in rows
    ]
