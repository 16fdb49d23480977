"""Say in words why runs do not go on, and what lets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MOST = 5  #: runs under a list whose way on is told
_FOR = {
    "approval": "an approval",
    "event": "the event",
    "callback": "a callback",
    "wait": "a time",
}


def word(run: dict[str, Any]) -> str:
    """Return a run's status, or what halts it.

    >>> word({"status": "running", "halt": {"state": "waiting"}}), word({"status": "finished"})
    ('waiting', 'finished')
    """
    halt = run.get("halt")  # servers of older releases do not say it
    return str(halt["state"] if halt else run["status"])


def lines(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each of the first runs that do not go on."""
    halted = [one for one in runs if one.get("halt")]
    told = [f"{one['id']} {_sentence(one['halt'])}" for one in halted[:_MOST]]
    more = len(halted) - _MOST
    return [*told, f"and {more:,} more that do not go on"] if more > 0 else told


def facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is shown of one run: what halts it, and what lets it go on."""
    halt = run.get("halt")
    if not halt:
        return []
    return [("halted", _reason(halt)), ("go on", halt["command"])]


def _sentence(halt: dict[str, Any]) -> str:
    return f"{_reason(halt)}: {halt['command']}" if halt["command"] else _reason(halt)


def _reason(halt: dict[str, Any]) -> str:
    since = f" since {_moment(halt['since'])}" if halt["since"] is not None else ""
    if halt["state"] == "interrupted":
        return f"was interrupted: nobody has driven it{since}"
    named = f" {halt['name']}" if halt["kind"] == "event" else ""
    what = f"waits for {_FOR.get(halt['kind'], halt['kind'])}{named} in {halt['step']}{since}"
    if halt["until"] is not None:
        what += f", until {_moment(halt['until'])}"
    if halt["more"]:
        what += f" (and {halt['more']} more)"
    return f"{what}, {halt['message']!r}" if halt["message"] else what


def _moment(at: float) -> str:
    from mainspring.ground.clock import iso

    return iso(at)
