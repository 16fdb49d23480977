"""Secrets that steps are given by name: kept apart and sealed, shown to nobody, in no archive."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.ports import Tx
from mainspring.pipelines.options import check_secret_name
from mainspring.pipelines.tables import secrets

LEAST, MOST = 6, 65_536  #: characters of a value; a shorter one cannot be kept out of a log


class SecretName(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is kept, without its value."""

    name: str
    by: str  #: who set it
    at: float  #: UTC seconds


def set_one(tx: Tx, name: str, sealed: str) -> SecretName:
    """Keep a secret, sealed by the workspace; one that was there by that name is replaced.

    Raises:
        BadInputError: if the name is none of a variable.
    """
    check_secret_name(name)
    kept = SecretName(name=name, by=tx.who.name, at=tx.now())
    tx.run(delete(secrets).where(secrets.c.name == name))
    tx.run(insert(secrets).values(name=name, secret=sealed, set_by=kept.by, at=kept.at))
    tx.audit("secret.set", f"secret:{name}", {})
    return kept


def check_value(name: str, value: str) -> str:
    """Return the value of a secret that can be kept out of logs.

    Raises:
        BadInputError: if it is too short or too long, or has a NUL.
    """
    if not LEAST <= len(value) <= MOST or "\x00" in value:
        raise BadInputError(
            f"Secret {name} has {len(value):,} characters; it must have {LEAST} to {MOST:,}, and"
            " no NUL.",
            field="value",
            hint="What is shorter could not be kept out of logs without tearing holes into words.",
        )
    return value


def remove(tx: Tx, name: str) -> None:
    """Forget a secret.

    Raises:
        NotFoundError: if there is none by that name.
    """
    if not tx.run(delete(secrets).where(secrets.c.name == name)):
        raise NotFoundError(f"There is no secret {name[:80]!r}.", field="name")
    tx.audit("secret.remove", f"secret:{name}", {})


def names(tx: Tx) -> list[SecretName]:
    """Return the secrets that are kept, by name, without their values."""
    rows = tx.all(select(secrets.c.name, secrets.c.set_by, secrets.c.at).order_by(secrets.c.name))
    return [SecretName(name=row.name, by=row.set_by, at=row.at) for row in rows]


def values(tx: Tx, wanted: Sequence[str]) -> dict[str, str]:
    """Return those secrets that are kept, sealed as they are; for the step that asks."""
    rows = tx.all(select(secrets).where(secrets.c.name.in_(list(wanted))))
    return {row.name: row.secret for row in rows}
