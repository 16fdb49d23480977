"""Read all models or versions at once, with everything said of them: for lists and searches."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import Table, select

from mainspring.ground.objects import Record, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import tables as t
from mainspring.readiness import verdicts
from mainspring.readiness.facts import ModelFacts, VersionFacts
from mainspring.readiness.forms import with_forms


class ListedModel(Record, frozen=True, kw_only=True):
    """A model and what is said of it."""

    name: str
    created: float
    facts: ModelFacts
    aliases: dict[str, int]

    @property
    def changed(self) -> float:
        """Return when something about it changed last."""
        return self.created if self.facts.changed is None else self.facts.changed


class ListedVersion(Record, frozen=True, kw_only=True):
    """A version and what is said of it."""

    version: Version
    title: str  #: of its model
    facts: VersionFacts
    aliases: list[str]
    passed: bool | None  #: what its newest gate said; None: there is none
    stale: bool = False  #: its newest gate does not hold any more
    overridden: bool = False  #: somebody let it into a canary past its gate

    @property
    def changed(self) -> float:
        """Return when something about it changed last."""
        return self.version.created if self.facts.changed is None else self.facts.changed


def models(tx: Tx, model: str | None = None) -> list[ListedModel]:
    """Return every model that is not deleted, or the one named."""
    gone = {row.model for row in _rows(tx, t.deleted_models, model)}
    facts = {row.model: row for row in _rows(tx, t.model_facts, model)}
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(tx, t.model_tags, model):
        tags[row.model][row.key] = row.value
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    for row in _rows(tx, t.aliases, model):
        aliases[row.model][row.alias] = row.number
    query = select(t.models).order_by(t.models.c.name)
    if model is not None:
        query = query.where(t.models.c.name == model)
    found = []
    for row in tx.all(query):
        if row.name in gone:
            continue
        said = facts.get(row.name)
        told = ModelFacts(
            model=row.name,
            title=row.name if said is None else said.title,
            description="" if said is None else said.description,
            changed=None if said is None else said.changed,
            tags=dict(sorted(tags[row.name].items())),
        )
        of_it = dict(sorted(aliases[row.name].items()))
        created = row.created if said is None or said.created is None else said.created
        found.append(ListedModel(name=row.name, created=created, facts=told, aliases=of_it))
    return found


def versions(tx: Tx, model: str | None = None) -> list[ListedVersion]:
    """Return every version that is not deleted, of one model or of all, in no order."""
    known = {one.name: one for one in models(tx, model)}
    gone = {(row.model, row.number) for row in _rows(tx, t.deleted_versions, model)}
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for row in _rows(tx, t.version_tags, model):
        tags[row.model, row.number][row.key] = row.value
    facts = {(row.model, row.number): row for row in _rows(tx, t.version_facts, model)}
    gates = {
        (row.model, row.number): (bool(row.passed), verdicts.until_of(row) <= tx.now())
        for row in _rows(tx, t.gates, model, order=t.gates.c.id)
    }
    overridden = {(row.model, row.number) for row in _rows(tx, t.overrides, model)}
    several: dict[str, list[Version]] = defaultdict(list)
    for row in _rows(tx, t.versions, model):
        if row.model in known and (row.model, row.number) not in gone:
            several[row.model].append(msgspec.json.decode(row.record, type=Version))
    found = []
    for name, own in several.items():
        for one in with_forms(tx, name, own):
            place = (name, one.number)
            said = facts.get(place)
            told = VersionFacts(
                description="" if said is None else said.description,
                stage="None" if said is None else said.stage,
                changed=None if said is None else said.changed,
                tags=dict(sorted(tags[place].items())),
            )
            named = [alias for alias, n in known[name].aliases.items() if n == one.number]
            found.append(
                ListedVersion(
                    version=one,
                    title=known[name].facts.title,
                    facts=told,
                    aliases=named,
                    passed=gates[place][0] if place in gates else None,
                    stale=gates[place][1] if place in gates else False,
                    overridden=place in overridden,
                )
            )
    return found


def newest_per_stage(several: list[ListedVersion]) -> list[ListedVersion]:
    """Return the newest version in each stage."""
    found: dict[str, ListedVersion] = {}
    for one in sorted(several, key=lambda one: one.version.number):
        found[one.facts.stage] = one
    return list(found.values())


def _rows(tx: Tx, table: Table, model: str | None, order: Any = None) -> Any:
    query = select(table)
    if model is not None:
        query = query.where(table.c.model == model)
    return tx.all(query if order is None else query.order_by(order))
