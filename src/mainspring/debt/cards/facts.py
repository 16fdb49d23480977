"""What a card is made of: the words of a person, and the records of everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.ground.objects import Card, Evidence, GateResult, Profile, Run, Version


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything that is known of a version, gathered by the caller.

    ``measured`` are metrics of the rows kept at training: name to estimate, low, high (95 %) and
    n. ``packages`` are what it needs to be loaded, name to version. ``span`` is the event time of
    its oldest and newest training row.
    """

    version: Version
    title: str = ""
    profile: Profile | None = None
    span: tuple[float, float] | None = None
    run: Run | None = None
    gate: GateResult | None = None
    aliases: Sequence[str] = ()
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows_measured: int = 0
    slices: Sequence[Mapping[str, Any]] = ()  #: name, loss, low, high, rows; the worst first
    packages: Mapping[str, str] = field(default_factory=dict)
    code_state: Mapping[str, str] = field(default_factory=dict)
    evidence: Sequence[Evidence] = ()
    moves: Sequence[str] = ()  #: how its aliases came and went, one sentence each
    now: float = 0.0

    @property
    def card(self) -> Card:
        """Return the words a person wrote, or none of them."""
        return self.version.card or Card(purpose="", owner="", limitations="")
