"""Rules over the logs: a pattern, and how many lines of it within a time are too many."""

from __future__ import annotations

import msgspec
from sqlalchemy import Column, Float, MetaData, String, Table, Text, delete, insert, select

from mainspring.ground.durations import spoken
from mainspring.ground.errors import AlreadyExistsError, BadInputError, NotFoundError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record
from mainspring.workspace.logs.lines import Query

METADATA = MetaData()

table = Table(
    "log_rules",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("made", Float, nullable=False),
    Column("by", String(255), nullable=False),
)

MOST_RULES = 100  #: each is a look at the newest lines, every few seconds
MOST_WITHIN_S = 86_400.0


class LogRule(Record, frozen=True, kw_only=True):
    """What to look for in the logs, and from how many lines on it is alarming."""

    name: str
    text: str = ""  #: stands in a line; small and capital letters alike
    level: str = "debug"  #: at least as serious
    process: str | None = None
    endpoint: str | None = None  #: the alarm is this endpoint's; without it, the house's
    above: int = 0  #: more lines than this, within ...
    within_s: float = 60.0  #: ... so many seconds, are too many
    note: str = ""  #: what to do about it; stands in the alarm

    def query(self, now: float) -> Query:
        """Return the question for the lines that count at a time."""
        return Query(
            text=self.text,
            level=self.level,
            process=self.process,
            endpoint=self.endpoint,
            since=now - self.within_s,
            until=now,
        )

    def words(self) -> str:
        """Return what it looks for, as people say it.

        >>> LogRule(name="slow", text="took longer", level="warning", within_s=600.0).words()
        'lines of warning and above with "took longer" in 10 min'
        """
        parts = ["lines"]
        if self.level != "debug":
            parts.append(f"of {self.level} and above")
        if self.text:
            parts.append(f'with "{self.text}"')
        if self.process:
            parts.append(f"of {self.process}")
        if self.endpoint:
            parts.append(f"about {self.endpoint}")
        return " ".join([*parts, f"in {spoken(self.within_s)}"])


def check(rule: LogRule) -> LogRule:
    """Return a rule unchanged, or say why it cannot be.

    Raises:
        BadInputError: naming the field.
    """
    check_name(rule.name)
    rule.query(0.0).check()
    if not rule.text and rule.level in ("debug", "info"):
        raise BadInputError(
            "A rule looks for a text, or for a level of warning or above.",
            field="text",
            hint="For example: --level error, or --text 'took longer'.",
        )
    if rule.above < 0:
        raise BadInputError(f"above must be 0 or more, found {rule.above}.", field="above")
    if not 1 <= rule.within_s <= MOST_WITHIN_S:
        raise BadInputError(
            f"within must be between 1 s and a day, found {rule.within_s:g} s.", field="within"
        )
    return rule


def add(tx: Tx, rule: LogRule, now: float) -> LogRule:
    """Keep a new rule.

    Raises:
        BadInputError: if it cannot be, or there are too many.
        AlreadyExistsError: if the name is taken.
    """
    check(rule)
    there = every(tx)
    if any(one.name == rule.name for one in there):
        raise AlreadyExistsError(f"There is a rule {rule.name!r} already.", field="name")
    if len(there) >= MOST_RULES:
        raise BadInputError(f"There are {MOST_RULES} rules, and no more may be.", field="name")
    text = canonical(rule).decode()
    tx.run(insert(table).values(name=rule.name, rule=text, made=now, by=tx.who.name))
    tx.audit("log_rule.add", f"log_rule:{rule.name}", msgspec.to_builtins(rule))
    return rule


def remove(tx: Tx, name: str) -> LogRule:
    """Look for nothing by a rule any more; return what it was.

    Raises:
        NotFoundError: if there is none.
    """
    found = get(tx, name)
    tx.run(delete(table).where(table.c.name == name))
    tx.audit("log_rule.remove", f"log_rule:{name}", {})
    return found


def get(tx: Tx, name: str) -> LogRule:
    """Return a rule.

    Raises:
        NotFoundError: if there is none.
    """
    row = tx.one(select(table.c.rule).where(table.c.name == name))
    if row is None:
        raise NotFoundError(f"There is no rule {name[:80]!r} over the logs.", field="name")
    return msgspec.json.decode(row.rule, type=LogRule)


def every(tx: Tx) -> list[LogRule]:
    """Return every rule by name."""
    rows = tx.all(select(table.c.rule).order_by(table.c.name))
    return [msgspec.json.decode(row.rule, type=LogRule) for row in rows]
