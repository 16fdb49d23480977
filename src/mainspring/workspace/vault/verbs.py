"""Secrets of steps as people keep them: set and listed. Sealing all anew is in :mod:`sealed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.backends.sealing import key_of
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines import secrets
from mainspring.pipelines.options import check_secret_name
from mainspring.workspace.vault import keys, sealed

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace


class KeptSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is kept, without its value."""

    name: str
    by: str  #: who set it
    at: float  #: UTC seconds
    key: str  #: the id of the key that sealed it; empty: an older release, unsealed
    opens: bool  #: that key is here


def put(ws: Workspace, name: str, value: str) -> KeptSecret:
    """Keep a secret, sealed; one that was there by that name is replaced.

    Raises:
        BadInputError: if the name is none of a variable, or the value too short or too long.
        SecretKeyError: if there is no key to seal it with.
    """
    authorise(ws.who, Permission.ADMIN)
    check_secret_name(name)
    secrets.check_value(name, value)
    text = sealed.seal(ws, "secret", name, value) or ""
    kept = ws.write(Permission.ADMIN, lambda tx: secrets.set_one(tx, name, text))
    return KeptSecret(name=name, by=kept.by, at=kept.at, key=key_of(text), opens=True)


def listed(ws: Workspace) -> list[KeptSecret]:
    """Return the secrets that are kept, by name, and whether they open here.

    Raises:
        SecretKeyError: if what should be the key is none.
    """

    def look(tx: Tx) -> tuple[list[secrets.SecretName], dict[str, str]]:
        names = secrets.names(tx)
        return names, secrets.values(tx, [one.name for one in names])

    names, texts = ws.read(Permission.ADMIN, look)
    ring = keys.found(ws.settings) if names else None
    found = []
    for one in names:
        key = key_of(texts[one.name])
        opens = ring is not None and ring.knows(key)
        found.append(KeptSecret(name=one.name, by=one.by, at=one.at, key=key, opens=opens))
    return found
