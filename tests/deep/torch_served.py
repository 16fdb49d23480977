"""Modules of PyTorch, served for real in both ways. Run by `make deep`, without torch here.

The interpreter that has torch is named by ``TORCH_PYTHON``: it trains, and scores in a child. All
else runs without torch, as a home does whose own environment never had it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from tests.acceptance.conftest import Stranger

from waiting import alive, until

TORCH = os.environ["TORCH_PYTHON"]
NAMES = ["distance", "hour", "wind"]
GATE = ["--target", "late", "--at-least", "auc=0.9", "--max-latency-ms", "60000"]
CARD = ["--purpose", "To try torch.", "--owner", "us", "--limitations", "No use but this."]

NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
        )

    def forward(self, rows):
        return torch.sigmoid(self.layers(rows))
"""

TRAIN = """
import csv
import json
import torch
from net import Net

torch.manual_seed(3)
torch.set_num_threads(1)
with open("rows.csv") as file:
    rows = list(csv.DictReader(file))
x = torch.tensor([[float(row[name]) for name in ("distance", "hour", "wind")] for row in rows])
y = torch.tensor([[float(row["late"])] for row in rows])
net = Net()
learning = torch.optim.Adam(net.parameters(), 0.02)
for _ in range(150):
    learning.zero_grad()
    torch.nn.functional.binary_cross_entropy(net(x), y).backward()
    learning.step()
net.eval()
torch.save(net.state_dict(), "weights.pt")
batch = {"rows": {0: torch.export.Dim("batch")}}
torch.export.save(torch.export.export(net, (x[:4],), dynamic_shapes=batch), "late.pt2")
torch.onnx.export(net, (x[:4],), "net.onnx", dynamic_shapes=batch, external_data=False)
with torch.no_grad():
    scores = net(x)[:, 0].tolist()
with open("scores.json", "w") as file:
    json.dump({"version": torch.__version__, "scores": scores}, file)
"""

STATE = """
import torch
from net import Net


class Late:
    def load(self, folder):
        torch.set_num_threads(1)
        self.net = Net()
        self.net.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        self.net.eval()

    def predict(self, frame):
        columns = [torch.as_tensor(list(frame[name])) for name in ("distance", "hour", "wind")]
        with torch.inference_mode():
            return self.net(torch.stack(columns, 1).float())[:, 0]
"""

#: The class that the page about this shows.
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "serve-any-model.md"
[PROGRAM] = re.findall(
    r"Path\(\"late.py\"\).write_text\('''(.*?)'''\)", PAGE.read_text(), re.DOTALL
)


def table() -> pl.DataFrame:
    """Return rows whose numbers single precision holds exactly."""
    random = np.random.default_rng(8)
    rows = pl.DataFrame(
        {
            "distance": random.integers(50, 3000, 600) / 4.0,
            "hour": random.integers(0, 24, 600),
            "wind": random.integers(-64, 64, 600) / 16.0,
        }
    )
    risk = (rows["hour"] - 12) / 4 + rows["wind"] / 2 - rows["distance"] / 400
    return rows.with_columns(late=(risk > -1).cast(pl.Int64))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Return somebody whose folder holds a trained module in every form."""
    folder = tmp_path_factory.mktemp("torch")
    table().write_csv(folder / "rows.csv")
    texts = {"net": NET, "train": TRAIN, "state": STATE, "late": PROGRAM}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    trained = subprocess.run([TORCH, "train.py"], cwd=folder, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr[-3000:]
    (folder / "mainspring.toml").write_text(f"[environments]\nresearch = {json.dumps(TORCH)}\n")
    return Stranger(folder)


@pytest.fixture(scope="module")
def torchs(stranger: Stranger) -> dict[str, Any]:
    """Return what torch itself says: its version and the scores of all rows."""
    found: dict[str, Any] = json.loads((stranger.folder / "scores.json").read_text())
    return found


@pytest.fixture(scope="module")
def up(stranger: Stranger, torchs: dict[str, Any]) -> Iterator[Stranger]:
    """Return a home that serves the module from its weights, as a program, and as ONNX."""
    say = stranger.say
    needs = ["--requirement", f"torch=={torchs['version'].split('+')[0]}"]
    state = ["--file", "net.py", "--file", "weights.pt"]
    say("models", "add", "state", "state.py:Late", *state, *needs)
    say("models", "add", "program", "late.py:Late", "--file", "late.pt2", *needs)
    say("models", "add", "onnx", "net.onnx")
    judge = ["--rows", "rows.csv", *GATE, *CARD]
    refused = say("judge", "state/1", *judge, code=1)
    assert "nobody has said that it may" in refused
    for name in ("state", "program"):
        say("models", "trust", f"{name}/1", "--reason", "We trained it.")
    for name in ("state", "program", "onnx"):
        say("judge", f"{name}/1", *judge)
        say("promote", f"{name}/1", "--reason", "It passed.")
        say("serve", name)
    pids: dict[str, int] = {}
    try:
        stranger.url = stranger.spawn("up", "--port", "0", "--detach")["url"]
        pids = stranger.pids()
        yield stranger
    finally:
        say("stop")
        until(lambda: not any(alive(pid) for pid in pids.values()))


def served(up: Stranger, name: str, rows: pl.DataFrame) -> Any:
    url = up.endpoint(name)["url"]
    until(lambda: httpx.get(f"{url}/v2/health/ready", timeout=60).status_code == 200)
    reply = httpx.post(
        f"{url}/invocations",
        json={"dataframe_records": rows.select(NAMES).to_dicts()},
        timeout=120,
    )
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert found["model_version"] == f"{name}/1"
    return found


def scorers(up: Stranger, name: str) -> list[str]:
    """Return the interpreters of the children that an endpoint's processes have."""
    ours = {pid for process, pid in up.pids().items() if process.startswith(f"endpoint-{name}")}
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_bytes().decode().split("\0")
        except OSError:  # it ended meanwhile
            continue
        if parent in ours and any(word.endswith("apart/child.py") for word in words):
            found.append(words[0])
    return found


def test_nothing_here_has_torch() -> None:
    assert importlib.util.find_spec("torch") is None


@pytest.mark.parametrize("name", ["state", "program"])
def test_a_module_answers_from_the_interpreter_that_has_torch_as_torch_does(
    up: Stranger, torchs: dict[str, Any], name: str
) -> None:
    found = served(up, name, table())
    np.testing.assert_allclose(found["scores"], torchs["scores"], rtol=0, atol=1e-6)
    alone = served(up, name, table().slice(7, 1))
    np.testing.assert_allclose(alone["scores"], torchs["scores"][7:8], rtol=0, atol=1e-6)
    assert scorers(up, name) == [TORCH]
    built = up.home / "cache" / "environments"
    told = [json.loads(file.read_text()) for file in built.glob("*.json")]
    assert told == [{"python": TORCH, "named": "research"}]  # named, so that none is built


def test_its_export_answers_within_the_process_as_torch_does(
    up: Stranger, torchs: dict[str, Any]
) -> None:
    found = served(up, "onnx", table())
    np.testing.assert_allclose(found["scores"], torchs["scores"], rtol=0, atol=1e-5)
    assert scorers(up, "onnx") == []
    [parity] = up.ask("evidence", "onnx/1", "--kind", "parity")
    assert (parity["passed"], parity["detail"]["labels_differ"]) == (True, 0)
    assert parity["detail"]["max_difference"] <= 1e-5
