"""What people declare and say about alarms: rules, quiet times, channels, acknowledgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.backends.notify.opening import host_of, open_notifier
from mainspring.engine import tasks
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
)
from mainspring.ground.identity import check_name, new_id
from mainspring.ground.permissions import Permission, authorise, service
from mainspring.ground.rules import (
    Acknowledgement,
    AlarmRule,
    AlarmState,
    Channel,
    ChannelKind,
    Message,
    Quiet,
)
from mainspring.monitoring import alarms, channels, groups, paging, quiets, rulebook, rules, states
from mainspring.readiness import decisions
from mainspring.scaling.serving import endpoints
from mainspring.workspace.alarming import delivering, evaluating
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace


# ---------------------------------------------------------------- rules


def put_rule(
    ws: Workspace, rule: AlarmRule, reason: str = "", *, new: bool | None = None
) -> tuple[AlarmRule, int]:
    """Keep a rule and put the windows there are to it; return it with its version.

    ``new`` True refuses a name that is taken, False one that is not.

    Raises:
        BadInputError: naming the field that cannot be.
        ConflictError: if it is to be new and is there.
        NotFoundError: if it is to be edited and is not there.
    """
    now = ws.clock.now()

    def work(tx: Tx) -> int:
        known = {one.name for one in channels.every(tx)}
        odd = sorted(set(rule.channels) - known)
        if odd:
            raise BadInputError(f"There is no channel {odd[0]!r}.", field="channels")
        before = rulebook.every(tx).get(rule.name)
        version = rulebook.put(tx, rule, now, reason, new=new)
        if before is not None and _asks_otherwise(before, rule):
            _forget(tx, before, "The rule asks about something else now.", now)
        _put_to_windows(tx, rule, now)
        return version

    return rule, ws.write(Permission.LOOP, work)


def edit_rule(ws: Workspace, name: str, changes: Mapping[str, Any], reason: str) -> Any:
    """Change some fields of a rule and return it with its new version.

    Raises:
        NotFoundError: if there is none.
        BadInputError: naming the field that cannot be.
    """
    before = ws.read(Permission.READ, lambda tx: rulebook.get(tx, name))
    return put_rule(ws, msgspec.structs.replace(before, **changes), reason, new=False)


def remove_rule(ws: Workspace, name: str, reason: str) -> None:
    """Delete a rule: its state is forgotten, and an alarm of it that is open is dismissed.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if other rules ask about it.
    """
    now = ws.clock.now()

    def work(tx: Tx) -> None:
        rule = rulebook.remove(tx, name, now, reason)
        _forget(tx, rule, f"The rule was deleted by {ws.who.name}: {reason}", now)

    ws.write(Permission.LOOP, work)


def _put_to_windows(tx: Tx, rule: AlarmRule, now: float) -> None:
    """Let a rule stand where the newest windows put it, so that it need not wait for the next."""
    if not rule.enabled:
        _forget(tx, rule, "The rule was switched off.", now)
        return
    if rule.when:
        joined = evaluating.joined_now(tx, rule)
        applied = states.apply(tx, rule.endpoint, [("rule", rule.name, joined)], now)
        evaluating.settle(tx, applied, None, now)
        return
    looked = evaluating.look(tx, rule.endpoint, [])
    slots = rules.slots_in(looked, rules.series_of(rule.series))
    if not slots:
        return
    known = states.some(tx, [states.state_id(rule.endpoint, "rule", rule.name)])
    before = known[0].state if known else "INSUFFICIENT_DATA"
    judged = rules.evaluate(rule, slots, before)
    applied = states.apply(tx, rule.endpoint, [("rule", rule.name, judged)], now)
    evaluating.settle(tx, applied, looked[-1][0], now)


def _asks_otherwise(before: AlarmRule, after: AlarmRule) -> bool:
    asked = ("endpoint", "series", "when")
    return any(getattr(before, name) != getattr(after, name) for name in asked)


def _forget(tx: Tx, rule: AlarmRule, reason: str, now: float) -> None:
    for over in states.forget(tx, rule.endpoint, "rule", rule.name, reason, now):
        decisions.record(tx, over.decision)
    groups.close_those_over(tx, rule.endpoint, now)


# ---------------------------------------------------------------- acknowledge and dismiss


def acknowledge(
    ws: Workspace, what: str, reason: str, until: float | None = None, *, back: bool = False
) -> list[AlarmState]:
    """Say that somebody has seen an alarm or a group; return the states that it is about.

    ``what`` is the id of an alarm, a group or a state. Nobody is paged about it again until it
    is over, or until wall time ``until``. ``back`` takes the word back.

    Raises:
        NotFoundError: if nothing by that id is known.
        ConflictError: if nothing of it is in ALARM.
        BadInputError: if ``until`` is over, or no reason is given.
    """
    now = ws.clock.now()
    if until is not None and until <= now:
        raise BadInputError("until must be in the future.", field="until")
    if not reason.strip() and not back:
        raise BadInputError("An acknowledgement needs a reason.", field="reason")
    said = Acknowledgement(by=ws.who.name, reason=reason, at=now, until=until)

    def work(tx: Tx) -> list[AlarmState]:
        ids = [one.id for one in _states_of(tx, what) if one.state == "ALARM"]
        if not states.acknowledge(tx, ids, None if back else said):
            raise ConflictError(f"Nothing of {what[:80]} is in ALARM.", field="what")
        tx.audit("alarm.acknowledge", what, {"until": until, "back": back}, reason)
        return states.some(tx, ids)

    return ws.write(Permission.PROMOTE, work)


def dismiss(ws: Workspace, alarm: str, reason: str) -> str:
    """End the alarm of a rule, a channel or the logs by hand; return the decision's id.

    Raises:
        NotFoundError: if there is no such alarm.
        ConflictError: if a loop will end it, or it has ended.
    """
    now = ws.clock.now()
    if not reason.strip():
        raise BadInputError("A dismissal needs a reason.", field="reason")

    def work(tx: Tx) -> str:
        found = alarms.get(tx, alarm)
        if found.kind not in states.OWN_KINDS:
            raise ConflictError(
                f"{alarm} is of kind {found.kind}: the loop that heard of it ends it.",
                field="alarm",
                hint="Acknowledge it instead: mainspring alarms ack",
            )
        state = states.of_alarm(tx, alarm)
        ended = states.dismiss(tx, found, state, reason, ws.who.name, now)
        if ended is None:
            raise ConflictError(f"{alarm} ended as {found.outcome} already.", field="alarm")
        decisions.record(tx, ended.decision)
        if state is not None:
            said = Acknowledgement(by=ws.who.name, reason=reason, at=now)
            states.acknowledge(tx, [state.id], said)
        tx.audit("alarm.dismiss", f"alarm:{alarm}", {}, reason)
        return ended.decision.id

    return ws.write(Permission.PROMOTE, work)


def _states_of(tx: Tx, what: str) -> list[AlarmState]:
    name = what.rpartition(":")[2]
    if name.startswith("group_"):
        return states.some(tx, groups.get(tx, name).members)
    if name.startswith("state_"):
        return [states.get(tx, name)]
    alarms.get(tx, name)
    found = states.of_alarm(tx, name)
    if found is None:
        raise NotFoundError(f"No state is known of alarm {name[:80]!r} any more.", field="what")
    return [found]


# ---------------------------------------------------------------- quiet times


def add_quiet(
    ws: Workspace,
    reason: str,
    *,
    endpoint: str = "",
    subject: str = "",
    starts: float | None = None,
    ends: float | None = None,
    cron: str = "",
    duration_s: float = 0.0,
    tz: str = "UTC",
) -> Quiet:
    """Page nobody for a time; states are computed all the same.

    Raises:
        BadInputError: naming the field that cannot be.
        NotFoundError: if there is no such endpoint or rule.
    """
    now = ws.clock.now()
    quiet = Quiet(
        id=new_id("quiet"),
        reason=reason,
        by=ws.who.name,
        endpoint=endpoint,
        subject=subject,
        starts=now if starts is None and not cron else starts,
        ends=ends,
        cron=cron,
        duration_s=duration_s,
        tz=tz,
    )

    def work(tx: Tx) -> Quiet:
        if endpoint:
            endpoints.get(tx, endpoint)
        if subject and ":" not in subject:
            rulebook.get(tx, subject)
        return quiets.add(tx, quiet, now)

    return ws.write(Permission.PROMOTE, work)


def remove_quiet(ws: Workspace, name: str) -> None:
    """End a quiet time; what is in ALARM and was not told is told now.

    Raises:
        NotFoundError: if there is none.
    """
    ws.write(Permission.PROMOTE, lambda tx: quiets.remove(tx, name))


# ---------------------------------------------------------------- channels


def add_channel(
    ws: Workspace,
    name: str,
    kind: ChannelKind,
    target: Mapping[str, Any],
    *,
    secret: str | None = None,
    endpoints_: Sequence[str] = (),
    per_hour: int = 30,
) -> Channel:
    """Keep a new channel. Only an admin may: it can post anywhere and run commands.

    Raises:
        BadInputError: naming what cannot be in the target.
        ConflictError: if the name is taken.
    """
    authorise(ws.who, Permission.ADMIN)
    check_name(name, "name")
    given, shown = dict(target), {}
    if kind in ("slack", "apprise"):  # the URL is the secret; its host may be seen
        if secret is None:
            secret = str(given.pop("url", "")) or None
        given.pop("url", None)
        shown = {"shown": host_of(secret or "")}
    open_notifier(kind, {**given, **shown}, secret, ws.settings.webhook_hosts)
    channel = Channel(
        name=name,
        kind=kind,
        target={**given, **shown},
        endpoints=list(endpoints_),
        per_hour=per_hour,
    )
    now, kept = ws.clock.now(), sealed.seal(ws, "channel", name, secret or None)
    return ws.write(Permission.ADMIN, lambda tx: channels.add(tx, channel, kept, now))


def remove_channel(ws: Workspace, name: str) -> None:
    """Tell nobody over a channel any more; what waits for it is dropped.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if rules name it.
    """
    now = ws.clock.now()

    def work(tx: Tx) -> None:
        naming = sorted(r.name for r in rulebook.every(tx).values() if name in r.channels)
        if naming:
            raise ConflictError(
                f"{name} is named by {', '.join(naming)}.",
                field="name",
                hint="Change those rules first.",
            )
        channels.remove(tx, name)
        paging.drop(tx, name)
        tasks.cancel(tx, delivering.group_of(name))
        for over in states.forget(tx, "", "channel", name, "The channel was removed.", now):
            decisions.record(tx, over.decision)
        groups.close_those_over(tx, "", now)

    ws.write(Permission.ADMIN, work)


def switch_channel(ws: Workspace, name: str, *, active: bool) -> Channel:
    """Let a channel rest, or use it again.

    Raises:
        NotFoundError: if there is none.
    """
    return ws.write(Permission.ADMIN, lambda tx: channels.switch(tx, name, active=active))


def test_channel(ws: Workspace, name: str) -> str:
    """Tell an example over a channel now, from this process, and return what came back.

    A channel that was dead and can be reached is well again.

    Raises:
        NotFoundError: if there is none.
        MainspringError: what went wrong.
    """
    channel, secret = ws.read(
        Permission.ADMIN, lambda tx: (channels.get(tx, name), channels.secret_of(tx, name))
    )
    now = ws.clock.now()
    message = Message(
        id=new_id("page"),
        event="TEST",
        title=f"This is a test of the channel {name}.",
        lines=["Nothing is wrong."],
        at=now,
    )
    said = delivering.send(ws, channel, sealed.unseal(ws, "channel", name, secret), message)
    own = ws.acting_as(service("channels"))
    own.write(Permission.WORK, lambda tx: delivering.note(tx, name, now, None))
    return said


def retry_channel(ws: Workspace, name: str) -> int:
    """Try again what could not be told over a channel; return how many pages that are.

    Raises:
        NotFoundError: if there is none.
    """

    def work(tx: Tx) -> int:
        channels.get(tx, name)
        return paging.again(tx, name)

    return ws.write(Permission.ADMIN, work)
