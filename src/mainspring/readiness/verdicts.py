"""Keep what the gate found, and say whether it holds: the newest gate stands, while it is fresh.

A gate ages by the wall clock: it holds for as long as the gate was declared ``valid``. Event time
may be replayed, a year of it in minutes, and says nothing about how old a measuring is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select

from mainspring.ground.clock import iso
from mainspring.ground.gates import APPROVAL, CheckResult, Gate, GateResult
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.ports import Tx
from mainspring.readiness.tables import gates


def reason(checks: Sequence[CheckResult]) -> str:
    """Return one sentence that says how the gate ended and why."""
    failed = [check for check in checks if not check.passed]
    refused = any(check.evidence.get("refused") for check in failed)
    if [check.name for check in failed] == [APPROVAL] and not refused:
        return (
            f"The gate passed {len(checks) - 1} of {len(checks)} checks and waits for approval by"
            " another person than the author."
        )
    if not failed:
        compared = [c.found for c in checks if c.name == "champion" and c.evidence.get("rows")]
        told = f" On fresh rows: {compared[0]}." if compared else ""
        return f"The gate passed, all {len(checks)} checks.{told}"
    told = "; ".join(f"{c.name}: {c.found}, wanted {c.wanted}" for c in failed)
    return f"The gate refused, {len(failed)} of {len(checks)} checks failed. {told}."


def store_result(tx: Tx, judged: GateResult) -> None:
    """Keep a gate result, dated by the wall clock; one that is kept already is left alone."""
    if tx.one(select(gates.c.id).where(gates.c.gate == judged.id)) is not None:
        return
    judged = dated(judged, tx.now())
    tx.run(
        insert(gates).values(
            gate=judged.id,
            model=judged.model,
            number=judged.number,
            passed=int(judged.passed),
            checks=canonical(judged.checks).decode(),
            at=judged.at,
            by=judged.by,
            made=judged.made,
            until=judged.until,
            policy=None if judged.gate is None else canonical(judged.gate).decode(),
            rows=judged.rows,
        )
    )
    failed = [check.name for check in judged.checks if not check.passed]
    tx.audit(
        "gate.pass" if judged.passed else "gate.refuse",
        f"version:{judged.model}/{judged.number}",
        {"gate": judged.id, "failed": failed, "until": judged.until},
        reason(judged.checks),
    )


def dated(judged: GateResult, now: float) -> GateResult:
    """Return a gate result with the wall time it was made and until when it holds.

    >>> result = GateResult(id="g", model="m", number=1, passed=True, checks=[], at=0.0, by="x")
    >>> dated(result, 1e9).until - 1e9
    2592000.0
    """
    made = now if judged.made is None else min(judged.made, now)
    policy = Gate() if judged.gate is None else judged.gate
    until = made + policy.valid_s if judged.until is None else judged.until
    return msgspec.structs.replace(judged, made=made, until=until)


def passed(tx: Tx, model: str, number: int) -> bool:
    """Return whether the newest gate on a version passed, fresh or not; without one it has not."""
    found = latest(tx, model, number)
    return found is not None and found.passed


def holds(tx: Tx, model: str, number: int) -> bool:
    """Return whether the newest gate on a version passed and is fresh."""
    found = latest(tx, model, number)
    return found is not None and found.passed and found.fresh(tx.now())


def why_not(tx: Tx, model: str, number: int, now: float) -> tuple[str, str] | None:
    """Return why a version has no passed gate that holds ``now``, and what to do; else None."""
    found = latest(tx, model, number)
    name = f"{model}/{number}"
    if found is None:
        return "it has no passed gate, for none looked at it", f"Run: mainspring gate run {name}"
    if found.waits:
        return (
            "it has no passed gate: it waits for approval by another person",
            f"Another approver runs: mainspring approve {name} --reason WHY",
        )
    if not found.passed:
        failed = ", ".join(check.name for check in found.checks if not check.passed)
        return f"it has no passed gate: {failed} failed", f"See it: mainspring models {name}"
    if not found.fresh(now):
        until = iso(found.until or 0.0)
        return (
            f"its gate passed, but is stale: it held until {until}",
            f"Run it again on fresh rows: mainspring gate run {name}",
        )
    return None


def renew(tx: Tx, model: str, number: int, proof: CheckResult, at: float) -> None:
    """Write a stale gate anew with what a rollout proved since; nothing to do while it is fresh.

    A rollout begins under a fresh gate only, sees more rows than the gate did, and newer ones. So
    what it proved makes the gate's evidence young again, and a rollout of many weeks can end well.
    A gate that did not pass is never renewed.
    """
    found = latest(tx, model, number)
    if found is None or not found.passed or found.fresh(tx.now()):
        return
    again = [check for check in found.checks if check.name != proof.name]
    anew = msgspec.structs.replace(
        found, id=new_id("gate"), checks=[*again, proof], at=at, made=None, until=None
    )
    store_result(tx, anew)


def ever_passed(tx: Tx, model: str, number: int) -> bool:
    """Return whether any gate on a version passed, whatever later ones said."""
    asked = (gates.c.model == model) & (gates.c.number == number)
    return tx.one(select(gates.c.id).where(asked, gates.c.passed == 1).limit(1)) is not None


def latest(tx: Tx, model: str, number: int) -> GateResult | None:
    """Return the newest gate on a version, or None."""
    found = results(tx, model, number, limit=1)
    return found[0] if found else None


def until_of(row: Any) -> float:
    """Return the wall time until when a gate's row holds.

    One of a release in which gates did not age counts from the time it carries.
    """
    return float(row.at + Gate().valid_s if row.until is None else row.until)


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
            made=row.made,
            until=until_of(row),
            gate=None if row.policy is None else msgspec.json.decode(row.policy, type=Gate),
            rows=row.rows,
        )
        for row in rows
    ]
