"""Let rollouts decide: by labels, by guard rails, by their steps. Loops hear of it, or it is done.

The rollout of a loop tells its loop, which decides. One that a person began, and the watch of an
endpoint without a loop, is carried out here, in the transaction that finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError, GateRefusedError, UnavailableError
from mainspring.ground.objects import Arm, LoopSpec, Rollout, RolloutPolicy, Signature
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels
from mainspring.numerics.scores import row_losses
from mainspring.readiness import registry
from mainspring.retraining import challenge, comparing, guardrails
from mainspring.retraining.challenge import Verdict
from mainspring.scaling.serving import capture, endpoints, rollouts, tallies
from mainspring.workspace import promoting, rollingout
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.routing import policy_of
from mainspring.workspace.shifts import limit_of

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

#: Requests that are on their way when weights change are no part of a comparison.
SETTLE_S = 2.0


class _Seen(NamedTuple):
    """What is known of a rollout when it is looked at."""

    rollout: Rollout
    policy: RolloutPolicy
    spec: LoopSpec | None  #: of the loop that decides it; None: nobody but us
    newest: int
    joined: pl.DataFrame
    signature: Signature
    fleet: list[float]


class RollingOut:
    """Carries out what scans find about rollouts."""

    def __init__(self, ws: Workspace, shelf: LabelShelf) -> None:
        self._ws = ws
        self._shelf = shelf

    def labels(self, lease: Lease) -> Done:
        """Take newly arrived labels into account and see whether a rollout has decided itself."""
        seen = self._ws.read(
            Permission.WORK, lambda tx: self._look(tx, lease.task.payload["rollout"])
        )
        before = seen.rollout
        if before.state != "running":
            return Done()
        # It may have waited for a worker meanwhile: the time is that of the rows it looked at.
        newest_row = capture.watermark(self._ws.captures(before.endpoint)) or 0.0
        at = max(float(lease.task.payload["watermark"]), newest_row)
        if before.arms:
            return self._several(seen, at)
        champion, challenger = _paired_losses(seen.joined, before, seen.signature)
        after = challenge.advance(before, champion, challenger, seen.policy, cursor=seen.newest)
        found = challenge.verdict(after, seen.policy, at, seen.fleet)

        def apply(tx: Tx) -> None:
            now = _still(tx, before)
            if now is None:
                return
            rollouts.update(
                tx, now.id, after.better, after.worse, rows=after.rows, cursor=after.cursor
            )
            if found and before.purpose == "watch" and found[0] != "better":
                rollouts.end(tx, now.id, "ended", at=at)
            elif found is not None:
                self._tell(tx, after, found, seen.spec, at)

        return Done(result={"rows": len(champion)}, apply=apply)

    def _several(self, seen: _Seen, at: float) -> Done:
        """Compare the arms of an A/B rollout on newly arrived labels."""
        before, policy = seen.rollout, seen.policy
        rows = seen.joined
        if before.stepped is not None:
            rows = rows.filter(pl.col("_received") > before.stepped + SETTLE_S)
        losses = _losses(rows, "_score", seen.signature)
        versions = rows["_version"].to_numpy()
        after = msgspec.structs.replace(
            before,
            tests=comparing.advance(before, versions, losses, policy),
            rows=before.rows + len(losses),
            cursor=seen.newest,
        )
        harm, best = comparing.harmful(after, policy), comparing.winner(after, policy)
        over = at - before.started >= policy.max_period_s
        ripe = at - before.started >= policy.min_period_s

        def apply(tx: Tx) -> None:
            now = _still(tx, before)
            if now is None:
                return
            rollouts.compare(tx, now.id, after.tests, rows=after.rows, cursor=after.cursor)
            if harm is not None:
                self._without(tx, after, harm.evidence["version"], harm, at)
            elif best is not None and ripe:
                figures = {**comparing.figures(after, policy), "version": best}
                reason = f"Version {best} is better than each other: {comparing.told(after)}."
                self._won(tx, after, Verdict("better", reason, figures), best, at)
            elif over:
                figures = comparing.figures(after, policy)
                reason = f"No version was shown to be the best: {comparing.told(after)}."
                self._over(tx, after, "ended", "end", reason, figures, at)

        return Done(result={"rows": len(losses)}, apply=apply)

    def guard(self, lease: Lease) -> Done:
        """End a rollout whose version fails, is slow, sticks or strays, labels or none."""
        name = lease.task.payload["rollout"]

        def look(tx: Tx) -> tuple[Rollout, RolloutPolicy, LoopSpec | None, float | None]:
            running = rollouts.get(tx, name)
            policy, spec = policy_and_loop(tx, running)
            return running, policy, spec, limit_of(tx, running, policy)

        running, policy, spec, limit = self._ws.read(Permission.WORK, look)
        follower = tallies.Follower(
            self._ws.captures(running.endpoint), running.id, running.started
        )
        found = {
            version: verdict
            for version, pair in follower.total().items()
            if (verdict := guardrails.harm(running, policy, pair, limit, version)) is not None
        }
        if running.state != "running" or not found:
            return Done()
        at = float(lease.task.payload["watermark"])

        def apply(tx: Tx) -> None:
            if rollouts.get(tx, name).state != "running":
                return
            for version, verdict in found.items():
                if running.arms:
                    self._without(tx, rollouts.get(tx, name), version, verdict, at)
                else:
                    self._tell(tx, running, verdict, spec, at, guarded=True)

        return Done(apply=apply, result={"versions": sorted(found)})

    def step(self, lease: Lease) -> Done:
        """Let a rollout that did no harm take its next step."""
        wanted = lease.task.payload

        def apply(tx: Tx) -> None:
            now = rollouts.get(tx, wanted["rollout"])
            policy, spec = policy_and_loop(tx, now)
            at, rows = float(wanted["watermark"]), int(wanted["rows"])
            if now.state != "running" or now.step != wanted["step"] or held(tx, spec):
                return
            if not challenge.may_step(now, policy, at, rows):
                return
            before, after = policy.steps[now.step], policy.steps[now.step + 1]
            moved = msgspec.structs.replace(
                now, share=after.share, step=now.step + 1, stepped=at, step_rows=rows
            )
            reason = (
                f"Version {now.challenger} answers {after.share:.3g} of the rows instead of"
                f" {before.share:.3g}: step {now.step + 2} of {len(policy.steps)}, after"
                f" {rows - now.step_rows:,} rows scored by both, and no guard rail was crossed."
            )
            rollouts.move(tx, moved, reason)
            figures = {"before": {"share": before.share}, "share": after.share}
            figures |= {"step": now.step + 2, "steps": len(policy.steps), "labels": now.rows}
            figures["rows"] = rows - now.step_rows
            rollingout.said(self._ws, tx, moved, "step", reason, figures, by=_by(now, spec))

        return Done(apply=apply)

    def bake(self, lease: Lease) -> Done:
        """Promote what was begun by hand to be promoted once it is baked."""

        def apply(tx: Tx) -> None:
            now = rollouts.get(tx, lease.task.payload["rollout"])
            policy, _ = policy_and_loop(tx, now)
            at = float(lease.task.payload["watermark"])
            if now.state != "running" or not challenge.finished(now, policy, at):
                return
            reason = (
                f"Version {now.challenger} answered {now.share:.3g} of the rows to the end of its"
                f" baking, and no guard rail was crossed. So it was agreed by {now.by}."
            )
            standing = challenge.standing(now, policy)
            found = Verdict("better", reason, {"labels": now.rows, **standing._asdict()})
            self._promote(tx, now, found, now.challenger, at)

        return Done(apply=apply)

    # ------------------------------------------------------------ what follows

    def _tell(
        self,
        tx: Tx,
        rollout: Rollout,
        found: Verdict,
        spec: LoopSpec | None,
        at: float,
        *,
        guarded: bool = False,
    ) -> None:
        """Tell the loop of a rollout, or do what follows where there is none to decide."""
        if spec is not None:
            key, event = _event(rollout, found, spec.name, at, guarded=guarded)
            reactor.emit(tx, event, key)
        elif rollout.purpose == "watch":
            self._back(tx, rollout, found)
        elif found.verdict == "better":
            self._won(tx, rollout, found, rollout.challenger, at)
        elif found.verdict == "worse":
            self._over(tx, rollout, "rolled_back", "roll_back", found.reason, found.evidence, at)
        else:
            self._over(tx, rollout, "rejected", "reject", found.reason, found.evidence, at)

    def _back(self, tx: Tx, watch: Rollout, found: Verdict) -> None:
        """Give the champion alias back to the version before, as its watch found it broken."""
        if registry.champion(tx, watch.model) != watch.champion:
            return
        rollouts.end(tx, watch.id, "rolled_back", at=max(self._ws.clock.now(), watch.started))
        registry.promote(
            tx, watch.model, watch.challenger, reason=found.reason, at=self._ws.clock.now()
        )
        rollingout.said(
            self._ws,
            tx,
            watch,
            "roll_back",
            found.reason,
            {**found.evidence, "to": watch.challenger},
            version=watch.champion,
        )

    def _won(self, tx: Tx, rollout: Rollout, found: Verdict, version: int, at: float) -> None:
        """Promote what proved better, if that was agreed; else say so once and wait."""
        if rollout.ends == "proven" and version == rollout.champion:
            reason = f"The champion stays: {found.reason}"
            self._over(tx, rollout, "ended", "end", reason, found.evidence, at)
        elif rollout.ends == "proven":
            self._promote(tx, rollout, found, version, at)
        else:
            reason = f"{found.reason} It waits for a person's word: mainspring rollout end."
            name = f"dec_{rollout.id}_{version}"
            rollingout.said(
                self._ws, tx, rollout, "better", reason, found.evidence, version=version, name=name
            )

    def _promote(self, tx: Tx, rollout: Rollout, found: Verdict, version: int, at: float) -> None:
        try:
            promoting.move(
                self._ws, tx, rollout.model, version, found.reason, back=False, by=rollout.by
            )
        except (GateRefusedError, ConflictError) as error:
            reason = f"{found.reason} But it cannot be promoted: {error}"
            self._over(tx, rollout, "rejected", "reject", reason, found.evidence, at)

    def _without(self, tx: Tx, rollout: Rollout, version: int, found: Verdict, at: float) -> None:
        """Send one arm home; the others go on, if any is left beside the champion."""
        arms = [
            msgspec.structs.replace(arm, weight=0.0) if arm.version == version else arm
            for arm in rollout.arms
        ]
        left = [arm for arm in arms if arm.weight > 0 and arm.version != rollout.champion]
        champion = next(arm for arm in arms if arm.version == rollout.champion)
        if arms == rollout.arms:
            return
        if not left or champion.weight <= 0:
            self._over(tx, rollout, "rolled_back", "roll_back", found.reason, found.evidence, at)
            return
        moved = _weighted(rollout, arms, self._ws.clock.now())
        rollouts.move(tx, moved, found.reason)
        figures = {**found.evidence, "before": rollingout.shares(rollout)}
        figures |= rollingout.shares(moved)
        rollingout.said(self._ws, tx, moved, "roll_back", found.reason, figures, version=version)

    def _over(
        self,
        tx: Tx,
        rollout: Rollout,
        state: str,
        kind: str,
        reason: str,
        evidence: dict[str, Any],
        at: float,
    ) -> None:
        rollouts.end(tx, rollout.id, state, at=max(at, rollout.started))
        figures = {**evidence, "before": rollingout.shares(rollout)}
        version = evidence.get("version")
        rollingout.said(self._ws, tx, rollout, kind, reason, figures, version=version)

    # ------------------------------------------------------------ looking

    def _look(self, tx: Tx, name: str) -> _Seen:
        now = rollouts.get(tx, name)
        policy, spec = policy_and_loop(tx, now)
        signature = registry.get(tx, now.model, now.champion).signature
        newest, known = self._shelf.all(tx, now.endpoint)
        seen = known.filter(pl.col("_batch") <= now.cursor)
        fresh = known.filter(pl.col("_batch") > now.cursor).join(seen, on="_id", how="anti")
        # All rows there are by now: the labels are all there are by now, too, and a label
        # that is counted as seen without its row would be lost to the tests for good.
        captured = capture.read(self._ws.captures(now.endpoint), now.started)
        joined = labels.join(captured, fresh, signature)
        if now.arms:
            joined = joined.filter(pl.col("_version").is_in([arm.version for arm in now.arms]))
            if now.sticky is not None and now.sticky in joined.columns:
                met = labels.join(captured, seen, signature).select(now.sticky).unique()
                joined = joined.join(met, on=now.sticky, how="anti", nulls_equal=True)
                joined = joined.unique(now.sticky, keep="first", maintain_order=True)
        fleet = [] if spec is None else _fleet(tx, spec, now)
        return _Seen(now, policy, spec, newest, joined, signature, fleet)


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of what the scans find about rollouts."""
    rolling = RollingOut(ws, shelf)
    return {
        "rollout": rolling.labels,
        "guard": rolling.guard,
        "rollout_step": rolling.step,
        "rollout_bake": rolling.bake,
    }


def held(tx: Tx, spec: LoopSpec | None) -> bool:
    """Return whether the loop of a rollout is paused or frozen: then its share stays."""
    view = None if spec is None else reactor.view_or_none(tx, spec.name)
    return view is not None and (view.paused or view.frozen_until is not None)


def policy_and_loop(tx: Tx, rollout: Rollout) -> tuple[RolloutPolicy, LoopSpec | None]:
    """Return what decides a rollout, and the loop it tells; None where there is none to tell."""
    place = endpoints.get(tx, rollout.endpoint)
    own = rollout.policy or policy_of(tx, place)
    if rollout.hand or place.loop is None:
        return own, None
    return own, reactor.spec_or_none(tx, place.loop)


def _still(tx: Tx, before: Rollout) -> Rollout | None:
    """Return a rollout as it is now; None if it has ended.

    Raises:
        UnavailableError: if another task took labels into account meanwhile.
    """
    now = rollouts.get(tx, before.id)
    if now.state != "running":
        return None
    if now.cursor != before.cursor:
        raise UnavailableError("Another task took labels into account; it looks again.")
    return now


def _weighted(rollout: Rollout, arms: list[Arm], now: float) -> Rollout:
    whole = sum(arm.weight for arm in arms)
    others = sum(arm.weight for arm in arms if arm.version != rollout.champion)
    return msgspec.structs.replace(rollout, arms=arms, share=others / whole, stepped=now)


def _by(rollout: Rollout, spec: LoopSpec | None) -> str | None:
    return f"loop:{spec.name}" if spec is not None else rollout.by


def _fleet(tx: Tx, spec: LoopSpec, rollout: Rollout) -> list[float]:
    """Return the evidence of the rollouts that this one is judged together with."""
    if spec.rollout.fdr is None or rollout.purpose == "watch":
        return []
    fleet = [one.endpoint for one in reactor.loops(tx) if one.rollout.fdr is not None]
    return [challenge.evidence_of(one) for one in rollouts.beside(tx, rollout, fleet)]


def _paired_losses(
    joined: pl.DataFrame, rollout: Rollout, signature: Signature
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the losses of champion and challenger on the rows that both scored."""
    pair = {rollout.champion, rollout.challenger}
    both = joined.filter(
        pl.col("_version").is_in(list(pair)) & pl.col("_other_version").is_in(list(pair))
    )
    if both.height == 0:
        return np.empty(0), np.empty(0)
    answered = _losses(both, "_score", signature)
    other = _losses(both, "_other_score", signature)
    by_champion = (both["_version"] == rollout.champion).to_numpy()
    return np.where(by_champion, answered, other), np.where(by_champion, other, answered)


def _losses(rows: pl.DataFrame, column: str, signature: Signature) -> npt.NDArray[np.float64]:
    if rows.height == 0:
        return np.empty(0)
    values = rows[column]
    if values.dtype == pl.List or isinstance(values.dtype, pl.Array):
        scores = np.array(values.to_list(), dtype=np.float64)
    else:
        scores = values.to_numpy().reshape(-1, 1)
    return row_losses(signature.kind, scores, rows["_y"].to_numpy(), scale=signature.scale)


def _event(
    rollout: Rollout, found: Verdict, loop: str, at: float, *, guarded: bool
) -> tuple[str, m.AnyEvent]:
    """Return what a loop is told, and the key that makes it be told once."""
    verdict, reason, evidence = found
    if rollout.purpose == "watch":
        broke = m.ChampionBroke(
            loop=loop, at=at, version=rollout.champion, reason=reason, evidence=evidence
        )
        return f"broke:{rollout.id}{':guard' if guarded else ''}", broke
    # Each outcome has a key: a proof that waits in a pause must not keep harm from being told.
    event = m.Verdict(
        loop=loop,
        at=at,
        rollout=rollout.id,
        version=rollout.challenger,
        verdict=verdict,
        reason=reason,
        evidence=evidence,
    )
    return f"verdict:{rollout.id}:{verdict}", event
