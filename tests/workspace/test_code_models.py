"""Models whose code is not ours: registered, trusted, judged, and scored in a process apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import ModelFailedError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Gate, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models import code_form, directories, load, package
from mainspring.scaling.serving.scorers import choosing
from mainspring.workspace import engines, registering
from mainspring.workspace.opening import Workspace

RANDOM = np.random.default_rng(11)
ROWS = pl.DataFrame({"a": RANDOM.normal(size=120), "b": RANDOM.normal(size=120)}).with_columns(
    n=pl.Series(RANDOM.integers(0, 5, 120)),
    y=pl.when(pl.col("a") > pl.col("b")).then(pl.lit("up")).otherwise(pl.lit("down")),
)
GATE = Gate(at_least={"auc": 0.9}, needs_card=False, max_latency_ms=60_000)

SOURCE = '''
"""A predictor of a user's."""

import math


class Odds:
    def load(self, folder):
        self.shift = float((folder / "shift.txt").read_text())

    def predict(self, frame):
        if (frame["n"] == 77).any():
            raise RuntimeError("seventy-seven")
        pairs = zip(frame["a"], frame["b"])
        return [1 / (1 + math.exp(-(a - b + self.shift) * 5)) for a, b in pairs]
'''


@pytest.fixture
def predictor(tmp_path: Path) -> directories.Directory:
    """A predictor of one file and what it reads."""
    file = tmp_path / "odds.py"
    file.write_text(SOURCE)
    (tmp_path / "shift.txt").write_text("0.01")
    return directories.Predictor(f"{file}:Odds", files=[tmp_path / "shift.txt"])


def add(ws: Workspace, model: str, files: dict[str, bytes], source: str) -> Version:
    digests = {path: ws.objects.put(data) for path, data in files.items()}
    return registering.add(ws, model, digests, source)


def judged(ws: Workspace, model: str, number: int = 1, rows: pl.DataFrame = ROWS) -> Any:
    told = registering.judge(ws, model, number, rows.to_dicts(), "y", GATE, None)
    engines.settle(ws, told)
    return registering.judging(ws, told)


def version(ws: Workspace, model: str) -> Version:
    return ws.read(Permission.READ, lambda tx: registry.resolve(tx, f"{model}/1"))


def wanted(rows: pl.DataFrame, shift: float) -> Any:
    return 1 / (1 + np.exp(-(rows["a"] - rows["b"] + shift).to_numpy() * 5))


def test_a_predictor_is_judged_once_a_person_trusts_it_and_scored_in_a_process_apart(
    ws: Workspace, predictor: directories.Directory
) -> None:
    made = add(ws, "tide", predictor.files, "odds.py:Odds")
    assert (made.number, made.source) == (1, "odds.py:Odds")
    refused = judged(ws, "tide")
    assert refused.state == "failed"
    assert "nobody has said that it may" in refused.error
    registering.trust(ws, "tide", 1, "I wrote it.")
    ended = judged(ws, "tide")
    assert ended.result is not None, ended.error
    assert ended.result["passed"], ended.result

    kept = version(ws, "tide")
    assert kept.signature.classes == ["down", "up"]
    assert [column.name for column in kept.signature.columns] == ["a", "b", "n"]
    came = package.read_manifest(kept.origin or "", ws.objects).files
    files = package.read_manifest(kept.package, ws.objects).files
    assert files["origin/odds.py"] == came["odds.py"]
    assert not [path for path in files if path.startswith("code/")]

    inputs = ROWS.select("a", "b", "n")
    scored = load.load(kept.package, ws.objects)
    assert (scored.form, scored.inline) == ("native", False)
    np.testing.assert_allclose(scored.score(inputs)[:, 0], wanted(inputs, 0.01))
    with pytest.raises(ModelFailedError, match="seventy-seven"):
        scored.score({"a": [0.0], "b": [0.0], "n": [77]})
    assert scored.score({"a": [9.0], "b": [0.0], "n": [1]})[0, 0] > 0.99  # it goes on

    served = choosing.served(kept.package, ws.objects)
    try:
        assert (served.form, served.inline) == ("predictor", False)
        found = served.score(served.check({"a": [0.5], "b": [0.1], "n": [2]}))
        np.testing.assert_allclose(found[0, 0], 1 / (1 + np.exp(-0.41 * 5)))
        assert served.labels(found) == ["up"]
    finally:
        served.close()


def test_another_file_is_another_package_that_nobody_trusts(
    ws: Workspace, predictor: directories.Directory
) -> None:
    add(ws, "tide", predictor.files, "one")
    registering.trust(ws, "tide", 1, "I wrote it.")
    add(ws, "tide", predictor.files | {"shift.txt": b"3"}, "two")
    assert "nobody has said that it may" in judged(ws, "tide", 2).error


def test_a_predictor_that_cannot_be_loaded_says_why(ws: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "odds.py"
    file.write_text("import nothing_of_that_name\nclass Odds: pass\n")
    add(ws, "tide", directories.Predictor(f"{file}:Odds").files, "here")
    registering.trust(ws, "tide", 1, "I wrote it.")
    assert "No module named 'nothing_of_that_name'" in judged(ws, "tide").error


def test_a_package_made_to_look_like_ours_runs_no_code_that_nobody_trusts(
    ws: Workspace, predictor: directories.Directory
) -> None:
    add(ws, "tide", predictor.files, "here")
    registering.trust(ws, "tide", 1, "I wrote it.")
    judged(ws, "tide")
    kept = package.read_manifest(version(ws, "tide").package, ws.objects).files
    evil = ws.objects.put(b"raise SystemExit('it ran')\nclass Odds: pass\n")
    made = kept | {"origin/odds.py": evil}
    for flavor in ("mainspring", "predictor"):
        told = directories.mlmodel(flavor, {"entry": "origin/odds.py:Odds"}, None)
        registering.add(ws, flavor, made | {"MLmodel": ws.objects.put(told)}, "a stranger")
        assert "nobody has said that it may" in judged(ws, flavor).error
    assert code_form.made_of(version(ws, "tide").package, ws.objects) == version(ws, "tide").origin
    manifest = package.Manifest(format=package.FORMAT, files=made)
    assert code_form.made_of(ws.objects.put(canonical(manifest)), ws.objects) is None
