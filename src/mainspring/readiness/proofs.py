"""Find the evidence that holds for a version: of its code, and not too old."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mainspring.ground.durations import spoken
from mainspring.ground.objects import Evidence, Gate, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence
from mainspring.readiness.inputs import GateInputs

#: So many of the newest are looked through for the one that holds for a version's code.
_LOOKED_AT = 200


def of_kind(known: Iterable[Evidence], kind: str) -> list[Evidence]:
    """Return the evidence of one kind, the newest first."""
    return sorted((one for one in known if one.kind == kind), key=lambda one: -one.at)


def holds(one: Evidence, version: Version, steps: Mapping[str, str]) -> bool:
    """Return whether evidence is of the very code that made a version.

    The digest of the pipeline is the same, or that of every step that ran: which steps a
    pipeline wires may depend on its params.
    """
    if version.code and one.code == version.code:
        return True
    told = one.detail.get("steps")
    if not isinstance(told, dict) or not steps:
        return False
    return all(told.get(target) == code for target, code in steps.items())


def on_this_code(known: Iterable[Evidence], inputs: GateInputs) -> Evidence | None:
    """Return the newest evidence of the code that made the candidate; None if there is none."""
    version = inputs.version
    if version is None or not version.code:
        return None
    return next((one for one in known if holds(one, version, inputs.steps)), None)


def differing(known: Iterable[Evidence], inputs: GateInputs) -> str | None:
    """Return which steps the newest evidence saw with other code; None if there is none."""
    newest = next(iter(known), None)
    if newest is None:
        return None
    told = newest.detail.get("steps") or {}
    names = [t.partition(":")[2] for t, code in inputs.steps.items() if told.get(t) != code]
    if not names:
        return "another state of the pipeline"
    return f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"


def share_of(one: Evidence, inputs: GateInputs) -> float | None:
    """Return which share of the lines of the candidate's own steps ran in the tests."""
    lines = one.detail.get("lines") or {}
    own = {target: lines[target] for target in inputs.steps if target in lines} or lines
    every = sum(can for _, can in own.values())
    return sum(ran for ran, _ in own.values()) / every if every else None


def aged(one: Evidence, inputs: GateInputs, policy: Gate) -> str:
    """Return in words that evidence is older than the gate allows; blank if it is not."""
    age = inputs.now - one.at
    return f"that was {spoken(age)} ago" if age > policy.proof_age_s else ""


def lately(policy: Gate) -> str:
    """Return how old evidence may be, as a gate wants it."""
    return f"at most {spoken(policy.proof_age_s)} ago"


def standing(
    tx: Tx, version: Version, pipeline: str | None, steps: Mapping[str, str]
) -> list[Evidence]:
    """Return the newest tests and smoke run of exactly a version's code, where there are any.

    The newest of all may be of other code: the project has moved on since.
    """
    if pipeline is None:
        return []
    found = []
    for kind in ("tests", "smoke"):
        every = evidence.listing(tx, f"pipeline:{pipeline}", kind, limit=_LOOKED_AT)
        one = next((one for one in every if holds(one, version, steps)), None)
        found += [] if one is None else [one]
    return found
