"""Roll a version out by hand: start, change, end, each a decision with its reason.

What a person began no loop decides: it ends by a person's word, or by itself where that was
agreed at the start (``ends``), and always by harm. :mod:`mainspring.workspace.handlers.rollouts`
carries out what the engine finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from mainspring.engine import reactor
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.loops import Phase
from mainspring.ground.objects import Arm, Rollout, RolloutPolicy, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, facts, registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.scaling.serving.endpoints import Endpoint
from mainspring.workspace import promoting
from mainspring.workspace.acts import needed
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import policy_of

Ends = Literal["hand", "proven", "baked"]
FEWEST_ARMS, MOST_ARMS = 2, 10


def start(
    ws: Workspace,
    endpoint: str,
    reason: str,
    *,
    version: int | None = None,
    policy: RolloutPolicy | None = None,
    variants: Mapping[int, float] | None = None,
    sticky: str | None = None,
    ends: Ends = "hand",
) -> Rollout:
    """Let a version, or several by weight, meet an endpoint's traffic beside its champion.

    Give either ``version`` or ``variants`` (version -> weight; the champion among them).
    ``sticky`` is an input column: rows with the same value of it are answered alike. ``ends``
    says what happens once it proved better: nothing until a person decides (``hand``), or the
    promotion (``proven``); ``baked`` promotes once all steps were taken and the baking is over,
    proof or none.

    Raises:
        NotFoundError: if there is no such endpoint or version.
        ConflictError: if a rollout runs there already, nobody serves, or it answers elsewhere.
        GateRefusedError: if a version has no passed gate and no override lets it in.
        BadInputError: naming what cannot be.
    """
    reason, policy = needed(reason), policy or RolloutPolicy()

    def work(tx: Tx) -> Rollout:
        place = endpoints.get(tx, endpoint)
        champion = registry.champion(tx, place.model)
        if champion is None:
            raise ConflictError(f"Nobody serves {endpoint} yet.", field="endpoint")
        _refuse_elsewhere(place, policy)
        arms = _arms(champion, variants, version)
        challenger = version
        if arms:
            challenger = next(arm.version for arm in arms if arm.version != champion)
        if challenger is None:
            raise BadInputError(
                "A rollout needs a version, or variants with weights.", field="version"
            )
        _check_end(ends, policy, arms)
        for number in [arm.version for arm in arms if arm.version != champion] or [challenger]:
            registry.get(tx, place.model, number)
            if not decisions.overridden(tx, place.model, number):
                facts.refuse_ungated(tx, place.model, number, "meet traffic")
        _check_sticky(tx, place, champion, sticky)
        _make_room(ws, tx, place)
        own = policy if not arms else msgspec.structs.replace(policy, strategy=Strategy.AB)
        begun = Rollout(
            id=new_id("rollout"),
            endpoint=endpoint,
            model=place.model,
            champion=champion,
            challenger=challenger,
            strategy=own.strategy,
            share=first_share(own) if not arms else _not_the(champion, arms),
            state="running",
            started=promoting.begins(ws, tx, place),
            by=tx.who.name,
            policy=own,
            ends=ends,
            arms=arms,
            sticky=sticky,
        )
        rollouts.start(tx, begun, reason)
        said(ws, tx, begun, str(own.strategy), reason, {"ends": ends, **shares(begun)})
        return begun

    return ws.write(Permission.PROMOTE, work)


def change(
    ws: Workspace,
    endpoint: str,
    reason: str,
    *,
    share: float | None = None,
    weights: Mapping[int, float] | None = None,
) -> Rollout:
    """Set the share, or the weights, of what rolls out now; return how it stands then.

    From then on its steps are over: the share stays until a person moves it. An A/B rollout
    compares only rows that are answered after the change.

    Raises:
        NotFoundError: if nothing rolls out there.
        ConflictError: if it is a shadow or a watch, which answers nobody.
        BadInputError: if share or weights cannot be.
    """
    reason = needed(reason)

    def work(tx: Tx) -> Rollout:
        now = _running(tx, endpoint)
        if now.purpose == "watch" or now.strategy is Strategy.SHADOW:
            raise ConflictError(f"{now.id} scores in the shadow and answers nobody.")
        place = endpoints.get(tx, endpoint)
        changes: dict[str, Any] = {"stepped": promoting.begins(ws, tx, place)}
        if now.arms:
            if weights is None or share is not None:
                raise BadInputError("An A/B rollout has weights, no share.", field="weights")
            known = {arm.version: arm.weight for arm in now.arms}
            for number in weights.keys() - known.keys():
                raise BadInputError(f"Version {number} is none of its arms.", field="weights")
            both = known | dict(weights)
            arms = [Arm(version=number, weight=weight) for number, weight in both.items()]
            changes |= {"arms": arms, "share": _not_the(now.champion, arms)}
            changes["stepped"] = ws.clock.now()
        elif share is None or weights is not None:
            raise BadInputError("This rollout has a share, no weights.", field="share")
        else:
            policy = now.policy or policy_of(tx, place)
            still = msgspec.structs.replace(policy, steps=[], share=share)
            changes |= {"share": share, "step": 0, "policy": still}
            if now.strategy in (Strategy.LINEAR, Strategy.BLUE_GREEN):
                changes["strategy"] = Strategy.CANARY
        after = rollouts.move(tx, msgspec.structs.replace(now, **changes), reason)
        said(ws, tx, after, "share", reason, {"before": shares(now), **shares(after)})
        return after

    return ws.write(Permission.PROMOTE, work)


def end(ws: Workspace, endpoint: str, reason: str, *, promote: int | None = None) -> Rollout:
    """End what rolls out: the champion stays, or ``promote`` becomes champion; return it.

    Raises:
        NotFoundError: if nothing rolls out there.
        ConflictError: if a loop decides it, or it is none of the versions.
        GateRefusedError: if the version has no passed gate.
    """
    reason = needed(reason)

    def work(tx: Tx) -> Rollout:
        now = _running(tx, endpoint)
        if not now.hand and now.purpose == "challenge":
            raise ConflictError(
                f"{now.id} is decided by the loop of {endpoint}.",
                hint="Promote its version by hand, or: mainspring loop pause LOOP --withdraw",
            )
        known = [now.challenger, *(arm.version for arm in now.arms)]
        if promote is not None and promote not in known:
            raise BadInputError(f"Version {promote} does not roll out there.", field="promote")
        if promote is not None and promote != now.champion:
            promoting.move(ws, tx, now.model, promote, reason, back=False)
            return rollouts.get(tx, now.id)
        state = "ended" if now.purpose == "watch" or now.arms else "rejected"
        at = max(promoting.begins(ws, tx, endpoints.get(tx, endpoint)), now.started)
        over = rollouts.end(tx, now.id, state, at=at)
        said(ws, tx, over, "end", reason, {"before": shares(now)})
        return over

    return ws.write(Permission.PROMOTE, work)


def first_share(policy: RolloutPolicy) -> float:
    """Return the share of rows a challenger answers at first."""
    if policy.strategy is Strategy.SHADOW:
        return 0.0
    if policy.strategy is Strategy.BLUE_GREEN:
        return 1.0
    return policy.steps[0].share if policy.steps else policy.share


def shares(rollout: Rollout) -> dict[str, Any]:
    """Return who answers how much, for evidence."""
    if rollout.arms:
        return {"weights": {str(arm.version): arm.weight for arm in rollout.arms}}
    return {"share": rollout.share}


def said(
    ws: Workspace,
    tx: Tx,
    rollout: Rollout,
    kind: str,
    reason: str,
    evidence: Mapping[str, Any],
    *,
    version: int | None = None,
    by: str | None = None,
    name: str | None = None,
) -> None:
    """Write down what was decided of a rollout; its evidence names and opens it."""
    place = endpoints.get(tx, rollout.endpoint)
    opens = [f"rollout:{rollout.id}", f"endpoint:{rollout.endpoint}"]
    promoting.note(
        tx,
        kind,
        f"{rollout.model}/{version or rollout.challenger}",
        reason,
        ws.clock.now(),
        loop=place.loop,
        at=promoting.begins(ws, tx, place),
        by=by,
        evidence={"rollout": rollout.id, **evidence, "opens": opens},
        name=name,
    )


def _running(tx: Tx, endpoint: str) -> Rollout:
    endpoints.get(tx, endpoint)
    now = rollouts.running(tx, endpoint)
    if now is None:
        raise NotFoundError(
            f"Nothing rolls out on {endpoint}.",
            field="endpoint",
            hint=f"Start one: mainspring rollout start {endpoint} NUMBER --reason WHY",
        )
    return now


def _make_room(ws: Workspace, tx: Tx, place: Endpoint) -> None:
    """End a watch, which a person's rollout goes before; refuse what a loop is deciding."""
    view = None if place.loop is None else reactor.view_or_none(tx, place.loop)
    if view is not None and view.phase not in (Phase.IDLE, Phase.CHECKING, Phase.TRAINING):
        raise ConflictError(
            f"The loop {place.loop} is {view.phase}; a rollout by hand waits for it.",
            field="endpoint",
            hint=f"See: mainspring status {place.loop}",
        )
    running = rollouts.running(tx, place.name)
    if running is not None and running.purpose == "watch":
        at = max(promoting.begins(ws, tx, place), running.started)
        rollouts.end(tx, running.id, "ended", at=at)


def _refuse_elsewhere(place: Endpoint, policy: RolloutPolicy) -> None:
    if place.kind == "fed" and policy.strategy is not Strategy.SHADOW:
        raise ConflictError(
            f"{place.name} answers elsewhere: a version can only score its rows in the shadow.",
            field="strategy",
        )


def _arms(champion: int, variants: Mapping[int, float] | None, version: int | None) -> list[Arm]:
    if variants is None:
        return []
    if version is not None:
        raise BadInputError("Name one version, or variants; not both.", field="variants")
    if not FEWEST_ARMS <= len(variants) <= MOST_ARMS:
        raise BadInputError(
            f"An A/B rollout has {FEWEST_ARMS} to {MOST_ARMS} variants, found {len(variants)}.",
            field="variants",
        )
    if champion not in variants:
        raise BadInputError(
            f"The champion, version {champion}, must be one of the variants.",
            field="variants",
            hint=f"Add {champion}=WEIGHT.",
        )
    return [Arm(version=number, weight=weight) for number, weight in variants.items()]


def _not_the(champion: int, arms: list[Arm]) -> float:
    """Return the share of rows that is not the champion's; bad weights are refused later."""
    whole = sum(arm.weight for arm in arms)
    others = sum(arm.weight for arm in arms if arm.version != champion)
    return min(max(others / whole, 0.0), 1.0) if whole > 0 else 0.0


def _check_end(ends: Ends, policy: RolloutPolicy, arms: list[Arm]) -> None:
    shadow = policy.strategy is Strategy.SHADOW
    if ends == "baked" and (arms or shadow or not (policy.steps or policy.bake_s > 0)):
        raise BadInputError(
            "What ends once it is baked needs steps or a baking time, and answers rows.",
            field="ends",
            hint="Give --bake 1h, or --steps.",
        )


def _check_sticky(tx: Tx, place: Endpoint, champion: int, sticky: str | None) -> None:
    if sticky is None:
        return
    columns = [c.name for c in registry.get(tx, place.model, champion).signature.columns]
    if sticky not in columns:
        raise BadInputError(
            f"{sticky!r} is no input of {place.model}/{champion}.",
            field="sticky_key",
            hint=f"It takes {', '.join(columns[:50])}. A key of the caller's own goes into the"
            " header X-Mainspring-Sticky.",
        )
