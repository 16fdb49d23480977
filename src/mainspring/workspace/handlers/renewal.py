"""Make a new version: is it worth it, on which rows, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import runs
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import key_of
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Decision, Evidence, LoopSpec, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.training import ALL
from mainspring.readiness import decisions, evidence, registry
from mainspring.retraining.assemble import bare
from mainspring.retraining.training_set import TrainingSet, figures, sentence
from mainspring.workspace import assembling, calling, running
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.proofs import parity
from mainspring.workspace.training_sets import kept

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Renewal:
    """Carries out the commands that lead to a candidate."""

    def __init__(self, ws: Workspace, shelf: LabelShelf) -> None:
        self._ws = ws
        self._shelf = shelf

    def measure_regret(self, lease: Lease) -> Done:
        """Ask whether a cheap fresh challenger does better on the newest labelled rows."""
        command = msgspec.convert(lease.task.payload, m.MeasureRegret)
        spec, champion = self._standing(command.loop)
        if champion is None:
            raise ConflictError(f"{spec.model} has no champion to measure regret of.")
        learnt = None
        if spec.retraining.rows.source is None:
            learnt = running.learnt_rows(self._ws, champion.data, champion.signature.target)
        gathered = assembling.gather(
            self._ws, self._shelf, spec, champion, command.at, learnt=learnt, lease=lease
        )
        if gathered is None:
            found: dict[str, Any] = {
                "pays": False,
                "reason": "There are too few labelled rows yet to say whether a new version pays.",
                "evidence": {},
                "compared": False,
            }
        else:
            found = calling.child(
                self._ws,
                "regret",
                {
                    "training": kept(bare(gathered.training), self._ws.objects),
                    "fresh": kept(gathered.fresh, self._ws.objects),
                    "champion": champion.package,
                    "policy": msgspec.to_builtins(spec.retraining),
                    "volume": float(gathered.fresh.height),
                },
                lease,
            )
        event = m.RegretMeasured(loop=command.loop, at=command.at, command=command.id, **found)
        return Done(result=found, events=[(f"regret:{command.id}", event)])

    def train(self, lease: Lease) -> Done:
        """Assemble the rows, trace the pipeline and hand out its steps."""
        command = msgspec.convert(lease.task.payload, m.Train)
        spec, champion = self._standing(command.loop)
        found = self._assembled(spec, champion, command.at, lease)
        tags = {"loop": spec.name, "until": str(command.at)}
        offered: dict[str, Any] = {"captured": None, "weights": None, "since": None}
        if found is not None:
            record = found.record
            since = None if record.window is None or record.window.name == ALL else record.start
            offered = {"captured": record.digest, "weights": record.weights, "since": since}
        plan = self._planned(spec, offered, command.id, tags, lease)
        if found is not None and found.thinned and "weights" not in plan.graph.params:
            # This training takes no weights: it is given rows that were drawn by them.
            record = msgspec.structs.replace(found.record, thinned=found.thinned)
            found = found._replace(record=record)
            plan = self._planned(spec, {"captured": found.thinned}, command.id, tags, lease)
        if found is not None:
            digest = assembling.keep_record(self._ws, found.record)
            trained_on = found.record.thinned or found.record.digest
            tags |= {running.FRESH: found.record.fresh, running.CAPTURED: trained_on}
            plan = plan.tagged({**tags, running.TRAINING_SET: digest})
        here("train.planned")
        noted = found

        def apply(tx: Tx) -> None:
            plan.submit(tx)
            begun = runs.find(tx, cause=f"command:{command.id}")
            if noted is not None and begun is not None and begun.id == plan.run.id:
                assembling.note(tx, self._ws, plan.run.id, spec.model, noted, digest)

        return Done(result={"run": plan.run.id}, apply=apply)

    def _assembled(
        self, spec: LoopSpec, champion: Version | None, at: float, lease: Lease
    ) -> assembling.Assembled | None:
        """Return what is learnt from; None for a first version that brings its own rows."""
        if champion is None and spec.retraining.rows.source is None:
            return None
        gathered = assembling.gather(self._ws, self._shelf, spec, champion, at, lease=lease)
        if gathered is None:
            return None
        found = assembling.assembled(self._ws, spec, champion, gathered, lease)
        try:
            assembling.refuse(spec, found.record)
        except ConflictError:
            told = evidence_of(found.record, f"model:{spec.model}", lease.task.id, self._ws)
            self._ws.write(Permission.WORK, lambda tx: evidence.record(tx, told))
            raise
        return found

    def _planned(
        self,
        spec: LoopSpec,
        offered: dict[str, Any],
        command: str,
        tags: dict[str, str],
        lease: Lease,
    ) -> running.RunPlan:
        return running.plan(
            self._ws,
            spec.root,
            spec.pipeline,
            spec.params,
            offered=offered,
            cause=f"command:{command}",
            tags=tags,
            lease=lease,
        )

    def register(self, lease: Lease) -> Done:
        """Put the run's model into the registry; the same command never makes two."""
        command = msgspec.convert(lease.task.payload, m.Register)
        spec = self._ws.read(Permission.WORK, lambda tx: reactor.spec(tx, command.loop))

        def look(tx: Tx) -> tuple[Version, str | None]:
            made = running.version_of(
                self._ws, tx, command.run, spec.model, spec.card, command.cause, command.id
            )
            return made, runs.get(tx, command.run).tags.get(running.TRAINING_SET)

        made, digest = self._ws.read(Permission.WORK, look)
        compared = parity.of(self._ws, made.package)
        learnt = None if digest is None else assembling.read_record(self._ws, digest)

        # The number is known only inside the transaction, and the event must carry it: so the
        # event is emitted there too.
        def apply(tx: Tx) -> None:
            version = registry.register(tx, made)
            parity.keep(tx, version, compared, self._ws.clock.now())
            if learnt is not None:
                subject = f"{version.model}/{version.number}"
                told = evidence_of(learnt, subject, command.id, self._ws, command.run)
                evidence.record(tx, told)
                if learnt.feedback is not None and learnt.feedback.warning:
                    decisions.record(tx, _warning(learnt, subject, command, told))
            # A first version's rows tell the loop what time it is.
            at = max(command.at, made.trained_until or 0.0)
            event = m.Registered(
                loop=command.loop, at=at, command=command.id, version=version.number
            )
            reactor.emit(tx, event, f"registered:{command.id}")

        return Done(apply=apply)

    def _standing(self, loop: str) -> tuple[LoopSpec, Version | None]:
        def look(tx: Tx) -> tuple[LoopSpec, Version | None]:
            spec = reactor.spec(tx, loop)
            number = registry.champion(tx, spec.model)
            return spec, None if number is None else registry.get(tx, spec.model, number)

        return self._ws.read(Permission.WORK, look)


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of the commands that lead to a candidate."""
    renewal = Renewal(ws, shelf)
    return {
        "measure_regret": renewal.measure_regret,
        "train": renewal.train,
        "register": renewal.register,
    }


def evidence_of(
    record: TrainingSet, subject: str, command: str, ws: Workspace, run: str | None = None
) -> Evidence:
    """Return a training set as evidence; the same command and subject always make the same."""
    return Evidence(
        id=f"ev_{key_of('training_set', command, subject)[:26]}",
        kind="training_set",
        subject=subject,
        passed=not record.sure_leaks,
        found=sentence(record),
        at=ws.clock.now(),
        by="engine",
        detail=figures(record),
        opens=[f"artifact:{record.digest}", *([f"run:{run}"] if run else [])],
    )


def _warning(learnt: TrainingSet, subject: str, command: m.Register, told: Evidence) -> Decision:
    warning = learnt.feedback.warning if learnt.feedback else ""
    return Decision(
        id=f"dec_{key_of('feedback', command.id)[:26]}",
        at=command.at,
        made=told.at,
        kind="warn",
        subject=subject,
        reason=warning[:2000],
        by="engine",
        loop=command.loop,
        cause=f"evidence:{told.id}",
        evidence={"evidence": told.id, "shaped_share": learnt.feedback.shaped_share}
        if learnt.feedback
        else {},
    )
