"""The ML Test Score of a model, and how it went."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.debt.score.total import Score
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Limit, ModelName, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring.scores import Past

Days = Annotated[
    float, Meta(gt=0, le=3650, description="How many days evidence counts.", examples=[30])
]


class OfScore(Request, frozen=True, kw_only=True):
    """Which model, and how long evidence counts."""

    model: ModelName
    max_age_days: Days = 30.0


class OfTrend(Request, frozen=True, kw_only=True):
    """Which model, and how many changes of its score."""

    model: ModelName
    limit: Limit = 100


@operation("scores.get", "GET", "/api/v1/models/{model}/score", Permission.READ)
def score(ws: Workspace, request: OfScore) -> Score:
    """Score a model by the 28 tests of the ML Test Score, from what really ran.

    A change of any point is kept as evidence, so that there is a trend.
    """
    from mainspring.workspace.scoring import scores

    return scores.score(ws, request.model, request.max_age_days * DAY_S)


@operation("scores.trend", "GET", "/api/v1/models/{model}/score/trend", Permission.READ)
def trend(ws: Workspace, request: OfTrend) -> list[Past]:
    """List how a model's score changed, the newest first, and which tests rose or fell."""
    from mainspring.workspace.scoring import scores

    return scores.trend(ws, request.model, request.limit)
