"""The ML Test Score of a model as its page shows it: the 28 tests in four sections, and the trend.

To score is to look at everything a model rests on, a second of work: a page that is kept fresh
shows the score as it was kept last, and counts anew when it is asked to.
"""

from __future__ import annotations

from typing import Any

import msgspec
from markupsafe import Markup

from mainspring.web.pages import sparks
from mainspring.workspace.opening import Workspace

_TREND = 60
MOST = 7.0  #: points of a section


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One of the 28 tests."""

    test: str
    name: str
    points: float
    found: str  #: blank where the score was kept and not counted now
    earn: str
    opens: list[str] = []


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One of the four sections with its tests."""

    name: str
    sum: float
    least: bool  #: it is the smallest sum, and so the score
    lines: list[Line]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A score with its sections."""

    score: float
    band: str
    at: float
    sections: list[Section]
    spark: Markup | None
    changes: int  #: how often a point changed
    rose: list[str]
    fell: list[str]
    falls: float | None = None  #: when the first point ages out, where it was counted now


def kept(ws: Workspace, model: str) -> Shown | None:
    """Return the score as it was kept last, or None if nobody asked for one yet."""
    from mainspring.debt.score.table import TESTS
    from mainspring.debt.score.total import band
    from mainspring.ground.permissions import Permission
    from mainspring.readiness import evidence
    from mainspring.workspace.scoring import scores

    past = scores.trend(ws, model, _TREND)
    if not past:
        return None
    held = ws.read(Permission.READ, lambda tx: evidence.get(tx, past[0].id))
    points: dict[str, float] = held.detail["points"]
    lines = [
        Line(
            test=one.number,
            name=one.name,
            points=points.get(one.number, 0.0),
            found="",
            earn=one.earn.format(model=model, version=f"{model}/NUMBER"),
        )
        for one in TESTS
    ]
    return _shown(past[0].score, band(past[0].score), past[0].at, lines, past)


def now(ws: Workspace, model: str) -> Shown:
    """Return the score counted now.

    Raises:
        NotFoundError: if there is no such model.
    """
    from mainspring.workspace.scoring import scores

    found = scores.score(ws, model)
    lines = [
        Line(
            test=one.test,
            name=one.name,
            points=one.points,
            found=one.found,
            earn=one.earn,
            opens=one.opens,
        )
        for one in found.points
    ]
    past = scores.trend(ws, model, _TREND)
    return _shown(found.score, found.band, found.at, lines, past, found.falls)


def _shown(
    score: float,
    band: str,
    at: float,
    lines: list[Line],
    past: list[Any],
    falls: float | None = None,
) -> Shown:
    by_section: dict[str, list[Line]] = {}
    for line in lines:
        by_section.setdefault(line.test.split()[0], []).append(line)
    sums = {name: sum(line.points for line in some) for name, some in by_section.items()}
    least = min(sums.values(), default=0.0)
    return Shown(
        score=score,
        band=band,
        at=at,
        sections=[
            Section(name=name, sum=sums[name], least=sums[name] == least, lines=some)
            for name, some in by_section.items()
        ],
        spark=sparks.curve([one.score for one in reversed(past)]),
        changes=len(past),
        rose=past[0].rose if past else [],
        fell=past[0].fell if past else [],
        falls=falls,
    )
