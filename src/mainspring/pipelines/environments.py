"""The environments that steps were planned for, each kept once under its digest."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import insert, select, update

from mainspring.ground.environment import environment_digest
from mainspring.ground.identity import canonical
from mainspring.ground.locks import Lock
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import environments, steps


def keep(tx: Tx, listing: Mapping[str, str], lock: Lock | None = None) -> str:
    """Keep what was installed, and what it can be built of; return its digest.

    The newest lock counts: where packages come from may have moved.
    """
    digest = environment_digest(listing)
    text = None if lock is None else canonical(lock).decode()
    row = tx.one(select(environments).where(environments.c.digest == digest))
    if row is None:
        cells = {"digest": digest, "listing": canonical(dict(listing)).decode(), "lock": text}
        tx.run(insert(environments).values(**cells))
    elif text is not None and row.lock != text:
        tx.run(update(environments).where(environments.c.digest == digest).values(lock=text))
    return digest


def lock_of(tx: Tx, digest: str) -> Lock | None:
    """Return what an environment can be built of; None if it is not known."""
    row = tx.one(select(environments.c.lock).where(environments.c.digest == digest))
    if row is None or row.lock is None:
        return None
    return msgspec.json.decode(row.lock, type=Lock)


def of_steps(tx: Tx, run: str) -> dict[str, str]:
    """Return the digest of the environment that each step of a run was planned for."""
    rows = tx.all(select(steps.c.step, steps.c.env).where(steps.c.run == run))
    return {row.step: row.env for row in rows}
