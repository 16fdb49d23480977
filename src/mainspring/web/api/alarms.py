"""Alarms: what was raised, how what is watched stands, rules, groups, pages, quiet times."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.objects import Alarm
from mainspring.ground.permissions import Permission
from mainspring.ground.rules import AlarmRule, AlarmState, Missing, Quiet, StateChange, StateName
from mainspring.monitoring.paging import Page
from mainspring.monitoring.rulebook import RuleVersion
from mainspring.web.api.fields import AlarmId, Done, EndpointName, Limit, Name, Reason, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.alarming import GroupRow, RuleRow
from mainspring.workspace.views.causes import Cause

RuleName = Annotated[Name, Meta(description="The rule's name.", examples=["hot"])]
SeriesName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=400,
        description="MONITOR:SUBJECT or MONITOR/FIGURE:SUBJECT.",
        examples=["drift:temp", "performance/low:auc", "traffic:rows"],
    ),
]
Count = Annotated[int, Meta(ge=1, le=500)]
Seconds = Annotated[float, Meta(ge=0, le=4e7)]
Time = Annotated[float, Meta(ge=0, le=1e11, description="UTC seconds since 1970.")]
Text = Annotated[str, Meta(max_length=2000)]


class ListAlarms(Request, frozen=True, kw_only=True):
    """Which alarms: of one endpoint or all, open, ended or both."""

    endpoint: EndpointName | None = None
    open: bool | None = None
    limit: Limit = 100


class OneAlarm(Request, frozen=True, kw_only=True):
    """Which alarm."""

    id: AlarmId


class ListStates(Request, frozen=True, kw_only=True):
    """How what is watched stands: of one endpoint or all, in one state or any."""

    endpoint: EndpointName | None = None
    state: StateName | None = None
    kind: Name | None = None
    limit: Limit = 1000


class ListChanges(Request, frozen=True, kw_only=True):
    """Which changes: of one endpoint, of one state, or all."""

    endpoint: EndpointName | None = None
    state: Name | None = None
    limit: Limit = 100


class ListGroups(Request, frozen=True, kw_only=True):
    """Which groups: of one endpoint or all, open ones only or all."""

    endpoint: EndpointName | None = None
    open: bool = False
    limit: Limit = 100


class ListPages(Request, frozen=True, kw_only=True):
    """Which pages: of one endpoint, of one group, or all."""

    endpoint: EndpointName | None = None
    group: Name | None = None
    limit: Limit = 100


class OfRules(Request, frozen=True, kw_only=True):
    """Rules of one endpoint, or all."""

    endpoint: EndpointName | None = None


class OfRule(Request, frozen=True, kw_only=True):
    """About one rule."""

    name: RuleName


class CreateRule(Request, frozen=True, kw_only=True):
    """A rule: a line or band over a series, or other rules joined. See AlarmRule."""

    name: RuleName
    endpoint: EndpointName
    series: SeriesName | None = None
    above: float | None = None
    below: float | None = None
    band: float | None = None
    season: Count = 1
    history: Count = 60
    when: Text = ""
    at_least: Count = 1
    of: Count = 1
    missing: Missing = "insufficient"
    suppressed_by: Annotated[list[SeriesName], Meta(max_length=20)] = []
    cooldown_s: Seconds = 0.0
    then: Literal["page", "retrain"] = "page"
    channels: Annotated[list[Name], Meta(max_length=20)] = []
    note: Text = ""
    enabled: bool = True
    reason: Text = ""


class EditRule(Request, frozen=True, kw_only=True):
    """What changes in a rule; what is not given stays. ``clear`` names lines to take away."""

    name: RuleName
    reason: Reason
    endpoint: EndpointName | None = None
    series: SeriesName | None = None
    above: float | None = None
    below: float | None = None
    band: float | None = None
    season: Count | None = None
    history: Count | None = None
    when: Text | None = None
    at_least: Count | None = None
    of: Count | None = None
    missing: Missing | None = None
    suppressed_by: Annotated[list[SeriesName], Meta(max_length=20)] | None = None
    cooldown_s: Seconds | None = None
    then: Literal["page", "retrain"] | None = None
    channels: Annotated[list[Name], Meta(max_length=20)] | None = None
    note: Text | None = None
    enabled: bool | None = None
    clear: list[Literal["above", "below", "band", "series", "when"]] = []


class RemoveRule(Request, frozen=True, kw_only=True):
    """Which rule is deleted, and why."""

    name: RuleName
    reason: Reason


class KeptRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is in force, and the number of its version."""

    rule: AlarmRule
    version: int


class Ack(Request, frozen=True, kw_only=True):
    """Somebody has seen it: the id of an alarm, a group or a state, and why it may wait."""

    id: Name
    reason: Text = ""
    until: Time | None = None
    back: bool = False  #: take the word back


class Dismiss(Request, frozen=True, kw_only=True):
    """Which alarm of a rule, a channel or the logs ends, and why."""

    id: AlarmId
    reason: Reason


class Dismissed(msgspec.Struct, frozen=True, kw_only=True):
    """The decision that says why."""

    decision: str


class Hush(Request, frozen=True, kw_only=True):
    """When nobody is paged: from and until, or a cron line and a duration."""

    reason: Reason
    endpoint: EndpointName | None = None
    subject: SeriesName | None = None
    starts: Time | None = None
    ends: Time | None = None
    cron: Text = ""
    duration_s: Seconds = 0.0
    tz: Name = "UTC"


class OfQuiet(Request, frozen=True, kw_only=True):
    """About one quiet time."""

    id: Name


# ---------------------------------------------------------------- alarms


@operation("alarms.list", "GET", "/api/v1/alarms", Permission.READ, example={"open": True})
def list_alarms(ws: Workspace, request: ListAlarms) -> list[Alarm]:
    """List alarms, newest first."""
    from mainspring.workspace.views import monitoring

    return monitoring.alarm_list(ws, request.endpoint, open_only=request.open, limit=request.limit)


@operation("alarms.get", "GET", "/api/v1/alarms/{id}", Permission.READ)
def get_alarm(ws: Workspace, request: OneAlarm) -> Alarm:
    """Show one alarm with its evidence and how it ended."""
    from mainspring.workspace.views import monitoring

    return monitoring.alarm(ws, request.id)


@operation("alarms.why", "GET", "/api/v1/alarms/{id}/why", Permission.READ)
def why(ws: Workspace, request: OneAlarm) -> Cause:
    """Say what is behind an alarm.

    Which columns and slices, since when, what changed upstream at that time, a few rows, what
    it may do to quality, and what was done about it.
    """
    from mainspring.workspace.views import causes

    return causes.cause(ws, request.id)


@operation("alarms.ack", "POST", "/api/v1/alarms/{id}/acknowledge", Permission.PROMOTE)
def acknowledge(ws: Workspace, request: Ack) -> list[AlarmState]:
    """Say that somebody has seen an alarm or a group: it pages no more until it is over."""
    from mainspring.workspace.alarming import verbs

    return verbs.acknowledge(ws, request.id, request.reason, request.until, back=request.back)


@operation("alarms.dismiss", "POST", "/api/v1/alarms/{id}/dismiss", Permission.PROMOTE)
def dismiss(ws: Workspace, request: Dismiss) -> Dismissed:
    """End the alarm of a rule, a channel or the logs by hand, as a decision with a reason."""
    from mainspring.workspace.alarming import verbs

    return Dismissed(decision=verbs.dismiss(ws, request.id, request.reason))


# ---------------------------------------------------------------- states, groups, pages


@operation("alarms.states", "GET", "/api/v1/alarm-states", Permission.READ)
def list_states(ws: Workspace, request: ListStates) -> list[AlarmState]:
    """List how every watched series and rule stands: OK, ALARM or INSUFFICIENT_DATA, and why."""
    from mainspring.workspace.views import alarming

    return alarming.state_list(ws, request.endpoint, request.state, request.kind, request.limit)


@operation("alarms.history", "GET", "/api/v1/alarm-changes", Permission.READ)
def list_changes(ws: Workspace, request: ListChanges) -> list[StateChange]:
    """List changes of states, newest first."""
    from mainspring.workspace.views import alarming

    return alarming.history(ws, request.endpoint, request.state, request.limit)


@operation("alarms.groups", "GET", "/api/v1/alarm-groups", Permission.READ)
def list_groups(ws: Workspace, request: ListGroups) -> list[GroupRow]:
    """List groups of alarms that share a cause, newest first, and whether people were told."""
    from mainspring.workspace.views import alarming

    return alarming.group_list(ws, request.endpoint, open_only=request.open, limit=request.limit)


@operation("alarms.pages", "GET", "/api/v1/pages", Permission.READ)
def list_pages(ws: Workspace, request: ListPages) -> list[Page]:
    """List what people were told, newest first, and whether it reached them."""
    from mainspring.workspace.views import alarming

    return alarming.page_list(ws, request.endpoint, request.group, request.limit)


# ---------------------------------------------------------------- rules


@operation("alarms.rules", "GET", "/api/v1/alarm-rules", Permission.READ)
def list_rules(ws: Workspace, request: OfRules) -> list[RuleRow]:
    """List the rules in force, by name, and how they stand."""
    from mainspring.workspace.views import alarming

    return alarming.rule_list(ws, request.endpoint)


@operation("alarms.rule", "GET", "/api/v1/alarm-rules/{name}", Permission.READ)
def rule_versions(ws: Workspace, request: OfRule) -> list[RuleVersion]:
    """Show every version of a rule, newest first."""
    from mainspring.workspace.views import alarming

    return alarming.rule_versions(ws, request.name)


@operation(
    "alarms.create",
    "POST",
    "/api/v1/alarm-rules",
    Permission.LOOP,
    example={"name": "hot", "endpoint": "flights", "series": "drift:temp", "above": 0.1},
)
def create_rule(ws: Workspace, request: CreateRule) -> KeptRule:
    """Make a rule; it is put at once to the windows there are."""
    from mainspring.workspace.alarming import verbs

    given = msgspec.structs.asdict(request)
    reason = given.pop("reason")
    given["series"] = given["series"] or ""
    rule, version = verbs.put_rule(ws, AlarmRule(**given), reason, new=True)
    return KeptRule(rule=rule, version=version)


@operation("alarms.edit", "POST", "/api/v1/alarm-rules/{name}/edit", Permission.LOOP)
def edit_rule(ws: Workspace, request: EditRule) -> KeptRule:
    """Change a rule, as a new version of it."""
    from mainspring.workspace.alarming import verbs

    given = msgspec.structs.asdict(request)
    name, reason, clear = (given.pop(key) for key in ("name", "reason", "clear"))
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= {key: "" if key in ("series", "when") else None for key in clear}
    rule, version = verbs.edit_rule(ws, name, changes, reason)
    return KeptRule(rule=rule, version=version)


@operation("alarms.delete", "POST", "/api/v1/alarm-rules/{name}/remove", Permission.LOOP)
def remove_rule(ws: Workspace, request: RemoveRule) -> Done:
    """Delete a rule; an alarm of it that is open is dismissed."""
    from mainspring.workspace.alarming import verbs

    verbs.remove_rule(ws, request.name, request.reason)
    return Done()


# ---------------------------------------------------------------- quiet times


@operation("alarms.quiets", "GET", "/api/v1/quiets", Permission.READ)
def list_quiets(ws: Workspace) -> list[Quiet]:
    """List when nobody is paged, newest first."""
    from mainspring.workspace.views import alarming

    return alarming.quiet_list(ws)


@operation(
    "alarms.hush",
    "POST",
    "/api/v1/quiets",
    Permission.PROMOTE,
    example={"reason": "The warehouse moves.", "cron": "0 3 * * 0", "duration_s": 5400.0},
)
def hush(ws: Workspace, request: Hush) -> Quiet:
    """Page nobody for a time, once or again and again; states are computed all the same."""
    from mainspring.workspace.alarming import verbs

    return verbs.add_quiet(
        ws,
        request.reason,
        endpoint=request.endpoint or "",
        subject=request.subject or "",
        starts=request.starts,
        ends=request.ends,
        cron=request.cron,
        duration_s=request.duration_s,
        tz=request.tz,
    )


@operation("alarms.unhush", "POST", "/api/v1/quiets/{id}/remove", Permission.PROMOTE)
def unhush(ws: Workspace, request: OfQuiet) -> Done:
    """End a quiet time; what is in ALARM and was not told is told now."""
    from mainspring.workspace.alarming import verbs

    verbs.remove_quiet(ws, request.id)
    return Done()
