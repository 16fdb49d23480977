"""Score one part of a table: rows that pass get their scores, others are named or set aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.objects import Signature
from mainspring.scaling.models.check import Prepared, check_frame
from mainspring.scaling.models.scorer import Scorer
from mainspring.workspace.batches.sources import Part
from mainspring.workspace.feeding import reading
from mainspring.workspace.feeding.shaping import settled

SCORE, VERSION, PREDICTION, ID = "score", "model_version", "prediction", "prediction_id"
Refused = BadInputError | NotExactError


@dataclass(frozen=True)
class Scoring:
    """How the parts of one run are scored. Safe to use from several threads."""

    scorer: Scorer
    version: int
    prefix: str  #: of the prediction ids; the rest is a row's place among all
    aside: bool  #: rows that do not pass are set aside, and end nothing

    def part(self, part: Part) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
        """Return the scored rows of a part, and what is told of each row set aside.

        Raises:
            BadInputError, NotExactError: naming the first row that does not pass.
        """
        signature = self.scorer.signature
        names = score_names(signature)
        _check_names(part, {*names, VERSION, PREDICTION, ID})
        _check_lacking(part, signature)
        places = np.arange(part.first, part.first + part.rows.height)
        rows, bad = part.rows, list[dict[str, Any]]()
        try:
            prepared = check_frame(_typed(rows, signature), signature)
        except (BadInputError, NotExactError) as error:
            if not self.aside:
                raise _named(part, signature, error) from error
            good, bad = _parted(part, signature)
            rows, places = rows[good], places[good]
            prepared = check_frame(_typed(rows, signature), signature)
        return self._with_scores(rows, places, prepared, names), bad

    def _with_scores(
        self, rows: pl.DataFrame, places: npt.NDArray[Any], prepared: Prepared, names: list[str]
    ) -> pl.DataFrame:
        scores = np.asarray(self.scorer.score(prepared), dtype=np.float64)
        table = scores.reshape(rows.height, len(names))
        said = self.scorer.labels(table)
        text = pl.String if any(isinstance(one, str) for one in said) else None
        return rows.with_columns(
            pl.Series(ID, [f"{self.prefix}-{place}" for place in places.tolist()], pl.String),
            pl.Series(PREDICTION, said, text),
            *(pl.Series(name, table[:, at]) for at, name in enumerate(names)),
            pl.Series(VERSION, [str(self.version)] * rows.height, dtype=pl.String),
        )


def score_names(signature: Signature) -> list[str]:
    """Return the columns of the scores: one, or one a class."""
    if signature.kind == "multiclass":
        return [f"{SCORE}_{name}" for name in signature.classes]
    return [SCORE]


def _check_names(part: Part, taken: set[str]) -> None:
    there = sorted(taken & set(part.rows.columns))
    if there:
        raise BadInputError(
            f"{part.name} has a column {there[0]!r} already.",
            field=there[0],
            hint="What is answered is written under that name: rename the column.",
        )


def _check_lacking(part: Part, signature: Signature) -> None:
    lacking = [one.name for one in signature.columns if one.name not in part.rows.columns]
    if lacking:
        raise BadInputError(
            f"{part.name} has no column {lacking[0]!r}, which the version takes.",
            field=lacking[0],
            hint=f"It has {', '.join(part.rows.drop(reading.LINE).columns[:30])}.",
        )


def _typed(rows: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return the inputs of rows in their declared types, where they are of them."""
    return rows.select(settled(rows[one.name], one.type) for one in signature.columns)


def _check(part: Part, signature: Signature) -> Callable[[int, int], Refused | None]:
    def refused(first: int, rows: int) -> Refused | None:
        try:
            check_frame(_typed(part.rows.slice(first, rows), signature), signature)
        except (BadInputError, NotExactError) as error:
            return error
        return None

    return refused


def _named(part: Part, signature: Signature, told: Refused) -> Refused:
    """Return the complaint about the first row that does not pass by itself; found by halving."""
    refused = _check(part, signature)
    good, bad = 0, part.rows.height  # rows before `good` pass, one before `bad` does not
    while bad - good > 1:
        middle = (good + bad) // 2
        if refused(good, middle - good) is None:
            good = middle
        else:
            bad = middle
    return _complaint(part, good, refused(good, 1) or told)


def _complaint(part: Part, row: int, told: Refused) -> Refused:
    why = told.message.replace(", row 0:", ":")
    line = part.rows[reading.LINE][row]
    return type(told)(f"{part.name}, line {line}: {why}", field=told.field, hint=told.hint)


def _parted(part: Part, signature: Signature) -> tuple[list[int], list[dict[str, Any]]]:
    """Return the rows that pass, and what is told of each other."""
    refused = _check(part, signature)
    good: list[int] = []
    bad: list[dict[str, Any]] = []
    waiting = [(0, part.rows.height)]
    while waiting:
        first, rows = waiting.pop()
        told = refused(first, rows)
        if told is None:
            good += range(first, first + rows)
        elif rows > 1:
            half = rows // 2
            waiting += [(first + half, rows - half), (first, half)]  # the first half comes first
        else:
            bad.append(_set_aside(part, first, told))
    return good, bad


def _set_aside(part: Part, row: int, told: Refused) -> dict[str, Any]:
    found = part.rows.row(row, named=True)
    return {
        "file": part.name,
        "line": found.pop(reading.LINE),
        "field": told.field,
        "why": told.message.replace(", row 0:", ":"),
        "row": found,
    }
