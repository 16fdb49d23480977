"""``ms.autolog()``: note every fit from now on, in runs of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from mainspring.experiments.autolog import boosting, deep, fits, later, patching, sessions
from mainspring.experiments.autolog.sessions import Kept
from mainspring.ground.errors import BadInputError
from mainspring.workspace.families.joined import JoinedRun
from mainspring.workspace.tracking.active import ActiveRun
from mainspring.workspace.tracking.joining import tracked
from mainspring.workspace.tracking.planning import plan_of

_FOLLOWED: dict[str, Callable[[], None]] = {
    "sklearn": fits.follow,
    "xgboost": boosting.follow_xgboost,
    "lightgbm": boosting.follow_lightgbm,
    "keras": deep.follow_keras,
    "lightning": deep.follow_lightning,
}
_lock = threading.Lock()


def autolog(
    on: bool = True,
    *,
    experiment: str = "Default",
    models: bool | Literal["served"] = True,
) -> None:
    """Note every fit of scikit-learn, XGBoost, LightGBM, Keras and Lightning from now on.

    A fit inside of ``ms.run`` goes to that run, a second one there to a child of it; a fit
    outside of any run makes one of its own. Noted are the params, the metrics on the training
    rows or of every round or epoch, the importances, the model in its native form, the
    candidates of a search as children, and what is measured later: scores, and the metrics that
    functions of ``sklearn.metrics`` find of a model's predictions. Fits within a fit
    are part of it. Libraries that are imported later are followed too.

    It never breaks a fit: what cannot be noted is warned of once.

    Args:
        on: False takes it all back.
        experiment: Where the runs of fits outside of ``ms.run`` stand.
        models: Whether models are kept; ``"served"`` keeps scikit-learn models that learnt from
            a table with ``run.log_model``, which takes seconds, so that they can be served.
    """
    if models not in (True, False, "served"):
        raise BadInputError(
            f"models must be True, False or 'served', found {models!r:.40}.", field="models"
        )
    with _lock:
        patching.unwrap_all()
        sessions.ACTIVE.sink = None
        if not on:
            sessions.forget()
            later.forget_answers()
            return
        sessions.ACTIVE.models = models
        sessions.ACTIVE.sink = RunSink(experiment)
        for follow in _FOLLOWED.values():
            follow()


class RunSink:
    """Gives fits the runs they are noted in."""

    def __init__(self, experiment: str) -> None:
        plan_of(experiment, None, None, None, None, None, None, capture=False)  # refuse it now
        self._experiment = experiment
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, name: str) -> tuple[Kept, Callable[[str], None]]:
        """Return the run of a fit that begins: the one around it for the first fit in it."""
        around = tracked()  # a fit within a step gets a run of its own, below the pipeline's
        if around is None:
            return self._new(self._experiment, name, None)
        with self._lock:
            first = around.id not in self._used
            self._used.add(around.id)
        if not first:
            return self._new(around.experiment, name, around)
        return around, lambda _: None  # whoever began it ends it

    def child(self, parent: Kept, name: str) -> tuple[Kept, Callable[[str], None]]:
        """Return a new child of a run."""
        if not isinstance(parent, ActiveRun):
            raise BadInputError("Only a run of this process has children here.")
        return self._new(parent.experiment, name, parent)

    def late(self, run: Kept) -> Kept:
        """Return a run that may have ended, to log what comes late."""
        if not isinstance(run, ActiveRun) or run.ended is None:
            return run
        return JoinedRun(run.target.settings, run.id, run.experiment)

    def _new(
        self, experiment: str, name: str, parent: ActiveRun | None
    ) -> tuple[Kept, Callable[[str], None]]:
        plan = plan_of(experiment, name, None, None, None, parent, None, capture=parent is None)
        run = ActiveRun(plan, None if parent is None else parent.target).start()
        return run, run.end
