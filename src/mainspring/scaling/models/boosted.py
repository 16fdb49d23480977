"""Boosters of XGBoost and LightGBM as models: kept as the library's own file, without pickle.

What a booster needs to be scored is its file (UBJSON, or LightGBM's text) and a few facts. The
library's estimator around it is not kept; transformers in front of it are, by skops. The library
is imported when a booster is scored, and not before.
"""

from __future__ import annotations

import threading
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind
from mainspring.scaling.models.ours import Floats, Ours

Library = Literal["xgboost", "lightgbm"]
#: The name of a booster's file in a package, as MLflow's flavors call it.
FILES: dict[Library, str] = {"xgboost": "model.ubj", "lightgbm": "model.lgb"}
_TITLES: dict[Library, str] = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
#: Objectives whose answer is neither a probability nor a value of the target.
_ODD = ("rank:", "survival:", "lambdarank", "rank_xendcg")
_SEVERAL = ("multi:", "multiclass")
_TWO = ("binary", "cross_entropy")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``booster.json``: what is known of a booster beside its file."""

    library: Library
    version: str  #: of the library that wrote the file
    kind: Kind
    inputs: int  #: how many columns it takes
    classes: int = 0  #: 0 for a regression
    wrapped: bool = False  #: there are transformers in front of it, in ``model.skops``
    missing: float | None = None  #: a number that means missing, beside NaN
    linear: bool = False  #: XGBoost's, which only scores a matrix of its own


class Boosted(Ours):
    """A fitted booster, with the transformers in front of it. Safe to use from several threads.

    Missing values are null or NaN. ``names`` are the columns it was fitted on, where it says so;
    ``classes`` those it was fitted to, where somebody knows them.
    """

    def __init__(
        self,
        facts: Facts,
        data: bytes,
        before: Any = None,
        names: list[str] | None = None,
        classes: npt.NDArray[Any] | None = None,
    ) -> None:
        super().__init__(facts.kind, names, classes)
        self.facts = facts
        self.data = data
        self.before = before
        self._loaded: Any = None
        self._loading = threading.Lock()

    @property
    def booster(self) -> Any:
        """The library's own booster, on one thread."""
        with self._loading:
            if self._loaded is None:
                self._loaded = open_booster(self.facts.library, self.data)
            return self._loaded

    def scores(self, features: Any) -> Floats:
        """Return scores of shape (rows, k): p(positive), one a class, or the value."""
        if self.before is not None:
            features = self.before.transform(features)
        numbers = matrix(features)
        if numbers.shape[1] != self.facts.inputs:
            raise BadInputError(
                f"The booster takes {self.facts.inputs} columns, found {numbers.shape[1]}.",
                field="features",
            )
        if self.facts.library == "lightgbm":
            found = np.asarray(self.booster.predict(numbers, num_threads=1), dtype=np.float64)
        else:
            found = self._by_xgboost(numbers)
        return found.reshape(len(numbers), -1)

    def _by_xgboost(self, numbers: Floats) -> Floats:
        gap = np.nan if self.facts.missing is None else self.facts.missing
        margin = self.facts.kind == "multiclass"  # multi:softmax would answer with labels
        if self.facts.linear:
            import xgboost

            own = xgboost.DMatrix(numbers, missing=gap, nthread=1)
            found = self.booster.predict(own, output_margin=margin, validate_features=False)
        else:
            found = self.booster.inplace_predict(
                numbers,
                missing=gap,
                predict_type="margin" if margin else "value",
                validate_features=False,
            )
        numbers = np.asarray(found, dtype=np.float64)
        return softmax(numbers) if margin else numbers


def is_booster(value: Any) -> bool:
    """Return whether a value is of XGBoost or LightGBM, without importing either."""
    return _library(value) is not None


def matrix(features: Any) -> Floats:
    """Return features as float64 numbers of shape (rows, columns), NaN where one is missing.

    Raises:
        BadInputError: for a column of text, which a booster cannot read.
    """
    if not isinstance(features, pl.DataFrame):
        dense = features.toarray() if hasattr(features, "toarray") else features
        return np.ascontiguousarray(dense, dtype=np.float64)
    for name, dtype in features.schema.items():
        if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            raise BadInputError(
                f"A booster cannot read column {name!r}, which holds text.",
                field=name,
                hint="Put an encoder in front of it: sklearn.pipeline.make_pipeline(...).",
            )
    columns = [column.cast(pl.Float64).to_numpy() for column in features.get_columns()]
    return np.column_stack(columns) if columns else np.empty((features.height, 0))


def fitting(estimator: Any, features: pl.DataFrame) -> Any:
    """Return features as the estimator is to be fitted on them: a bare booster's as numbers."""
    return matrix(features) if is_booster(estimator) else features


def taken(estimator: Any) -> Any:
    """Return a fitted booster, or a pipeline that ends in one, as we keep it; others as they are.

    Trees after the best round of an early stopping are left out: the library's own estimator
    does not ask them either.

    Raises:
        BadInputError: for an objective that is neither classification nor regression.
    """
    if is_booster(estimator):
        return _taken(estimator, None)
    steps = getattr(estimator, "steps", None)
    if steps and is_booster(steps[-1][1]):
        return _taken(steps[-1][1], estimator[:-1] if len(steps) > 1 else None)
    return estimator


def of_file(library: Library, data: bytes, *, best: bool) -> Boosted:
    """Return a booster of the library's own file, from whoever wrote it.

    ``best``: the library's estimator would leave out the trees after the best round.

    Raises:
        MissingExtraError: if the library is not installed.
        BadInputError: if it cannot read the file.
    """
    booster = open_booster(library, data)
    if best:
        booster = _best(booster)
    return _taken(booster, None)


def open_booster(library: Library, data: bytes) -> Any:
    """Return the library's booster of a file's bytes.

    Raises:
        MissingExtraError: if the library is not installed.
        BadInputError: if it cannot read the bytes.
    """
    title = _TITLES[library]
    module = extras.need(library, extra=library, purpose=f"Scoring a model of {title}")
    try:
        if library == "lightgbm":
            return module.Booster(model_str=data.decode())
        booster = module.Booster(model_file=bytearray(data))
        booster.set_param({"nthread": 1})
    # Both libraries raise their own errors for what they cannot read.
    except Exception as error:
        told = str(error).strip().partition("\n")[0][:200]
        raise BadInputError(f"{title} cannot read the model: {told}", field="model") from error
    return booster


def softmax(margins: Floats) -> Floats:
    """Return margins of shape (rows, classes) as probabilities."""
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _library(value: Any) -> Library | None:
    for one in type(value).__mro__:
        root = one.__module__.partition(".")[0]
        if root == "xgboost":
            return "xgboost"
        if root == "lightgbm":
            return "lightgbm"
    return None


def _taken(estimator: Any, before: Any) -> Boosted:
    made = _of_xgboost(estimator) if _library(estimator) == "xgboost" else _of_lightgbm(estimator)
    facts, data, names = made
    classes = getattr(estimator, "classes_", None) if hasattr(estimator, "fit") else None
    if before is None:
        return Boosted(facts, data, names=names, classes=classes)
    told = getattr(before, "feature_names_in_", None)
    outer = None if told is None else [str(name) for name in told]
    return Boosted(
        msgspec.structs.replace(facts, wrapped=True), data, before, names=outer, classes=classes
    )


def _of_xgboost(estimator: Any) -> tuple[Facts, bytes, list[str] | None]:
    import xgboost

    sklearn = hasattr(estimator, "get_booster")
    booster = _best(estimator.get_booster()) if sklearn else estimator
    learner = msgspec.json.decode(booster.save_raw("json"))["learner"]
    classes = int(learner["learner_model_param"]["num_class"])
    if int(learner["learner_model_param"].get("num_target", "1")) > 1:
        raise BadInputError("The booster has several targets.", field="model")
    gap = getattr(estimator, "missing", None)
    facts = Facts(
        library="xgboost",
        version=xgboost.__version__,
        **_task(learner["objective"]["name"], classes),
        inputs=booster.num_features(),
        missing=None if gap is None or np.isnan(gap) else float(gap),
        linear=learner["gradient_booster"]["name"] == "gblinear",
    )
    return facts, bytes(booster.save_raw("ubj")), booster.feature_names


def _best(booster: Any) -> Any:
    """Return a booster of XGBoost without the trees after the best round, if it knows one."""
    best = booster.attributes().get("best_iteration") if hasattr(booster, "attributes") else None
    if best is None or int(best) + 1 >= booster.num_boosted_rounds():
        return booster
    return booster[: int(best) + 1]


def _of_lightgbm(estimator: Any) -> tuple[Facts, bytes, list[str] | None]:
    import lightgbm

    booster = getattr(estimator, "booster_", estimator)
    text: str = booster.model_to_string()  # up to the best round, where there is one
    objective = next(
        (one for one in text.splitlines()[:40] if one.startswith("objective=")), "objective="
    ).removeprefix("objective=")
    facts = Facts(
        library="lightgbm",
        version=lightgbm.__version__,
        **_task(objective, booster.num_model_per_iteration()),
        inputs=booster.num_feature(),
    )
    names = [str(name) for name in booster.feature_name()]
    nameless = names == [f"Column_{n}" for n in range(len(names))]
    return facts, text.encode(), None if nameless else names


def _task(objective: str, classes: int) -> dict[str, Any]:
    """Return kind and classes of a booster by its objective."""
    if (
        not objective
        or objective.startswith(_ODD)
        or objective in ("binary:logitraw", "binary:hinge")
    ):
        raise BadInputError(
            f"A booster with the objective {objective or 'of its own'!r} gives neither"
            " probabilities nor values.",
            field="model",
            hint="Fit it with an objective of the library's own for classes or for values.",
        )
    if objective.startswith(_SEVERAL):
        return {"kind": "multiclass", "classes": classes}
    if objective.startswith(_TWO):
        return {"kind": "binary", "classes": 2}
    return {"kind": "regression"}
