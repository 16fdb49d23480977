"""The seven tests of infrastructure."""

from __future__ import annotations

from mainspring.debt.score.claims import (
    NO_CHAMPION,
    Claim,
    Proof,
    gate_proof,
    no,
    tried,
    when,
)
from mainspring.debt.score.data import tests_cover
from mainspring.debt.score.facts import Facts

#: So many of the newest promotions are looked at.
NEWEST = 5


def reproducible(facts: Facts) -> Claim:
    """Training again from the record gives the same."""
    return tried(facts, "reproduced", lacks="Its training was never made again and compared.")


def unit_tested(facts: Facts) -> Claim:
    """The code that trains is unit tested."""
    made = facts.serving
    return no(NO_CHAMPION) if made is None else tests_cover(facts, made.train_steps, "training")


def integration_tested(facts: Facts) -> Claim:
    """The whole pipeline runs on a sample, on this code."""
    return tried(facts, "smoke", lacks="The whole pipeline never ran on a sample as a test.")


def validated(facts: Facts) -> Claim:
    """Every version that became champion had passed a gate before."""
    made = facts.serving
    if made is None or not facts.moves:
        return no(NO_CHAMPION)
    without = [one.number for one in facts.moves if one.gate is None]
    if without:
        told = ", ".join(f"{facts.model}/{number}" for number in sorted(set(without)))
        return no(f"{told} became champion without a passed gate.")
    if made.gate is None or not made.gate.passed:
        return no(f"The newest gate of {facts.model}/{made.number} refuses it.")
    moves = f"The one move of the champion alias is {facts.model}/{made.number}'s"
    if len(facts.moves) > 1:
        moves = f"All {len(facts.moves)} moves of the champion alias were to versions"
        told = f"{moves} that had passed a gate; {facts.model}/{made.number} did"
    else:
        told = f"{moves}, which had passed a gate"
    return Claim(
        holds=True,
        found=f"{told} {when(made.gate.at)}.",
        proofs=[gate_proof(made.gate)],
    )


def debuggable(facts: Facts) -> Claim:
    """A captured row can be followed from its raw values to its score."""
    return tried(facts, "debuggable", lacks="Nobody ever followed a captured row to its score.")


def canaried(facts: Facts) -> Claim:
    """Promotions went through a shadow or a canary, with a decision that says so."""
    if facts.serving is None:
        return no(NO_CHAMPION)
    # The first has nobody to be compared with, and a roll-back must not wait.
    asked = [one for one in facts.moves if one.previous is not None and not one.back][:NEWEST]
    if not asked:
        return no("No version took the place of another yet, so none met traffic beside it.")
    without = [one for one in asked if not one.rollout or one.decision is None]
    if without:
        told = ", ".join(f"{facts.model}/{one.number}" for one in without)
        return no(f"{told} became champion without meeting traffic in a shadow or canary.")
    ways = ", ".join(sorted({one.rollout for one in asked}))
    opens = [f"decision:{one.decision}" for one in asked if one.decision]
    count = "The newest promotion" if len(asked) == 1 else f"All of the {len(asked)} newest"
    return Claim(
        holds=True,
        found=f"{count} went through {ways}, with a decision.",
        proofs=[Proof(at=asked[0].at, opens=opens)],
    )


def rolled_back(facts: Facts) -> Claim:
    """A roll-back was rehearsed under load, and nobody noticed."""
    return tried(facts, "rollback_drill", lacks="No roll-back was ever rehearsed under load.")
