"""Make a new version: is it worth it, on which rows, and what came of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import DAY_S, LoopSpec, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.retraining.assemble import assemble, seconds
from mainspring.workspace import calling, running
from mainspring.workspace.evidence import LabelShelf, labelled

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
        known = running.learnt_rows(self._ws, champion.data, champion.signature.target)
        training, fresh, volume = self._rows(spec, champion, command.at, known)
        if training is None or fresh is None:
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
                    "training": training,
                    "fresh": fresh,
                    "champion": champion.package,
                    "policy": msgspec.to_builtins(spec.retraining),
                    "volume": volume,
                },
                lease,
            )
        event = m.RegretMeasured(loop=command.loop, at=command.at, command=command.id, **found)
        return Done(result=found, events=[(f"regret:{command.id}", event)])

    def train(self, lease: Lease) -> Done:
        """Assemble the rows, trace the pipeline and hand out its steps."""
        command = msgspec.convert(lease.task.payload, m.Train)
        spec, champion = self._standing(command.loop)
        training = fresh = None
        if champion is not None:
            training, fresh, _ = self._rows(spec, champion, command.at)
        tags = {"loop": spec.name, "until": str(command.at)}
        tags |= {running.FRESH: fresh} if fresh else {}
        tags |= {running.CAPTURED: training} if training else {}
        plan = running.plan(
            self._ws,
            spec.root,
            spec.pipeline,
            spec.params,
            offered={"captured": training},
            cause=f"command:{command.id}",
            tags=tags,
            lease=lease,
        )
        here("train.planned")
        return Done(result={"run": plan.run.id}, apply=plan.submit)

    def register(self, lease: Lease) -> Done:
        """Put the run's model into the registry; the same command never makes two."""
        command = msgspec.convert(lease.task.payload, m.Register)
        spec = self._ws.read(Permission.WORK, lambda tx: reactor.spec(tx, command.loop))
        made = self._ws.read(
            Permission.WORK,
            lambda tx: running.version_of(
                self._ws, tx, command.run, spec.model, spec.card, command.cause, command.id
            ),
        )

        # The number is known only inside the transaction, and the event must carry it: so the
        # event is emitted there too.
        def apply(tx: Tx) -> None:
            version = registry.register(tx, made)
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

    def _rows(
        self, spec: LoopSpec, champion: Version, at: float, known: pl.DataFrame | None = None
    ) -> tuple[str | None, str | None, float]:
        """Return the digests of training and fresh rows, and how many are fresh.

        ``known`` are rows learnt from before: captured rows are taken from where they end.
        """
        policy = spec.retraining
        since = 0.0 if policy.history_s is None else at - policy.history_s - policy.holdout_s
        joined = self._ws.read(
            Permission.WORK,
            lambda tx: labelled(
                self._ws, self._shelf, tx, spec.endpoint, champion.signature, since, at + DAY_S
            ),
        )
        time = champion.signature.time
        if known is not None and time is not None and time in known.columns:
            joined = joined.filter(pl.col("_time") > seconds(known[time]).max())
        split = assemble(joined, known, policy, at, champion.signature)
        if split is None:
            return None, None, 0.0
        training, fresh = split
        return _kept(self._ws, training), _kept(self._ws, fresh), float(fresh.height)


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of the commands that lead to a candidate."""
    renewal = Renewal(ws, shelf)
    return {
        "measure_regret": renewal.measure_regret,
        "train": renewal.train,
        "register": renewal.register,
    }


def _kept(ws: Workspace, frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    digest = ws.objects.put(buffer.getvalue())
    here("rows.kept")
    return digest
