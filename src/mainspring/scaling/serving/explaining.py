"""Explain answers on request: what each column carried of each row's score."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError, DeadlineError
from mainspring.scaling.models.carried import carried, stand_ins
from mainspring.scaling.models.check import Prepared
from mainspring.scaling.serving.admission import refusal
from mainspring.scaling.serving.router import Answer, Generation, Variant

MOST_WAITING = 4
MOST_ROWS = 32  #: of one request; each is scored 64 times a column


class Explainer:
    """Explains what one endpoint answered. ``usual`` gives the usual rows of a package."""

    def __init__(self, usual: Callable[[str], pl.DataFrame] | None) -> None:
        self._usual = usual
        self._turn = asyncio.Semaphore(1)
        self._inside = 0
        self._known: dict[str, Prepared] = {}  # of the versions served now

    def check(self, rows: int) -> None:
        """Refuse what would not be explained, before it is scored.

        Raises:
            BadInputError: for too many rows, or where nothing is explained.
        """
        if self._usual is None:
            raise BadInputError("This endpoint explains nothing.", field="explain")
        if rows > MOST_ROWS:
            raise BadInputError(
                f"At most {MOST_ROWS} rows are explained at once, found {rows}.", field="explain"
            )

    async def in_turn(
        self, now: Generation, asked: Variant, rows: Prepared, answer: Answer
    ) -> list[dict[str, Any]]:
        """Return what :meth:`explain` returns, from a thread; one answer is explained at a time.

        Raises:
            OverloadedError: at once, if several wait for that.
            DeadlineError: if it takes longer than the endpoint lets a scoring take.
        """
        timeout_s = now.routing.options.limits.timeout_ms / 1000
        if self._inside >= MOST_WAITING:
            raise refusal(timeout_s, "Other answers are being explained.")
        self._inside += 1
        try:
            async with self._turn:
                until = perf_counter() + timeout_s
                return await asyncio.to_thread(self.explain, now, asked, rows, answer, until)
        finally:
            self._inside -= 1

    def explain(
        self, now: Generation, asked: Variant, rows: Prepared, answer: Answer, until: float
    ) -> list[dict[str, Any]]:
        """Return for each row the score that is meant, and what each column carried of it.

        Blocks for as long as 64 rows a column and row take to score.

        Raises:
            DeadlineError: when ``until`` has passed and rows are left.
        """
        found = []
        for row, number in enumerate(answer.versions.tolist()):
            if perf_counter() > until:
                raise DeadlineError(
                    f"Only {row} of {rows.rows} rows were explained in time.",
                    hint="Have fewer rows explained at once.",
                )
            variant = asked if number == asked.number else now.variant(number) or asked
            signature = variant.served.signature
            place = int(np.argmax(answer.scores[row])) if signature.kind == "multiclass" else 0
            of = signature.target
            if signature.classes:
                of = signature.classes[place if signature.kind == "multiclass" else -1]
            own = {c.name: rows.columns[c.name][row : row + 1] for c in signature.columns}
            one = variant.served.check(own)
            told = carried(variant.served.score, one, 0, self._stand_ins(variant), place)
            found.append({"of": of, "score": float(answer.scores[row, place]), "carried": told})
        return found

    def _stand_ins(self, variant: Variant) -> Prepared:
        digest = variant.served.digest
        found = self._known.get(digest)
        if found is None and self._usual is not None:
            if len(self._known) > 4:
                self._known.clear()
            found = stand_ins(self._usual(digest), variant.served.signature)
            self._known[digest] = found
        return found or Prepared(0, {}, {})
