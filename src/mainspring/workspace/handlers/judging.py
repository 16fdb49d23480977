"""Put a candidate through the gate and write down what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import runs
from mainspring.ground import messages as m
from mainspring.ground.killpoints import here
from mainspring.ground.objects import (
    CheckResult,
    Evidence,
    Facet,
    Gate,
    GateResult,
    Signature,
    Version,
)
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import reading as pipelines
from mainspring.readiness import approvals, evidence, forms, gate, proofs, registry, verdicts
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import Measured
from mainspring.workspace import approving, calling, running
from mainspring.workspace.measuring import written
from mainspring.workspace.proofs import gating, parity, remaking, reproducing

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.handlers.piping import Drive
    from mainspring.workspace.opening import Workspace


#: A version is measured as an endpoint would run it: one thread for one row.
AS_SERVED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Judged:
    """A gate's result, and the evidence that was made on the way."""

    result: GateResult
    proofs: list[Evidence]

    @property
    def told(self) -> str:
        """The result in one sentence."""
        return gate.reason(self.result.checks)


class Judging:
    """Carries out the gate: for a loop's candidate, and for one that a person registered."""

    def __init__(self, ws: Workspace, drive: Drive) -> None:
        self._ws = ws
        self._drive = drive

    def judge(self, lease: Lease) -> Done:
        """Judge a loop's candidate and tell the loop."""
        command = msgspec.convert(lease.task.payload, m.Judge)

        def look(tx: Tx) -> tuple[str, Gate]:
            spec = reactor.spec(tx, command.loop)
            return spec.model, spec.gate

        model, policy = self._ws.read(Permission.WORK, look)
        judged = self._judged(model, command.version, policy, command.at, lease)
        result = judged.result
        event = m.Judged(
            loop=command.loop,
            at=command.at,
            command=command.id,
            version=command.version,
            passed=result.passed,
            reason=judged.told,
        )

        def apply(tx: Tx) -> None:
            kept = self._keep(tx, judged)
            if kept.waits or kept.passed != result.passed:
                approving.answer(tx, kept)  # a person has the last word
            else:
                reactor.emit(tx, event, f"judged:{command.id}")

        return Done(result={"passed": result.passed}, apply=apply)

    def judge_version(self, lease: Lease) -> Done:
        """Judge a version that a person's run registered; the loop is not involved."""
        model, number = lease.task.payload["model"], int(lease.task.payload["number"])
        policy = msgspec.convert(lease.task.payload["policy"], Gate)
        at = float(lease.task.payload["at"])
        judged = self._judged(model, number, policy, at, lease)

        def apply(tx: Tx) -> None:
            kept = self._keep(tx, judged)
            gate.note(tx, kept, gate.reason(kept.checks))

        return Done(result={"passed": judged.result.passed, "reason": judged.told}, apply=apply)

    def judge_rows(self, lease: Lease) -> Done:
        """Judge a version on rows that a person gave; one of another tool's is converted first."""
        asked = lease.task.payload
        model, number = asked["model"], int(asked["number"])

        def look(tx: Tx) -> tuple[Version, bool]:
            found = registry.get(tx, model, number)
            return found, forms.trusted(tx, found.origin or found.package) is not None

        came, trusted = self._ws.read(Permission.WORK, look)
        convert = came.source is not None and came.origin is None
        if convert and trusted:
            gating.refuse_danger(self._ws, model, number, lease)
        payload = {"package": came.package, "foreign": convert, "trusted": trusted}
        payload |= {"rows": asked["rows"], "target": asked["target"]}
        payload["environments"] = self._ws.settings.environments
        ready = calling.child(self._ws, "adopt", payload, lease, env=AS_SERVED)
        signature = msgspec.convert(ready["signature"], Signature)
        candidate = msgspec.structs.replace(
            came,
            package=ready["package"],
            signature=signature,
            metrics=ready["metrics"],
            run=None,
        )
        compared = parity.of(self._ws, candidate.package)
        policy, at = msgspec.convert(asked["policy"], Gate), float(asked["at"])
        judged = self._judged(
            model, number, policy, at, lease, candidate=candidate, fresh=ready["fresh"]
        )

        def apply(tx: Tx) -> None:
            if convert:
                forms.set_form(tx, came, candidate.package, signature, candidate.metrics, at)
                parity.keep(tx, candidate, compared, self._ws.clock.now())
            kept = self._keep(tx, judged)
            gate.note(tx, kept, gate.reason(kept.checks))
            approving.answer(tx, kept, by_hand=True)

        answer = {"passed": judged.result.passed, "reason": judged.told, "notes": ready["notes"]}
        return Done(result=answer, apply=apply)

    def compare_runs(self, lease: Lease) -> Done:
        """Compare a version's run with those that made it again, and keep what came of it."""
        if reproducing.was_cancelled(self._ws, lease.task.payload):
            remaking.forget(self._ws, lease.task.payload.get("place"))
            return Done(result={"cancelled": True})
        made = reproducing.compared(self._ws, lease.task.payload, lease)
        answer = {"evidence": made[0].id, "passed": made[0].passed}
        remaking.forget(self._ws, lease.task.payload.get("place"))
        return Done(result=answer, apply=lambda tx: remaking.keep(tx, made))

    def remake_run(self, lease: Lease) -> Done:
        """Prepare a clean place for a run, and hand out the runs that make it again there."""
        return remaking.remake(self._ws, lease)

    def _keep(self, tx: Tx, judged: Judged) -> GateResult:
        """Keep a gate result with the approval that stands by now, and return it so."""
        result = judged.result
        version = registry.get(tx, result.model, result.number)
        kept = verdicts.dated(approvals.settled(tx, result, version), tx.now())
        gate.store_result(tx, kept)
        for one in judged.proofs:
            evidence.record(tx, one)
        return kept

    def _judged(
        self,
        model: str,
        number: int,
        policy: Gate,
        at: float,
        lease: Lease,
        *,
        candidate: Version | None = None,
        fresh: str | None = None,
    ) -> Judged:
        def look(tx: Tx) -> tuple[Version, Version | None, str | None, list[Facet]]:
            judged = candidate or registry.get(tx, model, number)
            champion = registry.champion(tx, model)
            before = runs.get(tx, judged.run).tags.get(running.FRESH) if judged.run else None
            return (
                judged,
                None if champion is None else registry.get(tx, model, champion),
                fresh or before,
                [facet for s in reactor.loops(tx) if s.model == model for facet in s.monitor.bias],
            )

        judged, champion, rows, watched = self._ws.read(Permission.WORK, look)
        gating.gather(self._ws, self._drive, lease, judged, policy)
        found = calling.child(
            self._ws,
            "judge",
            {
                "candidate": judged.package,
                "champion": champion.package if champion else None,
                "fresh": rows,
                "policy": msgspec.to_builtins(policy),
                "data": list(judged.data.values()),
                "facets": msgspec.to_builtins(watched),
            },
            lease,
            env=AS_SERVED,
        )
        here("judge.measured")
        known, steps = self._ws.read(Permission.WORK, lambda tx: _evidence(tx, judged))
        now = self._ws.clock.now()
        inputs = _inputs(judged, champion, found, known, steps, now=now, at=at, rows=rows)
        checks: list[CheckResult] = gate.judge(inputs, policy)
        result = gate.result(model, number, checks, at=at, by="engine", policy=policy, rows=rows)
        subject, opens = f"{model}/{number}", f"gate:{result.id}"
        made = written.evidence_of(subject, inputs.measured, policy, opens, now, "engine")
        return Judged(written.cited(result, made), made)


def handlers(ws: Workspace, drive: Drive) -> dict[str, Handler]:
    """Return the handlers of the gate."""
    judging = Judging(ws, drive)
    return {
        "judge": judging.judge,
        "judge_version": judging.judge_version,
        "judge_rows": judging.judge_rows,
        reproducing.KIND: judging.compare_runs,
        reproducing.REMAKE: judging.remake_run,
    }


def _evidence(tx: Tx, version: Version) -> tuple[list[Evidence], dict[str, str]]:
    """Return what stands on a version, its model and its pipeline; and the code of its steps."""
    subjects = [f"{version.model}/{version.number}", f"model:{version.model}", "project"]
    run = registry.get(tx, version.model, version.number).run  # one judged by hand names none
    pipeline = runs.get(tx, run).pipeline if run else None
    steps = pipelines.codes(tx, run) if run else {}
    found = evidence.standing(tx, *subjects, *([f"pipeline:{pipeline}"] if pipeline else []))
    older = proofs.standing(tx, version, pipeline, steps)
    return found + [one for one in older if one not in found], steps


def _inputs(
    candidate: Version,
    champion: Version | None,
    found: dict[str, Any],
    known: list[Evidence],
    steps: dict[str, str],
    *,
    now: float,
    at: float,
    rows: str | None,
) -> GateInputs:
    def array(name: str) -> Any:
        return np.asarray(found[name]) if name in found else None

    return GateInputs(
        metrics=found.get("metrics") or candidate.metrics,
        candidate_losses=array("candidate_losses"),
        champion_losses=array("champion_losses"),
        blocks=array("blocks"),
        latencies_ms=found["latencies_ms"],
        contract=found["contract"],
        card=candidate.card,
        champion=champion.number if champion else None,
        version=candidate,
        evidence=known,
        now=now,
        steps=steps,
        measured=msgspec.convert(found["measured"], Measured),
        at=at,
        rows=rows,
    )
