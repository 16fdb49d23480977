"""What nobody looked at for long: thresholds, aliases, assumptions."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.facts import World
from mainspring.debt.findings import DebtFinding, finding
from mainspring.ground.clock import iso
from mainspring.ground.records import DAY_S


def thresholds(world: World) -> Iterator[DebtFinding]:
    """Find fixed figures that decide something and that nobody looked at for long."""
    for one in world.thresholds:
        looked = max(one.since, one.reviewed or one.since)
        days = (world.now - looked) / DAY_S
        if days <= world.limits.threshold_days:
            continue
        yield finding(
            "stale_threshold",
            "low",
            one.subject,
            one.what,
            found=f"{one.what} is {one.value:g} since {iso(one.since)}, and nobody looked at it"
            f" for {days:.0f} days.",
            cost="Data move on and it does not: it lets through what it should stop, or stops"
            " what it should let through.",
            todo="Try it on history (mainspring monitor backtest, mainspring loop simulate) and"
            " declare it anew.",
            evidence={"value": one.value, "since": one.since, "days": round(days, 1)},
        )


def aliases(world: World) -> Iterator[DebtFinding]:
    """Find aliases that stand behind their model's champion and have not moved for long."""
    for one in world.aliases:
        days = (world.now - one.moved) / DAY_S
        behind = one.champion is not None and one.number < one.champion
        if one.alias == "champion" or not behind or days <= world.limits.alias_days:
            continue
        yield finding(
            "stale_alias",
            "low",
            f"{one.model}@{one.alias}",
            f"alias {one.alias}",
            key=(one.model, one.alias),
            found=f"{one.alias} names version {one.number} for {days:.0f} days; the champion is"
            f" {one.champion} of {one.newest}.",
            cost="Whoever asks for it gets a model that nobody watches any more.",
            todo=f"Move it, or take it away: mainspring models {one.model}",
            evidence={"number": one.number, "moved": one.moved, "champion": one.champion},
        )


def assumptions(world: World) -> Iterator[DebtFinding]:
    """Find assumptions of the cards of versions that serve whose review is due."""
    for version in world.versions:
        for one in version.assumptions:
            due = one.get("review")
            if due is None or due >= world.now:
                continue
            days = (world.now - float(due)) / DAY_S
            text, owner = str(one.get("text", "")), str(one.get("owner", "")) or "nobody"
            yield finding(
                "stale_assumption",
                "medium",
                version.name,
                f"card: {text[:80]}",
                key=(version.model, text),
                found=f"Its review by {owner} was due {iso(float(due))}, {days:.0f} days ago.",
                cost="The model rests on it, and nobody knows whether it still holds.",
                todo="Look whether it holds, and write the next review into the card.",
                evidence={"due": due, "owner": owner},
            )
