"""What a gate can say of a change beside the champion of a server, whose rows stay there.

What callers of the champion send is known from its artifact, so the data contract with it is
judged. Losses are not: without the rows that it learnt from nobody knows which of head's rows are
among them, and a champion measured on rows that it knows would have good changes refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.gates import GateResult
from mainspring.ground.identity import new_id
from mainspring.ground.objects import CheckResult, Signature
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import gate as gates
from mainspring.readiness import registry
from mainspring.scaling.models import package as packages
from mainspring.workspace.measuring.candidate import breaches

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: What a report says above its gate.
LIMITS = (
    "Of the gate, the data contract is judged beside the server's champion. Losses beside it are "
    "told above and not judged: it may have learnt from these rows. The server judges them on its "
    "own rows, when a version is registered there."
)


def judged(
    ws: Workspace, before: GateResult, package: str, name: str, old: Signature
) -> GateResult:
    """Keep and return a gate's result with what a server's champion adds to it.

    ``package`` is the judged version's, ``name`` what the champion is called and ``old`` what its
    callers send. Nothing that was refused passes by this.
    """
    broken = [
        f"{one} (champion: {name} of the server)"
        for one in breaches(old, packages.signature(package, ws.objects))
    ]

    def work(tx: Tx) -> GateResult:
        alone = registry.champion(tx, before.model) is None
        checks = [_beside(one, broken, name if alone else None) for one in before.checks]
        found = msgspec.structs.replace(
            before,
            id=new_id("gate"),
            checks=checks,
            passed=before.passed and all(one.passed for one in checks),
        )
        gates.store_result(tx, found)
        gates.note(tx, found, gates.reason(checks))
        return found

    return ws.write(Permission.REGISTER, work)


def _beside(check: CheckResult, broken: list[str], alone: str | None) -> CheckResult:
    """Return a check with what the server's champion, if the only one, ``alone``, adds."""
    if check.name == "data contract" and broken:
        violations = [*check.evidence.get("violations", ()), *broken]
        return msgspec.structs.replace(
            check, passed=False, found="; ".join(violations), evidence={"violations": violations}
        )
    if check.name == "champion" and alone is not None:
        return msgspec.structs.replace(check, found=f"not judged here: {alone} is at the server")
    return check
