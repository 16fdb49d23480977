"""Carry pages to people: durable, in order for each channel, and a dead channel is an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.backends.notify.opening import open_notifier
from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done
from mainspring.ground.errors import MainspringError, NotFoundError, UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission
from mainspring.ground.rules import Channel, Message
from mainspring.monitoring import channels, paging, rules, states
from mainspring.workspace.alarming.evaluating import settle

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

KIND, LOST = "tell", "tell_lost"
#: The last try is about a minute after the first; then the channel is dead.
ATTEMPTS, BACKOFF_S = 6, 2.0


def due(tx: Tx, now: float) -> list[NewTask]:
    """Return the work that channels have, at most one task a channel at a time."""
    found = []
    for name, last in paging.waiting_channels(tx, now).items():
        work = NewTask(
            id=f"tell/{name}/{last}",
            kind=KIND,
            payload={"channel": name, "last": last},
            group=group_of(name),
            max_attempts=ATTEMPTS,
            backoff_s=BACKOFF_S,
        )
        if not tasks.all_final(tx, group_of(name)):
            continue
        before = tasks.get(tx, work.id)
        if before is not None and before.state in tasks.BROKEN:
            # Its workers died every time: what it could not say of itself is said for it.
            payload = {**work.payload, "error": before.error or "It was cancelled."}
            work = NewTask(id=f"{work.id}/lost", kind=LOST, payload=payload, group=group_of(name))
        elif before is not None:  # done, and asked for once more by a person
            work = msgspec.structs.replace(work, id=f"{work.id}/{now:.3f}")
        found.append(work)
    return found


def group_of(channel: str) -> str:
    """Return what a channel's deliveries are counted, cancelled and retried by."""
    return f"channel/{channel}"


class Delivering:
    """Carries out what channels have to tell."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def tell(self, lease: Lease) -> Done:
        """Tell what waits for one channel, in one message."""
        name, last = lease.task.payload["channel"], int(lease.task.payload["last"])

        def look(tx: Tx) -> tuple[Channel, str | None, list[tuple[int, Message]]]:
            channel = channels.get(tx, name)
            return channel, channels.secret_of(tx, name), paging.waiting(tx, name, last)

        try:
            channel, secret, several = self._ws.read(Permission.WORK, look)
        except NotFoundError:
            return Done(apply=lambda tx: _drop(tx, name))
        if not several:
            return Done()
        message = paging.together([one for _, one in several], name)
        seqs = [seq for seq, _ in several]
        try:
            said = send(self._ws, channel, secret, message)
        except UnavailableError as error:
            if lease.attempt < lease.task.last_attempt:
                raise
            return self._dead(name, seqs, message.id, str(error))
        except MainspringError as error:
            return self._dead(name, seqs, message.id, str(error))
        here("tell.sent")

        def apply(tx: Tx) -> None:
            now = self._ws.clock.now()
            paging.ended(tx, seqs, now, message=message.id)
            note(tx, name, now, None)

        return Done(result={"said": said, "pages": len(seqs)}, apply=apply)

    def lost(self, lease: Lease) -> Done:
        """Note that what a channel had to tell was given up."""
        asked = lease.task.payload
        name, last = asked["channel"], int(asked["last"])
        several = self._ws.read(Permission.WORK, lambda tx: paging.waiting(tx, name, last))
        return self._dead(name, [seq for seq, _ in several], lease.task.id[-64:], asked["error"])

    def _dead(self, name: str, seqs: list[int], message: str, error: str) -> Done:
        def apply(tx: Tx) -> None:
            now = self._ws.clock.now()
            paging.ended(tx, seqs, now, message=message, error=error)
            note(tx, name, now, error)

        return Done(result={"error": error}, apply=apply)


def send(ws: Workspace, channel: Channel, secret: str | None, message: Message) -> str:
    """Tell something over a channel now, from this process.

    Raises:
        UnavailableError: if another try may do better.
        MainspringError: if none will.
    """
    notifier = open_notifier(channel.kind, channel.target, secret, ws.settings.webhook_hosts)
    return notifier.send(message, ws.clock.now())


def note(tx: Tx, name: str, now: float, error: str | None) -> None:
    """Note whether a channel can be reached: one that cannot is an alarm, told over the others."""
    known = states.some(tx, [states.state_id("", "channel", name)])
    if error is None and not known:
        return  # it never was an alarm
    said = rules.Judgement(
        state="OK" if error is None else "ALARM",
        reason="It was reached." if error is None else error,
        at=max([now, *(one.at for one in known)]),
    )
    settle(tx, states.apply(tx, "", [("channel", name, said)], now), None, now)


def _drop(tx: Tx, name: str) -> None:
    paging.drop(tx, name)
