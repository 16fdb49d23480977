"""What following a prediction answers with. Light to import."""

from __future__ import annotations

from typing import Any

from mainspring.ground.objects import Record

METHOD = (
    "The score of the row, less the mean score where one column takes the values it had in"
    " 64 rows that the version was measured on, the others as they are."
)


class Carried(Record, frozen=True, kw_only=True):
    """What one column carried of a score."""

    column: str
    value: Any
    carried: float  #: by how much the score is higher for this value than for usual ones


class Followed(Record, frozen=True, kw_only=True):
    """One prediction from its raw values to its score."""

    endpoint: str
    id: str
    version: int
    at: float  #: event time
    inputs: dict[str, Any]
    features: dict[str, Any]  #: as serving computes them, after every transform
    captured: list[float]  #: the score that was answered
    again: list[float]  #: the score that the same version gives now
    same: bool
    of: str  #: which score was followed: the class, or the value
    carried: list[Carried]  #: the heaviest first
    method: str = METHOD
