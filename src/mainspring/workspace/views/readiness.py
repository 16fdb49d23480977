"""Gather what the production checklist of a version is made of."""

from __future__ import annotations

from mainspring.engine import reactor
from mainspring.experiments import runs
from mainspring.ground.cards import missing
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import channels
from mainspring.readiness import checklist as pure
from mainspring.readiness import decisions, facts, registry, verdicts
from mainspring.readiness import evidence as ledger
from mainspring.readiness.checklist import Checklist
from mainspring.scaling.serving import endpoints
from mainspring.workspace import gates
from mainspring.workspace.opening import Workspace


def checklist(ws: Workspace, model: str, number: int) -> Checklist:
    """Return the production checklist of a version, by its model's name or title.

    Raises:
        NotFoundError: if there is no such version.
    """

    def look(tx: Tx) -> Checklist:
        return of_version(tx, registry.get(tx, facts.called(tx, model), number))

    return ws.read(Permission.READ, look)


def of_version(tx: Tx, version: Version) -> Checklist:
    """Return the production checklist of a version as it stands now."""
    model, number = version.model, version.number
    asked = gates.of_model(tx, model)
    served = [one.name for one in endpoints.of_model(tx, model)]
    given = decisions.overrides_of(tx, model, number)
    return pure.checklist(
        pure.Known(
            version=version,
            gate=verdicts.latest(tx, model, number),
            policy=asked.gate,
            evidence=_evidence(tx, version, served),
            now=tx.now(),
            card_missing=missing(version.card, asked.gate.card_requires),
            loop=reactor.spec(tx, asked.loop) if asked.loop else None,
            endpoint=served[0] if served else None,
            channels=[one.name for one in channels.every(tx) if one.active],
            lineage_missing=_missing(tx, version),
            overrides=[f"{one.by} let it into a canary: {one.reason}" for one in given],
        )
    )


def _evidence(tx: Tx, version: Version, served: list[str]) -> list[Evidence]:
    subjects = [f"{version.model}/{version.number}", f"model:{version.model}", "project"]
    subjects += [f"endpoint:{name}" for name in served]
    pipeline = _pipeline(tx, version)
    return ledger.standing(tx, *subjects, *([f"pipeline:{pipeline}"] if pipeline else []))


def _pipeline(tx: Tx, version: Version) -> str | None:
    try:
        return runs.get(tx, version.run).pipeline if version.run else None
    except NotFoundError:
        return None


def _missing(tx: Tx, version: Version) -> list[str]:
    """Return what is not known of where a version comes from."""
    lacking = []
    if version.run is None:
        lacking.append("the run that made it")
    else:
        try:
            runs.get(tx, version.run)
        except NotFoundError:
            lacking.append(f"run {version.run}, which is deleted")
    lacking += [] if version.data else ["the data it learnt from"]
    return lacking + ([] if version.code else ["the code that made it"])
