"""What an MLflow store tells, whichever kind it is. Times are UTC seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from mainspring.experiments.datasets import Use
from mainspring.experiments.logged import Measured
from mainspring.experiments.metrics import Point
from mainspring.ground.objects import RunStatus

#: MLflow's words, and its numbers, for how far a run is.
STATUSES = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.RUNNING,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELLED,
    "1": RunStatus.RUNNING,
    "2": RunStatus.RUNNING,
    "3": RunStatus.FINISHED,
    "4": RunStatus.FAILED,
    "5": RunStatus.CANCELLED,
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The root of what is found."""


class FoundExperiment(Found, frozen=True, kw_only=True):
    """An experiment."""

    id: str
    name: str
    created: float
    deleted: bool = False
    tags: dict[str, str] = {}


class FoundRun(Found, frozen=True, kw_only=True):
    """A run, without its points and files."""

    id: str
    name: str
    status: RunStatus
    started: float
    ended: float | None
    deleted: bool
    user: str
    files: str  #: the URI of its artifacts
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[Use] = []
    read: list[str] = []  #: ids of logged models
    made: list[str] = []


class FoundLogged(Found, frozen=True, kw_only=True):
    """A logged model."""

    id: str
    name: str
    run: str | None
    type: str | None
    ready: bool | None  #: None: its maker has not said yet
    created: float
    changed: float
    files: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[Measured] = []


class FoundVersion(Found, frozen=True, kw_only=True):
    """A version of a registered model."""

    number: int
    created: float
    source: str
    files: str  #: the URI where its files are
    run: str | None
    link: str | None
    logged: str | None
    description: str
    stage: str
    tags: dict[str, str]


class FoundModel(Found, frozen=True, kw_only=True):
    """A registered model."""

    name: str
    created: float
    description: str
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: list[FoundVersion]


class Store(Protocol):
    """An MLflow store that can be read. ``uri`` holds no password."""

    uri: str

    def experiments(self) -> list[FoundExperiment]:
        """Return every experiment, deleted or not."""
        ...

    def run_count(self) -> int:
        """Return about how many runs there are, for the progress bar."""
        ...

    def runs(self, experiment: str) -> Iterator[FoundRun]:
        """Go through the runs of an experiment, deleted or not."""
        ...

    def points(self, run: str, experiment: str) -> Iterator[list[Point]]:
        """Go through the whole history of a run's metrics, in the order of time, in parts."""
        ...

    def logged(self, experiment: str) -> Iterator[FoundLogged]:
        """Go through the logged models of an experiment."""
        ...

    def models(self) -> Iterator[FoundModel]:
        """Go through the registered models."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


def seconds(milliseconds: object) -> float:
    """Return a time that MLflow keeps in milliseconds."""
    return float(str(milliseconds)) / 1000


def logged_of(source: str) -> str | None:
    """Return the id of the logged model that a source names, if it names one.

    >>> logged_of("models:/m-1"), logged_of("models:/churn/1"), logged_of("runs:/1/model")
    ('m-1', None, None)
    """
    name = source.removeprefix("models:/")
    plain = source.startswith("models:/m-") and "/" not in name
    return name if plain else None


def text(value: object) -> str:
    """Return a plain value as text; nothing, and what is no plain value, as no text."""
    return str(value) if isinstance(value, str | int | float) else ""
