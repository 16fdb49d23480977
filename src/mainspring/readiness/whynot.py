"""Tell why a version is not champion: the one reason that holds, and what it rests on.

Pure: the caller gathers the records from their rooms. For a version that a loop made there is
always an answer: each way to end is a decision, a gate or a rollout that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.clock import iso
from mainspring.ground.gates import CheckResult, GateResult
from mainspring.ground.objects import Decision, Record, Rollout, Version

if TYPE_CHECKING:
    from mainspring.readiness.registry import AliasMove


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The records around one version, as the caller found them."""

    version: Version
    champion: int | None = None
    moves: Sequence[AliasMove] = ()  #: of the champion alias, the oldest first
    gate: GateResult | None = None  #: the newest
    overridden: bool = False
    rollouts: Sequence[Rollout] = ()  #: in which it challenged, the newest first
    decisions: Sequence[Decision] = ()  #: about it, the newest first
    under_way: str = ""  #: what its loop is doing with it now, if it is the candidate


class WhyNot(Record, frozen=True, kw_only=True):
    """Why a version is not champion."""

    version: str
    verdict: str  #: champion, under way, superseded, lost, refused, ... : a word or two
    reason: str
    lines: list[str] = []  #: what it rests on, newest first
    todo: str = ""  #: what a person may do about it


def why_not(known: Known) -> WhyNot:
    """Return the first reason that holds, from what is now back to what never was."""
    for look in _LOOKS:
        found = look(known)
        if found is not None:
            verdict, reason, todo = found
            break
    return WhyNot(
        version=f"{known.version.model}/{known.version.number}",
        verdict=verdict,
        reason=reason,
        lines=_lines(known),
        todo=todo,
    )


Found = tuple[str, str, str] | None


def _serves(known: Known) -> Found:
    if known.champion != known.version.number:
        return None
    return "champion", "It is the champion.", ""


def _is_under_way(known: Known) -> Found:
    return ("under way", known.under_way, "") if known.under_way else None


def _was(known: Known) -> Found:
    """It served once: say who took its place and why."""
    mine = [place for place, move in enumerate(known.moves) if move.number == _number(known)]
    if not mine or mine[-1] + 1 >= len(known.moves):
        return None
    since, after = known.moves[mine[-1]], known.moves[mine[-1] + 1]
    reason = (
        f"It was champion from {iso(since.at)} until {iso(after.at)}, when version"
        f" {after.number} took its place: {after.reason}"
    )
    return "superseded", reason, f"Take it back: mainspring promote {_name(known)} --reason WHY"


def _lost(known: Known) -> Found:
    """It met traffic: say how that ended."""
    if not known.rollouts:
        return None
    last = known.rollouts[0]
    told = next((d.reason for d in known.decisions if d.kind in _ENDS), "")
    met = (
        f"It met traffic beside champion {last.champion} ({last.strategy}) for {last.rows:,}"
        " labelled rows."
    )
    if known.overridden and last.state != "running":
        met = f"An override let it in, which leads never past a rollout. {met}"
    verdict = {"rolled_back": "lost", "rejected": "undecided", "ended": "overtaken"}
    if last.state == "rejected" and not told:
        return "overtaken", f"{met} Then somebody moved the champion by hand.", ""
    ended = {
        "running": "The rollout is not decided yet.",
        "ended": "The rollout was ended by another, or with its champion.",
    }
    reason = f"{met} {told or ended.get(last.state, f'It ended {last.state}.')}"
    return verdict.get(last.state, "under way"), reason, ""


_ENDS = ("roll_back", "reject")


def _not_judged(known: Known) -> Found:
    if known.gate is not None:
        return None
    told = next((d.reason for d in known.decisions if d.kind in _ENDS), "")
    if told:
        return "rejected", told, ""
    return "not judged", "No gate has looked at it.", f"mainspring gate run {_name(known)}"


def _refused(known: Known) -> Found:
    """The gate said no, or waits for a person."""
    judged = known.gate
    if judged is None or judged.passed:
        return None
    failed = [check for check in judged.checks if not check.passed]
    if judged.waits:
        asked = f"mainspring approve {_name(known)} --reason WHY"
        return "waits for approval", f"It passed all but: {_told(failed)}", asked
    return "refused by the gate", f"It failed {len(failed)} checks: {_told(failed)}", ""


def _never_met_traffic(known: Known) -> Found:
    """It passed its gate, and then nothing came."""
    told = next((d.reason for d in known.decisions if d.kind in _ENDS), "")
    if told:
        return "rejected", told, ""
    if known.version.command and not (known.version.cause or "").startswith("run:"):
        reason = (
            "It passed the gate, and its loop went on without it: the champion moved, or somebody"
            " took the loop in hand, before it met traffic."
        )
        return "overtaken", reason, f"mainspring promote {_name(known)} --reason WHY"
    reason = (
        "It passed the gate. A person registered it, so no loop lets it meet traffic by itself."
    )
    return "nobody asked", reason, f"mainspring promote {_name(known)} --reason WHY"


#: The last always answers.
_LOOKS = (_serves, _is_under_way, _was, _lost, _not_judged, _refused, _never_met_traffic)


def _lines(known: Known) -> list[str]:
    lines = [
        f"{iso(one.at)}  {one.kind} by {one.by}: {one.reason}" for one in known.decisions[:20]
    ]
    lines += [
        f"{iso(one.started)}  {one.strategy} beside {one.champion}: {one.state}, {one.rows:,}"
        " labelled rows"
        for one in known.rollouts[:5]
    ]
    if known.gate is not None:
        word = "passed" if known.gate.passed else "refused"
        lines.append(f"{iso(known.gate.at)}  gate {word}, {len(known.gate.checks)} checks")
        lines += [f"    {_check(check)}" for check in known.gate.checks if not check.passed]
    return lines


def _told(checks: Sequence[CheckResult]) -> str:
    return "; ".join(_check(check) for check in checks)


def _check(check: CheckResult) -> str:
    return f"{check.name}: {check.found}, wanted {check.wanted}"


def _number(known: Known) -> int:
    return known.version.number


def _name(known: Known) -> str:
    return f"{known.version.model}/{known.version.number}"
