"""Autolog with the real Keras and Lightning. Run by `make deep`, in an environment with torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from sqlalchemy import select

import mainspring as ms
from mainspring.experiments import artifacts, metrics, runs, tables
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tracking.catching_up import caught_up

X = np.random.default_rng(0).random((64, 3)).astype("float32")
Y = X.sum(1)


class Net(lightning.LightningModule):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(3, 1)

    def training_step(self, batch: Any, number: int) -> Any:
        loss = ((self.net(batch[0])[:, 0] - batch[1]) ** 2).mean()
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: Any, number: int) -> None:
        self.log("val_loss", ((self.net(batch[0])[:, 0] - batch[1]) ** 2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.chdir(tmp_path)
    found = open_workspace(load())
    ms.autolog()
    yield found
    ms.autolog(False)
    found.close()


def only_run(ws: Workspace) -> Run:
    def look(tx: Any) -> list[Run]:
        return runs.several(tx, [row.id for row in tx.all(select(tables.runs.c.id))])

    (found,) = caught_up(ws).read(Permission.READ, look)
    return found


def steps(ws: Workspace, run: Run, key: str) -> list[int]:
    points = ws.read(Permission.READ, lambda tx: metrics.history(tx, run.id, key))[0]
    return [point.step for point in points]


def kept(ws: Workspace, run: Run, path: str) -> bytes:
    found = ws.read(Permission.READ, lambda tx: artifacts.get(tx, run.id, path))
    return ws.objects.get(found.digest)


def trainer() -> Any:
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return lightning.Trainer(max_epochs=3, accelerator="cpu", **dict.fromkeys(quiet, False))


def rows() -> Any:
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(data, batch_size=16)


def test_keras_is_followed_epoch_by_epoch(ws: Workspace, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=3, validation_split=0.25, verbose=0)
    run = only_run(ws)
    assert (str(run.status), run.params["epochs"], run.params["optimizer_name"]) == (
        "finished",
        "3",
        "adam",
    )
    assert steps(ws, run, "val_mae") == [0, 1, 2]
    assert run.metrics["loss"] == pytest.approx(history.history["loss"][-1])
    file = tmp_path / "again.keras"
    file.write_bytes(kept(ws, run, "model/model.keras"))
    again = keras.models.load_model(file)
    assert np.allclose(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_lightning_is_followed_epoch_by_epoch(ws: Workspace) -> None:
    fitting = trainer()
    fitting.fit(Net(rate=0.2), rows(), rows())
    run = only_run(ws)
    assert (run.name, str(run.status)) == ("Net", "finished")
    assert (run.params["rate"], run.params["max_epochs"]) == ("0.2", "3")
    assert steps(ws, run, "train_loss") == steps(ws, run, "val_loss") == [0, 1, 2]
    assert kept(ws, run, "model/weights.pt")
    assert fitting.callbacks == [one for one in fitting.callbacks if type(one).__name__ != "Live"]


def test_a_fit_that_raises_is_a_failed_run(ws: Workspace) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="shape"):
        model.fit(X[:, :2], Y, verbose=0)
    assert str(only_run(ws).status) == "failed"


def test_turned_off_both_are_as_before(ws: Workspace) -> None:
    ms.autolog(False)
    assert not hasattr(keras.Model.fit, "__mainspring_original__")
    assert not hasattr(lightning.Trainer.fit, "__mainspring_original__")


def test_torch_is_seeded_in_a_repeat(ws: Workspace) -> None:
    ms.autolog(False)

    def draw(seed: int) -> float:
        return float(torch.rand(1))

    first, again = ms.repeat(draw, seeds=[3, 4]), ms.repeat(draw, seeds=[3, 4])
    assert first.metrics["value"].values == again.metrics["value"].values
