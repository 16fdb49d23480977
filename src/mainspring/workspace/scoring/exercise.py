"""Do for one model what the score asks for and a machine can do: each act real, each kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Evidence, Record
from mainspring.workspace.opening import Workspace
from mainspring.workspace.owed import scanning
from mainspring.workspace.scoring import columns, debugging, dependencies, drill
from mainspring.workspace.scoring import subject as s


class Act(Record, frozen=True, kw_only=True):
    """One thing that was tried, and what came of it; or why it could not be."""

    kind: str
    passed: bool | None  #: None: it could not be tried, or nothing could be said
    found: str
    evidence: str | None = None  #: id


def _rolled_back(ws: Workspace, subject: s.Subject) -> list[Evidence]:
    return [drill.rollback(ws, name).evidence for name in subject.endpoints]


def _ablated(ws: Workspace, subject: s.Subject) -> Evidence:
    return scanning.ablate(ws, f"{subject.model}/{subject.champion.number}")[1]


Doing = Callable[[Workspace, s.Subject], Evidence | list[Evidence]]
ACTS: dict[str, Doing] = {
    "privacy": columns.privacy,
    "feature_policy": columns.policy,
    "ablation": _ablated,
    "feature_costs": columns.costs,
    "debuggable": debugging.debuggable,
    "dependency_drill": dependencies.drill,
    "rollback_drill": _rolled_back,
}


def exercise(ws: Workspace, model: str) -> Iterator[Act]:
    """Try every act on a model that serves, and give what came of each as it ends.

    What cannot be tried yet is given with its reason, and keeps nothing.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if none of its versions serves.
    """
    subject = s.of_model(ws, model)
    for kind, doing in ACTS.items():
        try:
            done = doing(ws, subject)
        except MainspringError as error:
            yield Act(kind=kind, passed=None, found=str(error))
            continue
        for one in done if isinstance(done, list) else [done]:
            yield Act(kind=kind, passed=one.passed, found=one.found, evidence=one.id)
