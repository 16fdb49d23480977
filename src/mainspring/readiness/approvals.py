"""Four eyes: keep who approved or refused a version, and let its newest gate say so."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, PermissionDeniedError
from mainspring.ground.gates import APPROVAL, Gate, GateResult
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Decision, Evidence, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, verdicts
from mainspring.readiness import evidence as ledger
from mainspring.readiness.checks import approval


def give(
    tx: Tx,
    version: Version,
    reason: str,
    authors: Sequence[str],
    policy: Gate,
    *,
    refuse: bool = False,
) -> Evidence:
    """Keep that a person approves or refuses a version, as evidence and as a decision.

    Where the newest gate waits for nothing but an approval, it is written anew with it: on the
    same measurements, and for as long as those hold. Refusing needs no second person.

    Raises:
        BadInputError: if the reason is blank.
        PermissionDeniedError: if whoever approves is an author of the version.
        ConflictError: if the gate asks for an approval and none looked yet, it failed by another
            check, or is stale: there is nothing to approve then.
    """
    reason, who = reason.strip(), tx.who.name
    name = f"{version.model}/{version.number}"
    if not reason:
        raise BadInputError("An approval needs a reason.", field="reason")
    if who in authors and not refuse:
        raise PermissionDeniedError(
            f"{who} cannot approve {name}: {who} is its author, and four eyes are asked for.",
            hint="Another person with the role approver runs:"
            f" mainspring approve {name} --reason WHY",
        )
    newest = verdicts.latest(tx, version.model, version.number)
    if not refuse:
        _refuse_early(tx, name, newest, policy)
    if newest is not None and newest.gate is not None:
        policy = newest.gate
    word = "refused" if refuse else "approved"
    given = Evidence(
        id=new_id("ev"),
        kind=APPROVAL,
        subject=name,
        passed=not refuse,
        found=f"{who} {word}: {reason}",
        at=tx.now(),
        by=who,
        automatic=False,
        code=version.code,
        detail={
            "reason": reason,
            "authors": list(authors),
            "basis": approval.basis(version, policy),
        },
        opens=[] if newest is None else [f"gate:{newest.id}"],
    )
    ledger.record(tx, given)
    tx.audit(f"version.{'refuse' if refuse else 'approve'}", f"version:{name}", {}, reason)
    decisions.record(
        tx,
        Decision(
            id=new_id("dec"),
            at=given.at,
            made=given.at,
            kind="refuse" if refuse else "approve",
            subject=name,
            reason=reason,
            by=who,
            evidence={"evidence": given.id, "authors": list(authors)},
        ),
    )
    return given


def settled(tx: Tx, judged: GateResult, version: Version) -> GateResult:
    """Return a gate result with the approval that stands in this very transaction.

    An approval may come while a version is being measured.
    """
    if judged.gate is None or not judged.gate.approval:
        return judged
    name = f"{version.model}/{version.number}"
    newest = ledger.newest(tx, APPROVAL, name)
    found = approval.judged([newest] if newest else [], version, judged.gate, tx.now())
    checks = [found if check.name == APPROVAL else check for check in judged.checks]
    passed = all(check.passed for check in checks)
    return msgspec.structs.replace(judged, checks=checks, passed=passed)


def written_anew(tx: Tx, version: Version) -> GateResult | None:
    """Write the newest gate anew with the approval that stands; None if it asks for none."""
    newest = verdicts.latest(tx, version.model, version.number)
    if newest is None or newest.gate is None or not newest.gate.approval:
        return None
    anew = msgspec.structs.replace(newest, id=new_id("gate"), by=tx.who.name)
    anew = settled(tx, anew, version)
    verdicts.store_result(tx, anew)
    return anew


def _refuse_early(tx: Tx, name: str, newest: GateResult | None, policy: Gate) -> None:
    if not policy.approval:
        return
    again = f"Run: mainspring gate run {name}"
    if newest is None:
        raise ConflictError(f"No gate looked at {name}: there is nothing to approve.", hint=again)
    failed = [c.name for c in newest.checks if not c.passed and c.name != APPROVAL]
    if failed:
        raise ConflictError(
            f"{name} cannot be approved: {', '.join(failed)} failed, and an approval mends"
            " no other check.",
            hint=f"See it: mainspring models {name}",
        )
    if not newest.fresh(tx.now()):
        raise ConflictError(f"The gate of {name} is stale; approve what is fresh.", hint=again)
