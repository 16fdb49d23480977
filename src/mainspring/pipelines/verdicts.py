"""What a controller is told and what it decides: the words between deciding and doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from mainspring.pipelines.graph import Argument, Block

_SHOWN = 3  #: failures that a message names


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a controller planted and that failed, or was skipped, with nobody to mind."""

    step: str
    error: str
    types: list[str] = []  #: what was raised and its bases, by name
    skipped: bool = False  #: it was not run, for another failed or was stopped


class View(Protocol):
    """What a controller knows when it is asked."""

    name: str
    settings: Mapping[str, Any]
    args: Mapping[str, Argument]
    blocks: Mapping[str, Block]
    memo: Mapping[str, Any]
    broken: Mapping[int, Sequence[Broken]]  #: by the number of the planted block
    now: float
    chance: float  #: from 0 to 1, drawn anew each time

    def value(self, argument: Argument) -> Any:
        """Return plain data; refuses what is none."""
        ...

    def items(self, argument: Argument) -> list[Argument]:
        """Return the items of a list, each as an argument; refuses what is no list."""
        ...

    def part(self, argument: Argument, at: str | int) -> Argument:
        """Return a part of a value as an argument; refuses what has no such part."""
        ...

    def news(self) -> Mapping[str, Any] | None:
        """Return what came for a wait; None if it was asked for and has not come."""
        ...


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """A block as it is planted once."""

    number: int
    block: Block
    untaken: str = ""  #: why its steps are skipped; empty: they are to be run


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """Plant blocks, and ask again once their steps have ended."""

    lots: list[Lot]
    memo: dict[str, Any]
    why: str = ""
    limit: int | None = None  #: so many of the lots at once
    stops: int | None = None  #: more failed lots than that stop the others
    handled: list[int] = []  #: lots whose failures are dealt with
    asks: Sleep | None = None  #: for news that may come while they run


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Do again what failed or was stopped of lots, and ask again once it has ended."""

    lots: list[int]
    memo: dict[str, Any]
    why: str
    wait_s: float  #: before the first of it begins


class Sleep(msgspec.Struct, frozen=True, kw_only=True):
    """Wait for news, or until a time; then ask again."""

    until: float | None
    memo: dict[str, Any]
    why: str


class End(msgspec.Struct, frozen=True, kw_only=True):
    """End well: with one argument's value, or with a list of several (None: a failed one)."""

    result: Argument = msgspec.field(default_factory=lambda: {"value": None})
    parts: list[Argument | None] | None = None
    report: list[dict[str, Any]] | None = None  #: what failed of the parts: a dict holds both
    why: str = ""
    handled: list[int] = []


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    """Fail for good."""

    error: str
    types: list[str] = []
    memo: dict[str, Any] | None = None


Verdict = Plant | Again | Sleep | End | Fail


def told_of(broken: Sequence[Broken]) -> str:
    """Return in words what failed, the first few by name."""
    told = [_of(one) for one in broken[:_SHOWN]]
    more = len(broken) - _SHOWN
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _of(one: Broken) -> str:
    """Return why a step failed: a controller's error begins with the step in it that did."""
    inner = one.error.startswith((f"{one.step}.", f"{one.step}["))
    return one.error if inner else f"{one.step}: {one.error}"
