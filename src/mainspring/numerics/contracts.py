"""Say what a contract must ask of data like this, and whether counts break a contract.

Pure: takes profiles and counts. What counts rows is in :mod:`mainspring.monitoring.constraints`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mainspring.ground.contracts import Checked, Contract, Expect, Violation
from mainspring.ground.profiles import ColumnProfile, Profile
from mainspring.numerics.intervals import wilson
from mainspring.numerics.merging import is_key
from mainspring.numerics.profiles import OTHER

#: A column of texts is suggested to have a domain up to so many different values...
DOMAIN_MOST = 100
#: ... each of which comes that often on average: else the next row may well bring a new one.
DOMAIN_TIMES = 10

_SHOWN = 3
_WIDTH = 40


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was counted of one column; None: that was not looked at, or cannot be told."""

    name: str
    rows: int
    missing: int
    wrong: int | None = None
    wrong_values: Sequence[str] = ()
    outside: int | None = None
    low: float | None = None
    high: float | None = None
    unseen: int | None = None
    unseen_values: Sequence[str] = ()
    unmatched: int | None = None
    unmatched_values: Sequence[str] = ()
    repeats: int | None = None  #: values that came again
    repeated_values: Sequence[str] = ()
    newest: float | None = None
    kinds: str = ""  #: what its values are, in words

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was counted of a table."""

    rows: int
    columns: Sequence[Counted]
    broken: dict[str, int] = field(default_factory=dict)  #: rows that break each rule
    examples: dict[str, Sequence[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  #: rules that cannot be asked


def suggest(profile: Profile, confidence: float = 0.95) -> Contract:
    """Return the contract that data like this keeps, to be edited by who knows better.

    Types are taken as rules; shares are what a further sample of the same source
    may reach: completeness is the lower end of its Wilson interval, values outside of the
    range as many as lie beyond the extremes of n others (2 in n), unseen categories as many as
    came once (Good and Turing). Times and keys get no range, for they go on. Freshness,
    patterns, rules between columns and the number of rows are not guessed.

    Example:
        >>> from mainspring.numerics import tallies
        >>> from mainspring.numerics.merging import assemble
        >>> x = tallies.with_numbers(tallies.Tally(), [7, 9] * 500, "Integral")
        >>> expect = suggest(assemble(1000, [tallies.finish("x", x)], None)).columns["x"]
        >>> expect.type, expect.low, expect.high, expect.outside, round(expect.completeness, 4)
        ('Integral', 7.0, 9.0, 0.007263, 0.9962)
    """
    columns = {column.name: _expect(column, confidence) for column in profile.columns}
    return Contract(columns=columns, confidence=confidence)


def judge(contract: Contract, seen: Seen, now: float | None) -> Checked:
    """Return in which ways counts break a contract; ``now`` is what freshness is asked against.

    A table without rows breaks only what it asks of its rows and columns.
    """
    known = {column.name: column for column in seen.columns}
    broken: list[Violation] = list(_of_table(contract, seen))
    untold: list[str] = []
    for name, expect in contract.columns.items():
        column = known.get(name)
        if column is None:
            if expect.required:
                broken.append(
                    Violation(column=name, check="missing column", found="no such column",
                              wanted="the column", count=seen.rows, of=seen.rows)
                )  # fmt: skip
            continue
        broken += _of_column(column, expect, contract.confidence, now)
        untold += _untold(column, expect, now)
    if contract.extra == "refuse":
        broken += [
            Violation(column=name, check="extra column", found="a column",
                      wanted="none but those of the contract")
            for name in known
            if name not in contract.columns
        ]  # fmt: skip
    broken += _of_rules(contract, seen)
    return Checked(rows=seen.rows, violations=broken, not_judged=untold)


def check_profile(contract: Contract, profile: Profile, now: float | None = None) -> Checked:
    """Return in which ways a profile shows that its data breaks a contract.

    What a profile cannot tell (patterns, rules, values beyond its categories) is said.
    """
    columns = [
        _of_profile(column, contract.columns.get(column.name)) for column in profile.columns
    ]
    found = judge(contract, Seen(rows=profile.rows, columns=columns), now)
    untold = [f"Rule {name!r} needs the rows themselves." for name in contract.rules]
    return Checked(
        rows=found.rows,
        violations=found.violations,
        not_judged=[*found.not_judged, *untold],
    )


def shortened(values: Sequence[object]) -> list[str]:
    """Return some values as a message shows them."""
    shown = [repr(value) if isinstance(value, str) else f"{value:.6g}" if isinstance(
        value, float) else str(value) for value in values[:_SHOWN]]  # fmt: skip
    return [one if len(one) <= _WIDTH else f"{one[: _WIDTH - 1]}\u2026" for one in shown]


def _expect(column: ColumnProfile, confidence: float) -> Expect:
    here = column.rows - column.missing
    if not here:
        return Expect(required=column.rows > 0)
    known: dict[str, object] = {
        "completeness": round(wilson(here, column.rows, confidence).low, 6)
    }
    if is_key(column):
        known["unique"] = True
    if column.kind != "Unknown":
        known["type"] = column.kind
    if column.wrong:
        known["wrong"] = round(wilson(column.wrong, here, confidence).high, 6)
    # Time goes on, and numbers that name rows do.
    ranged = column.type == "number" and column.kind != "Time" and not is_key(column)
    if ranged and column.low is not None and column.high is not None:
        known |= {"low": column.low, "high": column.high}
        known["outside"] = round(wilson(min(2, here), here, confidence).high, 6)
    if column.type == "category" and _has_domain(column, here):
        known["allowed"] = sorted(column.categories)
        once = sum(1 for count in column.categories.values() if count == 1)
        known["unseen"] = round(wilson(once, here, confidence).high, 6)
    return Expect(**known)  # type: ignore[arg-type]  # fields of the record, by name


def _has_domain(column: ColumnProfile, here: int) -> bool:
    known = column.categories
    if not known or OTHER in known or column.categories_rest or is_key(column):
        return False
    return len(known) <= DOMAIN_MOST and here >= DOMAIN_TIMES * len(known)


def _of_table(contract: Contract, seen: Seen) -> Iterator[Violation]:
    least, most = contract.least_rows, contract.most_rows
    if least is not None and seen.rows < least:
        yield _rows(seen.rows, f"at least {least:,}")
    if most is not None and seen.rows > most:
        yield _rows(seen.rows, f"at most {most:,}")


def _rows(rows: int, wanted: str) -> Violation:
    return Violation(column=None, check="rows", found=f"{rows:,} rows", wanted=wanted, of=rows)


def _of_column(
    column: Counted, expect: Expect, confidence: float, now: float | None
) -> Iterator[Violation]:
    name, here = column.name, column.present
    if expect.completeness is not None and column.rows:
        bad = _beyond(column.missing, column.rows, 1 - expect.completeness, confidence)
        if bad:
            yield Violation(
                column=name, check="completeness",
                found=f"{_share(column.missing, column.rows)} of {column.rows:,} rows missing",
                wanted=f"at most {100 * (1 - expect.completeness):.3g} %",
                count=column.missing, of=column.rows,
            )  # fmt: skip
    parts = (
        ("type", column.wrong, expect.wrong, column.wrong_values,
         f"{expect.type}" + (f", but found {column.kinds}" if column.kinds else "")),
        ("range", column.outside, expect.outside, _ends(column, expect), _range(expect)),
        ("domain", column.unseen, expect.unseen, column.unseen_values,
         f"one of {', '.join(shortened(expect.allowed or []))}"
         + (f" and {len(expect.allowed or []) - _SHOWN} more"
            if len(expect.allowed or []) > _SHOWN else "")),
        ("pattern", column.unmatched, expect.unmatched, column.unmatched_values,
         f"a match of {expect.pattern!r}"),
        ("unique", column.repeats, 0.0, column.repeated_values, "no value twice"),
    )  # fmt: skip
    for check, count, share, examples, wanted in parts:
        if count and _beyond(count, here, share, confidence):
            allowed = f" in all but {100 * share:.3g} %" if share else ""
            yield Violation(
                column=name,
                check=check,  # type: ignore[arg-type]  # each is one of the words
                found=f"{count:,} of {here:,} values ({_share(count, here)}) that break it",
                wanted=f"{wanted}{allowed}",
                count=count,
                of=here,
                examples=shortened(examples),
            )
    if expect.newest_within_s is not None and now is not None and column.newest is not None:
        age = now - column.newest
        if age > expect.newest_within_s:
            yield Violation(
                column=name, check="freshness", found=f"the newest is {age:,.0f} s old",
                wanted=f"at most {expect.newest_within_s:,.0f} s", count=here, of=here,
            )  # fmt: skip


def _of_rules(contract: Contract, seen: Seen) -> Iterator[Violation]:
    for name, why in seen.unreadable.items():
        yield Violation(
            column=None, check="unreadable rule", found=why, wanted=f"rule {name!r} to be asked"
        )
    for name, count in seen.broken.items():
        if count and _beyond(count, seen.rows, contract.broken, contract.confidence):
            yield Violation(
                column=None, check="rule",
                found=f"{count:,} of {seen.rows:,} rows that break {name!r}",
                wanted=contract.rules[name], count=count, of=seen.rows,
                examples=list(seen.examples.get(name, ())),
            )  # fmt: skip


def _beyond(count: int, of: int, allowed: float, confidence: float) -> bool:
    """Return whether more are broken than allowed, beyond the margin of the sample."""
    if of == 0 or count == 0:
        return False
    if allowed <= 0:
        return True
    return wilson(min(count, of), of, confidence).low > allowed


def _untold(column: Counted, expect: Expect, now: float | None) -> Iterator[str]:
    if not column.present:
        return
    wanted = {
        "its type": expect.type is not None and column.wrong is None,
        "its range": (expect.low, expect.high) != (None, None) and column.outside is None,
        "its domain": expect.allowed is not None and column.unseen is None,
        "its pattern": expect.pattern is not None and column.unmatched is None,
        "whether a value comes twice": expect.unique and column.repeats is None,
        "how fresh it is": expect.newest_within_s is not None
        and (column.newest is None or now is None),
    }
    for what, untold in wanted.items():
        if untold:
            yield f"Column {column.name!r}: {what} cannot be told from this."


def _of_profile(column: ColumnProfile, expect: Expect | None) -> Counted:
    expect = expect or Expect()
    here = column.rows - column.missing
    return Counted(
        name=column.name,
        rows=column.rows,
        missing=column.missing,
        wrong=_wrong(column, expect, here),
        outside=_outside(column, expect, here),
        low=column.low,
        high=column.high,
        unseen=_unseen(column, expect, here),
        unseen_values=[v for v in column.categories if v not in (expect.allowed or ())],
        repeats=_repeats(column) if expect.unique else 0,
        newest=column.high if column.kind == "Time" else None,
        kinds=column.kind if column.kind != "Unknown" else "",
    )


def _wrong(column: ColumnProfile, expect: Expect, here: int) -> int | None:
    if expect.type is None or expect.type in ("String", "Unknown") or not here:
        return 0
    fits = ("Integral", "Fractional") if expect.type == "Fractional" else (expect.type,)
    if column.kinds:
        return here - sum(column.kinds.get(kind, 0) for kind in fits)
    if column.kind == "Unknown":
        return None
    return 0 if column.kind in fits else here


def _outside(column: ColumnProfile, expect: Expect, here: int) -> int | None:
    """Return about how many values lie outside, from the cells that lie wholly outside."""
    if (expect.low, expect.high) == (None, None) or column.type != "number":
        return None
    if column.low is None or column.high is None:
        return None if here else 0
    below = expect.low is not None and column.low < expect.low
    above = expect.high is not None and column.high > expect.high
    if not below and not above:
        return 0
    edges, counts = column.edges, column.counts
    sure = 0
    if below and expect.low is not None:
        sure += sum(n for edge, n in zip(edges, counts, strict=False) if edge < expect.low)
    if above and expect.high is not None:
        sure += sum(n for edge, n in zip(edges, counts[1:], strict=False) if edge >= expect.high)
    # The extremes themselves are outside for sure.
    return max(sure, below + above)


def _unseen(column: ColumnProfile, expect: Expect, here: int) -> int | None:
    if expect.allowed is None or not here:
        return 0
    if column.type != "category":
        return None
    known = set(expect.allowed) | {OTHER}
    unknown = sum(count for value, count in column.categories.items() if value not in known)
    return None if not unknown and OTHER in column.categories else unknown


def _repeats(column: ColumnProfile) -> int | None:
    """Return how many values come again, where the profile counted all of them."""
    if column.distinct is None:
        return None
    here = column.rows - column.missing
    if column.distinct_error == 0:
        return here - round(column.distinct)
    # Of a sample: any repeat in it is one, none says that there are few.
    return None if not column.repeated else max(round(column.repeated * column.distinct), 1)


def _ends(column: Counted, expect: Expect) -> list[float]:
    found = []
    if expect.low is not None and column.low is not None and column.low < expect.low:
        found.append(column.low)
    if expect.high is not None and column.high is not None and column.high > expect.high:
        found.append(column.high)
    return found


def _range(expect: Expect) -> str:
    if expect.low is None:
        return "any number" if expect.high is None else f"at most {expect.high:.6g}"
    if expect.high is None:
        return f"at least {expect.low:.6g}"
    return f"{expect.low:.6g} to {expect.high:.6g}"


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.3g} %" if of else "0 %"
