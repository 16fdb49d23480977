"""What ``ms.compare_data`` gives: two tables beside each other, in whatever form one wants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.display import Page
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import MonitorPolicy
from mainspring.workspace.reports import writing
from mainspring.workspace.reports.comparing import Beside, ColumnBeside, Step


class DataComparison:
    """Two tables, or a window and its baseline, beside each other. Shown in a notebook as it is.

    ``columns`` holds one :class:`~mainspring.workspace.reports.comparing.ColumnBeside` a column,
    those that differ most first; ``verdict`` is ``alarm``, ``notice`` or ``quiet``.
    """

    def __init__(self, found: Beside, title: str = "") -> None:
        self._found = found
        self._title = title or f"{found.now} beside {found.before}"

    @property
    def title(self) -> str:
        """Return what is compared with what."""
        return self._title

    @property
    def found(self) -> Beside:
        """Return everything that was found."""
        return self._found

    @property
    def columns(self) -> list[ColumnBeside]:
        """Return the columns, those that differ most first."""
        return list(self._found.columns)

    @property
    def verdict(self) -> str:
        """Return the worst verdict of any column."""
        kinds = {one.verdict for one in self._found.columns}
        if self._found.correlations:
            kinds.add("notice")
        return next((one for one in ("alarm", "notice") if one in kinds), "quiet")

    @property
    def headline(self) -> str:
        """Return what there is to say, in one sentence."""
        alarms = self._named("alarm")
        notices = self._named("notice")
        total = len(self._found.columns)
        if alarms:
            told = f"{len(alarms)} of {total} columns differ: {_some(alarms)}."
        elif notices:
            told = f"No column differs alarmingly; {len(notices)} of {total} are worth a look."
        else:
            told = f"None of {total} columns differs beyond chance by an amount that matters."
        if self._found.correlations:
            count = len(self._found.correlations)
            pairs = "1 pair of columns moves" if count == 1 else f"{count} pairs of columns move"
            told += f" {pairs} together otherwise."
        untold = sum(1 for one in self._found.columns if one.verdict == "too few rows")
        return told + (f" {untold} could not be judged: too few rows." if untold else "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was found as plain values that JSON holds."""
        told = msgspec.to_builtins(self._found, enc_hook=_plain)
        head = {"title": self.title, "verdict": self.verdict, "headline": self.headline}
        return {**head, **told}

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the comparison as Markdown, and write it to a file if one is named."""
        from mainspring.workspace.reports import markdown
        from mainspring.workspace.reports.building import report

        text = markdown.text(report(self))
        if path is not None:
            writing.to_file(path, text)
        return text

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the comparison as one HTML file that needs nothing else, and return its path."""
        from mainspring.workspace.reports import onefile
        from mainspring.workspace.reports.building import report

        return writing.to_file(path, onefile.html(report(self)))

    def _repr_html_(self) -> str:
        from mainspring.workspace.reports import onefile
        from mainspring.workspace.reports.building import report

        return onefile.body(report(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("DataComparison(...)" if cycle else self._page().text())

    def __repr__(self) -> str:
        return f"DataComparison({self.title!r}: {self.headline})"

    def _page(self) -> Page:
        rows = [
            (one.name, one.verdict, None if one.drift is None else one.drift.value, one.why[0])
            for one in self._found.columns
            if one.why
        ]
        return Page(f"{self.title}: {self.headline}").table(
            "", ("column", "verdict", "distance", "why"), rows
        )

    def _named(self, verdict: str) -> list[str]:
        return [one.name for one in self._found.columns if one.verdict == verdict]


def compare_data(
    a: Any,
    b: Any,
    *,
    names: tuple[str, str] | None = None,
    alpha: float = 0.001,
    material: float = 0.05,
    min_rows: int = 100,
    step: Step | None = None,
) -> DataComparison:
    """Compare two tables column by column; the first is the baseline.

    A table is a path (CSV, JSON lines, Parquet) or a frame of polars, pandas or pyarrow. A column
    is an alarm if it moved beyond what chance reaches (in one of ``1 / alpha`` comparisons,
    however many columns there are) *and* beyond ``material``; or if it vanished, changed its
    type, or holds missing, strange or unseen values clearly more often. Fewer than ``min_rows``
    values on a side are described, not judged. The order of rows does not matter. ``step`` is told
    how many columns of how many are done.

    Raises:
        BadInputError: if one is no table, the two have no column in common, or an argument is
            outside of its range.

    Example:
        >>> import polars as pl
        >>> before = pl.DataFrame({"age": range(1000), "city": ["Ulm", "Kiel"] * 500})
        >>> found = compare_data(before, before.with_columns(pl.col("age") * 2))
        >>> found.verdict, [(one.name, one.verdict) for one in found.columns]
        ('alarm', [('age', 'alarm'), ('city', 'quiet')])
    """
    from mainspring.workspace.reports.comparing import beside
    from mainspring.workspace.tables import table_of

    policy = policy_of(alpha=alpha, material=material, min_rows=min_rows)
    first, second = table_of(a, "a"), table_of(b, "b")
    called = names or (_called(a, "baseline"), _called(b, "current"))
    return DataComparison(beside(first, second, called, policy, step))


def policy_of(*, alpha: float, material: float, min_rows: int) -> MonitorPolicy:
    """Return the policy by which two tables are judged.

    Raises:
        BadInputError: if a value is outside of its range.
    """
    for field, value in (("alpha", alpha), ("material", material)):
        if not 0 < value < 1:
            raise BadInputError(f"{field} lies between 0 and 1, found {value}.", field=field)
    if min_rows < 1:
        raise BadInputError(f"min_rows is at least 1, found {min_rows}.", field="min_rows")
    return MonitorPolicy(alpha=alpha, material=material, min_rows=min_rows)


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python's: a finding's detail may hold some."""
    return value.item()


def _called(value: Any, otherwise: str) -> str:
    return Path(value).name if isinstance(value, str | os.PathLike) else otherwise


def _some(names: list[str]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:4]]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
