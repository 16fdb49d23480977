"""Registered models, their tags and aliases, as MLflow sees them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import facts, listing, notices, registry
from mainspring.web.mlflow import sources
from mainspring.web.mlflow.filters import Term, parse, parse_order
from mainspring.web.mlflow.messages import (
    Fields,
    absent,
    milliseconds,
    missing,
    page_of,
    pairs,
    trimmed,
)
from mainspring.workspace import acts, registering
from mainspring.workspace.opening import Workspace

T = TypeVar("T")
_ALIAS = re.compile(r"[\w-]{1,255}", re.ASCII)
_NUMBERED = re.compile(r"v\d+", re.IGNORECASE)
_REASON = "Asked for over the MLflow wire."
#: What tells a prompt, which clients keep as a model, from a model.
PROMPT_TAG = "mlflow.prompt.is_prompt"
_TIMES = ("timestamp", "last_updated_timestamp")


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a model without versions."""
    title, tags = asked.text("name"), tags_of(asked)
    description = asked.text_or("description")

    def work(tx: Tx) -> dict[str, Any]:
        now = now_of(ws)
        name = facts.create(tx, title, now)
        facts.tag_model(tx, name, tags)
        if description:
            facts.describe_model(tx, name, description, now)
        told = {"name": title, "tags": tags, "description": description or None}
        notices.tell(tx, "model.created", told, now)
        return {"registered_model": _message(tx, name)}

    return ws.write(Permission.REGISTER, work)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one model."""
    title = asked.text("name")
    return ws.read(
        Permission.READ, lambda tx: {"registered_model": _message(tx, named(tx, title))}
    )


def update(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Say what a model is for."""
    title, text = asked.text("name"), asked.text_or("description")

    def work(tx: Tx) -> dict[str, Any]:
        model = named(tx, title)
        facts.describe_model(tx, model, text, now_of(ws))
        return {"registered_model": _message(tx, model)}

    return ws.write(Permission.REGISTER, work)


def rename(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Call a model something else."""
    title, new = asked.text("name"), asked.text("new_name")

    def work(tx: Tx) -> dict[str, Any]:
        model = named(tx, title)
        facts.rename(tx, model, new, now_of(ws))
        return {"registered_model": _message(tx, model)}

    return ws.write(Permission.REGISTER, work)


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Delete a model and its versions, unless something serves or looks after it."""
    title = asked.text("name")
    registering.delete_model(ws, ws.read(Permission.READ, lambda tx: named(tx, title)))
    return {}


def set_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set one tag of a model."""
    title, tags = asked.text("name"), {asked.text("key"): asked.text_or("value")}
    ws.write(Permission.REGISTER, lambda tx: facts.tag_model(tx, named(tx, title), tags))
    return {}


def delete_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take one tag of a model away; nothing happens if it is not there."""
    title, key = asked.text("name"), asked.text("key")
    ws.write(Permission.REGISTER, lambda tx: facts.tag_model(tx, named(tx, title), {key: None}))
    return {}


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return models by name and tags; prompts only if they are asked for."""
    limit, offset = asked.limit(100, 1000), asked.offset()
    terms = terms_of(asked, {"name"})
    keys = _order(asked)

    def work(tx: Tx) -> dict[str, Any]:
        found = [
            one
            for one in listing.models(tx)
            if meets(terms, {"name": one.facts.title}, one.facts.tags)
        ]
        in_order(found, keys)
        several: dict[str, list[listing.ListedVersion]] = defaultdict(list)
        for version in listing.versions(tx) if found else []:
            several[version.version.model].append(version)
        shown = found[offset : offset + limit + 1]
        page = [_shown(one, several[one.name]) for one in shown]
        return page_of("registered_models", page, offset, limit)

    return ws.read(Permission.READ, work)


def latest_versions(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the newest version in each stage, or in those asked for."""
    title = asked.text("name")
    stages = {facts.canonical_stage(stage) for stage in asked.texts("stages")}

    def work(tx: Tx) -> dict[str, Any]:
        newest = listing.newest_per_stage(listing.versions(tx, named(tx, title)))
        found = [version_message(one) for one in newest if not stages or one.facts.stage in stages]
        return {"model_versions": found} if found else {}

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- aliases


def set_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Move an alias; ``champion`` asks for a passed gate and tells the model's loop."""
    title, alias = asked.text("name"), _alias(asked)
    if alias.lower() == "latest":
        raise BadInputError("'latest' alias name (case insensitive) is reserved.", field="alias")
    if _NUMBERED.fullmatch(alias):
        raise BadInputError(f"Version alias name '{alias}' is reserved.", field="alias")
    number = number_of(asked)

    def look(tx: Tx) -> tuple[str, int | None]:
        model = named(tx, title)
        known(tx, model, title, number)
        return model, registry.champion(tx, model)

    model, serving = ws.read(Permission.READ, look)
    if alias == registry.CHAMPION:
        if serving != number:
            acts.promote(ws, model, number, _REASON)
        return {}
    check_name(alias, "alias")
    ws.write(
        Permission.PROMOTE,
        lambda tx: registry.set_alias(tx, model, alias, number, _REASON, now_of(ws)),
    )
    return {}


def drop_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take an alias away; the champion alias can only move."""
    title, alias = asked.text("name"), _alias(asked)

    def work(tx: Tx) -> dict[str, Any]:
        registry.drop_alias(tx, named(tx, title), alias, _REASON, now_of(ws))
        return {}

    return ws.write(Permission.PROMOTE, work)


def by_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the version that an alias names; ``latest`` names the newest."""
    title, alias = asked.text("name"), _alias(asked)

    def work(tx: Tx) -> dict[str, Any]:
        model = named(tx, title)
        several = listing.versions(tx, model)
        if alias.lower() == "latest":
            if not several:
                raise NotFoundError(f"Latest version not found for model {title}.")
            return {"model_version": version_message(max(several, key=_number))}
        for one in several:
            if alias in one.aliases:
                return {"model_version": version_message(one)}
        raise BadInputError(f"Registered model alias {alias} not found.", field="alias")

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- parts


def now_of(ws: Workspace) -> float:
    """Return the time in whole milliseconds, as clients measure it: never ahead of theirs."""
    return math.floor(ws.clock.now() * 1000) / 1000


def named(tx: Tx, title: str) -> str:
    """Return the name of the model that clients call so.

    Raises:
        NotFoundError: if there is none.
        BadInputError: if nothing can be called so.
    """
    if any(mark in title for mark in "/:"):
        raise BadInputError(
            f"Invalid model name '{title[:100]}'. Names cannot contain '/' or ':'.", field="name"
        )
    model = facts.find(tx, title)
    if model is None:
        raise NotFoundError(f"Registered Model with name={title[:200]} not found")
    return model


def known(tx: Tx, model: str, title: str, number: int) -> None:
    """Refuse a version that is not there, in MLflow's words."""
    try:
        registry.get(tx, model, number)
    except NotFoundError:
        raise absent(f"Model Version (name={title[:200]}, version={number})") from None


def number_of(asked: Fields) -> int:
    """Return the number of a version, which MLflow writes as text."""
    text = asked.text("version")
    if not text.isascii() or not text.isdecimal() or not 1 <= len(text) <= 9:
        raise BadInputError(
            f"Parameter 'version' must be an integer, got '{text[:40]}'.", field="version"
        )
    return int(text)


def tags_of(asked: Fields) -> dict[str, str]:
    """Return the tags of a message, as they come in a list of key and value."""
    return {one.text("key"): one.text_or("value") for one in asked.several("tags")}


def _alias(asked: Fields) -> str:
    alias = asked.text_or("alias")
    if not alias:
        raise (
            missing("alias")
            if not asked.given("alias")
            else BadInputError("Registered model alias name cannot be empty.", field="alias")
        )
    if not _ALIAS.fullmatch(alias):
        raise BadInputError(
            f"Invalid alias name: '{alias[:100]}'. Names may only contain alphanumerics,"
            " underscores (_), and dashes (-).",
            field="alias",
        )
    return alias


def _message(tx: Tx, model: str) -> dict[str, Any]:
    found = listing.models(tx, model)
    if not found:
        raise NotFoundError(f"Registered Model with name={model[:200]} not found")
    return _shown(found[0], listing.versions(tx, model))


def _shown(one: listing.ListedModel, several: list[listing.ListedVersion]) -> dict[str, Any]:
    newest = listing.newest_per_stage(several)
    return trimmed(
        {
            "name": one.facts.title,
            "creation_timestamp": milliseconds(one.created),
            "last_updated_timestamp": milliseconds(one.changed),
            "description": one.facts.description or None,
            "latest_versions": [version_message(version) for version in newest],
            "tags": pairs(one.facts.tags),
            "aliases": [{"alias": a, "version": str(n)} for a, n in one.aliases.items()],
        }
    )


def version_message(one: listing.ListedVersion) -> dict[str, Any]:
    """Return a version in MLflow's form."""
    version = one.version
    tags = {"mainspring.package": version.package}
    if one.passed is not None:
        tags["mainspring.gate"] = (
            "refused" if not one.passed else "stale" if one.stale else "passed"
        )
    if one.overridden:
        tags["mainspring.override"] = "let into a canary past its gate"
    if version.source is not None:
        del tags["mainspring.package"]  # what a client registered has the tags it gave
    purpose = version.card.purpose if version.card else None
    return trimmed(
        {
            "name": one.title,
            "version": str(version.number),
            "creation_timestamp": milliseconds(version.created),
            "last_updated_timestamp": milliseconds(one.changed),
            "user_id": version.by,
            "current_stage": one.facts.stage,
            "description": one.facts.description or purpose or "",
            "source": version.source or sources.package_uri(version.model, version.number),
            "run_id": version.run,
            "run_link": version.link,
            "model_id": version.logged,
            "status": "READY",
            "tags": pairs({**tags, **one.facts.tags}),
            "aliases": one.aliases,
        }
    )


def terms_of(asked: Fields, keys: set[str]) -> list[Term]:
    """Return the terms of a filter over these attributes and over tags."""
    terms = parse(asked.text_or("filter"))
    for term in terms:
        if term.entity not in ("tag", "attribute"):
            raise BadInputError(
                f"Invalid entity type '{term.entity}'. Valid entity types are ('attribute',"
                " 'tag', 'tags')",
                field="filter",
            )
        if term.entity == "attribute" and term.key not in keys:
            raise BadInputError(
                f"Invalid attribute key '{term.key[:80]}' specified. Valid keys are '{keys}'",
                field="filter",
            )
    return terms


def meets(terms: Sequence[Term], values: dict[str, Any], tags: dict[str, str]) -> bool:
    """Return whether something meets a filter; what no term asks about is no prompt."""
    with_default = {PROMPT_TAG: "false", **tags}
    if with_default[PROMPT_TAG] != "false" and not any(t.key == PROMPT_TAG for t in terms):
        return False
    return all(
        term.holds(with_default.get(term.key) if term.entity == "tag" else values.get(term.key))
        for term in terms
    )


Key = tuple[Callable[[Any], Any], bool]


def orders_of(asked: Fields, keys: dict[str, Callable[[Any], Any]]) -> list[Key]:
    """Return the keys to sort by, the first first, and whether each ascends."""
    found: list[Key] = []
    for text in asked.texts("order_by"):
        order = parse_order(text)
        if order.entity != "attribute" or order.key not in keys:
            raise BadInputError(
                f"Invalid order by key '{order.key[:80]}' specified. Valid keys are"
                f" {sorted(keys)}",
                field="order_by",
            )
        if any(keys[order.key] is key for key, _ in found):
            raise BadInputError("`order_by` contains duplicate fields", field="order_by")
        found.append((keys[order.key], order.ascending))
    return found


def in_order(found: list[T], keys: Iterable[Key]) -> None:
    """Sort by several keys, the first first."""
    for key, ascending in reversed(list(keys)):
        found.sort(key=key, reverse=not ascending)


def _order(asked: Fields) -> list[Key]:
    keys: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_TIMES, _changed),
        "name": _title,
    }
    return [*orders_of(asked, keys), (_title, True)]


def _changed(one: listing.ListedModel) -> int:
    return milliseconds(one.changed)


def _title(one: listing.ListedModel) -> str:
    return one.facts.title


def _number(one: listing.ListedVersion) -> int:
    return one.version.number
