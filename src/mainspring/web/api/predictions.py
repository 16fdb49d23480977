"""What is known of one prediction."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.predictions import PredictionStory


class OnePrediction(Request, frozen=True, kw_only=True):
    """Which prediction."""

    id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=256,
            description="Out of an answer's prediction_ids.",
            examples=["5f21c0a9be77-1041"],
        ),
    ]


@operation("predictions.why", "GET", "/api/v1/predictions/{id}/why", Permission.READ)
def why(ws: Workspace, request: OnePrediction) -> PredictionStory:
    """Say who answered a prediction, how fast, who scored it beside, and what the logs noted."""
    from mainspring.workspace.views import predictions

    return predictions.prediction_story(ws, request.id)
