"""Declare a model and fit it: an estimator, its features, its signature and its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.contracts import Checked, Contract
from mainspring.ground.errors import BadInputError, ModelFailedError
from mainspring.ground.objects import Column, ColumnProfile, Kind, Profile, Signature
from mainspring.ground.profiles import ValueKind
from mainspring.numerics.contracts import check_profile
from mainspring.numerics.profiles import profile_columns, profile_scores
from mainspring.numerics.relevance import response_shares
from mainspring.numerics.scores import quality
from mainspring.scaling.models import adopting, boosted
from mainspring.scaling.models import target as targets
from mainspring.scaling.models.estimator import check_estimator, raw_scores, wrapped
from mainspring.scaling.models.features import DTYPES, Features, compile_features, type_of

MAX_CATEGORIES = 1000
SHARE_ROWS = 1000  # rows shuffled to learn what a column is worth
REFERENCE_ROWS = 20_000  # rows kept with their scores and their truth, for the monitors
SAMPLE_ROWS = 2000  # rows kept to compare the serving form with the estimator
#: What the profile calls the types of a signature.
KINDS: dict[str, ValueKind] = {
    "float": "Fractional",
    "int": "Integral",
    "str": "String",
    "bool": "Boolean",
}
#: Columns that captured and labelled rows have beside their own.
RESERVED = frozenset(
    {"_id", "_boot", "_n", "_time", "_received", "_version", "_score", "_label", "_batch", "_y"}
    | {"_other_version", "_other_score"}
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A model that has learnt, with all that a version of it needs.

    ``metrics`` are those of the held-out rows; when none were given, of the training rows, and
    ``measured_on`` says which. ``sample`` are up to 2,000 raw training rows; ``reference`` up to
    20,000 of the rows it was measured on, with ``_score`` and ``_y``.
    """

    estimator: Any
    features: Features
    signature: Signature
    baseline: Profile
    metrics: dict[str, float]
    measured_on: str  #: "holdout" or "training"
    sample: pl.DataFrame
    reference: pl.DataFrame | None = None
    contract: Contract | None = None  #: what its rows must be
    kept: Checked | None = None  #: in which ways its training rows break that

    def score(self, rows: pl.DataFrame) -> Floats:
        """Return scores of shape (rows, k): p(positive), one a class, or the value.

        Raises:
            BadInputError: if a raw column is missing or of another type.
        """
        frame = typed(rows, self.signature.columns)
        return raw_scores(self.estimator, self.signature.kind, self.features.apply(frame))

    def truth(self, rows: pl.DataFrame) -> Floats:
        """Return the target of rows as numbers: the class's place, or the value."""
        return targets.target_numbers(
            targets.check_target_values(rows, self.signature.target), self.signature
        )


@dataclass(frozen=True)
class Model:
    """What is to be learnt, from which columns, by which estimator.

    Args:
        estimator: any scikit-learn estimator or Pipeline, XGBoost's and LightGBM's among them;
            it is cloned, never changed. It sees a polars frame of the features (a bare booster
            sees numbers); text reaches a bare estimator encoded.
        target: the column to be predicted.
        kind: binary, multiclass or regression; found from the target when left out.
        features: SQL expressions over the raw columns, by name; None takes the columns as
            they are.
        columns: the raw input columns; None takes all but target and time.
        time: the column of event time in UTC seconds or as a date; it is not an input.
        positive: binary: the class whose probability is the score; the greater when left out.
        contract: what its rows must be. Training rows are checked by their profile, the gate's
            fresh rows themselves, and each request at serving; what it says of columns that are
            no input is left aside.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> rows = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "late": [0, 0, 1, 1]})
        >>> fitted = Model(LogisticRegression(), target="late").fit(rows)
        >>> fitted.signature.kind, fitted.score(rows).shape
        ('binary', (4, 1))
    """

    estimator: Any
    target: str
    kind: Kind | None = None
    features: Mapping[str, str] | None = None
    columns: Sequence[str] | None = None
    time: str | None = None
    positive: str | None = None
    contract: Contract | None = None

    def fit(
        self, rows: pl.DataFrame, holdout: pl.DataFrame | None = None, *, refit: bool = False
    ) -> FittedModel:
        """Return the model fitted to ``rows`` and measured on ``holdout``.

        With ``refit`` it is then fitted once more, to both: the newest rows are often the ones
        worth most. Metrics and the baseline's loss stay those of the honest measurement.

        The signature's ``scale`` of a regression is the interquartile range of the training
        target (its standard deviation if that is 0): an error that large has the loss 1.

        Raises:
            BadInputError: naming the field, for an empty frame, a target that is missing,
                constant or not finite, an unknown column, or a feature that cannot be used.
        """
        measured = self._fit(rows, holdout)
        if not refit or measured.measured_on != "holdout" or holdout is None:
            return measured
        whole = self._fit(pl.concat([rows, holdout], how="vertical_relaxed"), None)
        known = {"loss": measured.baseline.loss, "metrics": measured.metrics}
        return replace(
            whole,
            baseline=msgspec.structs.replace(whole.baseline, **known),
            metrics=measured.metrics,
            measured_on=measured.measured_on,
            reference=measured.reference,
        )

    def adopt(self, rows: pl.DataFrame) -> FittedModel:
        """Return the estimator, which has learnt already, with all that a version of it needs.

        ``rows`` are examples with their target: the baseline, the signature and the metrics are
        of them, and nothing is fitted. The estimator's own classes give the order of the scores.

        Raises:
            BadInputError: if the estimator is not fitted, or cannot score these rows.
        """
        target = targets.check_target_values(_not_empty(rows), self.target)
        given = boosted.taken(self.estimator)
        kind = self.kind or adopting.kind_of(given)
        names = self.columns or adopting.columns_of(given)
        columns = [_describe(rows[name]) for name in self._inputs(rows, names)]
        features = compile_features(self.features, columns)
        frame = typed(rows, columns)
        features.check_rowwise(frame.head(8))
        estimator = adopting.ready(given, kind, features.apply(frame.head(8)))
        signature = Signature(
            columns=columns,
            kind=kind,
            target=self.target,
            classes=[] if kind == "regression" else adopting.classes_of(estimator, target),
            time=self.time,
            scale=_scale(target) if kind == "regression" else 1.0,
        )
        return self._measured(estimator, features, signature, frame, rows, None)

    def _fit(self, rows: pl.DataFrame, holdout: pl.DataFrame | None) -> FittedModel:
        target = targets.check_target(_not_empty(rows), self.target)
        kind = self.kind or targets.infer_kind(target)
        classes = targets.classes_of(target, kind, self.positive)
        check_estimator(self.estimator, kind)
        columns = [_describe(rows[name]) for name in self._inputs(rows, self.columns)]
        features = compile_features(self.features, columns)
        frame = typed(rows, columns)
        features.check_rowwise(frame.head(8))
        signature = Signature(
            columns=columns,
            kind=kind,
            target=self.target,
            classes=classes,
            time=self.time,
            scale=_scale(target) if kind == "regression" else 1.0,
        )
        truth = targets.target_numbers(target, signature)
        estimator = wrapped(self.estimator, features.types)
        learnt = boosted.fitting(estimator, features.apply(frame))
        estimator.fit(learnt, truth if kind == "regression" else truth.astype(int))
        estimator = boosted.taken(estimator)
        return self._measured(estimator, features, signature, frame, rows, holdout)

    def _measured(
        self,
        estimator: Any,
        features: Features,
        signature: Signature,
        frame: pl.DataFrame,
        rows: pl.DataFrame,
        holdout: pl.DataFrame | None,
    ) -> FittedModel:
        sample = frame if frame.height <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, seed=0)
        columns = [
            _with_nullable(column, estimator, features, signature, sample)
            for column in signature.columns
        ]
        signature = msgspec.structs.replace(signature, columns=columns)
        judged = rows if holdout is None or not holdout.height else holdout
        truth = targets.target_numbers(targets.check_target_values(judged, self.target), signature)
        inputs = typed(judged, columns)
        found = raw_scores(estimator, signature.kind, features.apply(inputs))
        metrics = quality(signature.kind, found, truth, signature.scale)
        scores = raw_scores(estimator, signature.kind, features.apply(frame))
        shares = _shares(estimator, features, signature, sample.head(SHARE_ROWS))
        baseline = Profile(
            rows=frame.height,
            columns=_profiled(frame, shares, columns),
            score=profile_scores(scores),
            loss=metrics["loss"],
            metrics=metrics,
        )
        contract = inputs_of(self.contract, columns)
        return FittedModel(
            contract=contract,
            kept=None if contract is None else check_profile(contract, baseline),
            estimator=estimator,
            features=features,
            signature=signature,
            baseline=baseline,
            metrics=metrics,
            measured_on="training" if judged is rows else "holdout",
            sample=sample,
            reference=_reference(inputs, found, truth),
        )

    def _inputs(self, rows: pl.DataFrame, names: Sequence[str] | None) -> list[str]:
        if names is None:
            names = [name for name in rows.columns if name not in (self.target, self.time)]
        seen: set[str] = set()
        for name in names:
            if name not in rows.columns:
                raise BadInputError(
                    f"There is no column {name!r}; found {', '.join(rows.columns[:30])}.",
                    field=name,
                )
            if name in seen or name == self.target:
                why = "twice" if name in seen else "and is the target"
                raise BadInputError(f"columns names {name!r} {why}.", field=name)
            if name in RESERVED:
                raise BadInputError(
                    f"{name!r} is a name the capture log uses itself; rename the column.",
                    field=name,
                )
            seen.add(name)
        if self.time is not None and self.time not in rows.columns:
            raise BadInputError(f"There is no time column {self.time!r}.", field=self.time)
        if not seen:
            raise BadInputError("There is no input column beside the target.", field="columns")
        return list(names)


def inputs_of(contract: Contract | None, columns: Sequence[Column]) -> Contract | None:
    """Return what a contract says of a model's inputs.

    Raises:
        BadInputError: if it is no contract.
    """
    if contract is None:
        return None
    if not isinstance(contract, Contract):
        raise BadInputError(
            f"contract is a {type(contract).__name__}, not a contract.",
            field="contract",
            hint="Read one: contract=ms.load_contract('contract.yaml').",
        )
    names = {column.name for column in columns}
    kept = {name: expect for name, expect in contract.columns.items() if name in names}
    return msgspec.structs.replace(contract, columns=kept, extra="allow")


def _profiled(
    frame: pl.DataFrame, shares: Mapping[str, float], columns: Sequence[Column]
) -> list[ColumnProfile]:
    """Return the profiles of the inputs, each with the kind that the signature says."""
    found = profile_columns({name: frame[name] for name in frame.columns}, shares)
    kinds = {column.name: KINDS[column.type] for column in columns}
    return [msgspec.structs.replace(one, kind=kinds[one.name]) for one in found]


def typed(rows: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the raw columns of rows in the signature's types, NaN as null.

    Raises:
        BadInputError: naming the column that is missing or cannot be cast without loss.
    """
    out = []
    for column in columns:
        if column.name not in rows.columns:
            raise BadInputError(f"Column {column.name!r} is missing.", field=column.name)
        found = rows[column.name]
        try:
            ready = found.cast(DTYPES[column.type])
        except PolarsError as error:
            raise BadInputError(
                f"Column {column.name!r} holds {found.dtype}, wanted {column.type}.",
                field=column.name,
            ) from error
        out.append(ready.fill_nan(None) if column.type == "float" else ready)
    return pl.DataFrame(out)


def _not_empty(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height == 0:
        raise BadInputError("There are no rows to learn from.", field="rows")
    return rows


def _describe(values: pl.Series) -> Column:
    kind = type_of(values.dtype)
    if kind is None:
        raise BadInputError(
            f"Column {values.name!r} holds {values.dtype}; an input is a number, a text or a"
            " boolean.",
            field=values.name,
            hint="Convert it, or leave it out with columns=[...].",
        )
    categories = None
    if kind == "str":
        found = values.cast(pl.String).drop_nulls().unique().sort().to_list()
        categories = found if len(found) <= MAX_CATEGORIES else None
    elif kind == "float" and not values.is_null().all():
        infinite = values.cast(pl.Float64).is_infinite().fill_null(value=False)
        if infinite.any():
            raise BadInputError(
                f"Column {values.name!r} is infinite in row {infinite.arg_true()[0]}.",
                field=values.name,
            )
    return Column(name=values.name, type=kind, nullable=True, categories=categories)


def _scale(target: pl.Series) -> float:
    values = target.cast(pl.Float64).to_numpy()
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) or float(values.std())


def _with_nullable(
    column: Column,
    estimator: Any,
    features: Features,
    signature: Signature,
    sample: pl.DataFrame,
) -> Column:
    """Return the column, nullable exactly if the fitted estimator can score a row without it."""
    probe = sample.head(2).with_columns(pl.lit(None, dtype=DTYPES[column.type]).alias(column.name))
    try:
        scores = raw_scores(estimator, signature.kind, features.apply(probe))
        able = bool(np.isfinite(scores).all())
    except (ValueError, TypeError, BadInputError, ModelFailedError):
        able = False
    return msgspec.structs.replace(column, nullable=able)


def _reference(inputs: pl.DataFrame, scores: Floats, truth: Floats) -> pl.DataFrame:
    """Return rows with the score and the truth of each, at most :data:`REFERENCE_ROWS`."""
    scored = pl.Series("_score", scores[:, 0] if scores.shape[1] == 1 else scores.tolist())
    rows = inputs.with_columns(scored, pl.Series("_y", truth, dtype=pl.Float64))
    return rows if rows.height <= REFERENCE_ROWS else rows.sample(REFERENCE_ROWS, seed=0)


def _shares(
    estimator: Any, features: Features, signature: Signature, sample: pl.DataFrame
) -> dict[str, float]:
    def score(columns: Mapping[str, Any]) -> Floats:
        frame = pl.DataFrame(
            {name: sample[name].gather(np.asarray(rows)) for name, rows in columns.items()}
        )
        return raw_scores(estimator, signature.kind, features.apply(frame))

    # The shuffle is done on row numbers, so that no value changes its type on the way.
    numbers = {name: np.arange(sample.height) for name in sample.columns}
    return response_shares(score, numbers)
