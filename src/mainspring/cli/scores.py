"""The ML Test Score of a model, filled from what really ran, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S

if TYPE_CHECKING:
    from rich.console import Console

_BARS = "▁▂▃▄▅▆▇█"
MOST = 7.0  #: points of a section


def score(
    model: Annotated[
        str | None, Parameter(help="The model; the only one there is, if none is named.")
    ] = None,
    /,
    *,
    trend: Annotated[
        bool, Parameter(negative=(), help="Show how the score went, and what rose and fell.")
    ] = False,
    least: Annotated[
        float | None, Parameter(help="Exit code 1 if the score is below this, 0 to 7.")
    ] = None,
    max_age: Annotated[
        str, Parameter(help="How long evidence counts, such as 30d. The trend is of 30d.")
    ] = "30d",
    options: Everywhere = HERE,
) -> int:
    """Score a model by the 28 tests of the ML Test Score, from what really ran.

    A test is worth 1 if it runs by itself, 0.5 if a person did it, 0 if there is no fresh
    evidence. The score is the smallest of the four sums.
    """
    if least is not None and not 0 <= least <= MOST:
        raise BadInputError(f"--least is 0 to 7, found {least}.", field="least")
    days = seconds(max_age, "max_age") / DAY_S
    with asking(options) as house:
        name = model or _only(house)
        if trend:
            told = house.call("scores.trend", model=name)
            render.answer(options, told, lambda out: _draw_trend(out, name, told))
            if least is None:
                return 0
        found = house.call("scores.get", model=name, max_age_days=days)
    if not trend:
        render.answer(options, found, lambda out: _draw(out, found))
    return 1 if least is not None and found["score"] < least else 0


def _only(house: Local | Remote) -> str:
    names = [one["name"] for one in house.call("models.list")]
    if len(names) != 1:
        raise BadInputError(
            f"Which model? There are {', '.join(names) or 'none yet'}.",
            field="model",
            hint="Name one: mainspring readiness score MODEL",
        )
    return str(names[0])


def _draw(out: Console, found: dict[str, Any]) -> None:
    for section, total in found["sums"].items():
        out.print(f"{section}: {total:g} of 7")
        rows = [
            (one["test"], f"{one['points']:g}", one["name"], _told(one), _until(one))
            for one in found["points"]
            if one["test"].startswith(f"{section} ")
        ]
        render.table(out, ("TEST", "POINTS>", "WHAT", "FOUND", "UNTIL (UTC)"), rows)
        out.print()
    version = f"{found['model']}/{found['champion']}" if found["champion"] else found["model"]
    out.print(render.plain(f"{version}: {found['score']:g}, the smallest of the four sums."))
    out.print(render.plain(f"{found['band'].capitalize()}."))
    if found["falls"] is not None:
        out.print(f"The first point ages out at {render.when(found['falls'])} UTC.")


def _told(one: dict[str, Any]) -> str:
    return str(one["found"]) if one["points"] == 1 else f"{one['found']} Earn it: {one['earn']}"


def _until(one: dict[str, Any]) -> str:
    return render.when(one["until"]) if one["points"] else ""


def _draw_trend(out: Console, model: str, told: Sequence[dict[str, Any]]) -> None:
    if not told:
        out.print(render.plain(f"{model} was never scored: mainspring readiness score {model}"))
        return
    rows = [
        (
            render.when(one["at"]),
            f"{one['score']:g}",
            ", ".join(f"{name} {value:g}" for name, value in one["sums"].items()),
            ", ".join(one["rose"]),
            ", ".join(one["fell"]),
        )
        for one in told
    ]
    render.table(out, ("WHEN (UTC)", "SCORE>", "SECTIONS", "ROSE", "FELL"), rows)
    out.print(render.plain(f"{model}  {spark([one['score'] for one in reversed(told)])}"))


def spark(values: Sequence[float]) -> str:
    """Return scores, the oldest first, as a line of bars from 0 to 7.

    Example:
        >>> spark([0, 3.5, 7])
        '▁▅█'
    """
    top = len(_BARS) - 1
    return "".join(_BARS[round(min(max(value / MOST, 0.0), 1.0) * top)] for value in values)
