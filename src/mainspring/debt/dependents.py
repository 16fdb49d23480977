"""Who stands on what: a graph of things and what is made of them, followed downstream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record
from mainspring.ground.walking import walk

#: What can be asked about, and an example.
KINDS = {
    "dataset": "dataset:NAME",
    "feature": "feature:MODEL.COLUMN",
    "model": "model:NAME",
    "endpoint": "endpoint:NAME",
}


class Edge(Record, frozen=True, kw_only=True):
    """``down`` stands on ``up``: names such as ``model:fraud``."""

    up: str
    down: str
    how: str  #: how it is known, in words
    at: float | None = None  #: when it was last seen, where it was seen


class Dependent(Record, frozen=True, kw_only=True):
    """Something that stands on what was asked about."""

    name: str
    kind: str  #: dataset, feature, model, loop, endpoint, rule, consumer, caller
    depth: int  #: 1: directly
    via: str  #: the thing between, or what was asked about
    how: str
    at: float | None = None


def closure(edges: Iterable[Edge], start: str) -> list[Dependent]:
    """Return all that stands on a thing, the nearest first; each once, by the shortest way.

    Example:
        >>> edges = [Edge(up="a:1", down="b:2", how="x"), Edge(up="b:2", down="c:3", how="y")]
        >>> [(one.name, one.depth, one.via) for one in closure(edges, "a:1")]
        [('b:2', 1, 'a:1'), ('c:3', 2, 'b:2')]
    """
    below: dict[str, list[Edge]] = {}
    for edge in edges:
        below.setdefault(edge.up, []).append(edge)

    def near(names: Sequence[str]) -> dict[str, list[tuple[str, Edge]]]:
        order = {
            name: sorted(below.get(name, []), key=lambda e: (e.down, e.how)) for name in names
        }
        return {name: [(edge.down, edge) for edge in several] for name, several in order.items()}

    reached, _ = walk(start, near)
    return [
        Dependent(
            name=one.name,
            kind=one.name.partition(":")[0],
            depth=one.depth,
            via=one.via,
            how=one.how.how,
            at=one.how.at,
        )
        for one in reached
    ]


def check_subject(text: str, kinds: Iterable[str] = KINDS) -> tuple[str, str]:
    """Return kind and name of what is asked about.

    Raises:
        BadInputError: if it is of no kind that can be asked about.

    Example:
        >>> check_subject("dataset:trips 2024")
        ('dataset', 'trips 2024')
    """
    kind, mark, name = text.partition(":")
    allowed = list(kinds)
    if not mark or kind not in allowed or not name.strip():
        raise BadInputError(
            f"{text[:200]!r} is none of {', '.join(KINDS[one] for one in allowed)}.",
            field="subject",
        )
    return kind, name
