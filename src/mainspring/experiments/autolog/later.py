"""Follow what is measured of a fitted model later: its scores, and metrics of its predictions."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable
from typing import Any

from mainspring.experiments.autolog.patching import guarded, wrap
from mainspring.experiments.autolog.sessions import (
    ACTIVE,
    Kept,
    hidden,
    inside,
    log_finite,
    run_of,
)

MOST_REMEMBERED = 1_000  #: predictions whose run is known
_PREDICTIONS = ("predict", "predict_proba", "decision_function")

_lock = threading.Lock()
#: By id of the array that a model answered with; the reference tells when the id is another's.
_answers: dict[int, tuple[weakref.ref[Any], Kept]] = {}


def follow_models(kind: type) -> None:
    """Wrap what a class of models is measured by."""
    follow_method(kind, "score", _score)
    for name in _PREDICTIONS:
        follow_method(kind, name, _predict)


def follow_method(
    kind: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Wrap a method where a class has it from: itself, or a mixin above."""
    owner = next((one for one in kind.__mro__ if name in vars(one)), None)
    if owner is not None:
        wrap(owner, name, make)


def follow_measures() -> None:
    """Wrap the functions of ``sklearn.metrics`` that compare a truth with predictions."""
    from sklearn import metrics

    for name in metrics.__all__:
        function = getattr(metrics, name, None)
        if not inspect.isfunction(function):
            continue
        given = list(inspect.signature(function).parameters)[:2]
        if given[:1] == ["y_true"] and len(given) == 2:
            wrap(metrics, name, _measure)


def forget_answers() -> None:
    """Remember no prediction any more."""
    with _lock:
        _answers.clear()


def _score(original: Callable[..., Any]) -> Callable[..., Any]:
    def score(self: Any, *args: Any, **kwargs: Any) -> Any:
        if inside() is not None or ACTIVE.sink is None:
            return original(self, *args, **kwargs)
        with hidden():  # a pipeline scores by its last step, which is not to be noted as well
            result = original(self, *args, **kwargs)

        def note() -> None:
            run = run_of(self)
            if run is not None:
                log_finite(run, {"score": result})

        guarded("note a score", note)
        return result

    return score


def _predict(original: Callable[..., Any]) -> Callable[..., Any]:
    def predict(self: Any, *args: Any, **kwargs: Any) -> Any:
        if inside() is not None or ACTIVE.sink is None:
            return original(self, *args, **kwargs)
        with hidden():
            result = original(self, *args, **kwargs)

        def note() -> None:
            run = run_of(self)
            if run is not None:
                _remember(result, run)

        guarded("remember a prediction", note)
        return result

    return predict


def _remember(result: Any, run: Kept) -> None:
    with _lock:
        if len(_answers) >= MOST_REMEMBERED:
            _answers.pop(next(iter(_answers)))
        _answers[id(result)] = (weakref.ref(result), run)


def _run_behind(values: Any) -> Kept | None:
    """Return the run of the model that answered with an array, or with the one it is a part of."""
    for array in (values, getattr(values, "base", None)):
        with _lock:
            found = _answers.get(id(array))
        if array is not None and found is not None and found[0]() is array:
            return found[1]
    return None


def _measure(original: Callable[..., Any]) -> Callable[..., Any]:
    def measure(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if inside() is None and ACTIVE.sink is not None:
            guarded("note a metric", lambda: _note(original.__name__, result, args, kwargs))
        return result

    return measure


def _note(name: str, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    answers = (
        *args[1:2],
        *(kwargs[key] for key in ("y_pred", "y_score", "y_proba") if key in kwargs),
    )
    run = _run_behind(answers[0]) if answers else None
    single = hasattr(result, "__float__") and getattr(result, "ndim", 0) == 0
    if run is not None and single and ACTIVE.sink is not None:
        log_finite(ACTIVE.sink.late(run), {name: result})
