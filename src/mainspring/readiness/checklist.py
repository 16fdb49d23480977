"""The production checklist of a version: what must be so before it serves, and what shows it.

Pure: :func:`checklist` takes what is known and returns the items. An item is asked for by the
model's gate, by its loop, or by evidence that somebody gathered; what nobody asked for is said to
be so, and stops nothing. What was shown too long ago is stale, and stops it as a failure does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from mainspring.ground.clock import iso
from mainspring.ground.gates import APPROVAL, CheckResult, Gate, GateResult
from mainspring.ground.objects import DAY_S, Evidence, LoopSpec, Record, Version

State = Literal["pass", "fail", "stale", "not asked"]
#: A drill of a roll-back shows nothing of an endpoint as it is after a month.
DRILL_AGE_S = 30 * DAY_S


class Item(Record, frozen=True, kw_only=True):
    """One line of the checklist."""

    name: str
    state: State
    found: str
    at: float | None = None  #: wall time of the newest evidence
    opens: list[
        str
    ] = []  #: what can be opened, as of :class:`mainspring.ground.evidence.Evidence`


class Checklist(Record, frozen=True, kw_only=True):
    """Whether a version may serve, item by item."""

    model: str
    number: int
    ready: bool  #: nothing failed and nothing is stale
    at: float  #: wall time: the same version may be stale tomorrow
    items: list[Item]
    overrides: list[str] = []  #: who let it meet traffic past its gate, and why


class Known(Record, frozen=True, kw_only=True):
    """All that the checklist is made of, gathered by the caller."""

    version: Version
    gate: GateResult | None
    policy: Gate
    evidence: list[Evidence]  #: the newest of each kind on version, model, pipeline, endpoint
    now: float
    card_missing: list[str]
    loop: LoopSpec | None = None
    endpoint: str | None = None  #: where the model is served
    channels: list[str] = []  #: over which people are told of alarms
    lineage_missing: list[str] = []
    overrides: list[str] = []


#: Items that evidence answers: name -> (kinds of evidence, how checks of the gate about it begin).
PROOFS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tests": (("tests",), ("tests",)),
    "smoke run": (("smoke",), ("smoke",)),
    "sbom": (("sbom",), ("sbom",)),
    "scan": (("scan", "advisories"), ("security", "scan", "advisories")),
    "reproduced": (("reproduced",), ("reproduc",)),
    "baselines": (("baselines",), ("baseline", "simpler")),
    "load": (("load",), ("load", "latency", "memory", "cold start")),
    "bias": (("bias",), ("bias",)),
    "attribution": (("attribution",), ("attribution",)),
}


def checklist(known: Known) -> Checklist:
    """Return the production checklist of a version.

    It is ready if its gate passed and is fresh, and nothing else that was asked for failed or is
    stale. An override never makes a version ready.
    """
    items = [
        *_gate(known),
        _card(known),
        _approval(known),
        *(_proof(name, known) for name in PROOFS),
        _rollout(known),
        _monitor(known),
        _drill(known),
        _lineage(known),
    ]
    return Checklist(
        model=known.version.model,
        number=known.version.number,
        ready=all(item.state in ("pass", "not asked") for item in items),
        at=known.now,
        items=items,
        overrides=known.overrides,
    )


def _gate(known: Known) -> list[Item]:
    gate = known.gate
    name = f"{known.version.model}/{known.version.number}"
    if gate is None:
        return [Item(name="gate", state="fail", found=f"never run: mainspring gate run {name}")]
    opens, stale = [f"gate:{gate.id}"], not gate.fresh(known.now)
    failed = sum(not check.passed for check in gate.checks)
    told = f"{len(gate.checks) - failed} of {len(gate.checks)} checks passed"
    if gate.until is not None:
        told += f"; {'held' if stale else 'holds'} until {iso(gate.until)}"
    state: State = "fail" if not gate.passed else "stale" if stale else "pass"
    first = Item(name="gate", state=state, found=told, at=gate.made, opens=opens)
    if gate.gate is not None and gate.gate != known.policy:
        changed = "the gate was declared anew since; run it again"
        first = msgspec.structs.replace(
            first, state="stale" if gate.passed else "fail", found=f"{told}; {changed}"
        )
    return [first, *(_check(check, gate, stale) for check in gate.checks)]


def _check(check: CheckResult, gate: GateResult, stale: bool) -> Item:
    state: State = "fail" if not check.passed else "stale" if stale else "pass"
    return Item(
        name=f"gate: {check.name}",
        state=state,
        found=f"{check.found}, wanted {check.wanted}",
        at=gate.made,
        opens=[f"gate:{gate.id}", *check.opens],
    )


def _card(known: Known) -> Item:
    missing, card = known.card_missing, known.version.card
    opens = [f"card:{known.version.model}/{known.version.number}"]
    if not missing:
        return Item(name="card", state="pass", found="every required field is filled", opens=opens)
    told = "there is none" if card is None else f"{', '.join(missing)} left blank"
    asked = known.policy.needs_card
    return Item(name="card", state="fail" if asked else "not asked", found=told, opens=opens)


def _approval(known: Known) -> Item:
    given = _newest([APPROVAL], known.evidence)
    if known.policy.approval:
        asked = [c for c in known.gate.checks if c.name == APPROVAL] if known.gate else []
        if not asked:
            return Item(name="approval", state="fail", found="the gate did not ask for it yet")
        state: State = "pass" if asked[0].passed else "fail"
        at = given.at if given else None
        return Item(
            name="approval", state=state, found=asked[0].found, at=at, opens=asked[0].opens
        )
    if given is None:
        return Item(name="approval", state="not asked", found="one pair of eyes is enough here")
    return _of_evidence("approval", given, known.policy.valid_s, known)


def _proof(name: str, known: Known) -> Item:
    kinds, begins = PROOFS[name]
    of_gate = [c for c in known.gate.checks if c.name.startswith(begins)] if known.gate else []
    newest = _newest(kinds, known.evidence)
    if of_gate and known.gate is not None:
        stale = not known.gate.fresh(known.now)
        passed = all(check.passed for check in of_gate)
        links = [link for check in of_gate for link in check.opens]
        links += [f"evidence:{newest.id}"] if newest else []
        return Item(
            name=name,
            state="fail" if not passed else "stale" if stale else "pass",
            found="; ".join(check.found for check in of_gate),
            at=known.gate.made,
            opens=[f"gate:{known.gate.id}", *dict.fromkeys(links)],
        )
    if newest is None:
        return Item(name=name, state="not asked", found="the gate asks for none")
    return _of_evidence(name, newest, known.policy.valid_s, known)


def _of_evidence(name: str, found: Evidence, valid_s: float, known: Known) -> Item:
    age, told = known.now - found.at, found.found
    old = age >= valid_s
    other = bool(found.code and known.version.code and found.code != known.version.code)
    state: State = "fail" if found.passed is False else "stale" if old or other else "pass"
    told += f" ({age / DAY_S:.0f} days ago)" if old else ""
    told += " (of other code than made this version)" if other else ""
    links = [f"evidence:{found.id}", *found.opens]
    return Item(name=name, state=state, found=told, at=found.at, opens=links)


def _rollout(known: Known) -> Item:
    name = "rollout policy"
    if known.loop is None:
        return Item(name=name, state="not asked", found="no loop looks after the model")
    policy = known.loop.rollout
    share = f" of {policy.share:.0%} of the rows" if policy.strategy == "canary" else ""
    told = f"{policy.strategy}{share}, promoted at {policy.alpha:g}, stopped at"
    told += f" {policy.harm_alpha:g}, watched {policy.watch_s / DAY_S:g} days"
    links = [f"loop:{known.loop.name}"]
    return Item(name=name, state="pass", found=told, opens=links)


def _monitor(known: Known) -> Item:
    name = "monitor and channel"
    if known.endpoint is None:
        return Item(name=name, state="not asked", found="the model is served nowhere yet")
    links = [f"endpoint:{known.endpoint}"]
    if not known.channels:
        told = f"{known.endpoint} is watched, but nobody is told: mainspring channels add"
        return Item(name=name, state="fail", found=told, opens=links)
    told = f"{known.endpoint} is watched; {', '.join(known.channels)} tell people"
    return Item(name=name, state="pass", found=told, opens=links)


def _drill(known: Known) -> Item:
    name = "rollback drill"
    newest = _newest(["rollback_drill"], known.evidence)
    if newest is not None:
        return _of_evidence(name, newest, DRILL_AGE_S, known)
    if known.endpoint is None:
        return Item(name=name, state="not asked", found="the model is served nowhere yet")
    return Item(name=name, state="not asked", found=f"never tried on {known.endpoint}")


def _lineage(known: Known) -> Item:
    version = known.version
    links = [f"run:{version.run}"] if version.run else []
    links.append(f"why:{version.model}/{version.number}")
    if known.lineage_missing:
        told = f"not known: {', '.join(known.lineage_missing)}"
        return Item(name="lineage", state="fail", found=told, opens=links)
    told = f"run {version.run}, {len(version.data)} data digests, code {version.code[:12]}"
    return Item(name="lineage", state="pass", found=told, opens=links)


def _newest(kinds: Iterable[str], evidence: Sequence[Evidence]) -> Evidence | None:
    wanted = set(kinds)
    found = [one for one in evidence if one.kind in wanted]
    return max(found, key=lambda one: one.at, default=None)
