"""Let a challenger of ours score the rows that a champion elsewhere has answered.

So a rollout needs no traffic of ours: whoever feeds rows with labels lets the two be compared,
row by row, as a shadow.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Rollout
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models import load
from mainspring.workspace.feeding.shaping import as_series
from mainspring.workspace.opening import Workspace


class Shadow:
    """The challenger of a rollout, ready to score rows beside the champion."""

    def __init__(self, ws: Workspace, rollout: Rollout) -> None:
        self.said: list[str] = []
        self._rollout = rollout
        version = ws.read(
            Permission.LABEL, lambda tx: registry.get(tx, rollout.model, rollout.challenger)
        )
        self._called = f"{rollout.model}/{rollout.challenger}"
        self._model = None
        try:
            self._model = load.load(version.package, ws.objects)
        except MainspringError as error:
            self.said.append(f"{self._called} cannot score beside: {error}")

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with the challenger's scores where the champion answered."""
        answered = rows["_version"] == self._rollout.champion
        if self._model is None or not answered.any():
            return rows
        try:
            scores = np.asarray(self._model.score(rows), dtype=np.float64)
        except MainspringError as error:
            told = f"{self._called} could not score some rows beside: {error}"
            if told not in self.said:
                self.said.append(told)
            return rows
        if scores.ndim == 1:
            scores = scores.reshape(-1, 1)
        other = as_series(scores).alias("_other_score")
        number = pl.lit(self._rollout.challenger, dtype=pl.Int64)
        return rows.with_columns(
            pl.when(answered).then(other).otherwise(None).alias("_other_score"),
            pl.when(answered).then(number).otherwise(None).alias("_other_version"),
        )
