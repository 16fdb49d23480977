"""The kinds of task that carry out a repeat or a tuning, and functions only this process has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: A lane, a lane of a function that only one process has, and the end.
LANE, OWN_LANE, END = "lane", "own_lane", "family_end"

#: By parent run: functions that were typed in or stand inside of another.
OWN: dict[str, Callable[..., Any]] = {}
