"""Follow XGBoost and LightGBM: params, metrics round by round, importances, the native model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from mainspring.experiments.autolog.fits import keep_importance
from mainspring.experiments.autolog.patching import guarded, when_imported, wrap
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

_PLAIN = (str, int, float, bool, type(None))


def follow_xgboost() -> None:
    """Wrap ``xgboost.train``, also as the estimators call it."""
    when_imported("xgboost", lambda: _wrap_train("xgboost", ("", ".training", ".sklearn"), _xgb))


def follow_lightgbm() -> None:
    """Wrap ``lightgbm.train``, also as the estimators call it."""
    when_imported("lightgbm", lambda: _wrap_train("lightgbm", ("", ".engine", ".sklearn"), _lgb))


def _wrap_train(library: str, places: tuple[str, ...], follow: Callable[[Session], Any]) -> None:
    """Wrap ``train`` in every module that has it under that name."""
    after = _after_xgb if library == "xgboost" else _after_lgb
    for place in places:
        module = sys.modules.get(library + place)
        if module is not None:
            wrap(module, "train", _trained(library, follow, after))


def _trained(
    library: str, follow: Callable[[Session], Any], after: Callable[[Session, Any], None]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        original = getattr(original, "__mainspring_original__", original)
        signature = inspect.signature(original)

        def train(*args: Any, **kwargs: Any) -> Any:
            outer = inside()
            if ACTIVE.sink is None or (outer is not None and outer.rounds):
                return original(*args, **kwargs)
            given = guarded("read the arguments", lambda: signature.bind(*args, **kwargs))
            if given is None:
                return original(*args, **kwargs)
            values = dict(given.arguments)

            def call(session: Session | None) -> Any:
                live = None
                if session is not None and session.run.id:
                    live = guarded("follow the rounds", lambda: follow(session))
                if live is None:
                    return original(*args, **kwargs)
                values["callbacks"] = [*(values.get("callbacks") or []), live]
                return original(**values)

            if outer is not None:  # an estimator's fit, which notes the rest
                result = call(outer)
                with hidden():
                    guarded("note the booster", lambda: after(outer, result))
                return result
            return noted(
                library,
                lambda: call(inside()),
                lambda session: _before(session, values),
                lambda session, result: _finished(session, result, after),
            )

        return train

    return make


def _before(session: Session, values: dict[str, Any]) -> None:
    params = dict(values.get("params") or {})
    more = {
        key: value
        for key, value in values.items()
        if key not in ("params", "callbacks") and isinstance(value, _PLAIN)
    }
    log_params(session.run, {**more, **params})


def _finished(session: Session, result: Any, after: Callable[[Session, Any], None]) -> None:
    remember(result, session.run)
    with hidden():
        after(session, result)


# ------------------------------------------------------------------ XGBoost


def _xgb(session: Session) -> Any:
    from xgboost.callback import TrainingCallback

    class Live(TrainingCallback):
        """Logs every round as it ends."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            session.rounds = epoch + 1

            def note() -> None:
                found = {
                    f"{data}/{metric}": values[-1][0]
                    if isinstance(values[-1], tuple)
                    else values[-1]
                    for data, metrics in evals_log.items()
                    for metric, values in metrics.items()
                }
                log_finite(session.run, found, step=epoch)

            guarded("note a round", note)
            return False  # go on

    return Live()


def _after_xgb(session: Session, booster: Any) -> None:
    run = session.run
    if (best := _attribute(booster, "best_iteration")) is not None:
        log_finite(run, {"best_iteration": best, "best_score": _attribute(booster, "best_score")})
    guarded("note the importances", lambda: _xgb_importance(session, booster))
    if ACTIVE.models:
        run.log_bytes(bytes(booster.save_raw("ubj")), "model/model.ubj")


def _xgb_importance(session: Session, booster: Any) -> None:
    found = {}
    for name, value in booster.get_score(importance_type="gain").items():
        found[str(name)] = float(value if not isinstance(value, list) else sum(value))
    if found:
        keep_importance(session, found)


def _attribute(booster: Any, name: str) -> Any:
    try:
        return getattr(booster, name)
    except AttributeError:  # without early stopping there is none
        return None


# ------------------------------------------------------------------ LightGBM


def _lgb(session: Session) -> Any:
    def live(env: Any) -> None:
        session.rounds = env.iteration + 1

        def note() -> None:
            found = {f"{one[0]}/{one[1]}": one[2] for one in env.evaluation_result_list or []}
            log_finite(session.run, found, step=env.iteration)

        guarded("note a round", note)

    vars(live)["order"] = 25  # before early stopping, which ends the last round by raising
    return live


def _after_lgb(session: Session, booster: Any) -> None:
    run = session.run
    if booster.best_iteration and booster.best_iteration > 0:
        log_finite(run, {"best_iteration": booster.best_iteration})
    guarded("note the importances", lambda: _lgb_importance(session, booster))
    if ACTIVE.models:
        run.log_bytes(booster.model_to_string().encode(), "model/model.txt")


def _lgb_importance(session: Session, booster: Any) -> None:
    values = booster.feature_importance("gain")
    names = booster.feature_name()
    keep_importance(session, dict(zip(map(str, names), map(float, values), strict=True)))
