"""Measure what each feature of a version is worth: leave it out, train cheaply, compare.

Runs in a process of its own. The rows are those that the version keeps and did not learn from;
challengers are trained on two thirds of them and measured on the rest, in turn, so that every row
is measured by one that has not seen it. Neighbours stay together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.debt import ablation
from mainspring.debt.ablation import Ablation, Cost, GroupGain
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Signature
from mainspring.ground.ports import Objects
from mainspring.numerics import ablation as numerics
from mainspring.numerics.scores import row_losses
from mainspring.retraining import quick
from mainspring.scaling.models import package
from mainspring.scaling.models.features import Features
from mainspring.scaling.models.model import FittedModel, typed

Floats = npt.NDArray[np.float64]

FOLDS = 3
#: Leaving out and shuffling are two families of intervals that hold together.
_EACH = 1 - (1 - ablation.CONFIDENCE) / 2
_SHUFFLES = 3
_TIMED_ROWS = 2_000
_TIMES = 3


def measured(payload: dict[str, Any], objects: Objects) -> dict[str, Any]:
    """Return the ablation of the version whose ``package`` is named, as plain values."""
    version, digest = payload["version"], payload["package"]
    if not package.holds_model(digest, objects):
        raise BadInputError(
            f"{version} holds no model that can be measured here: it answers elsewhere.",
            field="version",
        )
    model = package.read(digest, objects)
    found = ablate(version, model)
    shown: dict[str, Any] = msgspec.to_builtins(found)
    return shown


def ablate(version: str, model: FittedModel) -> Ablation:
    """Return what every feature of a fitted model is worth, by its reference rows."""
    reference = model.reference
    if reference is None:
        return Ablation(version=version, rows=0, reason="It keeps no rows to measure on.")
    rows = reference.filter(pl.col("_y").is_finite())
    if rows.height < ablation.LEAST_ROWS:
        told = f"It keeps {rows.height} labelled rows, and {ablation.LEAST_ROWS} are needed."
        return Ablation(version=version, rows=rows.height, reason=told)
    trial = _Trial(model, rows)
    if np.ptp(trial.truth) == 0:
        told = f"The target is the same in all {rows.height} rows."
        return Ablation(version=version, rows=rows.height, reason=told)
    return trial.run(version)


class _Trial:
    """The rows of one ablation, and the challengers trained on them."""

    def __init__(self, model: FittedModel, rows: pl.DataFrame) -> None:
        self.signature: Signature = model.signature
        self.names = list(model.features.names)
        self.truth: Floats = rows["_y"].cast(pl.Float64).to_numpy()
        self.blocks = numerics.stretches(rows.height)
        self._model = model
        self._learnt: list[tuple[npt.NDArray[np.intp], quick.QuickModel]] = []
        self._raw = typed(rows, model.signature.columns)
        self.frame = model.features.apply(self._raw)

    def run(self, version: str) -> Ablation:
        full = self.without([], keep=True)
        relied = self._relied(full)
        constant = self._losses(self._constant())
        alike = numerics.clusters(self._numbers(), self.names)
        gone = {name: self.without([name]) for name in self.names}
        shared = {f"group {place}": group for place, group in enumerate(alike)}
        gone |= {key: self.without(group) for key, group in shared.items()}
        # Of those that stand for one another, the one that models listen to most.
        keep = {
            key: max(group, key=lambda name: (relied[name].gain, name))
            for key, group in shared.items()
        }
        gone |= {
            f"{key} rest": self.without([one for one in group if one != keep[key]])
            for key, group in shared.items()
        }
        whole = float(constant.mean() - full.mean())
        margin = ablation.MARGIN * max(whole, 0.0)
        found = numerics.gains(full, gone, self.blocks, margin, _EACH)
        groups = [_group(group, keep[key], found, key) for key, group in shared.items()]
        groups += self._idle(full, found, margin)
        return ablation.built(
            version,
            self.frame.height,
            int(np.unique(self.blocks).size),
            {"constant": float(constant.mean()), "loss": float(full.mean()), "margin": margin},
            {name: found[name] for name in self.names},
            {name: self._cost(name) for name in self.names},
            relied,
            groups,
        )

    def without(self, left_out: Sequence[str], *, keep: bool = False) -> Floats:
        """Return each row's loss by a challenger that saw neither the row nor these features."""
        kept = [name for name in self.names if name not in left_out]
        losses = np.empty(self.truth.size)
        fold = self.blocks * FOLDS // (int(self.blocks.max()) + 1)
        classes = max(len(self.signature.classes), 2)
        for number in range(FOLDS):
            learn, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            if not kept:
                losses[test] = self._losses(self._constant(learn), test)
                continue
            model = quick.fit(
                self.frame[learn], self.truth[learn], kept, self.signature.kind, classes
            )
            losses[test] = self._losses(model.score(self.frame[test]), test)
            if keep:
                self._learnt.append((test, model))
        return losses

    def _losses(self, scores: Floats, at: npt.NDArray[np.intp] | None = None) -> Floats:
        truth = self.truth if at is None else self.truth[at]
        wide = (
            np.broadcast_to(scores, (truth.size, scores.shape[1])) if len(scores) == 1 else scores
        )
        return row_losses(self.signature.kind, wide, truth, self.signature.scale)

    def _constant(self, learn: npt.NDArray[np.intp] | None = None) -> Floats:
        truth = self.truth if learn is None else self.truth[learn]
        if self.signature.kind == "multiclass":
            counts = np.bincount(truth.astype(np.int64), minlength=len(self.signature.classes))
            return np.asarray(counts / counts.sum(), dtype=np.float64)[None, :]
        return np.array([[float(truth.mean())]])

    def _numbers(self) -> Floats:
        texts = {
            n: quick.numbered(self.frame[n]) for n in self.names if quick.is_text(self.frame[n])
        }
        return quick.encode(self.frame, self.names, texts)

    def _idle(
        self, full: Floats, found: dict[str, numerics.Gain], margin: float
    ) -> list[GroupGain]:
        """Try all features together of which none alone has a shown gain."""
        idle = [name for name in self.names if not found[name].shown]
        if len(idle) < 2:
            return []
        both = numerics.gains(
            full, {"all": self.without(idle)}, self.blocks, margin, ablation.CONFIDENCE
        )["all"]
        return [GroupGain(names=idle, why="unshown", gain=both.gain, low=both.low, high=both.high)]

    def _relied(self, full: Floats) -> dict[str, numerics.Gain]:
        """Return by how much a row's loss rises when a feature is shuffled among the rows.

        By the challengers with every feature, on the rows that each has not seen: the version's
        own estimator may have learnt from them in the end.
        """
        shuffled = {name: np.zeros(full.size) for name in self.names}
        for test, model in self._learnt:
            rows = self.frame[test]
            for turn in range(_SHUFFLES):
                order = np.random.default_rng(turn).permutation(test.size)
                for name in self.names:
                    moved = rows.with_columns(rows[name][order].alias(name))
                    shuffled[name][test] += self._losses(model.score(moved), test) / _SHUFFLES
        return numerics.gains(full, shuffled, self.blocks, 0.0, _EACH)

    def _cost(self, name: str) -> Cost:
        values = self.frame[name]
        features = self._model.features
        text = (features.expressions or {}).get(name)
        reads = [name] if text is None else sorted(set(pl.sql_expr(text).meta.root_names()))
        return Cost(
            missing=values.null_count() / values.len(),
            bytes=values.estimated_size() / values.len(),
            micros=None if text is None else _micros(features, name, self._raw),
            reads=reads,
        )


def _micros(features: Features, name: str, raw: pl.DataFrame) -> float:
    """Return the microseconds a row that one expression takes: the calmest of a few times."""
    expression = pl.sql_expr((features.expressions or {})[name])
    rows = raw.head(_TIMED_ROWS)
    best = float("inf")
    for _ in range(_TIMES):
        start = time.perf_counter()
        rows.select(expression)
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / rows.height


def _group(names: list[str], keep: str, found: dict[str, numerics.Gain], key: str) -> GroupGain:
    whole, rest = found[key], found[f"{key} rest"]
    return GroupGain(
        names=names,
        why="correlated",
        gain=whole.gain,
        low=whole.low,
        high=whole.high,
        keep=keep,
        rest_gain=rest.gain,
        rest_low=rest.low,
        rest_high=rest.high,
    )
