"""Keep the channels over which people are told, with their secrets apart."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.ports import Tx
from mainspring.ground.rules import Channel
from mainspring.monitoring.alarm_tables import channels

MOST_CHANNELS = 100


def add(tx: Tx, channel: Channel, secret: str | None, now: float) -> Channel:
    """Keep a new channel.

    Raises:
        ConflictError: if its name is taken.
        BadInputError: if its name or rate cannot be.
    """
    check_name(channel.name, "name")
    if not 1 <= channel.per_hour <= 10_000:
        raise BadInputError(
            f"per_hour is 1 to 10,000, found {channel.per_hour}.", field="per_hour"
        )
    there = every(tx)
    if any(one.name == channel.name for one in there):
        raise ConflictError(
            f"There is a channel {channel.name!r} already.",
            field="name",
            hint=f"Remove it first: mainspring channels remove {channel.name}",
        )
    if len(there) >= MOST_CHANNELS:
        raise BadInputError(f"There are {MOST_CHANNELS} channels, and no more may be.")
    kept = msgspec.structs.replace(channel, created=now, has_secret=bool(secret))
    values = {"name": kept.name, "channel": canonical(kept).decode(), "secret": secret or None}
    tx.run(insert(channels).values(created=now, **values))
    tx.audit("channel.add", f"channel:{kept.name}", {"kind": kept.kind})
    return kept


def switch(tx: Tx, name: str, *, active: bool) -> Channel:
    """Let a channel rest, or use it again.

    Raises:
        NotFoundError: if there is none.
    """
    kept = msgspec.structs.replace(get(tx, name), active=active)
    change = update(channels).where(channels.c.name == name)
    tx.run(change.values(channel=canonical(kept).decode()))
    tx.audit("channel.switch", f"channel:{name}", {"active": active})
    return kept


def remove(tx: Tx, name: str) -> None:
    """Tell nobody over a channel any more.

    Raises:
        NotFoundError: if there is none.
    """
    get(tx, name)
    tx.run(delete(channels).where(channels.c.name == name))
    tx.audit("channel.remove", f"channel:{name}", {})


def every(tx: Tx) -> list[Channel]:
    """Return every channel, by name, without secrets."""
    return [_read(row.channel) for row in tx.all(select(channels).order_by(channels.c.name))]


def get(tx: Tx, name: str) -> Channel:
    """Return one channel, without its secret.

    Raises:
        NotFoundError: if there is none.
    """
    row = tx.one(select(channels).where(channels.c.name == name))
    if row is None:
        raise NotFoundError(
            f"There is no channel {name[:80]!r}.",
            field="name",
            hint="See them: mainspring channels list",
        )
    return _read(row.channel)


def secret_of(tx: Tx, name: str) -> str | None:
    """Return a channel's secret; for the delivery alone."""
    row: Any = tx.one(select(channels.c.secret).where(channels.c.name == name))
    return None if row is None else row.secret


def _read(text: str) -> Channel:
    return msgspec.json.decode(text, type=Channel)
