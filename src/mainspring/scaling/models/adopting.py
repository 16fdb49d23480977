"""Take over an estimator that somebody else has fitted: what it wants, and what it gives."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind
from mainspring.scaling.models.boosted import Boosted
from mainspring.scaling.models.estimator import check_estimator, raw_scores
from mainspring.scaling.models.ours import Ours
from mainspring.scaling.models.target import class_name
from mainspring.scaling.models.target import classes_of as classes_of_target


def kind_of(estimator: Any) -> Kind:
    """Return the kind of task that a fitted estimator was fitted for.

    Raises:
        BadInputError: if it is not fitted, or neither classifier nor regressor.
    """
    if isinstance(estimator, Ours):
        return estimator.kind
    from sklearn.base import is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise BadInputError(
            f"model must be a scikit-learn estimator, a booster or a FittedModel, found {name}.",
            field="model",
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise BadInputError(f"{name} is not fitted yet.", field="model") from error
    if is_regressor(estimator):
        return "regression"
    if not is_classifier(estimator):
        raise BadInputError(f"{name} is neither a classifier nor a regressor.", field="model")
    return "binary" if len(classes_of(estimator)) == 2 else "multiclass"


def classes_of(estimator: Any, target: pl.Series | None = None) -> list[str]:
    """Return the classes in the order in which the estimator scores them.

    A booster without its library's estimator knows only how many there are. They are then those
    of ``target`` in their order, as a label encoder numbers them; whole numbers stand for
    themselves.

    Raises:
        BadInputError: if it has several targets, or does not say.
    """
    found = getattr(estimator, "classes_", None)
    if found is None and isinstance(estimator, Boosted) and target is not None:
        return _numbered(estimator.facts.classes, target)
    if not isinstance(found, np.ndarray) or found.ndim != 1:
        raise BadInputError(
            f"{type(estimator).__name__} does not say which classes it knows, or has several"
            " targets.",
            field="model",
        )
    return [class_name(one) for one in found]


def _numbered(classes: int, target: pl.Series) -> list[str]:
    numbers = [str(place) for place in range(classes)]
    kind: Kind = "binary" if classes == 2 else "multiclass"
    told = classes_of_target(target, kind, None)
    if set(told) <= set(numbers):
        return numbers
    if len(told) != classes:
        raise BadInputError(
            f"The booster knows {classes} classes, and the rows have {len(told)}:"
            f" {', '.join(told[:20])}.",
            field=target.name,
            hint="Give rows of every class.",
        )
    return told


def columns_of(estimator: Any) -> Sequence[str] | None:
    """Return the columns that the estimator was fitted on, or None if they had no names."""
    found = getattr(estimator, "feature_names_in_", None)
    return None if found is None else [str(name) for name in found]


def ready(estimator: Any, kind: Kind, rows: Any) -> Any:
    """Return the estimator so that it scores a polars frame of its features.

    One that was fitted on bare arrays is given the names, in a copy: it takes the columns in
    the order of the rows.

    Raises:
        BadInputError: if it cannot score these rows.
    """
    if not isinstance(estimator, Ours):
        check_estimator(estimator, kind)
    told = _try(estimator, kind, rows)
    if "was fitted without feature names" in told:
        estimator = copy.deepcopy(estimator)
        first = estimator
        while hasattr(first, "steps"):  # a Pipeline asks its first step
            first = first.steps[0][1]
        first.feature_names_in_ = np.asarray(rows.columns, dtype=object)
        told = _try(estimator, kind, rows)
    if told:
        raise BadInputError(
            f"{type(estimator).__name__} cannot score the example rows: {told}",
            field="example",
            hint="Give rows with the columns it was fitted on, and the target.",
        )
    return estimator


def _try(estimator: Any, kind: Kind, rows: Any) -> str:
    """Return why the estimator cannot score these rows as they are, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            raw_scores(estimator, kind, rows)
    except (ValueError, TypeError, KeyError, AttributeError, UserWarning) as error:
        return str(error).strip().partition("\n")[0][:300] or type(error).__name__
    return ""
