"""Follow scikit-learn: every fit of an estimator, pipeline or search, and its scores later."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mainspring.experiments.autolog.later import follow_measures, follow_method, follow_models
from mainspring.experiments.autolog.patching import guarded, replace, when_imported
from mainspring.experiments.autolog.sessions import (
    ACTIVE,
    Session,
    hidden,
    inside,
    log_finite,
    log_params,
    noted,
    remember,
)

MOST_ROWS = 100_000  #: of the training data are scored
MOST_CHILDREN = 100  #: candidates of a search become runs of their own
_SCORING = "training"
_EXAMPLE = 1_000  #: rows of a model's example


def follow() -> None:
    """Wrap the fits of scikit-learn, now or once it is imported."""
    when_imported("sklearn.base", _wrap_all)
    when_imported("sklearn.metrics", follow_measures)


def _wrap_all() -> None:
    from sklearn.base import BaseEstimator

    waiting: list[type] = [BaseEstimator]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        _wrap(kind)

    def wrap_later(cls: type[Any], /, **more: Any) -> None:
        super(BaseEstimator, cls).__init_subclass__(**more)
        guarded(f"follow {cls.__name__}", lambda: _wrap(cls))

    replace(BaseEstimator, "__init_subclass__", classmethod(wrap_later))


def _wrap(kind: type) -> None:
    follow_method(kind, "fit", _fit)
    follow_models(kind)


def _fit(original: Callable[..., Any]) -> Callable[..., Any]:
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        def call() -> Any:
            return original(self, *args, **kwargs)

        if ACTIVE.sink is None or inside() is not None:
            return call()
        kind = guarded("see what it is", lambda: _task(self))
        if not kind:  # what only transforms is part of something else
            return call()
        x = args[0] if args else kwargs.get("X")
        y = args[1] if len(args) > 1 else kwargs.get("y")
        return noted(
            type(self).__name__,
            call,
            lambda session: _before(session, self),
            lambda session, _: _after(session, self, kind, x, y),
        )

    return fit


def _task(estimator: Any) -> str:
    """Return what an estimator is for; empty for what only transforms."""
    from sklearn import base

    for task, ask in (
        ("classifier", base.is_classifier),
        ("regressor", base.is_regressor),
        ("clusterer", base.is_clusterer),
        ("outlier_detector", base.is_outlier_detector),
    ):
        try:
            if ask(estimator):
                return task
        except (AttributeError, TypeError, ValueError):
            continue  # a pipeline without a last estimator, or an estimator of another make
    return ""


def _before(session: Session, estimator: Any) -> None:
    session.run.tag({"mainspring.estimator": _full_name(estimator)})
    log_params(session.run, _params(estimator))


def _params(estimator: Any) -> dict[str, Any]:
    """Return the params of an estimator and of those inside of it; those by their kind."""
    found = {}
    for key, value in estimator.get_params(deep=True).items():
        found[key] = value
        if hasattr(value, "get_params") and not isinstance(value, type):
            found[key] = type(value).__name__
        elif isinstance(value, list) and any(isinstance(one, tuple) for one in value):
            found[key] = [str(one[0]) for one in value if isinstance(one, tuple)]
    return found


def _after(session: Session, estimator: Any, task: str, x: Any, y: Any) -> None:
    remember(estimator, session.run)
    with hidden():
        guarded("measure the training rows", lambda: _measure(session, estimator, task, x, y))
        guarded("note the importances", lambda: _importances(session, estimator))
        guarded("note the candidates", lambda: _candidates(session, estimator))
        if ACTIVE.models:
            guarded("keep the model", lambda: _keep(session, estimator, x, y))


def _measure(session: Session, estimator: Any, task: str, x: Any, y: Any) -> None:
    """Log how good it is on the rows it learnt from, at most 100,000 of them."""
    if y is None or task not in ("classifier", "regressor"):
        inertia = getattr(estimator, "inertia_", None)
        log_finite(session.run, {f"{_SCORING}/inertia": inertia})
        return
    rows, truth = _first(x), _first(y)
    predicted = estimator.predict(rows)
    if task == "regressor":
        found = _regressed(truth, predicted)
    else:
        found = _classified(estimator, rows, truth, predicted)
    log_finite(session.run, {f"{_SCORING}/{key}": value for key, value in found.items()})


def _first(values: Any) -> Any:
    count = values.shape[0] if hasattr(values, "shape") else len(values)
    if count <= MOST_ROWS:
        return values
    return values.iloc[:MOST_ROWS] if hasattr(values, "iloc") else values[:MOST_ROWS]


def _classified(estimator: Any, rows: Any, truth: Any, predicted: Any) -> dict[str, Any]:
    from sklearn import metrics

    if len(getattr(predicted, "shape", (0,))) > 1:  # several targets at once
        return {"score": estimator.score(rows, truth)}
    found: dict[str, Any] = {"accuracy": metrics.accuracy_score(truth, predicted)}
    mean = {"average": "weighted", "zero_division": 0}
    found["precision"] = metrics.precision_score(truth, predicted, **mean)
    found["recall"] = metrics.recall_score(truth, predicted, **mean)
    found["f1"] = metrics.f1_score(truth, predicted, **mean)
    if hasattr(estimator, "predict_proba"):
        shares = estimator.predict_proba(rows)
        found["log_loss"] = metrics.log_loss(truth, shares, labels=estimator.classes_)
        if shares.shape[1] == 2:
            found["auc"] = metrics.roc_auc_score(truth, shares[:, 1])
        else:
            found["auc"] = metrics.roc_auc_score(
                truth, shares, multi_class="ovr", labels=estimator.classes_
            )
    return found


def _regressed(truth: Any, predicted: Any) -> dict[str, Any]:
    from sklearn import metrics

    squared = metrics.mean_squared_error(truth, predicted)
    return {
        "mse": squared,
        "rmse": squared**0.5,
        "mae": metrics.mean_absolute_error(truth, predicted),
        "r2": metrics.r2_score(truth, predicted),
    }


def _importances(session: Session, estimator: Any) -> None:
    found = getattr(estimator, "feature_importances_", None)
    if found is None:
        return
    names = getattr(estimator, "feature_names_in_", None)
    names = [f"f{n}" for n in range(len(found))] if names is None else [str(n) for n in names]
    keep_importance(session, dict(zip(names, map(float, found), strict=True)))


def keep_importance(session: Session, values: Mapping[str, float]) -> None:
    """Keep the importances of features as a file, the largest first."""
    ordered = dict(sorted(values.items(), key=lambda pair: -pair[1]))
    data = json.dumps(ordered, indent=1).encode()
    session.run.log_bytes(data, "feature_importance.json")


def _candidates(session: Session, estimator: Any) -> None:
    """Make a run of every candidate of a search, below the search's own."""
    results = getattr(estimator, "cv_results_", None)
    if not isinstance(results, dict) or ACTIVE.sink is None:
        return
    if hasattr(estimator, "best_score_"):
        log_finite(session.run, {"best_cv_score": estimator.best_score_})
    if hasattr(estimator, "best_params_"):
        best = {f"best_{key}": value for key, value in estimator.best_params_.items()}
        log_params(session.run, best)
    for number, params in enumerate(results["params"][:MOST_CHILDREN]):
        run, end = ACTIVE.sink.child(session.run, f"candidate-{number}")
        log_params(run, params)
        log_finite(
            run,
            {
                key: results[key][number]
                for key in results
                if key.startswith(("mean_", "std_", "rank_"))
            },
        )
        end("finished")


def _keep(session: Session, estimator: Any, x: Any, y: Any) -> None:
    if _is_boosted(estimator):
        return  # boosters are kept in their own form
    whole = getattr(session.run, "log_model", None)
    if ACTIVE.models == "served" and whole is not None and hasattr(x, "columns"):
        target = str(getattr(y, "name", None) or "target")
        whole(estimator, "model", example=_table(x, y, target), target=target)
        return

    def data() -> bytes:
        from skops.io import dumps

        found: bytes = dumps(estimator)
        return found

    session.run.log_bytes(data(), "model/model.skops")


def _table(x: Any, y: Any, target: str) -> Any:
    """Return the first rows it learnt from with their target as one more column."""
    import polars as pl

    frame = x if isinstance(x, pl.DataFrame) else pl.DataFrame(x.to_dict(orient="list"))
    values = y.to_list() if hasattr(y, "to_list") else list(y)
    return frame.with_columns(pl.Series(target, values)).head(_EXAMPLE)


def _is_boosted(estimator: Any) -> bool:
    for module, name in (("xgboost", "XGBModel"), ("lightgbm", "LGBMModel")):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(estimator, kind):
            return True
    return False


def _full_name(estimator: Any) -> str:
    kind = type(estimator)
    return f"{kind.__module__}.{kind.__qualname__}"
