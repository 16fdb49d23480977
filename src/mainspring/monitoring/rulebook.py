"""Keep the rules that people wrote: every edit is a version, a deletion too."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Record
from mainspring.ground.ports import Tx
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring import composites, rules
from mainspring.monitoring.alarm_tables import rules as table

MOST_RULES = 1_000


class RuleVersion(Record, frozen=True, kw_only=True):
    """A rule as it was kept at one time."""

    rule: AlarmRule
    version: int
    active: bool
    made: float  #: wall time
    by: str
    why: str = ""


def put(tx: Tx, rule: AlarmRule, now: float, why: str = "", *, new: bool | None = None) -> int:
    """Keep a rule and return its version; the same rule again changes nothing.

    ``new`` True refuses a name that is taken, False one that is not.

    Raises:
        BadInputError: if the rule cannot be, asks about rules that are not there, or in a
            circle.
        ConflictError: if it is to be new and is there.
        NotFoundError: if it is to be edited and is not there.
    """
    rules.check(rule)
    there = every(tx)
    if new and rule.name in there:
        raise ConflictError(
            f"There is a rule {rule.name!r} already.",
            field="name",
            hint="Change it: mainspring alarms edit",
        )
    if new is False and rule.name not in there:
        raise NotFoundError(f"There is no rule {rule.name!r}.", field="name")
    if there.get(rule.name) == rule:
        return _newest(tx, rule.name)
    if len(there) >= MOST_RULES and rule.name not in there:
        raise BadInputError(f"There are {MOST_RULES:,} rules, and no more may be.", field="name")
    _check_names(rule, there)
    composites.refuse_circles({**there, rule.name: rule})
    version = _newest(tx, rule.name) + 1
    tx.run(update(table).where(table.c.name == rule.name).values(active=False))
    tx.run(insert(table).values(**_row(tx, rule, version, now, why, active=True)))
    tx.audit("rule.put", f"rule:{rule.name}", {"version": version, "endpoint": rule.endpoint}, why)
    return version


def remove(tx: Tx, name: str, now: float, why: str = "") -> AlarmRule:
    """Delete a rule and return what it was; its versions stay.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if other rules ask about it.
    """
    there = every(tx)
    rule = there.get(name)
    if rule is None:
        raise NotFoundError(f"There is no rule {name[:80]!r}.", field="name")
    asking = sorted(o.name for o in there.values() if name in composites.depends_on(o))
    if asking:
        raise ConflictError(
            f"{name} is asked about by {', '.join(asking)}.",
            field="name",
            hint="Change or delete those first.",
        )
    tx.run(update(table).where(table.c.name == name).values(active=False))
    row = _row(tx, rule, _newest(tx, name) + 1, now, why or "It was deleted.", active=False)
    tx.run(insert(table).values(**row))
    tx.audit("rule.remove", f"rule:{name}", {"endpoint": rule.endpoint}, why)
    return rule


def every(tx: Tx, endpoint: str | None = None) -> dict[str, AlarmRule]:
    """Return the rules in force by name."""
    query = select(table.c.rule).where(table.c.active)
    if endpoint is not None:
        query = query.where(table.c.endpoint == endpoint)
    found = [_read(row.rule) for row in tx.all(query.order_by(table.c.name))]
    return {rule.name: rule for rule in found}


def get(tx: Tx, name: str) -> AlarmRule:
    """Return a rule in force.

    Raises:
        NotFoundError: if there is none.
    """
    row = tx.one(select(table.c.rule).where(table.c.active, table.c.name == name))
    if row is None:
        raise NotFoundError(
            f"There is no rule {name[:80]!r}.",
            field="name",
            hint="See them: mainspring alarms rules",
        )
    return _read(row.rule)


def versions(tx: Tx, name: str) -> list[RuleVersion]:
    """Return what a rule was, newest first; its deletion stands as a version of its own.

    Raises:
        NotFoundError: if there never was one.
    """
    query = select(table).where(table.c.name == name).order_by(table.c.version.desc())
    found = [
        RuleVersion(
            rule=_read(row.rule),
            version=row.version,
            active=bool(row.active),
            made=row.made,
            by=row.by,
            why=row.why,
        )
        for row in tx.all(query)
    ]
    if not found:
        raise NotFoundError(f"There never was a rule {name[:80]!r}.", field="name")
    return found


def _check_names(rule: AlarmRule, there: dict[str, AlarmRule]) -> None:
    for name in sorted(composites.depends_on(rule)):
        if ":" in name:
            rules.series_of(name)
        elif name not in there and name != rule.name:
            raise BadInputError(
                f"{rule.name} asks about {name!r}, and there is no such rule.",
                field="when",
                hint="Make it first, or name a series such as drift:temp.",
            )


def _newest(tx: Tx, name: str) -> int:
    row = tx.one(select(func.max(table.c.version).label("n")).where(table.c.name == name))
    return 0 if row is None or row.n is None else int(row.n)


def _row(
    tx: Tx, rule: AlarmRule, version: int, now: float, why: str, *, active: bool
) -> dict[str, Any]:
    return {
        "name": rule.name,
        "version": version,
        "endpoint": rule.endpoint,
        "rule": canonical(rule).decode(),
        "active": active,
        "made": now,
        "by": tx.who.name,
        "why": why,
    }


def _read(text: str) -> AlarmRule:
    return msgspec.json.decode(text, type=AlarmRule)
