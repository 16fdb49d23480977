"""Keep the versions of every model, and which of them each alias names.

Promises: numbers count from 1 and never come back; one command makes one version; a model
that has a champion always has exactly one; every move of an alias is in the history and in
the audit log, in the same transaction. What was deleted is not found here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical, check_digest, check_name
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Card, Record, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import cards, facts, notices, verdicts
from mainspring.readiness import tables as t
from mainspring.readiness.forms import with_forms
from mainspring.readiness.references import parse

CHAMPION = "champion"


class ModelSummary(Record, frozen=True, kw_only=True):
    """One line of the list of models."""

    name: str
    created: float
    newest: int
    champion: int | None


class AliasMove(Record, frozen=True, kw_only=True):
    """One entry of the alias history. ``number`` None: the alias was taken away."""

    model: str
    alias: str
    number: int | None
    previous: int | None
    reason: str
    at: float  #: event time where a loop moved it, else wall time
    by: str
    made: float | None = None  #: wall time; None: moved by a release that did not keep it


# ---------------------------------------------------------------- versions


def register(
    tx: Tx, version: Version, tags: Mapping[str, str] | None = None, description: str = ""
) -> Version:
    """Keep a new version and return it with the number it was given.

    The number that comes in is not looked at. A version whose ``command`` is known already is
    not made again: the one that is there is returned.

    Raises:
        BadInputError: if the model's name or the package's digest cannot be one.
    """
    check_name(version.model, "model")
    check_digest(version.package, "package")
    if version.command is not None:
        known = tx.one(select(t.versions).where(t.versions.c.command == version.command))
        if known is not None:
            return get(tx, known.model, known.number)
    number = _next_number(tx, version.model, version.created)
    kept = msgspec.structs.replace(version, number=number)
    tx.run(
        insert(t.versions).values(
            model=kept.model,
            number=number,
            command=kept.command,
            run=kept.run,
            package=kept.package,
            created=kept.created,
            record=canonical(kept).decode(),
        )
    )
    tx.audit(
        "version.register",
        f"version:{kept.model}/{number}",
        {"package": kept.package, "run": kept.run, "cause": kept.cause, "command": kept.command},
    )
    facts.touch(tx, kept.model, kept.created)
    told: dict[str, Any] = {"name": facts.of_model(tx, kept.model).title, "version": str(number)}
    told |= {"source": kept.source or f"package:{kept.package}", "run_id": kept.run}
    told |= {"tags": dict(tags or {}), "description": description or None}
    notices.tell(tx, "version.created", told, kept.created)
    if description:
        facts.describe_version(tx, kept.model, number, description, kept.created)
    facts.tag_version(tx, kept.model, number, tags or {}, kept.created)
    return kept


def ensure_model(tx: Tx, model: str, at: float) -> None:
    """Make a model without versions, unless it is there; a deleted one comes back.

    Raises:
        BadInputError: if the name cannot be one.
    """
    check_name(model, "model")
    gone = t.deleted_models.c.model == model
    if tx.one(select(t.models).where(t.models.c.name == model)) is None:
        tx.run(insert(t.models).values(name=model, newest=0, created=at))
        told: dict[str, Any] = {"name": model, "tags": {}, "description": None}
        notices.tell(tx, "model.created", told, at)
    elif tx.one(select(t.deleted_models).where(gone)) is not None:
        tx.run(delete(t.deleted_models).where(gone))


def get(tx: Tx, model: str, number: int) -> Version:
    """Return one version, with its newest card, as what it is served.

    Raises:
        NotFoundError: if there is no such model or number, or it is deleted.
    """
    asked = (t.versions.c.model == model) & (t.versions.c.number == number)
    row = tx.one(select(t.versions).where(asked, ~_gone()))
    if row is None:
        raise _absent(tx, model, f"version {number}")
    version = msgspec.json.decode(row.record, type=Version)
    [version] = with_forms(tx, model, [version])
    return _with_card(version, cards.newest(tx, model, number).get(number))


def versions(tx: Tx, model: str) -> list[Version]:
    """Return every version of a model, the newest first."""
    rows = tx.all(
        select(t.versions)
        .where(t.versions.c.model == model, ~_gone())
        .order_by(t.versions.c.number.desc())
    )
    newest = cards.newest(tx, model)
    found = [msgspec.json.decode(row.record, type=Version) for row in rows]
    return [_with_card(v, newest.get(v.number)) for v in with_forms(tx, model, found)]


def of_run(tx: Tx, run: str) -> list[Version]:
    """Return the versions that one run made, in the order they were registered."""
    rows = tx.all(
        select(t.versions)
        .where(t.versions.c.run == run, ~_gone())
        .order_by(t.versions.c.created, t.versions.c.model, t.versions.c.number)
    )
    return [get(tx, row.model, row.number) for row in rows]


def models(tx: Tx) -> list[ModelSummary]:
    """Return every model by name."""
    named = champions(tx)
    return [
        ModelSummary(
            name=row.name,
            created=row.created,
            newest=row.newest,
            champion=named.get(row.name),
        )
        for row in tx.all(
            select(t.models)
            .where(t.models.c.name.not_in(select(t.deleted_models.c.model)))
            .order_by(t.models.c.name)
        )
    ]


def set_card(tx: Tx, model: str, number: int, card: Card, at: float) -> Version:
    """Give a version a new card; the ones before it stay in the table.

    Raises:
        NotFoundError: if there is no such version.
    """
    get(tx, model, number)
    text = canonical(card).decode()
    tx.run(insert(t.cards).values(model=model, number=number, card=text, at=at, by=tx.who.name))
    tx.audit("card.set", f"version:{model}/{number}", {"card": msgspec.to_builtins(card)})
    return get(tx, model, number)


def resolve(tx: Tx, reference: str) -> Version:
    """Return the version that ``name/7`` or ``name@champion`` names now.

    Raises:
        BadInputError: if the text is no reference.
        NotFoundError: if what it names is not there.
    """
    wanted = parse(reference)
    if wanted.number is not None:
        return get(tx, wanted.model, wanted.number)
    number = _aliased(tx, wanted.model, wanted.alias or "")
    if number is None:
        raise _absent(tx, wanted.model, f"alias {wanted.alias!r}")
    return get(tx, wanted.model, number)


# ---------------------------------------------------------------- aliases


def champions(tx: Tx) -> dict[str, int]:
    """Return the champion of every model that has one."""
    named = select(t.aliases).where(t.aliases.c.alias == CHAMPION)
    return {row.model: int(row.number) for row in tx.all(named)}


def champion_packages(tx: Tx) -> dict[str, tuple[int, str]]:
    """Return number and package, as it is served, of the champion of every model that has one."""
    here = (t.versions.c.model == t.aliases.c.model) & (t.versions.c.number == t.aliases.c.number)
    form = (t.version_forms.c.model == t.versions.c.model) & (
        t.version_forms.c.number == t.versions.c.number
    )
    asked = (
        select(t.versions.c.model, t.versions.c.number, t.versions.c.package)
        .add_columns(t.version_forms.c.package.label("form"))
        .select_from(t.aliases.join(t.versions, here).outerjoin(t.version_forms, form))
        .where(t.aliases.c.alias == CHAMPION, ~_gone())
    )
    return {row.model: (int(row.number), row.form or row.package) for row in tx.all(asked)}


def champion(tx: Tx, model: str) -> int | None:
    """Return the number of the version that serves, or None before the first promotion."""
    return _aliased(tx, model, CHAMPION)


def aliases_of(tx: Tx, model: str) -> dict[str, int]:
    """Return which version each alias of a model names."""
    rows = tx.all(select(t.aliases).where(t.aliases.c.model == model).order_by(t.aliases.c.alias))
    return {row.alias: row.number for row in rows}


def set_alias(tx: Tx, model: str, alias: str, number: int, reason: str, at: float) -> int | None:
    """Move an alias to a version and return the number it named before.

    An alias that is there already is left alone and leaves no trace. Guarded aliases, such as
    champion, ask for a passed gate that is fresh by the wall clock: the newest one, unless the
    alias named the version before (so that a roll-back is always possible, however old its gate).

    Raises:
        NotFoundError: if there is no such version.
        GateRefusedError: if the alias is guarded and the version has no passed, fresh gate.
        BadInputError: if the alias cannot be a name or the reason is blank.
    """
    check_name(alias, "alias")
    _need_reason(reason)
    get(tx, model, number)
    previous = _aliased(tx, model, alias)
    if previous == number:
        return previous
    # The clock is read once: a gate that expires within the move holds for all of it, or for none.
    now = tx.now()
    back = _was_named(tx, model, alias, number) and verdicts.ever_passed(tx, model, number)
    if facts.is_guarded(tx, model, alias) and not back:
        what = "become champion" if alias == CHAMPION else f"be called {alias}"
        facts.refuse_ungated(tx, model, number, what, now)
    here = (t.aliases.c.model == model) & (t.aliases.c.alias == alias)
    moved = _dated(tx, model, alias, number, now)
    if previous is None:
        tx.run(insert(t.aliases).values(model=model, alias=alias, number=number, moved=moved))
    else:
        tx.run(update(t.aliases).where(here).values(number=number, moved=moved))
    move = {"model": model, "alias": alias, "number": number, "previous": previous}
    _note(tx, move, reason, at)
    return previous


def drop_alias(tx: Tx, model: str, alias: str, reason: str, at: float) -> None:
    """Take an alias away; nothing happens if it is not there.

    Raises:
        ConflictError: for the champion alias, which can only move.
        BadInputError: if the reason is blank.
    """
    _need_reason(reason)
    if alias == CHAMPION:
        raise ConflictError(
            f"The champion alias of {model} cannot be taken away, only moved.",
            hint="Promote another version instead.",
        )
    previous = _aliased(tx, model, alias)
    if previous is None:
        return
    tx.run(delete(t.aliases).where((t.aliases.c.model == model) & (t.aliases.c.alias == alias)))
    move = {"model": model, "alias": alias, "number": None, "previous": previous}
    _note(tx, move, reason, at)


def promote(tx: Tx, model: str, number: int, reason: str, at: float) -> int | None:
    """Make a version champion and return the champion before it.

    Asked twice for the same version, it changes nothing and gives the same answer.

    Raises:
        NotFoundError, GateRefusedError, BadInputError: as :func:`set_alias`.
    """
    previous = set_alias(tx, model, CHAMPION, number, reason, at)
    return history(tx, model, CHAMPION)[-1].previous if previous == number else previous


def roll_back(
    tx: Tx, model: str, reason: str, at: float, to: int | None = None
) -> tuple[int, int]:
    """Give the champion alias back and return (withdrawn, champion now).

    Without ``to`` it goes to the champion before this one.

    Raises:
        ConflictError: if there is no champion before this one, or ``to`` never was champion.
        BadInputError: if the reason is blank.
    """
    serving = champion(tx, model)
    target = previous_champion(tx, model) if to is None else to
    if serving is None or target is None:
        raise ConflictError(f"{model} has no champion before this one to go back to.")
    if not _was_named(tx, model, CHAMPION, target):
        raise ConflictError(
            f"{model}/{target} never was champion, so it is not a roll-back.",
            hint="Promote it instead.",
        )
    set_alias(tx, model, CHAMPION, target, reason, at)
    return serving, target


def previous_champion(tx: Tx, model: str) -> int | None:
    """Return the champion that a roll-back goes to, or None.

    Going back forgets what was gone back from: after 1, 2, 3 and a roll-back to 2 it is 1, so
    that two roll-backs in a row never return to what was withdrawn.
    """
    line: list[int] = []
    for move in history(tx, model, CHAMPION):
        if move.number in line:
            del line[line.index(move.number) + 1 :]
        elif move.number is not None:
            line.append(move.number)
    return line[-2] if len(line) > 1 else None


def history(tx: Tx, model: str, alias: str | None = None) -> list[AliasMove]:
    """Return every move of a model's aliases, the oldest first."""
    query = select(t.alias_history).where(t.alias_history.c.model == model)
    if alias is not None:
        query = query.where(t.alias_history.c.alias == alias)
    return [
        AliasMove(
            model=row.model,
            alias=row.alias,
            number=row.number,
            previous=row.previous,
            reason=row.reason,
            at=row.at,
            by=row.by,
            made=row.made,
        )
        for row in tx.all(query.order_by(t.alias_history.c.id))
    ]


# ---------------------------------------------------------------- parts


def _next_number(tx: Tx, model: str, at: float) -> int:
    ensure_model(tx, model, at)
    counted = tx.all(
        update(t.models)
        .where(t.models.c.name == model)
        .values(newest=t.models.c.newest + 1)
        .returning(t.models.c.newest)
    )
    return int(counted[0].newest)


def _aliased(tx: Tx, model: str, alias: str) -> int | None:
    row = tx.one(select(t.aliases).where(t.aliases.c.model == model, t.aliases.c.alias == alias))
    return None if row is None else row.number


def _dated(tx: Tx, model: str, alias: str, number: int, now: float) -> float:
    """Return the wall time of a move: never before the version's gate, nor twice the same.

    The database's guard asks both of the row; a clock that was set back must not make it refuse.
    """
    newest = verdicts.latest(tx, model, number)
    now = max(now, (newest.made if newest else None) or 0.0)
    here = (t.aliases.c.model == model) & (t.aliases.c.alias == alias)
    row = tx.one(select(t.aliases.c.moved).where(here))
    return math.nextafter(now, math.inf) if row is not None and row.moved == now else now


def _was_named(tx: Tx, model: str, alias: str, number: int) -> bool:
    found = tx.one(
        select(t.alias_history.c.id)
        .where(
            t.alias_history.c.model == model,
            t.alias_history.c.alias == alias,
            t.alias_history.c.number == number,
        )
        .limit(1)
    )
    return found is not None


def _gone() -> ColumnElement[bool]:
    """Return whether a row of versions was deleted."""
    return (
        select(t.deleted_versions.c.number)
        .where(
            t.deleted_versions.c.model == t.versions.c.model,
            t.deleted_versions.c.number == t.versions.c.number,
        )
        .exists()
    )


def _note(tx: Tx, move: dict[str, Any], reason: str, at: float) -> None:
    who = {"at": at, "by": tx.who.name, "made": tx.now()}
    tx.run(insert(t.alias_history).values(**move, reason=reason, **who))
    tx.audit("alias.move", f"model:{move['model']}", move, reason)
    facts.touch(tx, move["model"], at)
    told = {"name": facts.of_model(tx, move["model"]).title, "alias": move["alias"]}
    if move["number"] is None:
        notices.tell(tx, "alias.removed", told, at)
    else:
        notices.tell(tx, "alias.set", {**told, "version": str(move["number"])}, at)


def _with_card(version: Version, card: Card | None) -> Version:
    return version if card is None else msgspec.structs.replace(version, card=card)


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise BadInputError("Moving an alias needs a reason.", field="reason")


def _absent(tx: Tx, model: str, what: str) -> NotFoundError:
    row = tx.one(select(t.models).where(t.models.c.name == model))
    if row is None or tx.one(select(t.deleted_models).where(t.deleted_models.c.model == model)):
        names = (one.name for one in models(tx))
        return NotFoundError(
            f"There is no model {str(model)[:80]!r}.", field="model", hint=meant(str(model), names)
        )
    named = aliases_of(tx, model)
    known = ", ".join(f"@{alias}={number}" for alias, number in named.items()) or "no aliases"
    return NotFoundError(
        f"Model {model} has no {what}.", hint=f"It has versions up to {row.newest} and {known}."
    )
