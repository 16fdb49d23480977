"""A training step of PyTorch gives the same bytes when it is made again. Run by `make deep`."""

from __future__ import annotations

from pathlib import Path

from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace import engines, running
from mainspring.workspace.opening import open_workspace
from mainspring.workspace.proofs import remaking, reproducing

PROJECT = """
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

import mainspring as ms


@ms.step
def train(epochs: int, fickle: bool) -> dict:
    rows = torch.randn(512, 8)
    data = TensorDataset(rows, (rows.sum(1, keepdim=True) > 0).float())
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1)
    )
    if fickle:
        torch.manual_seed(time.time_ns() % 2**31)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = torch.tensor(0.0)
    for _ in range(epochs):
        for x, y in DataLoader(data, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y)
            loss.backward()
            optimizer.step()
    ms.log(loss=loss.item())
    return {name: one.numpy() for name, one in model.state_dict().items()}


@ms.pipeline
def net(epochs: int = 3, fickle: bool = False):
    return train(epochs, fickle)
"""


def test_a_network_trained_without_a_seed_named_is_the_same_and_else_the_weight_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    ws = open_workspace(Settings(root=str(tmp_path), home=str(tmp_path / "home")))
    found = {}
    for fickle in ("false", "true"):
        run = running.start_run(ws, "net", {"fickle": fickle})
        assert engines.drive(ws, run).status == "finished"
        begun = remaking.ask(ws, remaking.Wanted(run=run, here=True))
        engines.settle(ws, begun.task)
        _, (again,), _ = reproducing.reproduction(ws, begun.task)
        engines.drive(ws, again)
        _, _, found[fickle] = reproducing.reproduction(ws, begun.task)
    same, other = found["false"], found["true"]
    assert same is not None
    assert other is not None
    assert same.detail["verdict"] == "identical", same.found
    assert other.detail["verdict"] == "different"
    assert "weight'] element [" in other.detail["steps"][0]["where"]
    assert any("use_deterministic_algorithms" in one for one in other.detail["hints"])
    assert ws.read(Permission.READ, lambda tx: running.state(tx, again)[0]).metrics["loss"] > 0
    ws.close()
