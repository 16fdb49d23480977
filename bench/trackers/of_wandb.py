"""Weights & Biases, offline: a process of its own writes one file a run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCH_FOLDER"]) / "wandb-home"
FOLDER.mkdir(parents=True, exist_ok=True)
os.environ.update(
    WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(FOLDER), WANDB_ERROR_REPORTING="false"
)

import wandb  # noqa: E402  it reads its environment when it is imported

VERSION = wandb.__version__


class Run:
    """A run of wandb's."""

    def __init__(self, name: str) -> None:
        settings = wandb.Settings(x_disable_stats=True, console="off")
        self.run = wandb.init(project="bench", name=name, settings=settings)
        self.id = self.run.id

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def params(self, values: dict[str, Any]) -> None:
        self.run.config.update(values)

    def end(self) -> None:
        self.run.finish()


def start(folder: Path, name: str) -> Run:
    return Run(name)


def history(folder: Path, run: str, key: str) -> list[Any]:
    """Return the steps found in the run's file: offline there is no other door to read it by."""
    found: set[int] = set()
    for file in FOLDER.glob(f"wandb/offline-run-*-{run}/*.wandb"):
        data = file.read_bytes()
        for hit in re.finditer(rb"_step\x82\x01(.)", data, re.DOTALL):  # a text field, its length
            digits = data[hit.end() : hit.end() + hit[1][0]]
            if digits.isdigit():
                found.add(int(digits))
    return sorted(found)


def put(run: Run, path: Path) -> None:
    kept = wandb.Artifact(path.stem, "file")
    kept.add_file(str(path))
    run.run.log_artifact(kept)
