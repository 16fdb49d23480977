"""The record of an ablation: what each feature of a version is worth, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.records import Record
from mainspring.numerics.ablation import Gain

CONFIDENCE = 0.95
#: A gain below this share of what all features together gain does not matter.
MARGIN = 0.02
#: Fewer rows say nothing about single features.
LEAST_ROWS = 100

#: What people read for each worth.
SAID = {
    "useful": "it earns its place",
    "epsilon": "its gain is certain, and too small to matter",
    "useless": "no gain is shown, and any gain is surely too small to matter",
    "used": "models use it to advantage; the rows are too few to tell if others could stand in",
    "unproven": "no gain is shown; the rows are too few to say more",
    "harmful": "the model does better without it",
}


class Cost(Record, frozen=True, kw_only=True):
    """What one feature costs, row by row."""

    missing: float = 0.0  #: share of the rows that have no value
    bytes: float = 0.0  #: of one value, as it lies in memory
    micros: float | None = None  #: to compute one row's value by its expression; None: it is raw
    reads: list[str] = []  #: the raw columns it is made of


class FeatureGain(Record, frozen=True, kw_only=True):
    """What one feature is worth: by how much the loss of a row rises without it."""

    name: str
    gain: float
    low: float
    high: float
    share: float | None  #: of what all features gain together; None: they gain nothing
    worth: str  #: useful, epsilon, used, unproven, useless, harmful
    relied: float | None = None  #: rise of a row's loss when the feature is shuffled
    relied_low: float | None = None
    relied_high: float | None = None
    cost: Cost = Cost()

    @property
    def shown(self) -> bool:
        """Return whether a gain above 0 is certain."""
        return self.low > 0


class GroupGain(Record, frozen=True, kw_only=True):
    """Features that stand for one another, or that all seem of no use, taken away together."""

    names: list[str]
    why: str  #: "correlated": they move together; "unshown": none alone has a shown gain
    gain: float  #: without any of them
    low: float
    high: float
    keep: str | None = None  #: the one to keep, of correlated ones
    rest_gain: float | None = None  #: without the others, that one kept
    rest_low: float | None = None
    rest_high: float | None = None


class Ablation(Record, frozen=True, kw_only=True):
    """What every feature of a version is worth on rows it did not learn from."""

    version: str  #: model/number
    rows: int
    blocks: int = 0
    confidence: float = CONFIDENCE
    margin: float = 0.0  #: in units of the loss
    constant: float | None = None  #: mean loss of a constant answer
    loss: float | None = None  #: of a cheap challenger with every feature
    features: list[FeatureGain] = []  #: the least useful first
    groups: list[GroupGain] = []
    reason: str = ""  #: why nothing could be said, if so

    def without_gain(self, *, sure: bool = False) -> list[str]:
        """Return the features that are not shown to help; with ``sure``, that surely do not.

        Those that are correlated with one that is kept are among them.
        """
        spare = {
            name
            for group in self.groups
            if group.keep is not None and group.low > 0
            for name in group.names
            if name != group.keep
        }
        needed = {group.keep for group in self.groups if group.keep is not None and group.low > 0}
        worths = ("useless", "harmful") if sure else ("useless", "harmful", "unproven")
        return [
            one.name
            for one in self.features
            if one.name not in needed and (one.worth in worths or (one.name in spare and not sure))
        ]

    @property
    def passed(self) -> bool | None:
        """Return whether every feature is shown to help; None if nothing could be said."""
        return None if self.reason else not self.without_gain()

    @property
    def sentence(self) -> str:
        """Return what was found, with figures."""
        if self.reason:
            return self.reason
        bad, sure = self.without_gain(), self.without_gain(sure=True)
        said = (
            f"On {self.rows:,} rows in {self.blocks} blocks, {len(self.features) - len(bad)} of"
            f" {len(self.features)} features surely lower the loss"
        )
        if not bad:
            return f"{said}."
        certain = f"; surely of no use: {', '.join(sure)}" if sure else ""
        return f"{said}. Without a shown gain: {', '.join(bad)}{certain}."


def built(
    version: str,
    rows: int,
    blocks: int,
    figures: Mapping[str, float],
    found: Mapping[str, Gain],
    costs: Mapping[str, Cost],
    relied: Mapping[str, Gain],
    groups: list[GroupGain],
) -> Ablation:
    """Return the record of an ablation from its parts; ``figures`` hold constant, loss, margin.

    ``found`` is what leaving out costs, with models that learnt without; ``relied`` what
    shuffling costs those that learnt with it. The second is surer where rows are few, and blind
    to what else could stand in: it rescues a feature of which the first cannot tell.
    """
    whole = figures["constant"] - figures["loss"]
    features = [
        FeatureGain(
            name=name,
            gain=one.gain,
            low=one.low,
            high=one.high,
            share=one.gain / whole if whole > 0 else None,
            worth="used" if one.worth == "unproven" and relied[name].shown else one.worth,
            relied=relied[name].gain,
            relied_low=relied[name].low,
            relied_high=relied[name].high,
            cost=costs.get(name, Cost()),
        )
        for name, one in found.items()
    ]
    return Ablation(
        version=version,
        rows=rows,
        blocks=blocks,
        margin=figures["margin"],
        constant=figures["constant"],
        loss=figures["loss"],
        features=sorted(features, key=lambda one: (one.gain, one.name)),
        groups=groups,
    )


def read(detail: Mapping[str, Any]) -> Ablation | None:
    """Return the ablation that an evidence's detail holds; None if it is of another shape."""
    import msgspec

    try:
        return msgspec.convert(dict(detail), Ablation)
    except msgspec.ValidationError:
        return None
