"""The seven tests of model development."""

from __future__ import annotations

from mainspring.debt.score.claims import (
    NO_CHAMPION,
    Claim,
    Proof,
    both,
    checked,
    checks_of,
    either,
    no,
    proof_of,
    tried,
)
from mainspring.debt.score.facts import Facts, Made
from mainspring.ground.objects import Evidence
from mainspring.numerics.correlation import rank_correlations

#: Branches that what was reviewed is merged into.
MAIN = ("main", "master", "trunk")
#: Versions, at least, whose offline and online figures are compared.
LEAST_VERSIONS = 5
#: Rank correlation from which on the two agree.
AGREES = 0.5
#: Late labels of a version, at least, before its online figure counts.
LEAST_LABELS = 30
#: Labelled windows of different ages that make a curve.
LEAST_AGES = 3
#: What a version must not be surely worse than; a constant is asked for by the gate itself.
SIMPLER = ("linear", "tree")


def reviewed(facts: Facts) -> Claim:
    """The champion was made of committed code, and another than its author said yes."""
    made = facts.serving
    if made is None:
        return no(NO_CHAMPION)
    name = f"{facts.model}/{made.number}"
    said = _approved(facts, made)
    if said is None:
        return no(f"Nobody but {made.by}, who made {name}, has approved it.")
    where = Proof(at=said.at, opens=proof_of(said).opens)
    if not made.commit:
        half = "Its code is in no repository, so it was reviewed by hand."
    elif made.dirty:
        half = f"It was made with changes that commit {made.commit[:10]} does not have."
    elif made.branch not in MAIN:
        half = f"Its code is on {made.branch or 'no branch'}, not on {MAIN[0]}."
    else:
        half = ""
    code = f" of commit {made.commit[:10]} on {made.branch}" if made.commit else ""
    return Claim(holds=True, found=f"{said.by} approved {name}{code}.", proofs=[where], half=half)


def correlates(facts: Facts) -> Claim:
    """What the gate measures goes with what late labels say, over versions."""
    both_known = [
        one
        for one in facts.versions
        if one.offline is not None and one.online is not None and one.online_rows >= LEAST_LABELS
    ]
    if len(both_known) < LEAST_VERSIONS:
        return no(
            f"{len(both_known)} versions have both a loss on held-out rows and one from at least"
            f" {LEAST_LABELS} late labels; {LEAST_VERSIONS} are needed."
        )
    pairs = [(one.offline or 0.0, one.online or 0.0) for one in both_known]
    rho = float(rank_correlations(pairs)[0, 1])  # 0 where one of them does not vary
    told = f"Over {len(both_known)} versions the ranks of both losses correlate by {rho:.2f}"
    if rho < AGREES:
        return no(f"{told}; {AGREES} is wanted.")
    window = next((one for one in facts.windows if one.performance is not None), None)
    opens = [f"gate:{one.gate.id}" for one in both_known if one.gate is not None]
    proof = Proof(at=None if window is None else window.at, opens=opens)
    return Claim(holds=True, found=f"{told}.", proofs=[proof])


def tuned(facts: Facts) -> Claim:
    """Every numeric param of the champion's run was looked for."""
    made = facts.serving
    if made is None:
        return no(NO_CHAMPION)
    if not made.params:
        return no(f"The run of {facts.model}/{made.number} has no numeric param to tune.")
    used = []
    missing = []
    for param in sorted(made.params):
        found = next((one for one in facts.tunings if param in one.params), None)
        if found is None:
            missing.append(param)
        else:
            used.append(found)
    if missing:
        return no(f"No tuning looked for {', '.join(missing)}.")
    trials = sum(one.trials for one in {one.run: one for one in used}.values())
    return Claim(
        holds=True,
        found=f"{', '.join(sorted(made.params))} was looked for in {trials} trials.",
        proofs=[Proof(at=one.at, opens=[f"run:{one.run}"]) for one in used],
    )


def staleness(facts: Facts) -> Claim:
    """How quality falls with the age of a version is known."""
    lacks = "No version was scored at several ages."
    replayed = tried(facts, "staleness", lacks=lacks, measured=True)
    return replayed if replayed.holds else either(replayed, _curve(facts))


def _curve(facts: Facts) -> Claim:
    points = [
        one
        for window in facts.windows
        for one in window.found
        if one.monitor == "age" and one.value is not None
    ]
    ages = {round(one.value or 0.0) for one in points}
    labelled = [one for one in facts.windows if one.performance is not None]
    if len(ages) < LEAST_AGES or len(labelled) < LEAST_AGES:
        return no("Too few labelled windows of different ages.")
    first = labelled[0]
    return Claim(
        holds=True,
        found=f"Labelled windows at {len(ages)} ages of the champion tell its losses.",
        proofs=[Proof(at=first.at, opens=[first.page])],
    )


def simpler(facts: Facts) -> Claim:
    """No simpler model does as well on the same rows."""
    lacks = "Its gate compared it with no simpler model."
    claim = checked(facts, "baselines", lacks=lacks)
    if not claim.holds or facts.serving is None or facts.serving.gate is None:
        return claim
    (told,) = checks_of(facts.serving.gate, "baselines")[:1]
    models = {one["name"]: one for one in told.evidence.get("models", [])}
    compared = [one for one in map(models.get, SIMPLER) if one and one.get("low") is not None]
    if not compared:
        return no(f"{lacks} {claim.found}")
    better = [one["name"] for one in compared if one["low"] > 0]
    if better:
        return no(f"A {' and a '.join(better)} model is surely better: {claim.found}")
    return claim


def slices(facts: Facts) -> Claim:
    """Quality holds on the slices that matter."""
    claim = checked(facts, "slices", lacks="Its gate looked at no slice.")
    if not claim.holds or facts.serving is None or facts.serving.gate is None:
        return claim
    gate = facts.serving.gate
    (told,) = checks_of(gate, "slices")[:1]
    judged = [one for one in told.evidence.get("slices", []) if one.get("loss") is not None]
    # A search that went through slices and found none that is bad has looked at them too.
    if not judged and not told.evidence.get("looked"):
        return no(f"No slice has rows enough to be judged: {claim.found}")
    beside = checks_of(gate, "champion")
    compared = any(one.get("difference") is not None for one in judged)
    compared = compared or any(one.evidence.get("rows") for one in beside)
    if gate.worst_slice is None and not compared:
        return no(f"No slice was held against a line or a champion: {claim.found}")
    return claim


def inclusion(facts: Facts) -> Claim:
    """Groups of people were compared, and somebody signed what was found."""
    lacks = "No group of people was compared with another."
    kept = any(one.passed is not None for one in facts.of("bias"))
    measured = tried(facts, "bias", lacks=lacks) if kept else checked(facts, "bias", lacks=lacks)
    if not measured.holds:
        return measured
    said = None if facts.serving is None else _approved(facts, facts.serving)
    if said is None:
        return Claim(
            holds=True,
            found=measured.found,
            proofs=measured.proofs,
            half="Nobody has signed it.",
        )
    # What was measured is automatic; the signature is a person's by nature, and asked for.
    signature = Claim(
        holds=True,
        found=f"{said.by} signed it.",
        proofs=[Proof(at=said.at, opens=proof_of(said).opens)],
    )
    return both(measured, signature)


def _approved(facts: Facts, made: Made) -> Evidence | None:
    """Return the approval of a version by another than its authors, unless a refusal is newer."""
    said = [
        one
        for one in facts.of("approval")
        if one.subject == f"{facts.model}/{made.number}"
        and one.by not in one.detail.get("authors", [made.by])
    ]
    return said[0] if said and said[0].passed else None
