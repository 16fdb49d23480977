"""Tell why a version serves: from its promotion back to the rows that asked for it.

Pure: the caller gathers the records from their rooms, this puts them into one chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mainspring.ground.clock import iso
from mainspring.ground.evidence import Evidence as Proof
from mainspring.ground.objects import (
    Alarm,
    CheckResult,
    Decision,
    GateResult,
    Rollout,
    Run,
    Version,
    Window,
)
from mainspring.readiness.registry import AliasMove

_SHORT = 12  # digits of a digest that people compare by eye


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain: what it is, its name, and the sentence about it."""

    what: str
    name: str
    text: str
    detail: dict[str, Any] = {}


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a version is what it is: the links in order, from the effect back to the cause."""

    version: str
    links: list[Link]
    missing: list[str] = []  #: links of the chain that no record was found for

    @property
    def lines(self) -> list[str]:
        """Return the chain as lines for a terminal."""
        width = max((len(link.what) for link in self.links), default=0)
        told = [f"{link.what:<{width}}  {link.text}" for link in self.links]
        lost = [f"{'not found':<{width}}  {', '.join(self.missing)}"] if self.missing else []
        return [*told, *lost]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The records around one version, as the caller found them."""

    version: Version
    moves: Sequence[AliasMove] = ()  #: of the champion alias, the oldest first
    decisions: Sequence[Decision] = ()
    gate: GateResult | None = None
    rollout: Rollout | None = None
    alarm: Alarm | None = None
    window: Window | None = None
    run: Run | None = None
    learnt: Proof | None = None  #: the training set, where a loop assembled it


def explain_version(evidence: Evidence) -> Explanation:
    """Return the chain version, promotion, rollout, gate, cause, window, data, code, run."""
    links = [link for part in _PARTS for link in part(evidence)]
    version = evidence.version
    return Explanation(
        version=f"{version.model}/{version.number}", links=links, missing=_missing(evidence)
    )


def _version(evidence: Evidence) -> list[Link]:
    version = evidence.version
    name = f"{version.model}/{version.number}"
    figures = ", ".join(f"{key} {value:.4g}" for key, value in sorted(version.metrics.items()))
    text = f"{name}, registered {iso(version.created)} by {version.by}"
    text += f"; {figures}" if figures else ""
    return [Link(what="version", name=name, text=text, detail={"package": version.package})]


def _promotion(evidence: Evidence) -> list[Link]:
    moves = [move for move in evidence.moves if move.number == evidence.version.number]
    if not moves:
        return []
    last = moves[-1]
    before = f" in place of version {last.previous}" if last.previous is not None else ""
    after = evidence.moves[evidence.moves.index(last) + 1 :]
    until = f", until version {after[0].number} at {iso(after[0].at)}" if after else ""
    text = f"champion since {iso(last.at)}{before}{until}, by {last.by}: {last.reason}"
    detail = {"previous": last.previous, "at": last.at, "serves": not after}
    return [Link(what="promotion", name=f"alias:{last.alias}", text=text, detail=detail)]


def _decisions(evidence: Evidence) -> list[Link]:
    newest_first = sorted(evidence.decisions, key=lambda decision: decision.at, reverse=True)
    return [
        Link(
            what="decision",
            name=decision.id,
            text=f"{iso(decision.at)} {decision.kind} by {decision.by}: {decision.reason}",
            detail={"subject": decision.subject, "evidence": decision.evidence},
        )
        for decision in newest_first
    ]


def _rollout(evidence: Evidence) -> list[Link]:
    rollout = evidence.rollout
    if rollout is None:
        return []
    share = (
        f" with {rollout.share:.0%} of the rows"
        if rollout.strategy in ("canary", "linear", "ab")
        else ""
    )
    text = (
        f"{rollout.strategy}{share} against version {rollout.champion}: {rollout.state} after "
        f"{rollout.rows} labelled rows"
    )
    return [Link(what="rollout", name=rollout.id, text=text, detail={"rows": rollout.rows})]


def _gate(evidence: Evidence) -> list[Link]:
    judged = evidence.gate
    if judged is None:
        return []
    failed = [check for check in judged.checks if not check.passed]
    verdict = "passed" if judged.passed else "refused"
    told = "; ".join(_checked(check) for check in (failed or judged.checks))
    text = f"{verdict} {iso(judged.at)}, {len(judged.checks)} checks: {told}"
    return [Link(what="gate", name=judged.id, text=text, detail={"passed": judged.passed})]


def _checked(check: CheckResult) -> str:
    return f"{check.name} ({check.found})"


def _cause(evidence: Evidence) -> list[Link]:
    alarm, cause = evidence.alarm, evidence.version.cause
    if alarm is not None:
        ended = f"; it ended {alarm.outcome}" if alarm.outcome else "; it is open"
        text = (
            f"{alarm.kind} alarm on {alarm.subject} of {alarm.endpoint}, raised "
            f"{iso(alarm.raised)}: {alarm.reason}{ended}"
        )
        return [Link(what="cause", name=f"alarm:{alarm.id}", text=text, detail=alarm.evidence)]
    if not cause:
        return []
    return [Link(what="cause", name=cause, text=_WORDS.get(cause, cause))]


_WORDS = {
    "first": "the loop had no champion yet",
    "schedule": "the schedule asked for it",
    "regret": "the regular check found that a fresh version pays",
    "rows": "so many rows were served since the last training",
    "labels": "so many labels came since the last training",
    "request": "somebody asked, and it waited for its time",
}


def _window(evidence: Evidence) -> list[Link]:
    window = evidence.window
    if window is None:
        return []
    text = (
        f"{window.rows} rows from {iso(window.start)} to {iso(window.end)}, answered by "
        f"version {window.version}; {window.labelled} labelled"
    )
    detail = {"start": window.start, "end": window.end, "rows": window.rows}
    return [Link(what="window", name=window.id, text=text, detail=detail)]


def _data(evidence: Evidence) -> list[Link]:
    version = evidence.version
    until = (
        f"; the newest row it learnt from is of {iso(version.trained_until)}"
        if version.trained_until is not None
        else ""
    )
    if not version.data:
        return [Link(what="data", name="", text=f"no digest{until}")] if until else []
    told = ", ".join(f"{name} {digest[:_SHORT]}" for name, digest in sorted(version.data.items()))
    return [Link(what="data", name=told, text=told + until, detail=dict(version.data))]


def _learnt(evidence: Evidence) -> list[Link]:
    learnt = evidence.learnt
    if learnt is None:
        return []
    return [Link(what="training set", name=learnt.id, text=learnt.found, detail=learnt.detail)]


def _code(evidence: Evidence) -> list[Link]:
    code = evidence.version.code
    if not code:
        return []
    return [Link(what="code", name=code, text=code[:_SHORT], detail={"digest": code})]


def _run(evidence: Evidence) -> list[Link]:
    run = evidence.run
    if run is None:
        return []
    made = f"pipeline {run.pipeline}" if run.pipeline else f"script run {run.name}"
    took = f" in {run.ended - run.started:.1f} s" if run.ended is not None else ""
    params = ", ".join(f"{key}={value}" for key, value in sorted(run.params.items()))
    text = f"{made}, started {iso(run.started)}, {run.status}{took}"
    text += f"; {params}" if params else ""
    return [Link(what="run", name=run.id, text=text, detail={"params": run.params})]


_PARTS: tuple[Callable[[Evidence], list[Link]], ...] = (
    _version,
    _promotion,
    _decisions,
    _rollout,
    _gate,
    _cause,
    _window,
    _data,
    _learnt,
    _code,
    _run,
)


def _missing(evidence: Evidence) -> list[str]:
    """Name what should be there and was not found, so that a gap is never silent."""
    version = evidence.version
    wanted = [
        ("the gate", evidence.gate is None),
        (f"run {version.run}", version.run is not None and evidence.run is None),
        (
            f"alarm {(version.cause or '').removeprefix('alarm:')}",
            (version.cause or "").startswith("alarm:") and evidence.alarm is None,
        ),
        (
            f"window {evidence.alarm.window if evidence.alarm else ''}",
            evidence.alarm is not None and evidence.window is None,
        ),
        ("data digests", not version.data),
        ("the code's digest", not version.code),
    ]
    return [name for name, lost in wanted if lost]
