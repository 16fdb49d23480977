"""Follow Keras and Lightning by a callback: params, metrics of every epoch, the weights."""

from __future__ import annotations

import importlib
import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainspring.experiments.autolog.patching import guarded, when_imported, wrap
from mainspring.experiments.autolog.sessions import (
    ACTIVE,
    Session,
    inside,
    log_finite,
    log_params,
    noted,
    remember,
)

_PLAIN = (str, int, float, bool, type(None))


def follow_keras() -> None:
    """Wrap ``keras.Model.fit``."""
    when_imported("keras", _wrap_keras)


def follow_lightning() -> None:
    """Wrap ``Trainer.fit`` of Lightning, under both of its names."""
    when_imported("lightning.pytorch", lambda: _wrap_trainer("lightning.pytorch"))
    when_imported("pytorch_lightning", lambda: _wrap_trainer("pytorch_lightning"))


# ------------------------------------------------------------------ Keras


def _wrap_keras() -> None:
    for kind in importlib.import_module("keras").Model.__mro__:
        if "fit" in vars(kind):
            wrap(kind, "fit", _keras_fit)
            return


def _keras_fit(original: Callable[..., Any]) -> Callable[..., Any]:
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        if ACTIVE.sink is None or inside() is not None:
            return original(self, *args, **kwargs)

        def call() -> Any:
            session = inside()
            live = (
                None if session is None else guarded("follow the epochs", lambda: _epochs(session))
            )
            if live is None:
                return original(self, *args, **kwargs)
            given = kwargs.get("callbacks") or []
            # A list of callbacks that Keras made itself takes one more.
            if hasattr(given, "append") and not isinstance(given, list):
                given.append(live)
            else:
                given = [*(given if isinstance(given, list | tuple) else [given]), live]
            return original(self, *args, **{**kwargs, "callbacks": given})

        return noted(
            type(self).__name__,
            call,
            lambda session: log_params(session.run, _keras_params(self, kwargs)),
            lambda session, _: _keras_after(session, self),
        )

    return fit


def _epochs(session: Session) -> Any:
    base: Any = importlib.import_module("keras").callbacks.Callback

    class Live(base):  # type: ignore[misc]
        """Logs every epoch as it ends."""

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            session.rounds = epoch + 1
            guarded("note an epoch", lambda: log_finite(session.run, logs or {}, step=epoch))

    return Live()


def _keras_params(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in given.items() if isinstance(value, _PLAIN)}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        config = optimizer.get_config()
        found |= {
            f"optimizer_{key}": value
            for key, value in config.items()
            if isinstance(value, _PLAIN) and value is not None
        }
    found["layers"] = len(model.layers)
    if model.built:
        found["weights"] = model.count_params()
    return found


def _keras_after(session: Session, model: Any) -> None:
    remember(model, session.run)
    if not ACTIVE.models:
        return
    with tempfile.TemporaryDirectory(prefix="mainspring-keras-") as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        session.run.log_bytes(file.read_bytes(), "model/model.keras")


# ------------------------------------------------------------------ Lightning


def _wrap_trainer(library: str) -> None:
    wrap(importlib.import_module(library).Trainer, "fit", lambda original: _fit(library, original))


def _fit(library: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def fit(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        if ACTIVE.sink is None or inside() is not None:
            return original(self, model, *args, **kwargs)

        def call() -> Any:
            session = inside()
            live = None
            if session is not None:
                live = guarded("follow the epochs", lambda: _trainer_epochs(library, session))
            if live is None:
                return original(self, model, *args, **kwargs)
            self.callbacks.append(live)
            try:
                return original(self, model, *args, **kwargs)
            finally:
                if live in self.callbacks:
                    self.callbacks.remove(live)

        return noted(
            type(model).__name__,
            call,
            lambda session: log_params(session.run, _trainer_params(self, model)),
            lambda session, _: _trainer_after(session, model),
        )

    return fit


def _trainer_epochs(library: str, session: Session) -> Any:
    base: Any = importlib.import_module(library).Callback

    class Live(base):  # type: ignore[misc]
        """Logs every epoch as it ends: what the model logged, training and validation."""

        def on_train_epoch_end(self, trainer: Any, _module: Any) -> None:
            # The validation of an epoch ends before its training does.
            def note() -> None:
                found = {key: float(value) for key, value in trainer.callback_metrics.items()}
                log_finite(session.run, found, step=trainer.current_epoch)

            session.rounds = trainer.current_epoch + 1
            guarded("note an epoch", note)

    return Live()


def _trainer_params(trainer: Any, model: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "max_epochs": trainer.max_epochs,
        "max_steps": trainer.max_steps,
        "precision": str(trainer.precision),
        "weights": sum(one.numel() for one in model.parameters()),
    }
    given = getattr(model, "hparams", {})
    return {**found, **{str(key): value for key, value in dict(given).items()}}


def _trainer_after(session: Session, model: Any) -> None:
    remember(model, session.run)
    if ACTIVE.models:
        held = io.BytesIO()
        importlib.import_module("torch").save(model.state_dict(), held)
        session.run.log_bytes(held.getvalue(), "model/weights.pt")
