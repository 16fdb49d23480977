"""Know the versions that answer elsewhere by what their rows call them.

A version of ours is called by its number, or MODEL/NUMBER. Whatever else a row says (2.1,
2026-06-fraud) gets a number of the endpoint's model when it is first seen, and the baseline that
it was given, or the endpoint's newest one until it is given its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select

from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.ground.objects import Version
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.serving.tables import fed_versions

#: A column with more unknown names than that in one part of a file is no column of versions.
MOST_NEW = 20
MOST_CHARS = 255
ELSEWHERE = "elsewhere:"  #: how the source of a version begins that answers elsewhere


def usual(tx: Tx, model: str) -> Version:
    """Return the version of rows that name none: the champion, else the newest without a name.

    Raises:
        NotFoundError: if the model has no version, and so no baseline.
    """
    champion = registry.champion(tx, model)
    if champion is not None:
        return registry.get(tx, model, champion)
    found = registry.versions(tx, model)
    if not found:
        raise NotFoundError(
            f"{model} has no baseline yet.",
            field="endpoint",
            hint="Give it one: mainspring monitor create NAME --baseline FILE",
        )
    return next((one for one in found if one.source == nameless(model)), found[0])


def nameless(model: str) -> str:
    """Return the source of a baseline that was given without a version's name."""
    return f"{ELSEWHERE}{model}"


def numbers(tx: Tx, endpoint: str, model: str, names: Sequence[str], at: float) -> dict[str, int]:
    """Return the number of each version that rows name; new names are given one.

    Raises:
        BadInputError: if so many are new that the column can hold no versions.
    """
    known = called(tx, endpoint)
    new = [name for name in names if name not in known]
    if len(new) > MOST_NEW:
        raise BadInputError(
            f"{len(new):,} different versions are named, such as {new[0][:80]!r}.",
            field="version",
            hint="Is it the column of versions? Name another with --version-column.",
        )
    for name in new:
        if not 0 < len(name) <= MOST_CHARS:
            raise BadInputError(
                f"A version's name has 1 to {MOST_CHARS} characters.", field="version"
            )
        known[name] = _number(tx, model, name, set(known.values()), at)
        bind(tx, endpoint, name, known[name])
    return {name: known[name] for name in names}


def called(tx: Tx, endpoint: str) -> dict[str, int]:
    """Return the numbers of the versions that rows of an endpoint have named."""
    rows = tx.all(select(fed_versions).where(fed_versions.c.endpoint == endpoint))
    return {row.name: int(row.number) for row in rows}


def bind(tx: Tx, endpoint: str, name: str, number: int) -> None:
    """Let rows that name a version so belong to a number from now on."""
    mine = (fed_versions.c.endpoint == endpoint) & (fed_versions.c.name == name)
    tx.run(delete(fed_versions).where(mine))
    tx.run(insert(fed_versions).values(endpoint=endpoint, name=name, number=number))


def _number(tx: Tx, model: str, name: str, taken: set[int], at: float) -> int:
    ours = name.removeprefix(f"{model}/")
    if ours.isdecimal() and len(ours) < 10:
        try:
            return registry.get(tx, model, int(ours)).number
        except NotFoundError:
            pass  # another server's own count
    like = _another(tx, name)
    if like is None:
        for one in registry.versions(tx, model):
            if one.source == nameless(model) and one.number not in taken:
                return one.number  # its baseline was given before its name was known
        like = usual(tx, model)
    copy = msgspec.structs.replace(
        like,
        model=model,
        number=0,
        command=None,
        created=at,
        by=tx.who.name,
        source=f"{ELSEWHERE}{name}",
        cause=f"version:{like.model}/{like.number}",
    )
    return registry.register(tx, copy).number


def _another(tx: Tx, name: str) -> Version | None:
    """Return the version of another model of ours that a name such as ``churn/3`` means."""
    if "/" not in name and "@" not in name:
        return None
    try:
        return registry.resolve(tx, name)
    except MainspringError:
        return None  # it only looks like one
