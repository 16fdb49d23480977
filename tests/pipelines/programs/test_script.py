"""A script written for SageMaker's scikit-learn container runs unchanged."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError, ProjectError, StepFailedError
from mainspring.pipelines.checkpoints import Shelf
from mainspring.pipelines.code import code_digest
from mainspring.pipelines.context import StepContext, entered
from mainspring.pipelines.programs import mounting
from mainspring.pipelines.programs.following import Following

TRAIN = """
from __future__ import print_function

import argparse
import json
import os

import joblib
import pandas as pd
from sklearn import tree

from shared.columns import LABEL

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_leaf_nodes", type=int, default=-1)
    parser.add_argument("-C", type=float)
    parser.add_argument("--output-data-dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", type=str, default=os.environ["SM_CHANNEL_TRAIN"])
    args = parser.parse_args()

    input_files = [os.path.join(args.train, file) for file in os.listdir(args.train)]
    if len(input_files) == 0:
        raise ValueError("There are no files in {}.".format(args.train))
    rows = pd.concat([pd.read_csv(file) for file in input_files])
    classifier = tree.DecisionTreeClassifier(max_leaf_nodes=args.max_leaf_nodes, random_state=0)
    classifier.fit(rows.drop(columns=[LABEL]), rows[LABEL])
    print("accuracy=%.3f" % classifier.score(rows.drop(columns=[LABEL]), rows[LABEL]))
    joblib.dump(classifier, os.path.join(args.model_dir, "model.joblib"))
    with open(os.path.join(args.output_data_dir, "seen.json"), "w") as out:
        json.dump({k: v for k, v in os.environ.items() if k.startswith("SM_")}, out)
"""


@pytest.fixture
def declare(tmp_path: Path) -> Any:
    """Declare a script of this folder, as a project's module there would."""
    source = tmp_path / "source"
    (source / "shared").mkdir(parents=True)
    (source / "train.py").write_text(TRAIN)
    (source / "shared" / "columns.py").write_text("LABEL = 'y'")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "train.pyc").write_bytes(b"left")

    def made(entry_point: str = "train.py", **options: Any) -> Any:
        names = {"__name__": "somewhere", "__file__": str(tmp_path / "project.py"), "ms": ms}
        options = {"source_dir": "source"} | options
        exec(f"step = ms.script({entry_point!r}, **options)", names | {"options": options}, names)
        return names["step"]

    return made


def small(declare: Any, tmp_path: Path, text: str, **options: Any) -> Any:
    (tmp_path / "small.py").write_text(text)
    return declare("small.py", source_dir=None, **options)


ROWS = pl.DataFrame({"x": np.arange(20.0), "y": [0] * 10 + [1] * 10})


def test_a_script_for_scikit_learns_container_runs_unchanged(declare: Any, tmp_path: Path) -> None:
    train = declare(
        hyperparameters={"max_leaf_nodes": 9, "C": 0.5},
        outputs=("model", "data"),
        metrics={"accuracy": r"accuracy=([0-9.]+)"},
    )
    context = StepContext("run", "train", open_objects(str(tmp_path / "objects")))
    with entered(context):
        made = train(channels={"train.csv": ROWS}, hyperparameters={"max_leaf_nodes": 2})
    model = joblib.load(made["model"] / "model.joblib")
    assert model.get_n_leaves() == 2
    assert [point[:2] for point in context.points] == [["accuracy", 1.0]]
    seen = json.loads((made["data"] / "seen.json").read_text())
    root = made["model"].parent
    assert seen["SM_CHANNELS"] == '["train"]'
    assert seen["SM_HPS"] == '{"C":0.5,"max_leaf_nodes":2}'
    assert (seen["SM_HP_MAX_LEAF_NODES"], seen["SM_HP_C"]) == ("2", "0.5")
    assert seen["SM_USER_ARGS"] == '["-C","0.5","--max_leaf_nodes","2"]'
    assert (seen["SM_HOSTS"], seen["SM_CURRENT_HOST"]) == ('["algo-1"]', "algo-1")
    assert (int(seen["SM_NUM_CPUS"]) > 0, seen["SM_NUM_GPUS"]) == (True, "0")
    assert seen["SM_OUTPUT_DIR"] == str(root / "output")
    training = json.loads(seen["SM_TRAINING_ENV"])
    assert training["channel_input_dirs"] == {"train": seen["SM_CHANNEL_TRAIN"]}
    assert training["hyperparameters"] == {"C": 0.5, "max_leaf_nodes": 2}
    config = {one.stem: json.loads(one.read_text()) for one in (root / "input/config").iterdir()}
    assert config["hyperparameters"] == {"C": "0.5", "max_leaf_nodes": "2"}
    assert config["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert not (root / "code" / "__pycache__" / "train.pyc").exists()


def test_the_text_of_output_failure_is_the_error(declare: Any, tmp_path: Path) -> None:
    text = """
import os, sys
open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w").write("No rows for May.\\nMore.")
sys.exit(7)
"""
    with pytest.raises(StepFailedError, match="exit code 7: No rows for May") as caught:
        small(declare, tmp_path, text)()
    assert caught.value.trace.startswith("No rows for May.\nMore.")


def test_a_traceback_of_the_script_is_its_trace(declare: Any, tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="exit code 1: ValueError: lost") as caught:
        small(declare, tmp_path, "def load():\n    raise ValueError('lost')\nload()\n")()
    assert "line 2, in load" in caught.value.trace


def test_a_script_that_leaves_no_model_is_told_so(declare: Any, tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="left nothing in SM_MODEL_DIR"):
        small(declare, tmp_path, "pass")()
    assert small(declare, tmp_path, "pass", outputs=())() is None


def test_the_files_beside_it_are_its_code(declare: Any, tmp_path: Path) -> None:
    train = declare(hyperparameters={"trees": 3})
    before, parts = code_digest(train)
    assert {"file train.py", "file shared/columns.py", "constant hyperparameter trees"} < set(
        parts
    )
    assert len(parts) == 4
    (tmp_path / "source" / "shared" / "columns.py").write_text("LABEL = 'z'")
    assert code_digest(train)[0] != before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hyperparameters": {"a b": 1}}, "no name of a hyperparameter"),
        ({"hyperparameters": {"a": object()}}, "must be plain data"),
        ({"outputs": "model"}, "a list of model and data"),
        ({"metrics": {"auc": "("}}, "is no pattern"),
        ({"metrics": {"auc": "auc=.*"}}, "must have one group"),
        ({"entry_point": "train.R"}, r"a .py or .sh file"),
    ],
)
def test_what_cannot_be_is_refused(declare: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        declare(**options)


def test_a_script_that_is_not_there_and_a_channel_that_cannot_be_are_named(declare: Any) -> None:
    with pytest.raises(ProjectError, match="There is no script"):
        declare("nope.py")(channels={})
    with pytest.raises(BadInputError, match="no name of a channel"):
        declare()(channels={"../x": ROWS})


LITERAL = """
import json, os, pathlib, sys

ML = pathlib.Path("/opt/ml")
told = json.loads((ML / "input/config/hyperparameters.json").read_text())
rows = (ML / "input/data/train/train.csv").read_text().splitlines()
(ML / "model/model.txt").write_text(f"{told['depth']} {len(rows)} {os.getcwd()}")
(ML / "output/data/seen").write_text(f"{os.environ['SM_MODEL_DIR']} {os.getuid()}")
hosts = json.loads((ML / "input/config/resourceconfig.json").read_text())["hosts"]
channels = json.loads((ML / "input/config/inputdataconfig.json").read_text())
assert (hosts, list(channels)) == (["algo-1"], ["train"])
if told["depth"] == "0":
    (ML / "output/failure").write_text("No depth at all.\\nIt says so.")
    sys.exit(3)
"""


@pytest.fixture
def literal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A step of a script that writes /opt/ml out."""
    (tmp_path / "train.py").write_text(LITERAL)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    made = ms.script("train.py", outputs=("model", "data"))
    made.function.folder = tmp_path
    return made


def in_a_step(tmp_path: Path, step: Any, depth: int) -> Any:
    context = StepContext("run", "train", open_objects(str(tmp_path)), folder=tmp_path / "work")
    rows = pl.DataFrame({"a": [1, 2]})
    with entered(context):
        return step(channels={"train.csv": rows}, hyperparameters={"depth": depth})


def test_a_script_that_writes_the_path_out_finds_it_and_nobody_else(
    tmp_path: Path, literal: Any
) -> None:
    there = Path("/opt/ml").exists()
    assert mounting.refusal() == ""
    made = in_a_step(tmp_path, literal, 3)
    assert (made["model"] / "model.txt").read_text() == "3 3 /opt/ml/code"
    assert (made["data"] / "seen").read_text() == f"/opt/ml/model {os.getuid()}"
    assert Path("/opt/ml").exists() == there
    with pytest.raises(StepFailedError, match="exit code 3: No depth at all") as caught:
        in_a_step(tmp_path, literal, 0)
    assert caught.value.trace is not None
    assert "It says so." in caught.value.trace


def test_where_it_cannot_be_bound_it_is_said_before_the_script_begins(
    tmp_path: Path, literal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What stands for the interpreter runs it with no rights, where no name space can be made.
    fake = tmp_path / "python"
    bare = "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
    fake.write_text(
        '#!/bin/sh\nexport ASKED="$*"\nexec unshare --user --map-root-user sh -c'
        " 'echo 0 > /proc/sys/user/max_user_namespaces;"
        f' exec {bare} "$@"\' sh {sys.executable} "$@"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    assert mounting.refusal() == "user name spaces are not allowed here"
    with pytest.raises(StepFailedError, match="user name spaces are not allowed here") as caught:
        in_a_step(tmp_path, literal, 3)
    assert "SM_MODEL_DIR" in (caught.value.hint or "")
    assert not list(tmp_path.rglob("model.txt"))


def test_checkpoints_are_kept_once_they_are_whole(tmp_path: Path) -> None:
    folder, kept = tmp_path / "checkpoints", []
    folder.mkdir()

    def write(step: int, stored: Any, keep: int, drop: list[int], whose: str) -> None:
        kept.append((step, stored.type))

    objects = open_objects(str(tmp_path / "objects"))
    shelf = Shelf(objects, [], tmp_path, write)
    followed = Following(folder, shelf, tmp_path / "copy")
    followed.look()
    assert kept == [], "nothing is there"
    (folder / "epoch-1").write_text("one")
    followed.look()
    assert kept == [], "it may be written still"
    followed.look()
    followed.look()
    assert [step for step, _ in kept] == [1], "and once"
    (folder / "epoch-1").unlink()
    (folder / "epoch-2").write_text("two")
    followed.closed()
    assert [step for step, _ in kept] == [1, 2]
    again = tmp_path / "again"
    again.mkdir()
    Following(again, shelf, tmp_path / "copy-2").restore()
    assert [(one.name, one.read_text()) for one in again.iterdir()] == [("epoch-2", "two")]
