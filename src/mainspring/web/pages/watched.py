"""Read what was found in an endpoint's windows, as its pages show it: one series a subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from mainspring.ground.objects import Finding, Window
from mainspring.monitoring import findings
from mainspring.workspace.opening import Workspace

#: Windows that a page looks back on: a year of weeks, or an hour of minutes.
MOST_WINDOWS = 60

_ORDER = {"alarm": 0, "notice": 1, "quiet": 2, "too few rows": 3, "not judged": 4}


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, and the window it is of."""

    window: Window
    found: Finding


class Watched:
    """An endpoint's windows, newest first, and their findings, each made out once."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self.windows = list(windows)

    @cached_property
    def oldest_first(self) -> list[Window]:
        """Return the windows in the order of time."""
        return sorted(self.windows, key=lambda one: one.start)

    @cached_property
    def _found(self) -> dict[str, list[Finding]]:
        return {one.id: findings.of_window(one) for one in self.windows}

    def of(self, window: Window | None) -> list[Finding]:
        """Return everything that was found in one window."""
        return [] if window is None else self._found.get(window.id, [])

    def series(self, monitor: str, subject: str) -> list[Spot]:
        """Return a monitor's findings about one subject, oldest first."""
        return [
            Spot(window=window, found=one)
            for window in self.oldest_first
            for one in self.of(window)
            if one.monitor == monitor and one.subject == subject
        ]

    def subjects(self, *monitors: str) -> list[str]:
        """Return what monitors are about, as they come, the newest window's first."""
        return list(
            dict.fromkeys(
                one.subject
                for window in self.windows
                for one in self.of(window)
                if one.monitor in monitors
            )
        )

    def newest_with(self, *monitors: str) -> Window | None:
        """Return the newest window in which one of the monitors found anything."""
        for window in sorted(self.windows, key=lambda one: -one.start):
            if any(one.monitor in monitors for one in self.of(window)):
                return window
        return None

    def named(self, window: str | None) -> Window | None:
        """Return a window by its id; the newest if none is named or it is not here."""
        chosen = next((one for one in self.windows if one.id == window), None)
        return chosen or (self.oldest_first[-1] if self.windows else None)


def watched(ws: Workspace, endpoint: str, limit: int = MOST_WINDOWS) -> Watched:
    """Return an endpoint's newest windows.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.views.monitoring import window_list

    return Watched(window_list(ws, endpoint, limit))


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Return findings, those that alarm first, the largest value first among equals."""
    return sorted(
        found, key=lambda one: (_ORDER.get(one.verdict, 4), -(one.value or 0.0), one.subject)
    )


def worst(found: Iterable[Finding]) -> str:
    """Return the worst verdict of several findings; quiet of none."""
    return min((one.verdict for one in found), key=lambda one: _ORDER.get(one, 4), default="quiet")


def reach(found: Finding) -> float | None:
    """Return a value in parts of where it begins to matter; None where either is not known."""
    line = found.line or found.smallest
    return None if found.value is None or not line else found.value / line


def stepped(
    windows: Sequence[Window], chosen: Window | None
) -> tuple[int, Window | None, Window | None]:
    """Return a window's place among windows in the order of time, and its neighbours."""
    ids = [one.id for one in windows]
    if chosen is None or chosen.id not in ids:
        return 0, None, None
    place = ids.index(chosen.id)
    before = windows[place - 1] if place else None
    after = windows[place + 1] if place + 1 < len(windows) else None
    return place, before, after


def query(asked: Mapping[str, str], **changed: Any) -> str:
    """Return the page's own query with some fields changed; None takes one away."""
    from urllib.parse import urlencode

    kept = {k: v for k, v in asked.items() if k in ("window", "column", "metric", "facet")}
    kept |= {key: str(value) for key, value in changed.items() if value is not None}
    gone = [key for key, value in changed.items() if value is None]
    return "?" + urlencode({k: v for k, v in kept.items() if k not in gone})
