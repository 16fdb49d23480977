"""What needs a person: an owner, committed code, tests, policies that agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mainspring.debt.facts import LoopFacts, World
from mainspring.debt.findings import DebtFinding, finding

#: Words that stand where an owner's name should.
_NOBODY = {"you", "me", "todo", "tbd", "owner", "unknown", "none", "nobody", "n/a", "-", "?"}
#: Sibling loops share at least so much of their steps.
_ALIKE = 0.8
#: What is meant to differ from loop to loop.
_OWN = ("gate.at_least", "gate.at_most", "retraining.schedule", "monitor.source")


def owners(world: World) -> Iterator[DebtFinding]:
    """Find models that serve and nobody answers for."""
    for version in world.versions:
        if "champion" not in version.aliases:
            continue
        said = (version.owner or "").strip()
        if said and said.lower() not in _NOBODY:
            continue
        why = f"Its card says {said!r}" if said else "Its card names no owner"
        if version.owner is None:
            why = "It has no card"
        yield finding(
            "no_owner",
            "low" if said else "high",
            f"model:{version.model}",
            "card: owner",
            found=f"{version.name} serves, and nobody answers for it. {why}.",
            cost="Nobody is asked before it is used, and nobody is called when it is wrong.",
            todo="Name an owner in its card: ms.Card(..., owner=...).",
        )


def prototypes(world: World) -> Iterator[DebtFinding]:
    """Find versions that serve and came from a notebook or from uncommitted code."""
    for version in world.versions:
        if "champion" not in version.aliases:
            continue
        notebook = version.source.startswith("notebook")
        if not version.dirty and not notebook:
            continue
        files = f" ({version.changed} files)" if version.changed else ""
        why = f"It was trained by a {version.source}" if notebook else ""
        dirty = f"its code differed from the commit{files}" if version.dirty else ""
        yield finding(
            "prototype",
            "medium",
            version.name,
            f"run {version.run or ''}".strip(),
            key=(version.model, "notebook" if notebook else "dirty"),
            found=f"{'; '.join(filter(None, (why, dirty)))[:1].upper()}"
            f"{'; '.join(filter(None, (why, dirty)))[1:]}.",
            cost="Nobody can read, review or run again what made the answers of today.",
            todo="Commit the code, or move it from the notebook into a pipeline, and train anew.",
            opens=[f"run:{version.run}"] if version.run else [],
        )


def untested(world: World) -> Iterator[DebtFinding]:
    """Find steps that no test runs, by what the tests covered, else by what they name."""
    for source in world.sources:
        for one in source.steps:
            name = str(one["name"])
            share = source.covered.get(name)
            if (share is not None and share > 0) or (share is None and name in source.tested):
                continue
            why = (
                "tests ran none of its lines"
                if share is not None
                else f"none of {source.tests} files of tests names it"
                if source.tests
                else "the project has no tests"
            )
            yield finding(
                "untested_step",
                "low",
                "project",
                f"{one['file']}:{one['line']}",
                key=(source.root, str(one["file"]), name),
                found=f"Step {name} ({one['lines']} lines): {why}.",
                cost="A slip in it is found in production, by its answers.",
                todo=f"Write a test that calls {name} on a few rows.",
            )


def siblings(world: World) -> Iterator[DebtFinding]:
    """Find loops that are alike but for their policies: each difference from what most do."""
    for family in _families(world.loops):
        keys = sorted({key for one in family for key in one.policy})
        for one in family:
            differs: dict[str, tuple[str, str]] = {}
            for key in keys:
                if key.startswith(_OWN):
                    continue
                usual, count = Counter(
                    other.policy.get(key, "") for other in family if other.name != one.name
                ).most_common(1)[0]
                mine = one.policy.get(key, "")
                # Of two, the one whose name comes later is told; of more, who is not with most.
                lone = count > 1 or (len(family) == 2 and one.name == family[-1].name)
                if mine != usual and lone:
                    differs[key] = (mine, usual)
            if differs:
                yield _drifted(one, family, differs)


def _drifted(
    one: LoopFacts, family: list[LoopFacts], differs: dict[str, tuple[str, str]]
) -> DebtFinding:
    shown = [f"{key} {mine} (others {usual})" for key, (mine, usual) in sorted(differs.items())]
    others = ", ".join(other.name for other in family if other.name != one.name)
    return finding(
        "config_drift",
        "low",
        f"loop:{one.name}",
        "policy",
        found=f"Its pipeline is that of {others}, and {len(differs)} settings differ:"
        f" {'; '.join(shown[:5])}{'...' if len(shown) > 5 else ''}.",
        cost="The same event is handled in two ways, and nobody decided that it should be.",
        todo="Make them one, or write in a comment beside the loop why they differ.",
        evidence={"differs": {key: list(pair) for key, pair in differs.items()}},
    )


def _families(loops: list[LoopFacts]) -> list[list[LoopFacts]]:
    """Return loops of the same kind of task whose pipelines are alike, two or more together."""
    found: list[list[LoopFacts]] = []
    for one in sorted(loops, key=lambda loop: loop.name):
        for family in found:
            if family[0].kind == one.kind and _alike(family[0], one):
                family.append(one)
                break
        else:
            found.append([one])
    return [family for family in found if len(family) > 1]


def _alike(one: LoopFacts, other: LoopFacts) -> bool:
    if one.pipeline == other.pipeline:
        return True
    mine, theirs = set(one.steps), set(other.steps)
    both = mine | theirs
    return len(mine) > 2 and len(mine & theirs) / len(both) >= _ALIKE if both else False
