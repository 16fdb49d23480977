"""Build the report of a comparison: what moved first, every column after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.ground.objects import Finding
from mainspring.ground.words import figure, share
from mainspring.workspace.reports import charts
from mainspring.workspace.reports.comparing import Beside, ColumnBeside
from mainspring.workspace.reports.describing import Described
from mainspring.workspace.reports.document import Cell, Chart, Part, Report, Table, Text

if TYPE_CHECKING:
    from mainspring.workspace.reports.comparison import DataComparison

_OVERVIEW = 200  # columns of the overview; the rest stands below, folded
_DRAWN = 40  # bars of the figure of distances
_RANK = {"alarm": 0, "notice": 1, "quiet": 3}
_TONES = {"alarm": "alarm", "notice": "notice", "quiet": "quiet"}


def report(shown: DataComparison) -> Report:
    """Return the report of a comparison."""
    found = shown.found
    before, now = found.before_rows, found.now_rows
    facts = [
        ("Baseline", f"{found.before}, {before:,} rows"),
        ("Beside it", f"{found.now}, {now:,} rows"),
        ("Columns", f"{len(found.columns):,}"),
        ("False alarm", f"in at most {found.alpha:g} of comparisons without a difference"),
        ("Begins to matter", f"a distance of {found.material:g}"),
    ]
    parts = [_overview(found), _schema(found), _distances(found), _correlations(found)]
    parts.append(_others(found))
    parts += [_column(found, one, place) for place, one in enumerate(found.columns)]
    return Report(
        title=shown.title,
        headline=shown.headline,
        tone=shown.verdict,
        facts=facts,
        parts=[part for part in parts if part is not None],
    )


def _overview(found: Beside) -> Part:
    rows = [
        (
            Cell(text=one.name, to=f"column-{place}"),
            Cell(text=one.verdict, tone=_TONES.get(one.verdict, "none")),
            None if one.drift is None else _three(one.drift.value),
            None if one.drift is None else _three(one.drift.radius),
            Cell(picture=one.distribution) if one.distribution is not None else "",
            one.why[0] if one.why else "",
        )
        for place, one in enumerate(found.columns[:_OVERVIEW])
    ]
    more = len(found.columns) - _OVERVIEW
    note = f"And {more:,} more, below." if more > 0 else ""
    heads = ("Column", "Verdict", "Distance>", "By chance>", "Before and now", "Why")
    return Part(title="What differs", blocks=[Table(columns=heads, rows=rows, note=note)])


def _schema(found: Beside) -> Part | None:
    rows = [
        (one.name, one.change, _type(one.before), _type(one.now))
        for one in found.columns
        if one.change
    ]
    if not rows:
        text = f"Both have the same {len(found.columns)} columns with the same types."
        return Part(title="Schema", blocks=[Text(text=text)])
    table = Table(columns=("Column", "Change", "Before", "Now"), rows=rows)
    return Part(title="Schema", blocks=[table])


def _type(side: Described | None) -> str:
    return "" if side is None else side.type


def _distances(found: Beside) -> Part | None:
    judged = [
        one for one in found.columns if one.drift is not None and one.drift.value is not None
    ]
    judged.sort(key=lambda one: -(one.drift.value or 0.0 if one.drift else 0.0))
    drifts = [one.drift for one in judged[:_DRAWN] if one.drift is not None]
    if not drifts:
        return None
    drawn = charts.distances(
        [one.name for one in judged[:_DRAWN]],
        [one.value for one in drifts],
        [one.radius for one in drifts],
        [one.line for one in drifts],
        [one.verdict for one in drifts],
    )
    told = "Distance of each column, what chance reaches, and from where on it matters."
    return Part(title="How far", blocks=[Chart(figure=drawn, told=told)])


def _correlations(found: Beside) -> Part:
    rows = [
        (one.first, one.second, _two(one.before), _two(one.now), _two(one.reach))
        for one in found.correlations
    ]
    title = "Columns that move together otherwise"
    if not rows:
        text = f"None. {found.correlations_why}"
        return Part(title=title, blocks=[Text(text=text)])
    heads = ("One", "Other", "Correlation before>", "Now>", "Least change seen>")
    return Part(title=title, blocks=[Table(columns=heads, rows=rows, note=found.correlations_why)])


def _others(found: Beside) -> Part | None:
    if not found.others:
        return None
    rows = [
        (
            one.monitor.replace("_", " "),
            one.subject,
            Cell(text=one.verdict, tone=_TONES.get(one.verdict, "none")),
            figure(one.value),
            f"{figure(one.low)} to {figure(one.high)}" if one.low is not None else "",
            figure(one.baseline),
            one.why,
        )
        for one in sorted(found.others, key=lambda one: _RANK.get(one.verdict, 2))
    ]
    heads = ("Monitor", "Of", "Verdict", "Found>", "95 %", "At training>", "Why")
    return Part(title="What other monitors found", blocks=[Table(columns=heads, rows=rows)])


def _column(found: Beside, one: ColumnBeside, place: int) -> Part:
    names = (found.before[:40], found.now[:40])
    blocks: list[Text | Table | Chart] = [Text(text=words) for words in one.why]
    if one.distribution is not None:
        drawn = charts.overlaid(one.distribution, "", names)
        blocks.append(Chart(figure=drawn, told=f"Distribution of {one.name[:80]} on both sides"))
    heads = ("", names[0], names[1])
    blocks.append(Table(columns=heads, rows=_facts(one.before, one.now)))
    if one.drift is not None and one.drift.value is not None:
        blocks.append(Table(columns=("Measure", "Value>"), rows=_measures(one.drift)))
    return Part(
        title=one.name,
        blocks=blocks,
        id=f"column-{place}",
        folded=True,
        tone=_TONES.get(one.verdict, "none"),
        note=one.kind,
    )


def _measures(drift: Finding) -> list[tuple[str, Any]]:
    shown: list[tuple[str, Any]] = [
        (str(drift.detail.get("method", "distance")), _three(drift.value)),
        ("chance alone reaches", _three(drift.radius)),
        ("begins to matter", _three(drift.line)),
        ("smallest shift that could have been seen", _three(drift.smallest)),
    ]
    for key, name in (
        ("psi", "population stability index"),
        ("js", "Jensen-Shannon"),
        ("wasserstein", "Wasserstein, in standard deviations"),
    ):
        value = drift.detail.get(key)
        if isinstance(value, int | float):
            shown.append((name, _three(value)))
    return shown


def _facts(before: Described | None, now: Described | None) -> list[tuple[str, str, str]]:
    pairs = zip(_told(before), _told(now), strict=True)
    return [(name, left, right) for (name, left), (_, right) in pairs if left or right]


def _told(side: Described | None) -> list[tuple[str, str]]:
    """Return the figures of one side by name; what it does not have is empty."""
    if side is None:
        return [(name, "") for name in _NAMES]
    rows = side.rows
    quantiles: Sequence[float | None] = side.quantiles or [None] * 5
    top = ", ".join(f"{name[:40]!r} {share(n / max(side.present, 1))}" for name, n in side.top)
    values = [
        side.type,
        f"{rows:,}",
        f"{side.missing:,} ({share(side.missing / rows)})" if rows else "0",
        _number(side.distinct),
        _number(side.mean),
        _number(side.std),
        _number(side.low),
        *(_number(value) for value in quantiles),
        _number(side.high),
        _number(side.zeros),
        top,
        side.first or "",
        side.last or "",
    ]
    return list(zip(_NAMES, values, strict=True))


_NAMES = (
    "type", "rows", "missing", "distinct values", "mean", "standard deviation", "lowest",
    "5 % below", "25 % below", "median", "75 % below", "95 % below", "highest", "zeros",
    "most frequent", "oldest (UTC)", "newest (UTC)",
)  # fmt: skip


def _number(value: float | None) -> str:
    return figure(value)


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _two(value: float) -> str:
    return f"{value:+.2f}"
