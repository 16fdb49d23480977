"""Try, right before a gate judges, what the gate asks for and nobody has tried yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.ground.errors import ConflictError, MainspringError
from mainspring.ground.objects import Evidence, Gate, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence
from mainspring.workspace.proofs import parts, reproducing, scanning

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.handlers.piping import Drive
    from mainspring.workspace.opening import Workspace


def gather(
    ws: Workspace,
    drive: Drive,
    lease: Lease,
    version: Version,
    policy: Gate,
) -> None:
    """Scan a candidate's files, and make it again where the gate wants that and none did lately.

    ``version`` has the package that would serve. What came of it is kept as evidence.
    """
    model, number = version.model, version.number
    if policy.security:
        scanning.scan(ws, model, number, served=version.package, lease=lease)
    if policy.advisories:
        _audit(ws, lease, version, policy)
    if policy.reproduced and not _lately(ws, version, policy):
        _make_again(ws, drive, lease, version)


def refuse_danger(ws: Workspace, model: str, number: int, lease: Lease) -> None:
    """Refuse to load a version's files if a scan finds what no trust makes up for.

    Raises:
        ConflictError: naming what was found.
    """
    found = scanning.scan(ws, model, number, lease=lease)
    bad = [
        f"{one['path']}: {one['told']}"
        for package in found.detail["packages"]
        for one in package["found"]
        if one["grave"] == "danger"
    ]
    if bad:
        raise ConflictError(
            f"{model}/{number} is not loaded, though somebody trusts it: {'; '.join(bad[:3])}.",
            field="version",
        )


def _lately(ws: Workspace, version: Version, policy: Gate) -> bool:
    subject = f"{version.model}/{version.number}"
    known = ws.read(Permission.READ, lambda tx: evidence.newest(tx, "reproduced", subject))
    return known is not None and ws.clock.now() - known.at <= policy.proof_age_s


def _make_again(ws: Workspace, drive: Drive, lease: Lease, version: Version) -> None:
    # One cause a gate: a second attempt of the same task finds the runs of the first.
    cause = f"reproduce:{lease.task.id}"
    try:
        begun = reproducing.start(ws, version.model, version.number, cause=cause, lease=lease)
    except MainspringError as error:
        _keep(ws, reproducing.cannot(ws, version, error))
        return
    for run in begun.runs:
        drive(ws, run, lease.stop)


def _audit(ws: Workspace, lease: Lease, version: Version, policy: Gate) -> None:
    model, number = version.model, version.number
    try:
        parts.audit(
            ws,
            model,
            number,
            parts.kept_file(ws, policy.advisories),
            least=policy.advisories_from,
            accepted=policy.accepted,
            permission=Permission.WORK,
            lease=lease,
        )
    except MainspringError as error:  # what cannot be compared is not passed, and says why
        _keep(ws, parts.cannot(ws, version, error))


def _keep(ws: Workspace, made: Evidence) -> None:
    ws.write(Permission.WORK, lambda tx: evidence.record(tx, made))
