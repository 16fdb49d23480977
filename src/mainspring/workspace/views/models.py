"""Gather what is shown of models: versions, gates, aliases, cards, and why."""

from __future__ import annotations

import msgspec

from mainspring.debt import consumers
from mainspring.experiments import runs
from mainspring.ground.cards import missing
from mainspring.ground.errors import NotFoundError
from mainspring.ground.gates import GateResult
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Alarm, Decision, Deprecation, Rollout, Run, Version, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.readiness import decisions, evidence, explain, facts, gate, listing, registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import (
    ModelDetail,
    ModelRow,
    Move,
    StageMove,
    VersionDetail,
    Why,
    WhyLink,
)


def model_list(ws: Workspace) -> list[ModelRow]:
    """Return every model by name."""

    def work(tx: Tx) -> list[ModelRow]:
        titles = {one.name: one.facts.title for one in listing.models(tx)}
        return [
            ModelRow(
                name=m.name,
                title="" if titles[m.name] == m.name else titles[m.name],
                created=m.created,
                newest=m.newest,
                champion=m.champion,
            )
            for m in registry.models(tx)
        ]

    return ws.read(Permission.READ, work)


def model_detail(ws: Workspace, asked: str) -> ModelDetail:
    """Return one model, by its name or title, with its versions, aliases and their history.

    Raises:
        NotFoundError: if there is no such model.
    """

    def work(tx: Tx) -> ModelDetail:
        return _detail(tx, facts.called(tx, asked))

    def _detail(tx: Tx, model: str) -> ModelDetail:
        _check(tx, model)
        said = facts.of_model(tx, model)
        versions = registry.versions(tx, model)
        judged = {v.number: gate.latest(tx, model, v.number) for v in versions}
        return ModelDetail(
            name=model,
            title="" if said.title == model else said.title,
            description=said.description,
            guarded=facts.guarded(tx, model),
            champion=registry.champion(tx, model),
            aliases=registry.aliases_of(tx, model),
            versions=versions,
            verdicts={str(n): found.passed for n, found in judged.items() if found is not None},
            standings={str(n): _standing(tx, model, n, found) for n, found in judged.items()},
            history=_moves(tx, model),
            stages=[
                StageMove(**msgspec.structs.asdict(one))
                for one in reversed(facts.stage_moves(tx, model))
            ],
            deprecations=consumers.deprecated(
                tx, [f"model:{model}", *(f"{model}/{one.number}" for one in versions)]
            ),
        )

    return ws.read(Permission.READ, work)


def history(ws: Workspace, model: str) -> list[Move]:
    """Return every move of a model's aliases, newest first.

    Raises:
        NotFoundError: if there is no such model.
    """

    def work(tx: Tx) -> list[Move]:
        _check(tx, model)
        return _moves(tx, model)

    return ws.read(Permission.READ, work)


def version_detail(ws: Workspace, asked: str, number: int) -> VersionDetail:
    """Return one version, by its model's name or title, with its gates, overrides and card.

    Raises:
        NotFoundError: if there is no such version.
    """

    def work(tx: Tx) -> VersionDetail:
        model = facts.called(tx, asked)
        version = registry.get(tx, model, number)
        aliases = registry.aliases_of(tx, model)
        made = decisions.list_decisions(tx, subject=f"{model}/{number}")
        return VersionDetail(
            version=version,
            aliases=[alias for alias, named in aliases.items() if named == number],
            gates=gate.results(tx, model, number),
            overrides=[one for one in made if one.kind == "override"],
            approvals=[one for one in made if one.kind in ("approve", "refuse")],
            standing=_standing(tx, model, number, gate.latest(tx, model, number)),
            card=version.card,
            card_missing=missing(version.card),
            deprecation=_deprecation(tx, model, number),
        )

    return ws.read(Permission.READ, work)


def _deprecation(tx: Tx, model: str, number: int) -> Deprecation | None:
    own, whole = f"{model}/{number}", f"model:{model}"
    found = {one.subject: one for one in consumers.deprecated(tx, [own, whole])}
    return found.get(own) or found.get(whole)


def card(ws: Workspace, ref: str) -> str:
    """Return the card of the version that a reference names, as Markdown.

    Raises:
        NotFoundError: if there is no such version.
    """
    from mainspring.workspace.cards import writing

    return writing.card(ws, ref)


def why(ws: Workspace, ref: str) -> Why:
    """Return the chain from a version back to the rows that asked for it.

    Raises:
        NotFoundError: if the reference names nothing.
    """

    def work(tx: Tx) -> Why:
        version = registry.resolve(tx, ref)
        return _why(explain.explain_version(_evidence(tx, version)))

    return ws.read(Permission.READ, work)


def _evidence(tx: Tx, version: Version) -> explain.Evidence:
    name = f"{version.model}/{version.number}"
    alarm = _alarm(tx, version.cause)
    made = decisions.list_decisions(tx, subject=name)
    run = _run(tx, version.run)
    for endpoint in endpoints.of_model(tx, version.model):
        if endpoint.loop is not None:
            of_loop = decisions.list_decisions(tx, loop=endpoint.loop, limit=1000)
            made += [d for d in of_loop if d.subject == f"version:{version.number}"]
            made += _began(of_loop, run)
    return explain.Evidence(
        version=version,
        moves=registry.history(tx, version.model, registry.CHAMPION),
        decisions=made,
        gate=gate.latest(tx, version.model, version.number),
        rollout=_rollout(tx, version),
        alarm=alarm,
        window=_window(tx, alarm),
        run=run,
        learnt=evidence.newest(tx, "training_set", name),
    )


def _began(of_loop: list[Decision], run: Run | None) -> list[Decision]:
    """Return the decision to train that a run follows from: it bears the time of its data."""
    until = run.tags.get("until") if run is not None else None
    return [d for d in of_loop if d.kind == "retrain" and str(d.at) == until]


def _why(found: explain.Explanation) -> Why:
    return Why(
        version=found.version,
        links=[WhyLink(**msgspec.structs.asdict(link)) for link in found.links],
        lines=found.lines,
        missing=found.missing,
    )


def _alarm(tx: Tx, cause: str | None) -> Alarm | None:
    kind, _, name = (cause or "").partition(":")
    if kind != "alarm":
        return None
    try:
        return alarms.get(tx, name)
    except NotFoundError:
        return None


def _window(tx: Tx, alarm: Alarm | None) -> Window | None:
    try:
        return None if alarm is None else windows.get(tx, alarm.window)
    except NotFoundError:
        return None


def _run(tx: Tx, run: str | None) -> Run | None:
    try:
        return None if run is None else runs.get(tx, run)
    except NotFoundError:
        return None


def _rollout(tx: Tx, version: Version) -> Rollout | None:
    """Return the newest rollout in which the version was the challenger."""
    found = [
        rollout
        for endpoint in endpoints.of_model(tx, version.model)
        for rollout in rollouts.of_endpoint(tx, endpoint.name)
        if rollout.challenger == version.number and rollout.purpose == "challenge"
    ]
    return max(found, key=lambda rollout: rollout.started, default=None)


def _check(tx: Tx, model: str) -> None:
    names = [known.name for known in registry.models(tx)]
    if model not in names:
        raise NotFoundError(
            f"There is no model {model!r}.", field="model", hint=meant(model, names)
        )


def _standing(tx: Tx, model: str, number: int, newest: GateResult | None) -> str:
    """Return how a version's newest gate stands today, and whether an override was given."""
    if newest is None:
        said = "not judged"
    elif newest.passed:
        said = "passed" if newest.fresh(tx.now()) else "stale"
    else:
        said = "waits for approval" if newest.waits else "refused"
    return f"{said}, OVERRIDDEN" if decisions.overrides_of(tx, model, number) else said


def _moves(tx: Tx, model: str) -> list[Move]:
    return [
        Move(
            alias=one.alias,
            number=one.number,
            previous=one.previous,
            reason=one.reason,
            at=one.at,
            by=one.by,
            made=one.made,
        )
        for one in reversed(registry.history(tx, model))
    ]
