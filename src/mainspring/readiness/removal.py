"""Delete versions and models so that nobody finds them, and refuse it for what is needed.

Rows stay: what the gate and the history said of a version can still be proven.
"""

from __future__ import annotations

from sqlalchemy import insert

from mainspring.ground.errors import ConflictError
from mainspring.ground.ports import Tx
from mainspring.readiness import facts, registry
from mainspring.readiness import tables as t

_REASON = "The version was deleted."


def delete_version(tx: Tx, model: str, number: int, at: float) -> None:
    """Hide a version and take its aliases away.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if it is champion, or the one a roll-back goes to.
    """
    registry.get(tx, model, number)
    _refuse_needed(tx, model, number)
    for alias, named in registry.aliases_of(tx, model).items():
        if named == number:
            registry.drop_alias(tx, model, alias, _REASON, at)
    tx.run(insert(t.deleted_versions).values(model=model, number=number, at=at, by=tx.who.name))
    tx.audit("version.delete", f"version:{model}/{number}", {})
    facts.touch(tx, model, at)


def delete_model(tx: Tx, model: str, at: float) -> None:
    """Hide a model and all its versions; its name is free again.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if it has a champion.
    """
    facts.check_model(tx, model)
    serving = registry.champion(tx, model)
    if serving is not None:
        raise ConflictError(
            f"Model {model} cannot be deleted: {model}/{serving} is its champion.",
            field="name",
        )
    for version in registry.versions(tx, model):
        delete_version(tx, model, version.number, at)
    facts.drop_all(tx, model)
    tx.run(insert(t.deleted_models).values(model=model, at=at, by=tx.who.name))
    tx.audit("model.delete", f"model:{model}", {})


def guard(tx: Tx, model: str, aliases: list[str], at: float) -> list[str]:
    """Say which aliases of a model ask for a passed gate; champion always does.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if champion is not among them.
        GateRefusedError: if one of them names a version without a passed gate now.
    """
    facts.check_model(tx, model)
    wanted = {alias.lower() for alias in aliases}
    if registry.CHAMPION not in wanted:
        raise ConflictError(
            "The champion alias is always guarded: it is what serves.",
            field="aliases",
            hint=f"Name it too: {','.join(['champion', *sorted(wanted)])}.",
        )
    for alias, number in registry.aliases_of(tx, model).items():
        if alias.lower() in wanted and alias != registry.CHAMPION:
            facts.refuse_ungated(tx, model, number, f"keep the alias {alias}")
    if facts.PRODUCTION in wanted:
        _refuse_ungated_stages(tx, model)
    before = facts.guarded(tx, model)
    tx.run(t.guarded_aliases.delete().where(t.guarded_aliases.c.model == model))
    rows = [{"model": model, "alias": one} for one in sorted(wanted - {registry.CHAMPION})]
    if rows:
        tx.run(insert(t.guarded_aliases), rows)
    now = facts.guarded(tx, model)
    tx.audit("model.guard", f"model:{model}", {"aliases": now, "before": before})
    facts.touch(tx, model, at)
    return now


def _refuse_ungated_stages(tx: Tx, model: str) -> None:
    living = {version.number for version in registry.versions(tx, model)}
    for number, said in facts.of_versions(tx, model).items():
        if said.stage == "Production" and number in living:
            facts.refuse_ungated(tx, model, number, "stay in the stage Production")


def _refuse_needed(tx: Tx, model: str, number: int) -> None:
    if registry.champion(tx, model) == number:
        raise ConflictError(
            f"{model}/{number} cannot be deleted: it is the champion, and it serves.",
            field="version",
            hint="Promote another version first.",
        )
    if registry.previous_champion(tx, model) == number:
        raise ConflictError(
            f"{model}/{number} cannot be deleted: a roll-back of {model} would go to it.",
            field="version",
        )
