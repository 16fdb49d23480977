"""The record of one piece of debt: what, where, how it is known, what it costs, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mainspring.ground.identity import key_of
from mainspring.ground.records import Record

Severity = Literal["low", "medium", "high"]

#: What one finding weighs in a budget.
WEIGHTS: dict[str, int] = {"low": 1, "medium": 3, "high": 9}

#: Every kind of debt that is looked for, and what it is.
KINDS: dict[str, str] = {
    "useless_feature": "A feature without a shown gain.",
    "epsilon_feature": "A feature whose gain is certain and too small to matter.",
    "correlated_features": "Features that stand for one another.",
    "undeclared_consumer": "A caller that nobody declared.",
    "unpinned_input": "Data that changes under the same code, or is read at no version.",
    "floating_dependency": "A package that may be another version tomorrow.",
    "correction_cascade": "A model that stands on another model's answers.",
    "pipeline_jungle": "A pipeline that is hard to follow.",
    "unused_output": "A step whose output nobody takes.",
    "duplicate_step": "The same step done twice.",
    "unused_step": "A step that no pipeline takes.",
    "unused_param": "A param that is declared and never read.",
    "unused_config": "A constant or key of a configuration that nothing asks for.",
    "dead_branch": "A branch that is never taken.",
    "fixed_param": "A param that never varies.",
    "step_habit": "A habit by which a step gives other results than it should.",
    "stale_threshold": "A threshold nobody looked at for long.",
    "stale_alias": "An alias that nobody moves.",
    "stale_assumption": "An assumption whose review is due.",
    "prototype": "A version in production from a notebook or uncommitted code.",
    "direct_feedback": "A model that learns from what it decided itself.",
    "no_owner": "A model nobody answers for.",
    "config_drift": "Sibling loops whose policies differ.",
    "untested_step": "A step that no test names.",
    "deprecated_input": "Something that stands on what goes away.",
}


class DebtFinding(Record, frozen=True, kw_only=True):
    """One piece of debt. Its id is the same in every scan as long as it is owed."""

    id: str
    kind: str
    severity: Severity
    subject: str  #: what owes it: model/number, loop:NAME, endpoint:NAME, project
    where: str  #: file:line, step, column, alias
    found: str  #: what was seen, with figures
    cost: str  #: what it costs, in what it costs
    todo: str
    evidence: dict[str, Any] = {}
    opens: list[str] = []

    @property
    def weight(self) -> int:
        """Return what it weighs in a budget."""
        return WEIGHTS[self.severity]


def finding(
    kind: str,
    severity: Severity,
    subject: str,
    where: str,
    *,
    found: str,
    cost: str,
    todo: str,
    key: tuple[str, ...] | None = None,
    evidence: Mapping[str, Any] | None = None,
    opens: list[str] | None = None,
) -> DebtFinding:
    """Return a finding; its id follows from what it is about, not from figures or lines.

    ``key`` says what it is about where ``subject`` and ``where`` hold what may move, such as
    the number of a line or of a version.

    Example:
        >>> one = finding("no_owner", "high", "fraud", "card", found="f", cost="c", todo="t")
        >>> one.id == finding("no_owner", "low", "fraud", "card", found="", cost="", todo="").id
        True
    """
    name = key_of("debt", kind, *(key or (subject, where)))[:12]
    return DebtFinding(
        id=f"debt_{name}",
        kind=kind,
        severity=severity,
        subject=subject,
        where=where,
        found=found,
        cost=cost,
        todo=todo,
        evidence=dict(evidence or {}),
        opens=opens or [],
    )
