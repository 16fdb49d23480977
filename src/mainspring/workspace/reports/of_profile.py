"""Report the profile of one table: every column's figures and how its values lie."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.profiles import ColumnProfile, Profile
from mainspring.ground.words import day, figure, share, when
from mainspring.workspace.reports import charts, distributions
from mainspring.workspace.reports.distributions import Distribution
from mainspring.workspace.reports.document import Cell, Chart, Part, Report, Table

_OVERVIEW = 200
_LEAST = 0.3  # correlations that are told
_PAIRS = 20


def report(found: Profile, title: str) -> Report:
    """Return the report of a profile; what is not exact states its error.

    >>> from mainspring.ground.profiles import ColumnProfile
    >>> one = ColumnProfile(name="city", type="category", rows=3, missing=1,
    ...                     categories={"Ulm": 2})
    >>> report(Profile(rows=3, columns=[one]), "towns.csv").headline
    '3 rows, 1 column; 33.3 % of the values of city are missing.'
    """
    laid = [_laid(column) for column in found.columns]
    facts = [("Rows", f"{found.rows:,}"), ("Columns", f"{len(found.columns):,}")]
    if found.keys:
        facts.append(("A value of its own in every row", ", ".join(found.keys[:8])))
    rank = max((column.rank_error for column in found.columns), default=0.0)
    if rank:
        facts.append(("Quantiles are exact to", f"{rank:.2g} of the rows"))
    parts = [_overview(found, laid), _correlations(found)]
    parts += [
        _column(column, picture, place)
        for place, (column, picture) in enumerate(zip(found.columns, laid, strict=True))
    ]
    return Report(
        title=title,
        headline=_headline(found),
        tone="",
        facts=facts,
        parts=[part for part in parts if part is not None],
    )


def _headline(found: Profile) -> str:
    count = len(found.columns)
    told = f"{found.rows:,} rows, {count:,} column{'' if count == 1 else 's'}"
    gone = max(found.columns, key=lambda one: one.missing, default=None)
    if gone is None or not gone.missing:
        return f"{told}; no value is missing."
    return f"{told}; {share(gone.missing / gone.rows)} of the values of {gone.name} are missing."


def _laid(column: ColumnProfile) -> Distribution | None:
    if column.type == "category":
        found = distributions.of_categories(column.categories, {})
    else:
        found = distributions.of_numbers(column, [])
    if found is None:
        return None
    if column.kind == "Time" and found.cuts:
        days = [day(cut) for cut in found.cuts[:-1]]
        found = msgspec.structs.replace(found, names=days, cuts=[])
    return msgspec.structs.replace(found, alone=True)


def _overview(found: Profile, laid: list[Distribution | None]) -> Part:
    rows = [
        (
            Cell(text=column.name, to=f"column-{place}"),
            _kind(column),
            share(column.missing / column.rows) if column.rows else "",
            _different(column),
            _value(column, column.low),
            _value(column, column.quantiles.get("0.5")),
            _value(column, column.high),
            Cell(picture=picture) if picture is not None else "",
        )
        for place, (column, picture) in enumerate(zip(found.columns, laid, strict=True))
    ][:_OVERVIEW]
    heads = ("Column", "Kind", "Missing>", "Different>", "Lowest>", "Median>", "Highest>",
             "How values lie")  # fmt: skip
    more = len(found.columns) - _OVERVIEW
    note = f"And {more:,} more, below." if more > 0 else ""
    return Part(title="Every column", blocks=[Table(columns=heads, rows=rows, note=note)])


def _correlations(found: Profile) -> Part | None:
    told = found.correlations
    if told is None:
        return None
    pairs = [
        (told.columns[row], told.columns[column], value)
        for row, cells in enumerate(told.matrix)
        for column, value in enumerate(cells[:row])
        if value is not None and abs(value) >= _LEAST
    ]
    pairs.sort(key=lambda pair: -abs(pair[2]))
    rows = [(one, other, f"{value:+.2f}") for one, other, value in pairs[:_PAIRS]]
    note = told.why or f"Pairs whose correlation is {_LEAST} or more, the strongest {_PAIRS}."
    table = Table(columns=("One", "Other", "Correlation>"), rows=rows, note=note)
    return Part(title="Columns that move together", blocks=[table])


def _column(column: ColumnProfile, picture: Distribution | None, place: int) -> Part:
    blocks: list[Any] = []
    if picture is not None:
        drawn = charts.overlaid(picture, "", ("share of the rows", ""))
        blocks.append(Chart(figure=drawn, told=f"How the values of {column.name[:80]} lie"))
    blocks.append(Table(columns=("", "Found"), rows=_facts(column)))
    return Part(
        title=column.name,
        blocks=blocks,
        id=f"column-{place}",
        folded=True,
        note=_kind(column),
    )


def _facts(column: ColumnProfile) -> list[tuple[str, str]]:
    here = max(column.rows - column.missing, 1)
    often = sorted(column.categories.items(), key=lambda pair: (-pair[1], pair[0]))[:8]
    told = [
        ("rows", f"{column.rows:,}"),
        ("missing", f"{column.missing:,}"),
        ("of another kind", f"{column.wrong:,}" if column.wrong else ""),
        ("different values", _different(column)),
        ("values that come again", share(column.repeated) if column.repeated is not None else ""),
        ("mean", _value(column, column.mean)),
        ("standard deviation", figure(column.std)),
        ("lowest", _value(column, column.low)),
        *(
            (f"{share(float(at))} below", _value(column, value))
            for at, value in column.quantiles.items()
        ),
        ("highest", _value(column, column.high)),
        ("most frequent", ", ".join(f"{n[:40]!r} {share(rows / here)}" for n, rows in often)),
    ]
    return [(name, value) for name, value in told if value]


def _kind(column: ColumnProfile) -> str:
    return column.type if column.kind == "Unknown" else column.kind.lower()


def _different(column: ColumnProfile) -> str:
    if column.distinct is None:
        return ""
    return f"{'about ' if column.distinct_error else ''}{column.distinct:,.0f}"


def _value(column: ColumnProfile, value: float | None) -> str:
    return when(value) if column.kind == "Time" else figure(value)
