"""Four eyes over a loop: who made a version, who approves it, and the loop that waits for that.

A candidate that passed every other check leaves its loop where it is: judging. The approval
writes the gate anew and answers the loop's question, so that the version goes on as every other
does, into a rollout. Nobody skips the canary by approving.
"""

from __future__ import annotations

import contextlib

from mainspring.engine import reactor, tasks
from mainspring.experiments import runs
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError
from mainspring.ground.gates import GateResult
from mainspring.ground.loops import Phase, View
from mainspring.ground.objects import Decision, Evidence, LoopSpec, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import approvals, decisions, facts, registry, verdicts
from mainspring.workspace import gates, running
from mainspring.workspace.opening import Workspace

OVERDUE = "approval_over"  #: the task that ends the waiting for an approval


def approve(
    ws: Workspace, model: str, number: int, reason: str, *, refuse: bool = False
) -> tuple[Evidence, GateResult | None]:
    """Approve a version, or refuse it; return the evidence, and the gate as it is now.

    Raises:
        NotFoundError: if there is no such version.
        PermissionDeniedError: if whoever asks is no approver, or made the version.
        ConflictError: if there is nothing to approve.
    """

    def work(tx: Tx) -> tuple[Evidence, GateResult | None]:
        version = registry.get(tx, facts.called(tx, model), number)
        policy = gates.of_model(tx, version.model).gate
        made = authors(tx, version)
        given = approvals.give(tx, version, reason, made, policy, refuse=refuse)
        anew = approvals.written_anew(tx, version)
        if anew is not None:
            answer(tx, anew, by_hand=True)
        return given, anew

    return ws.write(Permission.PROMOTE, work)


def authors(tx: Tx, version: Version) -> list[str]:
    """Return who made a version: registered it, started its run, declared its loop, asked for it.

    Services are nobody: what the engine registered has the author of what it was told to do.
    """
    found = {version.by}
    kind, _, who = (version.cause or "").partition(":")
    if kind == "request":
        found.add(who)
    if version.run is not None:
        with contextlib.suppress(NotFoundError):  # deleted since
            found.add(runs.get(tx, version.run).tags.get(running.BY, ""))
    for row in reactor.loop_rows(tx):
        if row.spec.model == version.model and row.by:
            found.add(row.by)
    return sorted(one for one in found if one and not one.startswith("service:"))


def answer(tx: Tx, judged: GateResult, *, by_hand: bool = False) -> None:
    """Tell the loop that waits for the gate of a version what it found, unless it waits itself.

    While nothing is missing but an approval the loop is told nothing, and a task is put down
    that ends the waiting when the gate is stale.
    """
    for spec, view, command in _waiting(tx, judged.model, judged.number):
        if judged.waits:
            overdue = tasks.NewTask(
                id=f"{judged.id}:overdue",
                kind=OVERDUE,
                payload={"loop": spec.name, "command": command, "version": judged.number},
                due=judged.until,
            )
            tasks.submit(tx, [overdue])
            _note_waiting(tx, spec, view, judged)
            continue
        event = m.Judged(
            loop=spec.name,
            at=max(view.now, judged.at) if not by_hand else view.now,
            command=command,
            version=judged.number,
            passed=judged.passed,
            reason=verdicts.reason(judged.checks),
        )
        reactor.emit(tx, event, f"judged:{command}")


def _note_waiting(tx: Tx, spec: LoopSpec, view: View, judged: GateResult) -> None:
    """Write down that a loop waits for a person, where its timeline shows it."""
    decisions.record(
        tx,
        Decision(
            id=judged.id,
            at=view.now,
            made=tx.now(),
            kind="wait",
            subject=f"{judged.model}/{judged.number}",
            reason=verdicts.reason(judged.checks),
            by=f"loop:{spec.name}",
            loop=spec.name,
            evidence={"gate": judged.id, "until": judged.until},
        ),
    )


def overdue(tx: Tx, loop: str, command: str, number: int) -> None:
    """End the waiting of a loop for an approval, if the gate it waits with is stale by now."""
    spec = reactor.spec_or_none(tx, loop)
    if spec is None:
        return
    for waiting, view, asked in _waiting(tx, spec.model, number):
        newest = verdicts.latest(tx, spec.model, number)
        if waiting.name != loop or asked != command or newest is None:
            continue
        if newest.waits and not newest.fresh(tx.now()):
            event = m.Judged(
                loop=loop,
                at=view.now,
                command=command,
                version=number,
                passed=False,
                reason="Nobody approved it while its gate was fresh.",
            )
            reactor.emit(tx, event, f"judged:{command}")


def _waiting(tx: Tx, model: str, number: int) -> list[tuple[LoopSpec, View, str]]:
    """Return the loops that wait for the gate of a version, each with its awaited command."""
    found = []
    for row in reactor.loop_rows(tx):
        view = row.view
        phase, command = view.phase, view.command
        if view.suspended is not None:  # a roll-back goes first, and then it waits again
            phase, command = view.suspended
        if row.spec.model == model and view.candidate == number and phase is Phase.JUDGING:
            found.append((row.spec, view, command or ""))
    return found
