"""Talk to scikit-learn: wrap an estimator for text columns, and read its scores one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind
from mainspring.scaling.models.ours import Ours

_TREES = ("Tree", "Forest", "Boosting", "Bagging", "XGB", "LGBM")


def wrapped(estimator: Any, types: Mapping[str, str]) -> Any:
    """Return a fresh copy of an estimator that can take these features.

    A bare estimator over text features gets an encoder in front: whole numbers for trees, one
    column a category for the others; categories unseen in training are known as such. A
    Pipeline or ColumnTransformer is taken as it is.
    """
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    fresh = clone(estimator)
    texts = [name for name, kind in types.items() if kind == "str"]
    if not texts or isinstance(fresh, Pipeline | ColumnTransformer):
        return fresh
    if any(word in type(fresh).__name__ for word in _TREES):
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    else:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    split = ColumnTransformer([("text", encoder, texts)], remainder="passthrough")
    return Pipeline([("columns", split), ("model", fresh)])


def check_estimator(estimator: Any, kind: Kind) -> None:
    """Refuse what cannot give the scores that this kind of task needs.

    Raises:
        BadInputError: naming what is missing.
    """
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise BadInputError(
            f"estimator must be a scikit-learn estimator, found {type(estimator).__name__}.",
            field="estimator",
        )
    wanted = "predict" if kind == "regression" else "predict_proba"
    if not hasattr(estimator, wanted):
        raise BadInputError(
            f"{type(estimator).__name__} has no {wanted}, which a {kind} model needs.",
            field="estimator",
            hint=None
            if kind == "regression"
            else "Wrap it: sklearn.calibration.CalibratedClassifierCV(estimator).",
        )


def raw_scores(estimator: Any, kind: Kind, features: Any) -> npt.NDArray[np.float64]:
    """Return scores of shape (rows, k): p(positive), one probability a class, or the value."""
    if isinstance(estimator, Ours):
        return estimator.scores(features)
    if kind == "regression":
        values = np.asarray(estimator.predict(features), dtype=np.float64)
        return values.reshape(len(values), 1)
    probabilities = np.asarray(estimator.predict_proba(features), dtype=np.float64)
    return probabilities[:, 1:2] if kind == "binary" else probabilities
