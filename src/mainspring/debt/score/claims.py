"""Turn what a test found into points: evidence that is fresh, can be opened, and how it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from mainspring.debt.score.facts import Check, Facts, Judged
from mainspring.ground.clock import iso
from mainspring.ground.objects import Evidence, Record

NO_CHAMPION = "No version serves yet."


class Proof(Record, frozen=True, kw_only=True):
    """One thing that a point rests on."""

    at: float | None  #: wall time; None: not known, and then it proves nothing
    opens: list[str]
    automatic: bool = True


class Claim(Record, frozen=True, kw_only=True):
    """What one test found: whether it holds, in a sentence, and what it rests on."""

    holds: bool
    found: str
    proofs: list[Proof] = []
    half: str = ""  #: why it is worth half a point only, though it ran by itself


class Point(Record, frozen=True, kw_only=True):
    """One test of the 28 and what it is worth today."""

    test: str  #: such as "Data 1"
    name: str
    points: float  #: 0 not done, 0.5 by hand, 1 by itself and again and again
    found: str
    earn: str  #: what to do to earn it, or to keep it
    opens: list[str] = []
    at: float | None = None  #: wall time of the oldest thing it rests on
    until: float | None = None  #: wall time at which it ages out


def no(found: str) -> Claim:
    """Return that a test does not hold."""
    return Claim(holds=False, found=found)


def tried(facts: Facts, *kinds: str, lacks: str, measured: bool = False) -> Claim:
    """Return what the newest evidence of some kinds says; ``lacks`` if there is none.

    A failure counts until something newer passed. Of what passed since, fresh evidence that came
    by itself goes before fresh evidence that a person gave, so that a hand never lowers a point.
    With ``measured`` a figure that nobody judged is enough: that it is known is what was asked.
    """
    judged = [one for one in facts.of(*kinds) if measured or one.passed is not None]
    if not judged:
        return no(lacks)
    if judged[0].passed is False:
        return no(_sentence(judged[0].found))
    failures = (place for place, one in enumerate(judged) if one.passed is False)
    since = judged[: next(failures, len(judged))]
    fresh = [one for one in since if one.at + facts.max_age_s > facts.now] or since
    best = next((one for one in fresh if one.automatic), fresh[0])
    return Claim(holds=True, found=_sentence(best.found), proofs=[proof_of(best)])


def proof_of(one: Evidence) -> Proof:
    """Return evidence as what a point rests on: itself, and what it opens."""
    opens = [f"evidence:{one.id}", *one.opens]
    return Proof(at=one.at, opens=opens, automatic=one.automatic)


def checked(facts: Facts, *names: str, lacks: str) -> Claim:
    """Return what the champion's gate says of checks whose names begin so; all must pass."""
    made = facts.serving
    if made is None:
        return no(NO_CHAMPION)
    if made.gate is None:
        return no(f"{facts.model}/{made.number} never met a gate.")
    found = checks_of(made.gate, *names)
    if not found:
        return no(lacks)
    bad = [one for one in found if not one.passed]
    told = "; ".join(_told(one) for one in (bad or found)[:3])
    if bad:
        return no(f"The gate refused it: {told}.")
    return Claim(holds=True, found=f"{told}.", proofs=[gate_proof(made.gate)])


def checks_of(gate: Judged, *names: str) -> list[Check]:
    """Return the checks of a gate by the first word of their names."""
    return [one for one in gate.checks if one.name.replace(":", " ").split()[0] in names]


def gate_proof(gate: Judged) -> Proof:
    """Return a gate as what a point rests on."""
    return Proof(at=gate.at, opens=[f"gate:{gate.id}"])


def both(first: Claim, second: Claim) -> Claim:
    """Return the claim that two hold; where one does not, what it says."""
    if not first.holds or not second.holds:
        return first if not first.holds else second
    return Claim(
        holds=True,
        found=f"{first.found} {second.found}",
        proofs=[*first.proofs, *second.proofs],
        half=first.half or second.half,
    )


def either(*claims: Claim) -> Claim:
    """Return the first claim that holds; if none does, the first."""
    return next((one for one in claims if one.holds), claims[0])


def point(test: str, name: str, earn: str, claim: Claim, facts: Facts) -> Point:
    """Return what a claim is worth at the moment of the facts.

    No point without evidence: a claim that names nothing to open, or nothing whose age is known,
    is worth nothing, and so is one whose oldest proof has aged out.
    """
    empty = Point(test=test, name=name, points=0.0, found=claim.found, earn=earn)
    if not claim.holds:
        return empty
    opens = list(dict.fromkeys(link for one in claim.proofs for link in one.opens))
    times = [one.at for one in claim.proofs]
    if not opens or None in times:
        told = f"{claim.found} Nothing that can be opened says when, so it does not count."
        return replace(empty, found=told, opens=opens)
    at = min(time for time in times if time is not None)
    until = at + facts.max_age_s
    if until <= facts.now:
        told = f"{claim.found} That was {_days(facts.now - at)} ago and has aged out."
        return replace(empty, found=told, opens=opens, at=at, until=until)
    by_hand = "" if all(one.automatic for one in claim.proofs) else "It was done by hand."
    why = by_hand or claim.half
    found = f"{claim.found} {why}".strip()
    points = 0.5 if why else 1.0
    return replace(empty, points=points, found=found, opens=opens, at=at, until=until)


def oldest(times: Sequence[float | None]) -> float | None:
    """Return the oldest of some times; None if one of them is not known, or there is none."""
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def when(at: float | None) -> str:
    """Return a time in words."""
    return "at an unknown time" if at is None else iso(at)


def _sentence(text: str) -> str:
    """Return what was found so that another sentence may follow."""
    plain = text.strip()
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."


def _told(check: Check) -> str:
    return f"{check.name}: {check.found}"


def _days(seconds: float) -> str:
    days = round(seconds / 86_400)
    return f"{days} day" if days == 1 else f"{days} days"


Judge = Callable[[Facts], Claim]
