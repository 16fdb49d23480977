"""Alarms: rules, states, groups, pages, quiet times, and what people say about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.clock import SystemClock
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    pass

Rule = Annotated[str, Parameter(help="The rule's name.")]
Endpoint = Annotated[str | None, Parameter(help="Of one endpoint only.")]
Reason = Annotated[str, Parameter(help="Why: it is what others will read.")]
Most = Annotated[int, Parameter(help="How many at most.")]
Series = Annotated[
    str | None, Parameter(help="MONITOR:SUBJECT or MONITOR/FIGURE:SUBJECT, such as drift:temp.")
]
Above = Annotated[float | None, Parameter(help="A window above it breaches.")]
Below = Annotated[float | None, Parameter(help="A window below it breaches.")]
Band = Annotated[
    float | None, Parameter(help="Or: outside the expected band of so many deviations.")
]
Season = Annotated[int | None, Parameter(help="Windows in a season of the band.")]
History = Annotated[int | None, Parameter(help="Windows that the band is learnt from.")]
When = Annotated[str | None, Parameter(help="Or other rules joined: '(a or b) and not c'.")]
AtLeast = Annotated[int | None, Parameter(name="--for", help="So many windows must breach...")]
Of = Annotated[int | None, Parameter(help="...of the newest so many.")]
MissingAs = Annotated[
    Literal["ignore", "breaching", "not_breaching", "insufficient"] | None,
    Parameter(help="What a window without a figure counts as."),
]
SuppressedBy = Annotated[
    str | None, Parameter(help="Rules or series, comma-separated: while one is in ALARM, no page.")
]
Cooldown = Annotated[str | None, Parameter(help="At least so long between two pages: 6h.")]
Then = Annotated[
    Literal["page", "retrain"] | None, Parameter(help="Ask the loop for a new version too?")
]
Channels = Annotated[str | None, Parameter(help="Comma-separated; all if none is named.")]
Note = Annotated[str | None, Parameter(help="What to do about it; stands in the page.")]


def create(
    name: Rule,
    /,
    *,
    endpoint: Annotated[str, Parameter(help="The endpoint it watches.")],
    series: Series = None,
    above: Above = None,
    below: Below = None,
    band: Band = None,
    season: Season = None,
    history: History = None,
    when: When = None,
    for_: AtLeast = None,
    of: Of = None,
    missing: MissingAs = None,
    suppressed_by: SuppressedBy = None,
    cooldown: Cooldown = None,
    then: Then = None,
    channels: Channels = None,
    note: Note = None,
    options: Everywhere = HERE,
) -> None:
    """Make a rule: a line or a band over a series, or other rules joined."""
    given = _given(suppressed_by, cooldown, channels, for_, of)
    made = call(
        options,
        "alarms.create",
        name=name,
        endpoint=endpoint,
        series=series,
        above=above,
        below=below,
        band=band,
        season=season,
        history=history,
        when=when,
        missing=missing,
        then=then,
        note=note,
        **given,
    )
    render.said(options, made, f"{name} is watched from now on: {_asks(made['rule'])}.")


def edit(
    name: Rule,
    /,
    *,
    reason: Reason,
    endpoint: Annotated[str | None, Parameter(help="The endpoint it watches.")] = None,
    series: Series = None,
    above: Above = None,
    below: Below = None,
    band: Band = None,
    season: Season = None,
    history: History = None,
    when: When = None,
    for_: AtLeast = None,
    of: Of = None,
    missing: MissingAs = None,
    suppressed_by: SuppressedBy = None,
    cooldown: Cooldown = None,
    then: Then = None,
    channels: Channels = None,
    note: Note = None,
    clear: Annotated[
        str | None, Parameter(help="Take away: above, below, band, series, when.")
    ] = None,
    on: Annotated[bool | None, Parameter(negative="--off", help="Use it, or let it rest.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Change a rule, as a new version of it; what is not given stays."""
    given = _given(suppressed_by, cooldown, channels, for_, of)
    made = call(
        options,
        "alarms.edit",
        name=name,
        reason=reason,
        endpoint=endpoint,
        series=series,
        above=above,
        below=below,
        band=band,
        season=season,
        history=history,
        when=when,
        missing=missing,
        then=then,
        note=note,
        enabled=on,
        clear=_words(clear),
        **given,
    )
    render.said(options, made, f"{name}, version {made['version']}: {_asks(made['rule'])}.")


def delete(name: Rule, /, *, reason: Reason, options: Everywhere = HERE) -> None:
    """Delete a rule; an alarm of it that is open is dismissed."""
    done = call(options, "alarms.delete", name=name, reason=reason)
    render.said(options, done, f"{name} is deleted.")


def rules(
    name: Annotated[str | None, Parameter(help="Every version of one rule.")] = None,
    /,
    *,
    endpoint: Endpoint = None,
    options: Everywhere = HERE,
) -> None:
    """List the rules in force and how they stand, or every version of one."""
    if name is not None:
        found = call(options, "alarms.rule", name=name)
        rows = [
            (v["version"], render.when(v["made"]), v["by"], _asks(v["rule"]), v["why"])
            for v in found
        ]
        columns: tuple[str, ...] = ("VERSION>", "MADE (UTC)", "BY", "ASKS", "WHY")
    else:
        found = call(options, "alarms.rules", endpoint=endpoint)
        rows = [
            (
                one["rule"]["name"],
                one["rule"]["endpoint"],
                _asks(one["rule"]),
                _stands(one),
                (one["state"] or {}).get("reason", ""),
            )
            for one in found
        ]
        columns = ("RULE", "ENDPOINT", "ASKS", "STATE", "REASON")
    render.answer(
        options,
        found,
        lambda out: render.table(out, columns, rows, "No rules yet: mainspring alarms create"),
    )


def _stands(one: dict[str, Any]) -> str:
    if not one["rule"]["enabled"]:
        return "off"
    return str(one["state"]["state"]) if one["state"] else "no window yet"


def states(
    *,
    endpoint: Endpoint = None,
    state: Annotated[
        Literal["OK", "ALARM", "INSUFFICIENT_DATA"] | None, Parameter(help="In one state only.")
    ] = None,
    kind: Annotated[str | None, Parameter(help="Of one monitor, or rule.")] = None,
    limit: Most = 100,
    options: Everywhere = HERE,
) -> None:
    """List how every watched series and rule stands, those that changed last first."""
    found = call(options, "alarms.states", endpoint=endpoint, state=state, kind=kind, limit=limit)
    rows = [
        (s["state"], render.when(s["since"]), s["endpoint"], s["kind"], s["subject"], s["reason"])
        for s in found
    ]
    columns = ("STATE", "SINCE (UTC)", "ENDPOINT", "KIND", "OF", "REASON")
    render.answer(options, found, lambda out: render.table(out, columns, rows, "No states yet."))


def history(*, endpoint: Endpoint = None, limit: Most = 50, options: Everywhere = HERE) -> None:
    """List how states changed, newest first."""
    found = call(options, "alarms.history", endpoint=endpoint, limit=limit)
    rows = [
        (
            render.when(c["at"]),
            c["endpoint"],
            f"{c['kind']} {c['subject']}",
            f"{c['old'] or 'new'} to {c['new']}",
            c["reason"],
        )
        for c in found
    ]
    columns = ("AT (UTC)", "ENDPOINT", "OF", "CHANGE", "REASON")
    render.answer(options, found, lambda out: render.table(out, columns, rows, "No changes yet."))


def groups(
    *,
    endpoint: Endpoint = None,
    open_: Annotated[
        bool, Parameter(name="--open", negative=(), help="Only those that are not over.")
    ] = False,
    limit: Most = 20,
    options: Everywhere = HERE,
) -> None:
    """List alarms that share a cause, newest first, and whether people were told."""
    found = call(options, "alarms.groups", endpoint=endpoint, open=open_ or None, limit=limit)
    rows = [
        (
            g["group"]["id"],
            render.when(g["group"]["opened"]),
            render.when(g["group"]["closed"]) or "open",
            g["held"] or (f"told {g['group']['told']}" if g["group"]["told"] else ""),
            g["group"]["headline"],
        )
        for g in found
    ]
    columns = ("GROUP", "OPENED (UTC)", "OVER (UTC)", "TOLD", "WHAT")
    render.answer(options, found, lambda out: render.table(out, columns, rows, "No groups."))


def pages(*, endpoint: Endpoint = None, limit: Most = 20, options: Everywhere = HERE) -> None:
    """List what people were told, newest first, and whether it reached them."""
    found = call(options, "alarms.pages", endpoint=endpoint, limit=limit)
    rows = [
        (
            render.when(p["made"]),
            p["message"]["event"],
            ", ".join(f"{d['channel']} {d['state']}" for d in p["deliveries"]) or "no channel",
            p["message"]["title"],
        )
        for p in found
    ]
    columns = ("MADE (UTC)", "EVENT", "TOLD OVER", "WHAT")
    render.answer(options, found, lambda out: render.table(out, columns, rows, "No pages."))


def ack(
    what: Annotated[str, Parameter(help="The id of an alarm, a group or a state.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why it may wait; others will read it.")] = "",
    until: Annotated[str | None, Parameter(help="Such as 2h, or 2026-12-01T08:00.")] = None,
    back: Annotated[bool, Parameter(negative=(), help="Take the word back.")] = False,
    options: Everywhere = HERE,
) -> None:
    """Say that somebody has seen it: nobody is paged about it until it is over, or until then."""
    found = call(
        options,
        "alarms.ack",
        id=what.rpartition(":")[2],
        reason=reason,
        until=None if until is None else moment(until, "until"),
        back=back or None,
    )
    said = "is not acknowledged any more" if back else "is acknowledged"
    render.said(options, found, *(f"{s['kind']} {s['subject']} {said}." for s in found))


def dismiss(
    alarm: Annotated[str, Parameter(help="The alarm's id.")],
    /,
    *,
    reason: Reason,
    options: Everywhere = HERE,
) -> None:
    """End the alarm of a rule, a channel or the logs by hand."""
    done = call(options, "alarms.dismiss", id=alarm.rpartition(":")[2], reason=reason)
    render.said(options, done, f"{alarm} is dismissed: {done['decision']}.")


def quiet(
    *,
    reason: Reason,
    for_: Annotated[str | None, Parameter(name="--for", help="How long, such as 2h.")] = None,
    since: Annotated[str | None, Parameter(help="From when on; default now.")] = None,
    until: Annotated[str | None, Parameter(help="Until when, instead of --for.")] = None,
    cron: Annotated[str | None, Parameter(help="Again and again: five fields.")] = None,
    tz: Annotated[str | None, Parameter(help="Whose wall clock --cron follows.")] = None,
    endpoint: Annotated[str | None, Parameter(help="Of one endpoint only.")] = None,
    of: Annotated[str | None, Parameter(help="Of one rule or series only.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Page nobody for a time (maintenance), once or by the clock; states go on."""
    length = None if for_ is None else seconds(for_, "for")
    given: dict[str, Any] = {"reason": reason, "endpoint": endpoint, "subject": of}
    if cron is not None:
        if length is None or since or until:
            raise BadInputError("--cron needs --for, and no --since or --until.", field="cron")
        given |= {"cron": cron, "duration_s": length, "tz": tz}
    else:
        starts = SystemClock().now() if since is None else moment(since, "since")
        if (length is None) == (until is None):
            raise BadInputError("Either --for or --until says how long.", field="until")
        ends = starts + length if length is not None else moment(until or "", "until")
        given |= {"starts": starts, "ends": ends}
    made = call(options, "alarms.hush", **given)
    render.said(options, made, f"{made['id']}: nobody is paged {_time_of(made)}.")


def quiets(*, options: Everywhere = HERE) -> None:
    """List when nobody is paged, newest first."""
    found = call(options, "alarms.quiets")
    rows = [
        (q["id"], q["endpoint"] or "all", q["subject"] or "all", _time_of(q), q["by"], q["reason"])
        for q in found
    ]
    columns = ("QUIET", "ENDPOINT", "OF", "WHEN", "BY", "REASON")
    render.answer(options, found, lambda out: render.table(out, columns, rows, "No quiet times."))


def unquiet(
    name: Annotated[str, Parameter(help="The quiet time's id.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """End a quiet time; what is in ALARM and was not told is told now."""
    done = call(options, "alarms.unhush", id=name)
    render.said(options, done, f"{name} is over.")


def moment(text: str, field: str) -> float:
    """Return UTC seconds of ``2h`` (from now) or of a date and time; without a zone it is UTC.

    Raises:
        BadInputError: if it is neither.

    >>> moment("2026-12-01T08:00", "until")
    1796112000.0
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return SystemClock().now() + seconds(text, field)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _time_of(quiet: dict[str, Any]) -> str:
    if quiet["cron"]:
        hours = quiet["duration_s"] / 3600
        return f"for {hours:g} hours from each '{quiet['cron']}' ({quiet['tz']})"
    return f"from {render.when(quiet['starts'])} to {render.when(quiet['ends'])} UTC"


def _given(
    suppressed_by: str | None,
    cooldown: str | None,
    channels: str | None,
    for_: int | None,
    of: int | None,
) -> dict[str, Any]:
    return {
        "suppressed_by": None if suppressed_by is None else _words(suppressed_by),
        "cooldown_s": None if cooldown is None else seconds(cooldown, "cooldown"),
        "channels": None if channels is None else _words(channels),
        "at_least": for_,
        # --for 3 alone means three in a row.
        "of": of if of is not None else for_,
    }


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _asks(rule: dict[str, Any]) -> str:
    if rule["when"]:
        return str(rule["when"])
    lines = [
        f"{word} {render.plain(rule[word])}"
        for word in ("above", "below")
        if rule[word] is not None
    ]
    if rule["band"] is not None:
        season = f", season {rule['season']}" if rule["season"] > 1 else ""
        lines = [f"outside a band of {render.plain(rule['band'])}{season}"]
    count = "" if rule["of"] == 1 else f" in {rule['at_least']} of {rule['of']}"
    return f"{rule['series']} {' or '.join(lines)}{count}"
