"""What is said of models and versions and may change: title, description, tags, stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, update

from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    GateRefusedError,
    NotFoundError,
)
from mainspring.ground.identity import check_name, sha256
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Record
from mainspring.ground.ports import Tx
from mainspring.readiness import notices, verdicts
from mainspring.readiness import tables as t

STAGES = ("None", "Staging", "Production", "Archived")
#: The alias whose guard holds for the stage of that name too.
PRODUCTION = "production"
MOST_TEXT = 100_000
_TITLE = 256


class ModelFacts(Record, frozen=True, kw_only=True):
    """What is said of a model."""

    model: str
    title: str
    description: str = ""
    changed: float | None = None
    tags: dict[str, str] = {}


class VersionFacts(Record, frozen=True, kw_only=True):
    """What is said of a version."""

    description: str = ""
    stage: str = "None"
    changed: float | None = None
    tags: dict[str, str] = {}


class StageMove(Record, frozen=True, kw_only=True):
    """One entry of the history of stages; ``at`` is wall time."""

    number: int
    stage: str
    previous: str
    at: float
    by: str


# ---------------------------------------------------------------- titles


def find(tx: Tx, title: str) -> str | None:
    """Return the name of the model that is called so, unless there is none or it is deleted."""
    called = func.coalesce(t.model_facts.c.title, t.models.c.name)
    row = tx.one(
        select(t.models.c.name)
        .select_from(t.models.outerjoin(t.model_facts, t.model_facts.c.model == t.models.c.name))
        .where(called == title)
        .where(t.models.c.name.not_in(select(t.deleted_models.c.model)))
    )
    return None if row is None else str(row.name)


def called(tx: Tx, text: str) -> str:
    """Return the name of the model that a person means: by its name, else by its title."""
    return text if text in _living(tx) else find(tx, text) or text


def create(tx: Tx, title: str, at: float) -> str:
    """Make a model that is called so and return its name: the title, if it can be one.

    A deleted model comes back: without what was said of it, and its numbers go on.

    Raises:
        AlreadyExistsError: if there is one.
        BadInputError: if the title is blank, too long or cannot be told from another.
    """
    check_title(title)
    if find(tx, title) is not None:
        raise AlreadyExistsError(f"Registered Model (name={title}) already exists.", field="name")
    name = _free_name(tx, title)
    tx.run(delete(t.deleted_models).where(t.deleted_models.c.model == name))
    if tx.one(select(t.models).where(t.models.c.name == name)) is None:
        tx.run(insert(t.models).values(name=name, newest=0, created=at))
    tx.run(delete(t.model_facts).where(t.model_facts.c.model == name))
    cells = {"model": name, "title": title, "description": "", "changed": at, "created": at}
    tx.run(insert(t.model_facts).values(**cells))
    tx.audit("model.create", f"model:{name}", {"title": title})
    return name


def rename(tx: Tx, model: str, title: str, at: float) -> None:
    """Call a model something else; its name, by which its versions are known, stays.

    Raises:
        AlreadyExistsError: if another model is called so.
        BadInputError: if it cannot be a title.
    """
    check_title(title)
    taken = find(tx, title)
    if taken == model:
        return
    if taken is not None:
        raise AlreadyExistsError(f"Registered Model (name={title}) already exists.", field="name")
    before = of_model(tx, model).title
    _set_model(tx, model, at, title=title)
    tx.audit("model.rename", f"model:{model}", {"title": title, "before": before})


def check_title(title: str) -> str:
    """Return a title that people can tell from every other.

    Raises:
        BadInputError: if it is blank, too long, or holds what does not show.
    """
    if not title.strip():
        raise BadInputError("Missing value for required parameter 'name'.", field="name")
    if any(mark in title for mark in "/:") or title in (".", ".."):
        raise BadInputError(
            f"Invalid model name '{title[:100]}'. Names cannot contain '/' or ':'.", field="name"
        )
    if len(title) > _TITLE or title != title.strip() or not title.isprintable():
        raise BadInputError(
            f"Invalid model name {title[:100]!r}: at most {_TITLE} characters that can be seen,"
            " and no space at either end.",
            field="name",
        )
    return title


def _free_name(tx: Tx, title: str) -> str:
    """Return the plain name of a new model of this title."""
    try:
        name = check_name(title)
    except BadInputError:
        plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in title)
        name = f"{plain[:60].strip('-') or 'model'}.{sha256(title.encode())[:16]}"
    taken = set(_living(tx))
    if name not in taken:
        return name
    return next(f"{name[:120]}-{n}" for n in range(2, 10**6) if f"{name[:120]}-{n}" not in taken)


def _living(tx: Tx) -> list[str]:
    gone = select(t.deleted_models.c.model)
    rows = tx.all(select(t.models.c.name).where(t.models.c.name.not_in(gone)))
    return [row.name for row in rows]


# ---------------------------------------------------------------- models


def of_model(tx: Tx, model: str) -> ModelFacts:
    """Return what is said of a model; of one nobody said anything of, its name."""
    row = tx.one(select(t.model_facts).where(t.model_facts.c.model == model))
    tags = {
        one.key: one.value
        for one in tx.all(
            select(t.model_tags).where(t.model_tags.c.model == model).order_by(t.model_tags.c.key)
        )
    }
    if row is None:
        return ModelFacts(model=model, title=model, tags=tags)
    return ModelFacts(
        model=model,
        title=row.title,
        description=row.description,
        changed=row.changed,
        tags=tags,
    )


def describe_model(tx: Tx, model: str, text: str, at: float) -> None:
    """Say what a model is for.

    Raises:
        BadInputError: if the text is too long.
    """
    _set_model(tx, model, at, description=_short(text, "description"))
    tx.audit("model.describe", f"model:{model}", {})


def touch(tx: Tx, model: str, at: float) -> None:
    """Note that something about a model changed."""
    _set_model(tx, model, at)


def tag_model(tx: Tx, model: str, tags: Mapping[str, str | None]) -> None:
    """Set tags of a model, over what they were; None takes one away.

    Raises:
        BadInputError: if a tag cannot be kept.
    """
    for key, value in tags.items():
        _tag(tx, t.model_tags, {"model": model}, key, value)
    if tags:
        tx.audit("model.tag", f"model:{model}", {"keys": sorted(tags)})


def _set_model(tx: Tx, model: str, at: float, **cells: Any) -> None:
    here = t.model_facts.c.model == model
    if tx.run(update(t.model_facts).where(here).values(changed=at, **cells)) == 0:
        values = {"title": model, "description": "", **cells}
        tx.run(insert(t.model_facts).values(model=model, changed=at, **values))


# ---------------------------------------------------------------- versions


def of_version(tx: Tx, model: str, number: int) -> VersionFacts:
    """Return what is said of a version."""
    return of_versions(tx, model, number).get(number, VersionFacts())


def of_versions(tx: Tx, model: str, number: int | None = None) -> dict[int, VersionFacts]:
    """Return what is said of a model's versions, or of one, by number."""

    def mine(table: Table) -> Any:
        asked = table.c.model == model
        return asked if number is None else asked & (table.c.number == number)

    tags: dict[int, dict[str, str]] = {}
    marked = select(t.version_tags).where(mine(t.version_tags)).order_by(t.version_tags.c.key)
    for row in tx.all(marked):
        tags.setdefault(row.number, {})[row.key] = row.value
    found = {
        row.number: VersionFacts(
            description=row.description,
            stage=row.stage,
            changed=row.changed,
            tags=tags.pop(row.number, {}),
        )
        for row in tx.all(select(t.version_facts).where(mine(t.version_facts)))
    }
    return found | {one: VersionFacts(tags=of_it) for one, of_it in tags.items()}


def describe_version(tx: Tx, model: str, number: int, text: str, at: float) -> None:
    """Say what a version is.

    Raises:
        BadInputError: if the text is too long.
    """
    _set_version(tx, model, number, at, description=_short(text, "description"))
    tx.audit("version.describe", f"version:{model}/{number}", {})


def tag_version(
    tx: Tx, model: str, number: int, tags: Mapping[str, str | None], at: float
) -> None:
    """Set tags of a version, over what they were; None takes one away.

    Raises:
        BadInputError: if a tag cannot be kept.
    """
    title = of_model(tx, model).title
    for key, value in tags.items():
        _tag(tx, t.version_tags, {"model": model, "number": number}, key, value)
        told: dict[str, Any] = {"name": title, "version": str(number), "key": key}
        if value is None:
            notices.tell(tx, "version_tag.deleted", told, at)
        else:
            notices.tell(tx, "version_tag.set", {**told, "value": value}, at)
    if tags:
        tx.audit("version.tag", f"version:{model}/{number}", {"keys": sorted(tags)})


def set_stage(
    tx: Tx, model: str, number: int, stage: str, at: float, *, archive: bool = False
) -> str:
    """Put a version into a stage and return the stage's canonical name.

    ``archive`` moves whatever was in that stage to Archived. A stage is a label: nothing of ours
    serves by it. Where the alias ``production`` is guarded, so is the stage of that name.

    Raises:
        BadInputError: if there is no such stage, or none that archives.
        GateRefusedError: if the stage is guarded and the version has no passed gate.
    """
    wanted = canonical_stage(stage)
    if archive and wanted not in ("Staging", "Production"):
        raise BadInputError(
            "Model version transition cannot archive existing model versions because"
            f" '{stage[:100]}' is not an Active stage. Valid stages are ('Staging',"
            " 'Production')",
            field="archive_existing_versions",
        )
    now = tx.now()
    if wanted == "Production" and is_guarded(tx, model, PRODUCTION):
        back = _was_in(tx, model, number, wanted) and verdicts.ever_passed(tx, model, number)
        if not back:
            refuse_ungated(tx, model, number, "go to the stage Production", now)
    before = {n: said.stage for n, said in of_versions(tx, model).items()}
    moves = {number: (before.get(number, "None"), wanted)}
    if archive:
        moves |= {n: (s, "Archived") for n, s in before.items() if s == wanted and n != number}
        there = (t.version_facts.c.model == model) & (t.version_facts.c.stage == wanted)
        others = update(t.version_facts).where(there, t.version_facts.c.number != number)
        tx.run(others.values(stage="Archived", changed=at, staged=now))
    _set_version(tx, model, number, at, stage=wanted, staged=_dated(tx, model, number, now))
    for one, (was, to) in sorted(moves.items()):
        if was != to:
            row = {"model": model, "number": one, "stage": to, "previous": was, "at": now}
            tx.run(insert(t.stage_history).values(**row, by=tx.who.name))
    touch(tx, model, at)
    tx.audit("version.stage", f"version:{model}/{number}", {"stage": wanted, "archive": archive})
    return wanted


def canonical_stage(stage: str) -> str:
    """Return a stage as it is written.

    >>> canonical_stage("production")
    'Production'

    Raises:
        BadInputError: if there is no such stage.
    """
    for known in STAGES:
        if known.lower() == stage.lower():
            return known
    raise BadInputError(
        f"Invalid Model Version stage: {stage[:100]}. Value must be one of {', '.join(STAGES)}.",
        field="stage",
    )


def _set_version(tx: Tx, model: str, number: int, at: float, **cells: Any) -> None:
    here = (t.version_facts.c.model == model) & (t.version_facts.c.number == number)
    if tx.run(update(t.version_facts).where(here).values(changed=at, **cells)) == 0:
        values = {"description": "", "stage": "None", **cells}
        row = {"model": model, "number": number, "changed": at}
        tx.run(insert(t.version_facts).values(**row, **values))


def stage_moves(tx: Tx, model: str) -> list[StageMove]:
    """Return every move of a model's versions between stages, the oldest first."""
    asked = select(t.stage_history).where(t.stage_history.c.model == model)
    return [
        StageMove(number=row.number, stage=row.stage, previous=row.previous, at=row.at, by=row.by)
        for row in tx.all(asked.order_by(t.stage_history.c.id))
    ]


def _was_in(tx: Tx, model: str, number: int, stage: str) -> bool:
    return any(
        move.number == number and stage in (move.stage, move.previous)
        for move in stage_moves(tx, model)
    )


def _dated(tx: Tx, model: str, number: int, now: float) -> float:
    """Return when a version moves to a stage: never before its gate, nor twice at one time."""
    newest = verdicts.latest(tx, model, number)
    now = max(now, (newest.made if newest else None) or now)
    here = (t.version_facts.c.model == model) & (t.version_facts.c.number == number)
    row = tx.one(select(t.version_facts.c.staged).where(here))
    return math.nextafter(now, math.inf) if row is not None and row.staged == now else now


# ---------------------------------------------------------------- guards


def guarded(tx: Tx, model: str) -> list[str]:
    """Return the aliases of a model that ask for a passed gate."""
    rows = tx.all(select(t.guarded_aliases).where(t.guarded_aliases.c.model == model))
    return sorted({"champion", *(row.alias for row in rows)})


def is_guarded(tx: Tx, model: str, alias: str) -> bool:
    """Return whether an alias asks for a passed gate; case makes no difference."""
    return alias.lower() in guarded(tx, model)


def refuse_ungated(tx: Tx, model: str, number: int, what: str, now: float | None = None) -> None:
    """Refuse what needs a passed gate that is fresh ``now``, by the wall clock.

    Raises:
        GateRefusedError: if the newest gate of the version did not pass, is stale, or there is
            none.
    """
    missing = verdicts.why_not(tx, model, number, tx.now() if now is None else now)
    if missing is not None:
        why, hint = missing
        raise GateRefusedError(f"{model}/{number} cannot {what}: {why}.", hint=hint)


def drop_all(tx: Tx, model: str) -> None:
    """Forget what was said of a model, and by which title it was known."""
    for table in (t.model_facts, t.model_tags, t.guarded_aliases):
        tx.run(delete(table).where(table.c.model == model))


def check_model(tx: Tx, model: str) -> None:
    """Refuse a model that is not there.

    Raises:
        NotFoundError: if it never was, or is deleted.
    """
    if model not in (known := _living(tx)):
        raise NotFoundError(
            f"There is no model {model!r}.", field="model", hint=meant(model, sorted(known))
        )


def _tag(tx: Tx, table: Table, where: dict[str, Any], key: str, value: str | None) -> None:
    here = table.c.key == _short(key, "key", 250)
    for name, wanted in where.items():
        here &= table.c[name] == wanted
    if value is None:
        tx.run(delete(table).where(here))
        return
    text = _short(value, f"tag {key}")
    if tx.run(update(table).where(here).values(value=text)) == 0:
        tx.run(insert(table).values(key=key, value=text, **where))


def _short(text: str, field: str, most: int = MOST_TEXT) -> str:
    if len(text) > most or "\x00" in text:
        raise BadInputError(
            f"{field} is at most {most:,} characters and holds no zero character.", field=field
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInputError(f"{field} holds half a character.", field=field) from None
    return text
