"""BentoML's service with its own checking of types, one worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from models import saved


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Bench:
    def __init__(self) -> None:
        self.model = saved(os.environ["BENCH_MODEL"], os.environ["BENCH_FOLDER"])

    @bentoml.api
    def predict(self, data: list[list[float]]) -> list[float]:
        return self.model.predict_proba(np.asarray(data))[:, 1].tolist()


if __name__ == "__main__":
    os.environ["BENCH_MODEL"] = sys.argv[1]
    os.environ["BENCH_FOLDER"] = sys.argv[3]
    os.chdir(Path(__file__).resolve().parent)
    words = ["serve", "of_bentoml:Bench", "--host", "127.0.0.1", "--port", sys.argv[2]]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *words])
