"""The seven tests of features and data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.debt.score.claims import NO_CHAMPION, Claim, Proof, no, tried
from mainspring.debt.score.facts import Facts, Seen
from mainspring.ground.objects import DAY_S

#: From the first run that had a column to the first champion that uses it, at most.
QUICK_S = 7 * DAY_S
#: Share of the lines of a step that tests must run, or it counts as untested.
COVERED = 0.8


def schema(facts: Facts) -> Claim:
    """Feature expectations are captured in a schema, and windows were held against it."""
    if facts.serving is None:
        return no(NO_CHAMPION)
    if facts.schema is None:
        return no(f"What {facts.model}/{facts.champion} expects of its inputs is not kept.")
    window = newest(facts, lambda one: one.quality > 0)
    if window is None:
        return no(
            f"What is expected of {facts.schema.columns} columns is kept, and no window of"
            " traffic was held against it."
        )
    broken = len(facts.schema.broken)
    if not facts.schema.declared:
        told = f"Types, ranges and values of {facts.schema.columns} columns as in training"
    elif broken:
        told = f"A contract of {facts.schema.columns} columns, broken by training {broken} ways"
    else:
        told = f"A contract of {facts.schema.columns} columns, which the training rows keep"
    return Claim(
        holds=True,
        found=f"{told}; the newest window, of {window.rows} rows, was held against that in"
        f" {window.quality} checks.",
        proofs=[
            Proof(at=window.at, opens=[f"artifact:{facts.schema.digest}", window.page]),
        ],
    )


def beneficial(facts: Facts) -> Claim:
    """All features are beneficial: leaving any one out costs."""
    return tried(facts, "ablation", lacks="No feature was ever left out to see what it gives.")


def affordable(facts: Facts) -> Claim:
    """No feature costs more than its declared budget."""
    return tried(facts, "feature_costs", lacks="What each feature costs was never measured.")


def requirements(facts: Facts) -> Claim:
    """Features keep what the project's policy asks of columns."""
    return tried(
        facts, "feature_policy", lacks="No policy of columns is declared, so none was checked."
    )


def privacy(facts: Facts) -> Claim:
    """The data pipeline has privacy controls: no personal value is trained on or captured."""
    return tried(facts, "privacy", lacks="Nobody ever looked for personal values.")


def quick(facts: Facts) -> Claim:
    """A new feature reaches production quickly."""
    if facts.serving is None:
        return no(NO_CHAMPION)
    if not facts.arrived:
        return no("No column of the champion is known from a run.")
    slowest = max(facts.arrived, key=lambda one: one.seconds)
    told = f"{slowest.column} took {_took(slowest.seconds)} from its first run to a champion"
    if slowest.seconds > QUICK_S:
        return no(f"{told}; {_took(QUICK_S)} is quick.")
    move = next((one for one in facts.moves if one.number == facts.champion), None)
    run = facts.serving.run
    opens = [f"run:{run}"] if run else []
    opens += [f"decision:{move.decision}"] if move is not None and move.decision else []
    return Claim(
        holds=True,
        found=f"Of {len(facts.arrived)} columns the slowest, {told}.",
        proofs=[Proof(at=None if move is None else move.at, opens=opens)],
    )


def tested(facts: Facts) -> Claim:
    """All code that makes features is tested."""
    made = facts.serving
    return no(NO_CHAMPION) if made is None else tests_cover(facts, made.feature_steps, "features")


def tests_cover(facts: Facts, steps: list[str], what: str) -> Claim:
    """Return whether the project's tests passed, and ran most lines of each of these steps.

    ``detail["lines"]`` of the evidence holds, by ``module:function``, the lines that ran and
    those that can run.
    """
    claim = tried(facts, "tests", lacks="The project's own tests never ran on this code.")
    if not claim.holds:
        return claim
    if not steps:
        return no(f"{claim.found} Which steps make its {what} is not known.")
    name = claim.proofs[0].opens[0].removeprefix("evidence:")
    run = next(one for one in facts.evidence if one.id == name)
    lines = {key.partition(":")[2]: pair for key, pair in run.detail.get("lines", {}).items()}
    short = [step for step in steps if not _covered(lines.get(step))]
    if short:
        return no(f"{claim.found} They do not run {COVERED:.0%} of the lines of {_listed(short)}.")
    told = f"{claim.found} They run {_listed(steps)}."
    return Claim(holds=True, found=told, proofs=claim.proofs)


def _covered(pair: Sequence[int] | None) -> bool:
    return pair is not None and pair[1] > 0 and pair[0] >= COVERED * pair[1]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def newest(facts: Facts, wanted: Callable[[Seen], bool]) -> Seen | None:
    """Return the newest window that a condition holds for and whose age is known."""
    return next((one for one in facts.windows if one.at is not None and wanted(one)), None)


def _took(seconds: float) -> str:
    if seconds < 3600:
        return f"{max(seconds, 0) / 60:.0f} minutes"
    if seconds < 2 * DAY_S:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / DAY_S:.0f} days"
