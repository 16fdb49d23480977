"""Walk a graph outwards from one thing, level by level: each thing once, by the shortest way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

#: Asked for some things, says of each where it leads: the next thing, and how.
Near = Callable[[Sequence[str]], Mapping[str, Iterable[tuple[str, T]]]]


class Reached(msgspec.Struct, Generic[T], frozen=True):
    """A thing that was reached."""

    name: str
    depth: int  #: 1: directly
    via: str  #: the thing before
    how: T


def walk(
    start: str, near: Near[T], *, depth: int | None = None, most: int | None = None
) -> tuple[list[Reached[T]], int]:
    """Return what is reached from ``start``, the nearest first, and how much was left out.

    ``near`` is asked once a level, so that it can ask a database once. Circles end where they
    began. ``most`` bounds what is reached; of what lies beyond the last level that was looked at
    only the things next to it are counted as left out.

    >>> graph = {"a": [("b", 1)], "b": [("c", 2), ("a", 3)]}
    >>> found, left = walk("a", lambda names: {name: graph.get(name, []) for name in names})
    >>> [(one.name, one.depth, one.via) for one in found], left
    ([('b', 1, 'a'), ('c', 2, 'b')], 0)
    """
    found: dict[str, Reached[T]] = {}
    level, number, left = [start], 0, 0
    while level and (depth is None or number < depth):
        number += 1
        following = []
        for name, several in _ordered(level, near(level)):
            for other, how in several:
                if other == start or other in found:
                    continue
                if most is not None and len(found) >= most:
                    left += 1
                    continue
                found[other] = Reached(other, number, name, how)
                following.append(other)
        level = [] if left else following
    return list(found.values()), left


def _ordered(
    level: Sequence[str], answer: Mapping[str, Iterable[tuple[str, T]]]
) -> list[tuple[str, Iterable[tuple[str, T]]]]:
    return [(name, answer.get(name, ())) for name in level]
