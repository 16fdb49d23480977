"""A pipeline's image obeys SageMaker's contract for training, and passes other words on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mainspring.cli import imaged
from mainspring.ground.errors import BadInputError
from mainspring.scaling.models.served import opened
from mainspring.scaling.serving import packaged

PROJECT = """
import mainspring as ms
import polars as pl
from sklearn.linear_model import LogisticRegression


@ms.step(retries=0)
def fit(rows: str, strength: float) -> ms.FittedModel:
    table = pl.read_csv(rows)
    return ms.Model(LogisticRegression(C=strength), "y", "binary").fit(table)


@ms.pipeline
def signs(rows: str, strength: float = 1.0) -> ms.FittedModel:
    return fit(rows, strength)
"""


@pytest.fixture
def ml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder shaped as ``/opt/ml``, and the project of an image around us."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "project.py").write_text(PROJECT)
    (project / "mainspring.toml").touch()
    monkeypatch.chdir(project)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    for name in ("MODEL_DIR", "OUTPUT_DATA_DIR", "HPS", "CHANNELS", "CHANNEL_ROWS"):
        monkeypatch.setenv(f"SM_{name}", "")  # so that what is set here is taken back
    for name in ("HOSTS", "CURRENT_HOST", "NUM_GPUS"):
        monkeypatch.setenv(f"SM_{name}", "1")
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAINSPRING_PIPELINE", "project:signs")
    monkeypatch.setenv("MAINSPRING_ML_DIR", str(tmp_path / "ml"))
    folder = tmp_path / "ml"
    (folder / "input" / "config").mkdir(parents=True)
    (folder / "input" / "data" / "rows").mkdir(parents=True)
    a = np.random.default_rng(3).normal(size=80)
    rows = pl.DataFrame({"a": a, "y": (a > 0).astype(int)})
    rows.write_csv(folder / "input" / "data" / "rows" / "part.csv")
    return folder


def handed(ml: Path, **values: object) -> None:
    (ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(values))


def test_hyperparameters_and_channels_come_in_and_a_model_goes_out(ml: Path, capfd) -> None:
    handed(ml, strength="0.25", sagemaker_region="nowhere")
    assert imaged.main(["train"]) == 0, capfd.readouterr()
    assert not (ml / "output" / "failure").exists()
    held = packaged.Folder(ml / "model")
    assert (held.packed.model, held.packed.number) == ("signs", 1)
    served = opened(held.packed.package, held.files, held.read)
    assert served.score({"a": [3.0, -3.0]})[:, 0].round().tolist() == [1.0, 0.0]
    handed(ml, strength="-1")
    assert imaged.main(["train"]) == 1
    told = (ml / "output" / "failure").read_text()
    assert told.startswith("fit failed:")
    assert len(told) <= imaged.MOST_FAILURE


def test_a_channel_that_no_param_takes_is_named(ml: Path) -> None:
    (ml / "input" / "data" / "images").mkdir()
    assert imaged.main(["train"]) == 1
    told = (ml / "output" / "failure").read_text()
    assert "'images'" in told
    assert "rows, strength" in told


@pytest.mark.parametrize(
    ("config", "text", "words"),
    [
        ("hyperparameters.json", "{", "no JSON"),
        ("hyperparameters.json", "[1]", "no names"),
        ("resourceconfig.json", '{"hosts": ["algo-1", "algo-2"]}', "one instance, found 2"),
    ],
)
def test_what_cannot_be_read_is_told_where_sagemaker_looks(ml: Path, config, text, words) -> None:
    (ml / "input" / "config" / config).write_text(text)
    assert imaged.main(["train"]) == 1
    assert words in (ml / "output" / "failure").read_text()


def test_several_files_of_a_channel_are_its_folder(tmp_path: Path) -> None:
    (tmp_path / "one.csv").touch()
    (tmp_path / ".hidden").touch()
    assert imaged._one_file(tmp_path) == tmp_path / "one.csv"
    (tmp_path / "two.csv").touch()
    assert imaged._one_file(tmp_path) == tmp_path


def test_other_words_are_those_of_mainspring(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr(imaged.start, "main", lambda words: said.append(list(words)) or 0)
    monkeypatch.setenv("MAINSPRING_PIPELINE", "project:signs")
    for words in ([], ["run", "-p", "a=1"], ["run", "other"], ["runs", "--json"]):
        imaged.main(words)
    assert said == [
        ["run", "project:signs"],
        ["run", "project:signs", "-p", "a=1"],
        ["run", "other"],
        ["runs", "--json"],
    ]


def test_params_of_another_pipeline_are_not_guessed() -> None:
    with pytest.raises(BadInputError, match="no pipeline"):
        imaged._params([], "project:signs", {}, {})
