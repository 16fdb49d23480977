"""The kinds of task that wait for a slot, and functions that only this process has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: A lane, a lane of a function that only one process has, and the end.
LANE, OWN_LANE, END = "lane", "own_lane", "family_end"

#: An entry of the queue, and its end.
ENTRY, ENTRY_END = "entry", "entry_end"

#: By parent run: functions that were typed in or stand inside of another.
OWN: dict[str, Callable[..., Any]] = {}
