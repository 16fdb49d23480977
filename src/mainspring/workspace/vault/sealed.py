"""Seal what lies in the database: on the way in and out, at the first start, and anew.

Every value is bound to its table, column and row, so that one that was moved does not open.
"""

from __future__ import annotations

import logging
import secrets as chance
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import Table, and_, select, text, update

from mainspring.backends.sealing import Ring, is_sealed, key_of
from mainspring.engine.tables import triggers
from mainspring.ground.errors import BadInputError, SecretKeyError
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, owner
from mainspring.ground.ports import Tx
from mainspring.monitoring.alarm_tables import channels
from mainspring.pipelines.tables import secrets
from mainspring.readiness.tables import webhooks
from mainspring.workspace.vault import keys

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

_log = logging.getLogger("mainspring.vault")

#: Every table that holds a secret which has to be shown to somebody as it is: a digest, as of
#: tokens, would not do. By the column that names the row.
TABLES: dict[str, tuple[Table, str]] = {
    "secret": (secrets, "name"),
    "channel": (channels, "name"),
    "webhook": (webhooks, "id"),
    "trigger": (triggers, "name"),
}


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What sealing anew did."""

    key: str  #: the id of the key that seals now
    sealed: int  #: values that it sealed
    kept: list[str]  #: ids of older keys that still open, until the next rotation
    unopened: list[str]  #: what another key sealed; it was left as it is


class Value(NamedTuple):
    """A value as it lies in the database."""

    kind: str
    name: str
    text: str

    @property
    def place(self) -> str:
        """Return what it is bound to, and called in errors."""
        return f"{self.kind}:{self.name}"


def seal(ws: Workspace, kind: str, name: str, value: str | None) -> str | None:
    """Return a secret as it may lie in the database; the home's key is made on first need.

    Raises:
        SecretKeyError: if the key is none, or values there take one that is not here.
    """
    if value is None:
        return None
    return _ring(ws).seal(f"{kind}:{name}", value)


def unseal(ws: Workspace, kind: str, name: str, kept: str | None) -> str | None:
    """Return the secret that :func:`seal` made a text of.

    Raises:
        SecretKeyError: if the key that sealed it is not here.
        DamagedError: if the text was changed.
    """
    if kept is None:
        return None
    ring = keys.found(ws.settings) or Ring([], str(keys.place(ws.settings)))
    return ring.unseal(f"{kind}:{name}", kept)


def _ring(ws: Workspace) -> Ring:
    ring = keys.found(ws.settings)
    if ring is not None:
        return ring
    # A second key would split the secrets of one database between homes that share it.
    foreign = ws.store.read(owner(), Permission.ADMIN, lambda tx: _some(tx, sealed=True))
    if foreign:
        raise SecretKeyError(
            f"The secrets of this database are sealed with the key {key_of(foreign[0].text)},"
            f" and there is no key at {keys.place(ws.settings)}.",
            hint="Nothing is lost: bring that home's secret.key here, or name it with"
            " MAINSPRING_SECRET_KEY or the setting secret_key_file. If it is gone for good:"
            " mainspring secret rotate --new-key",
        )
    return keys.made(ws.settings)


# ---------------------------------------------------------------- the first start


def at_start(ws: Workspace) -> int:
    """Seal what an older release left as it was; return how many values that were.

    Where the home has its key file, that was done before and nothing is asked. Values that
    cannot be sealed stay as they are, and a warning says why.
    """
    if not keys.told() and keys.place(ws.settings).exists():
        return 0
    if not ws.store.read(owner(), Permission.ADMIN, lambda tx: _some(tx, sealed=False)):
        return 0
    try:
        ring = _ring(ws)
    except SecretKeyError as error:
        _log.warning("Secrets of an older release stay unsealed: %s", error)
        return 0

    def work(tx: Tx) -> int:
        with _wiping(tx):
            bare = [one for one in _every(tx) if not is_sealed(one.text)]
            for one in bare:
                _keep(tx, one, ring.seal(one.place, one.text))
        if bare:
            tx.audit("secret.seal", "secrets", {"key": ring.current, "sealed": len(bare)})
        here("vault.sealed")
        return len(bare)

    done = ws.store.write(owner(), Permission.ADMIN, work)
    copies = sorted(ws.home.glob("*.db.schema-*"))
    if copies:
        _log.warning("%s holds secrets unsealed: remove it once you need it no more", copies[0])
    return done


# ---------------------------------------------------------------- anew


def rotate(ws: Workspace, *, new_key: bool = False) -> Rotated:
    """Seal every secret with a new key.

    (1) The new key stands in the file before the old; (2) one transaction seals every value
    anew; (3) keys that no value takes are taken out, but for the last: who looked a moment ago
    may still bring a value under it. Cut short anywhere, each value opens with a key of the
    file. Where the environment gives the keys, its first seals, and nothing is made.

    ``new_key`` goes on with a new key although values take one that is gone; they stay as they
    are, and open again when it comes back.

    Raises:
        SecretKeyError: if values take a key that is not here, and ``new_key`` is not given.
    """
    ring = keys.found(ws.settings) if new_key else _ring(ws)
    before = [] if ring is None else ring.keys
    strange = [] if new_key else _unknown(ws, ring)
    if strange:
        raise SecretKeyError(
            f"{strange[0].place} takes the key {key_of(strange[0].text)}, which is not in"
            f" {keys.place(ws.settings) if ring is None else ring.where}.",
            hint="Bring it back as a further line of that file; or leave what it sealed as it"
            " is: mainspring secret rotate --new-key",
        )
    if not keys.told():
        if ws.settings.secret_key_file and ring is None:
            raise BadInputError("The file of secret_key_file is not there.", field="new_key")
        keys.replace(ws.settings, [chance.token_bytes(32), *before])
        here("vault.key")
    now = keys.made(ws.settings)

    def work(tx: Tx) -> tuple[int, list[str]]:
        every, left = list(_every(tx)), []
        with _wiping(tx):
            for one in every:
                if is_sealed(one.text) and not now.knows(key_of(one.text)):
                    left.append(one.place)
                    continue
                value = now.unseal(one.place, one.text) if is_sealed(one.text) else one.text
                _keep(tx, one, now.seal(one.place, value))
        detail = {"key": now.current, "sealed": len(every) - len(left), "left": len(left)}
        tx.audit("secret.rotate", "secrets", detail)
        here("vault.rotated")
        return len(every) - len(left), left

    count, left = ws.write(Permission.ADMIN, work)
    older = now.keys[1:2]
    if not keys.told():
        keys.replace(ws.settings, [now.keys[0], *older])
    kept = [Ring([key], now.where).current for key in (now.keys[1:] if keys.told() else older)]
    return Rotated(key=now.current, sealed=count, kept=kept, unopened=left)


def _unknown(ws: Workspace, ring: Ring | None) -> list[Value]:
    every = ws.read(Permission.ADMIN, lambda tx: list(_every(tx)))
    return [
        one
        for one in every
        if is_sealed(one.text) and (ring is None or not ring.knows(key_of(one.text)))
    ]


# ---------------------------------------------------------------- rows


def _every(tx: Tx) -> Iterator[Value]:
    for kind, (table, name) in TABLES.items():
        mine = select(table.c[name].label("name"), table.c.secret).order_by(table.c[name])
        for row in tx.all(mine.where(table.c.secret.is_not(None))):
            yield Value(kind, row.name, row.secret)


def _some(tx: Tx, *, sealed: bool) -> list[Value]:
    """Return a value that is sealed, or one that is not, if there is any."""
    return next(([one] for one in _every(tx) if is_sealed(one.text) is sealed), [])


def _keep(tx: Tx, one: Value, sealed: str) -> None:
    table, name = TABLES[one.kind]
    mine = and_(table.c[name] == one.name, table.c.secret == one.text)
    tx.run(update(table).where(mine).values(secret=sealed))


@contextmanager
def _wiping(tx: Tx) -> Iterator[None]:
    """Let SQLite write zeros over what it lets go of meanwhile: the values as they were."""
    if tx.dialect != "sqlite":
        yield
        return
    before = tx.one(text("PRAGMA secure_delete"))
    tx.all(text("PRAGMA secure_delete = ON"))
    yield
    tx.all(text(f"PRAGMA secure_delete = {int(before[0]) if before else 0}"))
