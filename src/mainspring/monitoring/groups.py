"""Put alarms that share a cause into one group: one cause, one page, not forty.

What began in the same window shares, in this order: the version that changed there; a source
that a monitor's policy declares (``sources``); the rows that went missing; the columns that
moved. What follows from inputs (the score, the quality of predictions) is told with them. A
group stays open as long as one of its members is in ALARM, and later ones with its cause join:
of columns that nobody declared to come from one place, those of the next window. A column that
begins to move when the others have stood for a while is another cause, and another page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical, key_of
from mainspring.ground.ports import Tx
from mainspring.ground.rules import AlarmGroup, AlarmRule, AlarmState
from mainspring.monitoring import composites, rules, states
from mainspring.monitoring.alarm_tables import groups

#: What is computed from inputs: told with the inputs that moved, where some did.
FOLLOWS = (
    "score_drift", "performance", "estimate", "calibration", "concept", "bias", "attribution",
    "slice", "regret", "custom",
)  # fmt: skip
_GONE = ("missing", "missing column")
_ORDER = ("version:", "source:", "columns", "missing", "answers")
#: Causes that are guessed from what happened at the same time.
_BY_TIME = ("columns", "missing", "answers")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm as grouping sees it: what it is about, whatever raised it."""

    state: str
    monitor: str  #: for a rule: that of its series
    subject: str
    name: str  #: what people call it


def item_of(state: AlarmState, known: Mapping[str, AlarmRule]) -> Item:
    """Return what a state is about; a rule stands for its series, or the first it joins."""
    if state.kind == "rule" and state.subject in known:
        series = _series_of(known[state.subject], known, 0)
        if series is not None:
            return Item(
                state=state.id,
                monitor=series.monitor,
                subject=series.subject,
                name=state.subject,
            )
    name = state.subject if state.kind in states.OWN_KINDS else f"{state.kind} {state.subject}"
    return Item(state=state.id, monitor=state.kind, subject=state.subject, name=name)


def _series_of(rule: AlarmRule, known: Mapping[str, AlarmRule], depth: int) -> rules.Series | None:
    if not rule.when:
        return rules.series_of(rule.series)
    for name in sorted(composites.names(composites.parse(rule.when))):
        if ":" in name:
            return rules.series_of(name)
        if name in known and depth < composites.MOST_DEPTH:
            found = _series_of(known[name], known, depth + 1)
            if found is not None:
                return found
    return None


def causes(
    items: Sequence[Item],
    *,
    version: int | None = None,
    sources: Mapping[str, Sequence[str]] | None = None,
    open_causes: Mapping[str, float] | None = None,
    window: str = "",
    began: float = 0.0,
) -> dict[str, str]:
    """Return the cause of each item that came to ALARM in one window, by its state's id.

    ``version`` is the one that began to serve in that window, if one did. ``sources`` are
    columns that come from the same place, by its name. ``open_causes`` are those of groups
    that are open, with the event time at which the last member joined; ``began`` is when the
    ``window`` began in which the items came to ALARM.

    >>> moved = [Item(state="a", monitor="drift", subject="temp", name="drift temp"),
    ...          Item(state="b", monitor="score_drift", subject="score", name="score")]
    >>> causes(moved)
    {'a': 'columns', 'b': 'columns'}
    """
    source_of = {column: name for name, several in (sources or {}).items() for column in several}
    gone = {_column(one) for one in items if _is_gone(one)}
    found: dict[str, str] = {}
    for one in items:
        if one.monitor in FOLLOWS:
            continue
        own = _own_cause(one, version, source_of, gone)
        found[one.state] = _still(own, open_causes or {}, window, began)
    newest_first = sorted(open_causes or {}, key=lambda cause: -(open_causes or {})[cause])
    leading = _leading([*found.values(), *newest_first])
    for one in items:
        if one.state not in found:
            alone = f"version:{version}" if version is not None else "answers"
            found[one.state] = leading or _still(alone, open_causes or {}, window, began)
    return {one.state: found[one.state] for one in items}


def _own_cause(
    one: Item, version: int | None, source_of: Mapping[str, str], gone: set[str]
) -> str:
    if one.monitor in ("channel", "log", "capture"):
        return f"{one.monitor}:{one.subject}"
    if version is not None:
        return f"version:{version}"
    if one.monitor in ("traffic", "age", "rule"):
        return one.monitor if one.monitor != "rule" else f"rule:{one.subject}"
    column = _column(one)
    if column in source_of:
        return f"source:{source_of[column]}"
    return "missing" if column in gone else "columns"


def _still(cause: str, open_causes: Mapping[str, float], window: str, began: float) -> str:
    """Return the open cause that something joins, or one of its own if that has stood a while."""
    if cause not in _BY_TIME:
        return cause
    mine = {one: at for one, at in open_causes.items() if one.partition(":")[0] == cause}
    newest = max(mine, key=lambda one: mine[one], default=None)
    if newest is None:
        return cause
    return newest if mine[newest] >= began else f"{cause}:{window}"


def _leading(several: Sequence[str]) -> str | None:
    """Return the cause that what follows from inputs is told with."""
    for order in _ORDER:
        for cause in several:
            if cause.startswith(order):
                return cause
    return None


def _column(one: Item) -> str:
    """Return the column that something is about; a quality check is ``column/check``."""
    left, mark, _ = one.subject.rpartition("/")
    return left if mark and one.monitor == "quality" else one.subject


def _is_gone(one: Item) -> bool:
    return one.monitor == "quality" and one.subject.rpartition("/")[2] in _GONE


def headline(cause: str, endpoint: str, names: Sequence[str]) -> str:
    """Return what a group is told as, in one line.

    >>> headline("columns", "flights", ["drift temp", "drift wind"])
    'flights: 2 alarms, inputs moved: drift temp, drift wind'
    """
    kind, _, what = cause.partition(":")
    told = {
        "version": f"since version {what} serves",
        "source": f"from the source {what}",
        "missing": "rows or values are missing",
        "columns": "inputs moved",
        "answers": "answers changed and inputs did not",
        "traffic": "traffic changed",
        "age": "the model is old",
        "channel": f"the channel {what} cannot be reached",
        "log": "logs",
        "capture": f"captured rows are {what}",
        "rule": f"the rule {what}",
    }.get(kind, cause)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    count = "1 alarm" if len(names) == 1 else f"{len(names)} alarms"
    where = f"{endpoint}: " if endpoint else ""
    return f"{where}{count}, {told}: {shown}"


# ---------------------------------------------------------------- kept


def join(
    tx: Tx, endpoint: str, found: Mapping[str, str], names: Mapping[str, str], state: AlarmState
) -> list[str]:
    """Put states into the open groups of their causes, opening those that are not; return ids.

    ``found`` is cause by state id, ``names`` what people call each; ``state`` is one of them,
    for the window and the time.
    """
    touched = []
    for cause in dict.fromkeys(found.values()):
        mine = [one for one, why in found.items() if why == cause]
        key = key_of(endpoint, cause)
        row = tx.one(select(groups).where(groups.c.open_key == key))
        if row is None:
            group = f"group_{key_of(endpoint, cause, state.window, state.at)[:26]}"
            _open(tx, group, endpoint, cause, key, state)
            known: list[str] = []
        else:
            group, known = str(row.id), msgspec.json.decode(row.members, type=list[str])
        members = list(dict.fromkeys([*known, *mine]))
        every = {one.id: _called(one) for one in states.some(tx, members)} | dict(names)
        told = headline(cause, endpoint, [every[one] for one in members if one in every])
        change = {"members": canonical(members).decode(), "headline": told}
        tx.run(update(groups).where(groups.c.id == group).values(**change))
        states.put_in_group(tx, mine, group)
        touched.append(group)
    return touched


def _called(state: AlarmState) -> str:
    return state.subject if state.kind in states.OWN_KINDS else f"{state.kind} {state.subject}"


def _open(tx: Tx, group: str, endpoint: str, cause: str, key: str, state: AlarmState) -> None:
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "cause": cause,
        "headline": "",
        "opened": state.at,
        "closed": None,
        "window_id": state.window,
        "told": "",
        "told_at": None,
        "members": "[]",
        "open_key": key,
    }
    if tx.one(select(groups.c.id).where(groups.c.id == group)) is None:
        tx.run(insert(groups).values(id=group, pages=0, **values))
    else:  # the same cause in the same window once more: the same group goes on
        del values["told"], values["told_at"]
        tx.run(update(groups).where(groups.c.id == group).values(**values))


def close_those_over(tx: Tx, endpoint: str, at: float) -> list[str]:
    """Close the open groups of an endpoint of which no member is in ALARM; return their ids."""
    closed = []
    for group in open_groups(tx, endpoint):
        now = states.some(tx, group.members)
        if any(one.state == "ALARM" and one.group == group.id for one in now):
            continue
        change = {"closed": at, "open_key": None}
        tx.run(update(groups).where(groups.c.id == group.id).values(**change))
        closed.append(group.id)
    return closed


def open_groups(tx: Tx, endpoint: str | None = None) -> list[AlarmGroup]:
    """Return the groups that are open, oldest first."""
    query = select(groups).where(groups.c.closed.is_(None))
    if endpoint is not None:
        query = query.where(groups.c.endpoint == endpoint)
    return [group_of(row) for row in tx.all(query.order_by(groups.c.opened, groups.c.id))]


def open_causes(tx: Tx, endpoint: str) -> dict[str, float]:
    """Return the causes of the groups that are open, and when the last member joined each."""
    found = {}
    for group in open_groups(tx, endpoint):
        mine = [one.since for one in states.some(tx, group.members) if one.group == group.id]
        found[group.cause] = max([group.opened, *mine])
    return found


def listed(tx: Tx, endpoint: str | None = None, limit: int = 100) -> list[AlarmGroup]:
    """Return groups, open and closed, newest first."""
    query = select(groups)
    if endpoint is not None:
        query = query.where(groups.c.endpoint == endpoint)
    query = query.order_by(groups.c.opened.desc(), groups.c.id.desc()).limit(limit)
    return [group_of(row) for row in tx.all(query)]


def get(tx: Tx, group: str) -> AlarmGroup:
    """Return one group.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(groups).where(groups.c.id == group))
    if row is None:
        raise NotFoundError(f"There is no group {group[:80]!r}.", field="group")
    return group_of(row)


def group_of(row: Any) -> AlarmGroup:
    """Return the record that a row of ``groups`` holds."""
    return AlarmGroup(
        id=row.id,
        endpoint=row.endpoint,
        cause=row.cause,
        headline=row.headline,
        opened=row.opened,
        closed=row.closed,
        window=row.window_id,
        told=row.told,
        told_at=row.told_at,
        members=msgspec.json.decode(row.members),
    )
