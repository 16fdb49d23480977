"""Tokens: made once, stored hashed, ended by time or by hand."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256

import msgspec
from sqlalchemy import Column, Float, MetaData, String, Table, insert, select, update

from mainspring.ground.errors import AlreadyExistsError, BadInputError, NotFoundError
from mainspring.ground.identity import check_name, new_id
from mainspring.ground.permissions import Principal, Role
from mainspring.ground.ports import Tx

METADATA = MetaData()

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
)

_GIVEN = (Role.TRIGGER, Role.VIEWER, Role.CONTRIBUTOR, Role.APPROVER, Role.ADMIN)


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it may be shown: never its secret."""

    name: str
    role: str
    created: float
    expires: float | None
    revoked: float | None


def create(tx: Tx, name: str, role: str, *, now: float, ttl_s: float | None) -> str:
    """Make a token and return its secret, which is never to be seen again.

    Raises:
        BadInputError: if the name or role cannot be.
        AlreadyExistsError: if the name was ever used.
    """
    check_name(name)
    if role not in _GIVEN:
        raise BadInputError(
            f"role must be one of {', '.join(_GIVEN)}, found {role!r}.", field="role"
        )
    if ttl_s is not None and ttl_s <= 0:
        raise BadInputError(f"A token must live longer than 0 s, found {ttl_s}.", field="ttl")
    if tx.one(select(TOKENS.c.id).where(TOKENS.c.name == name)) is not None:
        raise AlreadyExistsError(f"There is a token named {name} already.", field="name")
    key = new_id("tok")
    secret = f"ms_{key[4:]}_{secrets.token_urlsafe(32)}"
    tx.run(
        insert(TOKENS).values(
            id=key,
            name=name,
            role=role,
            hash=_hash(secret),
            created=now,
            expires=None if ttl_s is None else now + ttl_s,
        )
    )
    tx.audit("token.create", f"token:{name}", {"role": role, "ttl_s": ttl_s})
    return secret


def verify(tx: Tx, secret: str, now: float) -> Principal | None:
    """Return who a secret belongs to, or None if it is unknown, expired or revoked."""
    parts = secret.split("_", 2)
    if len(parts) != 3 or parts[0] != "ms":
        return None
    row = tx.one(select(TOKENS).where(TOKENS.c.id == f"tok_{parts[1]}"))
    if row is None or not hmac.compare_digest(row.hash, _hash(secret)):
        return None
    if row.revoked is not None or (row.expires is not None and row.expires <= now):
        return None
    return Principal(name=row.name, role=Role(row.role))


def revoke(tx: Tx, name: str, now: float) -> None:
    """End a token at once.

    Raises:
        NotFoundError: if there is no living token by that name.
    """
    living = (TOKENS.c.name == name) & TOKENS.c.revoked.is_(None)
    if not tx.run(update(TOKENS).where(living).values(revoked=now)):
        raise NotFoundError(f"There is no living token named {name}.", field="name")
    tx.audit("token.revoke", f"token:{name}", {})


def listed(tx: Tx) -> list[TokenInfo]:
    """Return every token ever made, newest first."""
    rows = tx.all(select(TOKENS).order_by(TOKENS.c.created.desc()))
    return [
        TokenInfo(
            name=r.name, role=r.role, created=r.created, expires=r.expires, revoked=r.revoked
        )
        for r in rows
    ]


def exist(tx: Tx) -> bool:
    """Return whether any token was ever made; from then on, tokens alone count."""
    return tx.one(select(TOKENS.c.id).limit(1)) is not None


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return sha256(secret.encode()).hexdigest()
