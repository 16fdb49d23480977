"""Score a model, keep the score whenever it changes, and read the trend back."""

from __future__ import annotations

from mainspring.debt.score.facts import MAX_AGE_S
from mainspring.debt.score.total import Score, digest, judge
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence, Record
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring.gathering import gather

KIND = "score"


class Past(Record, frozen=True, kw_only=True):
    """What a model scored at one moment, and which points changed since the moment before."""

    id: str  #: of the evidence
    at: float  #: wall time
    score: float
    sums: dict[str, float]
    rose: list[str] = []
    fell: list[str] = []


def score(ws: Workspace, model: str, max_age_s: float = MAX_AGE_S) -> Score:
    """Return the ML Test Score of a model now; a change of any point is kept for the trend.

    The trend is of evidence that ages out after the usual time; a question with another age is
    answered and not kept.

    Raises:
        NotFoundError: if there is no such model.
    """
    found = judge(gather(ws, model, max_age_s))
    if max_age_s == MAX_AGE_S:
        # Whoever may read may ask; that the answer is kept is the house's own doing.
        own = ws.acting_as(service("score"))
        own.write(Permission.WORK, lambda tx: _keep(tx, found))
    return found


def trend(ws: Workspace, model: str, limit: int = 100) -> list[Past]:
    """Return the scores of a model at which a point changed, the newest first."""
    found = ws.read(
        Permission.READ, lambda tx: evidence.listing(tx, f"model:{model}", KIND, limit + 1)
    )
    told = []
    for place, one in enumerate(found[:limit]):
        before = found[place + 1].detail["points"] if place + 1 < len(found) else {}
        told.append(_past(one, before))
    return told


def _keep(tx: Tx, found: Score) -> None:
    before = evidence.newest(tx, KIND, f"model:{found.model}")
    points = digest(found)
    if before is not None and before.detail["points"] == points:
        return
    sums = ", ".join(f"{name} {value:g}" for name, value in found.sums.items())
    evidence.record(
        tx,
        Evidence(
            id=new_id("ev"),
            kind=KIND,
            subject=f"model:{found.model}",
            passed=None,
            found=f"ML Test Score {found.score:g}: {sums}.",
            at=found.at,
            by=tx.who.name,
            detail={"score": found.score, "sums": found.sums, "points": points},
            opens=[f"/models/{found.model}"],
        ),
    )


def _past(one: Evidence, before: dict[str, float]) -> Past:
    points: dict[str, float] = one.detail["points"]
    return Past(
        id=one.id,
        at=one.at,
        score=one.detail["score"],
        sums=one.detail["sums"],
        rose=[name for name, value in points.items() if value > before.get(name, 0.0)],
        fell=[name for name, value in points.items() if value < before.get(name, 0.0)],
    )
