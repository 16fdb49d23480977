"""Check a declared season: what comes again after a day or a week, and how windows cut it."""

from __future__ import annotations

from mainspring.ground.durations import seconds, spoken
from mainspring.ground.errors import BadInputError

NAMED = {"day": 86_400.0, "week": 604_800.0, "year": 365.25 * 86_400}
#: Windows of one season, at most: a monitor looks back on 60, and one more must be of its phase.
MOST_WINDOWS = 58
_PART = 1e-6


def season_seconds(season: str | float) -> float:
    """Return the length of a season.

    Raises:
        BadInputError: if it is neither a name of one nor a duration above 0.

    >>> season_seconds("day"), season_seconds("12h")
    (86400.0, 43200.0)
    """
    if isinstance(season, str) and season in NAMED:
        return NAMED[season]
    length = seconds(season, "season")
    if length <= 0:
        raise BadInputError("season must be longer than 0 s.", field="season")
    return length


def check_season(
    season: str | float | None, phases: int, window_s: float, *, cut_by_time: bool
) -> float | None:
    """Return a season's length for windows of ``window_s``, or None where none is declared.

    Raises:
        BadInputError: naming the field, if windows and season do not fit: every window must be
            of one phase, and one of the same phase must have been before it.

    >>> check_season("week", 0, 86400.0, cut_by_time=True)
    604800.0
    """
    if season is None:
        if phases:
            raise BadInputError("season_phases needs a season.", field="season_phases")
        return None
    length = season_seconds(season)
    if not cut_by_time:
        raise BadInputError(
            "A season needs windows of one length in time: leave window_rows and batches out.",
            field="season",
        )
    count, whole = length / window_s, round(length / window_s)
    if length <= window_s:
        count, whole = window_s / length, round(window_s / length)
    # Of a year no number of days or weeks is a whole one; its phases move by one window at most.
    if season != "year" and abs(count - whole) > _PART:
        raise BadInputError(
            f"A season of {spoken(length)} is no whole number of windows of {spoken(window_s)}.",
            field="season",
            hint="Choose windows that divide the season, or that hold whole seasons.",
        )
    if length > window_s and whole > MOST_WINDOWS:
        raise BadInputError(
            f"A season of {whole} windows cannot be looked back on; {MOST_WINDOWS} can.",
            field="season",
            hint="Choose longer windows or a shorter season.",
        )
    if not 0 <= phases <= max(whole, 1):
        raise BadInputError(
            f"season_phases lies between 0 and the windows of a season, {whole}, found {phases}.",
            field="season_phases",
        )
    return length
