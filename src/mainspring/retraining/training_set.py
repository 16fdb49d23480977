"""The record of a training set: which rows, as known when, what leaks, and which window."""

from __future__ import annotations

from typing import Any

from mainspring.ground.clock import iso
from mainspring.ground.objects import Record
from mainspring.retraining.feedback import Feedback
from mainspring.retraining.leaks import Leak
from mainspring.retraining.windows import Choice


class TrainingSet(Record, frozen=True, kw_only=True):
    """What a retraining learns from. Times are event time."""

    loop: str
    moment: float  #: nothing that became known later is in it
    digest: str  #: of the rows, as a Parquet object
    fresh: str  #: of the rows kept for the gate
    rows: int
    fresh_rows: int
    rows_by_source: dict[str, int]  #: captured, source
    start: float | None = None  #: event time of the oldest and newest row; None: rows have none
    end: float | None = None
    fresh_start: float | None = None  #: always later than ``end``
    fresh_end: float | None = None
    label_batch: int = 0  #: the newest batch of labels in it
    labels_later: int = 0  #: labels left out because they came after the moment
    left_out: dict[str, int] = {}  #: rows of the source that were not taken, by why
    twins_dropped: int = 0  #: training rows that are fresh rows as well
    window: Choice | None = None
    weights: str | None = None  #: digest of what each row counts, where the window weighs
    thinned: str | None = None  #: rows drawn by their weight, where the training takes none
    leaks: list[Leak] = []
    feedback: Feedback | None = None
    profile: str | None = None  #: digest of the profile of the rows

    @property
    def sure_leaks(self) -> list[Leak]:
        """Return the findings that cannot be honest."""
        return [one for one in self.leaks if one.sure]


def sentence(one: TrainingSet) -> str:
    """Return a training set in a sentence, warnings last."""
    parts = " and ".join(
        f"{count:,} {name}" for name, count in one.rows_by_source.items() if count
    )
    span = (
        f" from {iso(one.start)} to {iso(one.end)}"
        if one.start is not None and one.end is not None
        else ""
    )
    told = f"{one.rows:,} rows ({parts or 'none'}){span}, as known at {iso(one.moment)};"
    told += f" {one.fresh_rows:,} later ones kept for the gate."
    if one.labels_later:
        told += f" {one.labels_later:,} labels came too late for it."
    if one.window is not None and len(one.window.tried) > 1:
        told += f" {one.window.found}"
    for leak in one.sure_leaks:
        told += f" Leak: {leak.found}"
    doubts = len(one.leaks) - len(one.sure_leaks)
    if doubts:
        told += f" {doubts} more to look at."
    if one.feedback is not None and one.feedback.warning:
        told += f" Warning: {one.feedback.warning}"
    return told


def figures(one: TrainingSet) -> dict[str, Any]:
    """Return a training set as JSON, small enough for a row of evidence."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(one)
    return found
