"""Judge the facts of a scan: every finder, what was accepted, and whether the budget holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from mainspring.debt.facts import World
from mainspring.debt.finders import (
    cascades,
    consumers,
    features,
    inputs,
    jungles,
    people,
    stale,
    unused,
)
from mainspring.debt.findings import KINDS, WEIGHTS, DebtFinding
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import meant
from mainspring.ground.records import Record

Finder = Callable[[World], Iterator[DebtFinding]]

FINDERS: tuple[Finder, ...] = (
    features.features,
    consumers.undeclared,
    consumers.deprecated,
    inputs.unpinned,
    inputs.floating,
    cascades.cascades,
    cascades.feedback,
    jungles.jungles,
    jungles.wasted,
    unused.unused,
    unused.habits,
    unused.experiments,
    stale.thresholds,
    stale.aliases,
    stale.assumptions,
    people.owners,
    people.prototypes,
    people.untested,
    people.siblings,
)

State = Literal["open", "accepted", "expired"]
_ORDER = {"high": 0, "medium": 1, "low": 2}


class Acceptance(Record, frozen=True, kw_only=True):
    """Somebody's word that a finding may stand until a date."""

    finding: str
    until: float  #: UTC seconds: from then on it counts again
    reason: str
    by: str
    at: float


class Owed(Record, frozen=True, kw_only=True):
    """A finding as it stands."""

    finding: DebtFinding
    state: State  #: expired: an acceptance ran out, and it counts again
    accepted: Acceptance | None = None

    @property
    def counts(self) -> bool:
        """Return whether it counts against the budget."""
        return self.state != "accepted"

    @property
    def note(self) -> str:
        """Return what was said of its acceptance, blank if nobody accepted it."""
        if self.accepted is None:
            return ""
        word = "Accepted until" if self.state == "accepted" else "Its acceptance ended"
        one = self.accepted
        return f"{word} {iso(one.until)}, by {one.by}: {one.reason}"


def find(world: World) -> list[DebtFinding]:
    """Return all that is owed: the gravest first, then by kind and place; each once."""
    found = {one.id: one for finder in FINDERS for one in finder(world)}
    return sorted(
        found.values(),
        key=lambda one: (_ORDER[one.severity], one.kind, one.subject, one.where, one.id),
    )


def standing(
    findings: Iterable[DebtFinding], accepted: Mapping[str, Acceptance], now: float
) -> list[Owed]:
    """Return findings with what was said of them: an acceptance ends at its date."""
    owed = []
    for one in findings:
        said = accepted.get(one.id)
        state: State = "open" if said is None else "accepted" if now < said.until else "expired"
        owed.append(Owed(finding=one, state=state, accepted=said))
    return owed


class Budget(Record, frozen=True, kw_only=True):
    """How much may be owed: a weight in all, or a number of findings by kind."""

    weight: int | None = None
    kinds: dict[str, int] = {}

    def broken(self, owed: Sequence[Owed]) -> list[str]:
        """Return in which ways more is owed than may be; none if it holds."""
        counted = [one.finding for one in owed if one.counts]
        told = []
        total = sum(one.weight for one in counted)
        if self.weight is not None and total > self.weight:
            told.append(f"The open findings weigh {total}, and the budget is {self.weight}.")
        for kind, most in self.kinds.items():
            count = sum(one.kind == kind for one in counted)
            if count > most:
                told.append(f"{count} of kind {kind} are open, and the budget is {most}.")
        return told


def read_budget(text: str) -> Budget:
    """Return the budget that a text says: a weight, kinds with numbers, or both.

    Raises:
        BadInputError: naming what is no number or no kind.

    Example:
        >>> read_budget("20").weight, read_budget("no_owner=0,prototype=1").kinds
        (20, {'no_owner': 0, 'prototype': 1})
    """
    weight, kinds = None, {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        kind, mark, number = part.rpartition("=")
        if not number.strip().isdecimal():
            raise BadInputError(
                f"A budget is a whole number, or KIND=NUMBER; found {part[:80]!r}.",
                field="budget",
                hint="Such as --budget 20 or --budget no_owner=0,prototype=0.",
            )
        if mark:
            kinds[check_kind(kind.strip())] = int(number)
        else:
            weight = int(number)
    if weight is None and not kinds:
        raise BadInputError("The budget is empty.", field="budget", hint="Such as --budget 20.")
    return Budget(weight=weight, kinds=kinds)


def check_kind(kind: str) -> str:
    """Return a kind of debt unchanged.

    Raises:
        BadInputError: if there is none such, with the nearest name.
    """
    if kind not in KINDS:
        raise BadInputError(
            f"There is no kind of debt {kind[:80]!r}.",
            field="kind",
            hint=meant(kind, KINDS),
        )
    return kind


def counts(owed: Sequence[Owed]) -> dict[str, int]:
    """Return how many of each kind count, by kind."""
    found: dict[str, int] = {}
    for one in owed:
        if one.counts:
            found[one.finding.kind] = found.get(one.finding.kind, 0) + 1
    return dict(sorted(found.items()))


def weight(owed: Sequence[Owed]) -> int:
    """Return what all that counts weighs: low 1, medium 3, high 9."""
    return sum(WEIGHTS[one.finding.severity] for one in owed if one.counts)
