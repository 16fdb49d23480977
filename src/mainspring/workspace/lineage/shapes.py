"""What an answer about lineage holds: things, and who leads to whom."""

from __future__ import annotations

from collections.abc import Collection

from mainspring.ground.records import Record

#: What can be asked about, and how it is written.
KINDS = {
    "file": "file:PATH",
    "dataset": "dataset:NAME, dataset:NAME@VERSION",
    "run": "run:ID",
    "step": "step:RUN/STEP",
    "output": "output:DIGEST",
    "artifact": "artifact:RUN/PATH",
    "model": "model:NAME",
    "version": "version:NAME/7, NAME/7, NAME@champion",
    "alias": "alias:NAME@champion",
    "rollout": "rollout:ID",
    "endpoint": "endpoint:NAME",
    "window": "window:ID",
    "prediction": "prediction:ID",
}


class Thing(Record, frozen=True, kw_only=True):
    """One thing of the graph."""

    ref: str  #: kind:id, by which it can be asked about
    kind: str
    label: str
    detail: str = ""  #: what it is, in a few words
    state: str = ""  #: how it stands; ``deleted`` where it was deleted, ``gone`` where nothing is
    depth: int = 0  #: how far from what was asked about; negative: it came before


class Leads(Record, frozen=True, kw_only=True):
    """``down`` came of ``up``."""

    up: str
    down: str
    how: str


class Lineage(Record, frozen=True, kw_only=True):
    """What was asked about, what it came from and what came of it."""

    subject: str
    things: list[Thing]  #: the subject first, then by distance
    leads: list[Leads]
    left_out: int = 0  #: things beyond the limit that would have come next

    def of(self, kind: str) -> list[Thing]:
        """Return the things of a kind, such as ``endpoint``, the nearest first."""
        return [one for one in self.things if one.kind == kind and one.ref != self.subject]

    def only(self, kinds: Collection[str]) -> Lineage:
        """Return the subject and the things of some kinds, and what leads from one to another."""
        kept = [one for one in self.things if one.ref == self.subject or one.kind in kinds]
        refs = {one.ref for one in kept}
        leads = [one for one in self.leads if {one.up, one.down} <= refs]
        return Lineage(subject=self.subject, things=kept, leads=leads, left_out=self.left_out)

    def up(self) -> list[Thing]:
        """Return what it came from, the nearest first."""
        return [one for one in self.things if one.depth < 0]

    def down(self) -> list[Thing]:
        """Return what came of it, the nearest first."""
        return [one for one in self.things if one.depth > 0]
