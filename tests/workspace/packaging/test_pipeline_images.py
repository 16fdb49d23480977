"""A real image of a pipeline runs it, trains as SageMaker asks, and serves what it trained.

For soak alone: it installs all that trains, a minute of processor time.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import boxes

from mainspring.cli.start import main

PROJECT = """
import mainspring as ms
import polars as pl
from sklearn.linear_model import LogisticRegression


@ms.step(retries=0)
def fit(rows: str, strength: float) -> ms.FittedModel:
    table = pl.read_csv(rows)
    return ms.Model(LogisticRegression(C=strength), "y", "binary").fit(table)


@ms.pipeline
def signs(rows: str = "rows.csv", strength: float = 1.0) -> ms.FittedModel:
    return fit(rows, strength)
"""


@pytest.mark.soak
def test_an_image_of_a_pipeline_runs_trains_and_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes.check_tools()
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(boxes.storage(boxes.place())))
    project, ml = tmp_path / "project", tmp_path / "ml"
    project.mkdir()
    monkeypatch.chdir(project)
    (project / "project.py").write_text(PROJECT)
    (project / "mainspring.toml").touch()
    a = np.random.default_rng(3).normal(size=80)
    rows = pl.DataFrame({"a": a, "y": (a > 0).astype(int)})
    rows.write_csv(project / "rows.csv")
    for folder in ("input/config", "input/data/rows", "model", "output"):
        (ml / folder).mkdir(parents=True)
    rows.write_csv(ml / "input" / "data" / "rows" / "part.csv")
    (ml / "input" / "config" / "hyperparameters.json").write_text('{"strength": "0.25"}')
    for folder in (ml / "model", ml / "output"):
        folder.chmod(0o777)
    tag = f"localhost/mainspring-tests/signs:{os.getpid()}"
    words = ["package", "signs", "--out", str(tmp_path / "image"), "--offline", "--build"]
    words += ["--base", boxes.base(boxes.place()), "--tag", tag]
    assert main(words) == 0
    try:
        done = boxes.ran(tag, "run", "-p", "strength=0.5", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["run"]["status"] == "finished"
        done = boxes.ran(tag, "run", "-p", "strength=-1")
        assert done.returncode == 1
        mount = ("-v", f"{ml}:/opt/ml")
        done = boxes.ran(tag, "train", options=mount)
        assert done.returncode == 0, done.stderr
        assert (ml / "model" / "model.onnx").is_file()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        with boxes.running(tag, port, *mount):
            body = b'{"instances": [{"a": 2.0}, {"a": -2.0}]}'
            kind = {"Content-Type": "application/json"}
            status, _, answer = boxes.ask(port, "POST", "/invocations", body, kind)
            assert status == 200
            assert json.loads(answer)["predictions"] == [1, 0]
    finally:
        boxes.said("buildah", "rmi", "--force", tag)
