"""The records of a contract: what data must be, and in which ways some data is not."""

from __future__ import annotations

from typing import Any, Literal

from mainspring.ground.profiles import ValueKind
from mainspring.ground.records import Record

CONTRACT_FORMAT = 1

#: What can be checked, by the word that a violation carries.
Check = Literal[
    "type",
    "completeness",
    "range",
    "domain",
    "pattern",
    "unique",
    "freshness",
    "rows",
    "rule",
    "missing column",
    "extra column",
    "unreadable rule",
]


class Expect(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What one column must be. What is left out is not checked.

    A share that may be broken (``wrong``, ``outside``, ``unseen``, ``unmatched``) of 0 means
    that no single value may be; above that, and for ``completeness``, a violation is only what
    lies beyond the margin of the sample (Wilson, at the contract's confidence).
    """

    type: ValueKind | None = None  #: whole numbers are Fractional as well; anything is String
    wrong: float = 0.0  #: share of the values that may be of another type
    completeness: float | None = None  #: share of the rows that have a value, at least
    low: float | None = None  #: least number; of a Time UTC seconds
    high: float | None = None
    outside: float = 0.0  #: share of the values that may be below low or above high
    allowed: list[str] | None = None  #: the values there may be, as text; true and false
    unseen: float = 0.0  #: share of the values that may be others
    pattern: str | None = None  #: a regular expression that a whole value matches
    unmatched: float = 0.0  #: share of the values that may not match
    unique: bool = False  #: no value comes twice
    newest_within_s: float | None = None  #: Time: the newest is at most that old when checked
    required: bool = True  #: False: the column may be left out


class Contract(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a table must be: its columns, its rows, and what holds between columns.

    ``rules`` are SQL expressions over the columns of one row, by the name they shall have in a
    message, such as ``{"leaves before it lands": "departure < arrival"}``; a row in which one is
    unknown, because a value is missing, keeps it.
    """

    format: int = CONTRACT_FORMAT
    columns: dict[str, Expect] = {}
    rules: dict[str, str] = {}
    broken: float = 0.0  #: share of the rows that may break a rule
    least_rows: int | None = None
    most_rows: int | None = None
    extra: Literal["allow", "refuse"] = "allow"  #: columns that are not named here
    confidence: float = 0.95  #: of the margin within which a share may lie by chance
    serving: Literal["refuse", "note"] = "note"  #: a request that breaks it: 400, or counted
    notes: dict[str, Any] = {}  #: what another tool said beside; kept for it, not looked at


class Violation(Record, frozen=True, kw_only=True):
    """One way in which data is not as its contract says."""

    column: str | None  #: None: the table itself
    check: Check
    found: str
    wanted: str
    count: int = 0  #: rows or values that break it
    of: int = 0  #: rows or values that were looked at
    examples: list[str] = []  #: some of the values, shortened

    @property
    def sentence(self) -> str:
        """Return it in words."""
        where = "The table" if self.column is None else f"Column {self.column!r}"
        such = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{where}, {self.check}: found {self.found}{such}; wanted {self.wanted}."


class Checked(Record, frozen=True, kw_only=True):
    """What a check of some data against a contract found."""

    rows: int
    violations: list[Violation] = []
    not_judged: list[str] = []  #: what the data given cannot tell, in words

    @property
    def passed(self) -> bool:
        """Return whether nothing is broken."""
        return not self.violations
