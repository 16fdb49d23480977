"""Features that earn nothing, next to nothing, or the same as others: by ablation."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.ablation import SAID, Ablation, FeatureGain, GroupGain
from mainspring.debt.facts import VersionFacts, World
from mainspring.debt.findings import DebtFinding, finding


def features(world: World) -> Iterator[DebtFinding]:
    """Find features of versions that serve which an ablation shows to be of no use."""
    for version in world.versions:
        found = version.ablation
        if found is None or found.reason:
            continue
        doubles = {name for one in _doubles(found) for name in one.names}
        for one in found.features:
            if one.name in doubles:
                continue
            if one.worth in ("useless", "harmful", "unproven"):
                yield _useless(version, one, found)
            elif one.worth == "epsilon":
                yield _epsilon(version, one, found)
        for group in _doubles(found):
            yield _correlated(version, group, found)


def _doubles(found: Ablation) -> list[GroupGain]:
    """Return groups of which together much is gained, and of all but one nothing is shown."""
    return [
        one
        for one in found.groups
        if one.keep is not None and one.low > 0 and (one.rest_low or 0.0) <= 0
    ]


def _useless(version: VersionFacts, one: FeatureGain, found: Ablation) -> DebtFinding:
    sure = one.worth != "unproven"
    return finding(
        "useless_feature",
        "medium" if sure else "low",
        version.name,
        f"feature {one.name}",
        key=(version.model, one.name),
        found=f"{_told(one, found)}: {SAID[one.worth]}.",
        cost=_cost(one),
        todo=f"Leave {one.name} out of the features and judge the version without it."
        if sure
        else f"Measure it on more rows: {found.rows:,} cannot tell {one.high:.2g} from nothing.",
        evidence={"gain": one.gain, "low": one.low, "high": one.high, "rows": found.rows},
        opens=[f"evidence:ablation:{version.name}"],
    )


def _epsilon(version: VersionFacts, one: FeatureGain, found: Ablation) -> DebtFinding:
    return finding(
        "epsilon_feature",
        "low",
        version.name,
        f"feature {one.name}",
        key=(version.model, one.name),
        found=f"{_told(one, found)}: {SAID['epsilon']} (below {found.margin:.2g}).",
        cost=_cost(one),
        todo=f"Ask whether {one.name} is worth its upkeep; leave it out if not.",
        evidence={"gain": one.gain, "low": one.low, "high": one.high, "margin": found.margin},
        opens=[f"evidence:ablation:{version.name}"],
    )


def _correlated(version: VersionFacts, one: GroupGain, found: Ablation) -> DebtFinding:
    spare = [name for name in one.names if name != one.keep]
    high = one.rest_high if one.rest_high is not None else 0.0
    return finding(
        "correlated_features",
        "medium" if high < found.margin else "low",
        version.name,
        f"features {', '.join(one.names)}",
        key=(version.model, *one.names),
        found=f"They move together. Without all of them the loss of a row rises by"
        f" {one.gain:.4f} [{one.low:.4f}, {one.high:.4f}]; without {', '.join(spare)} alone by"
        f" {one.rest_gain or 0.0:.4f} [{one.rest_low or 0.0:.4f}, {high:.4f}].",
        cost=f"{len(spare)} more inputs that can break, for a gain of at most {high:.2g} a row.",
        todo=f"Keep {one.keep}, on which models rely most, and leave out {', '.join(spare)}.",
        evidence={"names": one.names, "keep": one.keep, "gain": one.gain, "rest_high": high},
        opens=[f"evidence:ablation:{version.name}"],
    )


def _told(one: FeatureGain, found: Ablation) -> str:
    return (
        f"Without it the loss of a row changes by {one.gain:+.4f} [{one.low:+.4f},"
        f" {one.high:+.4f}] on {found.rows:,} rows"
    )


def _cost(one: FeatureGain) -> str:
    cost = one.cost
    said = [f"{cost.bytes:.3g} bytes a row"]
    if cost.micros is not None:
        said.append(f"{cost.micros:.2g} microseconds a row to compute")
    if cost.missing:
        said.append(f"{cost.missing:.1%} of its values are missing")
    raw = f", read from {', '.join(cost.reads)}" if cost.reads and cost.reads != [one.name] else ""
    return f"{', '.join(said)}{raw}; one more input that can break."
