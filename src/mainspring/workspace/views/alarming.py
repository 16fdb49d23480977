"""Gather what is shown of alarming: states, groups with who was told, rules, channels."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.backends.notify.opening import host_of
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.rules import (
    AlarmGroup,
    AlarmRule,
    AlarmState,
    Channel,
    Quiet,
    StateChange,
    StateName,
)
from mainspring.monitoring import channels, groups, paging, quiets, rulebook, states
from mainspring.monitoring.paging import Page
from mainspring.monitoring.rulebook import RuleVersion
from mainspring.workspace.opening import Workspace


class GroupRow(Record, frozen=True, kw_only=True):
    """Alarms of one cause, how each stands, and whether people were told."""

    group: AlarmGroup
    members: list[AlarmState]
    held: str = ""  #: why nobody is told now, if somebody should be


class RuleRow(Record, frozen=True, kw_only=True):
    """A rule in force and how it stands; no state yet where it saw no window."""

    rule: AlarmRule
    state: AlarmState | None = None


class ChannelRow(Record, frozen=True, kw_only=True):
    """A channel, and how what it had to tell stands."""

    channel: Channel
    deliveries: dict[str, int]  #: by state: waiting, sent, failed
    dead: bool  #: the last page could not be told over it
    trouble: str  #: what went wrong with it


def state_list(
    ws: Workspace,
    endpoint: str | None = None,
    state: StateName | None = None,
    kind: str | None = None,
    limit: int = 1000,
) -> list[AlarmState]:
    """Return how what is watched stands, those that changed last first."""
    return ws.read(
        Permission.READ, lambda tx: states.listed(tx, endpoint, state, kind, limit=limit)
    )


def history(
    ws: Workspace, endpoint: str | None = None, state: str | None = None, limit: int = 100
) -> list[StateChange]:
    """Return changes of states, newest first."""
    return ws.read(Permission.READ, lambda tx: states.history(tx, endpoint, state, limit))


def group_list(
    ws: Workspace, endpoint: str | None = None, *, open_only: bool = False, limit: int = 100
) -> list[GroupRow]:
    """Return groups, newest first, with their members."""
    now = ws.clock.now()

    def work(tx: Tx) -> list[GroupRow]:
        if open_only:
            found = groups.open_groups(tx, endpoint)[::-1][:limit]
        else:
            found = groups.listed(tx, endpoint, limit)
        held = {one.group.id: one.held for one in paging.due(tx, now)}
        return [
            GroupRow(group=one, members=states.some(tx, one.members), held=held.get(one.id, ""))
            for one in found
        ]

    return ws.read(Permission.READ, work)


def page_list(
    ws: Workspace, endpoint: str | None = None, group: str | None = None, limit: int = 100
) -> list[Page]:
    """Return what people were told, newest first, and whether it reached them."""
    return ws.read(Permission.READ, lambda tx: paging.listed(tx, endpoint, group, limit))


def rule_list(ws: Workspace, endpoint: str | None = None) -> list[RuleRow]:
    """Return the rules in force, by name, and how they stand."""

    def work(tx: Tx) -> list[RuleRow]:
        found = list(rulebook.every(tx, endpoint).values())
        ids = {one.name: states.state_id(one.endpoint, "rule", one.name) for one in found}
        there = {one.id: one for one in states.some(tx, ids.values())}
        return [RuleRow(rule=one, state=there.get(ids[one.name])) for one in found]

    return ws.read(Permission.READ, work)


def rule_versions(ws: Workspace, name: str) -> list[RuleVersion]:
    """Return what a rule was, newest first.

    Raises:
        NotFoundError: if there never was one.
    """
    return ws.read(Permission.READ, lambda tx: rulebook.versions(tx, name))


def quiet_list(ws: Workspace) -> list[Quiet]:
    """Return quiet times, newest first."""
    return ws.read(Permission.READ, quiets.every)


def channel_list(ws: Workspace) -> list[ChannelRow]:
    """Return channels, by name, without secrets."""

    def work(tx: Tx) -> list[ChannelRow]:
        counts: dict[str, Any] = paging.counts(tx)
        rows = []
        for one in channels.every(tx):
            known = states.some(tx, [states.state_id("", "channel", one.name)])
            dead = bool(known) and known[0].state == "ALARM"
            rows.append(
                ChannelRow(
                    channel=shown(one),
                    deliveries=counts.get(one.name, {}),
                    dead=dead,
                    trouble=known[0].reason if dead else paging.trouble(tx, one.name),
                )
            )
        return rows

    return ws.read(Permission.READ, work)


def shown(channel: Channel) -> Channel:
    """Return a channel as it may be shown: of a URL its host, of a command its program.

    Paths, queries and words often hold what nobody else shall read.
    """
    target = dict(channel.target)
    if "url" in target:
        target["url"] = host_of(str(target["url"]))
    if target.get("command"):
        words = target["command"]
        target["command"] = [words[0], *(["..."] if len(words) > 1 else [])]
    return msgspec.structs.replace(channel, target=target)
