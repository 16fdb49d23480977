"""An environment is found or built once, and says why it cannot be."""

from __future__ import annotations

import sys
import threading
import zipfile
from importlib import metadata
from pathlib import Path

import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import sha256
from mainspring.ground.objects import Column
from mainspring.scaling.models.apart import environments
from mainspring.scaling.models.apart.code import Apart, Facts
from mainspring.scaling.models.apart.environments import Wanted

HERE = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one tiny wheel, and pip told to look nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    name = "pebble-1.0.dist-info"
    with zipfile.ZipFile(folder / "pebble-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pebble.py", "def weigh(value):\n    return value * 3.0\n")
        wheel.writestr(f"{name}/METADATA", "Metadata-Version: 2.1\nName: pebble\nVersion: 1.0\n")
        wheel.writestr(
            f"{name}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{name}/RECORD", "")
    for key, value in (
        ("NO_INDEX", "1"),
        ("FIND_LINKS", str(folder)),
        ("CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(f"PIP_{key}", value)
    monkeypatch.setattr(
        "mainspring.ground.venvs._uv", lambda: None
    )  # not uv: it reads other variables
    return folder


def test_an_environment_is_built_once_and_a_predictor_runs_in_it(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    wanted = Wanted(requirements=["pebble==1.0"])
    found: list[Path] = []
    two = [
        threading.Thread(
            target=lambda: found.append(environments.python_of(wanted, cache / "environments"))
        )
        for _ in range(2)
    ]
    for one in two:
        one.start()
    for one in two:
        one.join(120)
    assert found[0] == found[1]
    log = cache / "environments" / "built" / f"{wanted.digest}.log"
    assert log.read_text().count("Successfully installed pebble-1.0") == 1
    assert environments.lacks(wanted, found[0]) == []
    assert environments.lacks(Wanted(requirements=["pebble>1"]), found[0]) == ["pebble>1"]

    monkeypatch.setattr("mainspring.scaling.models.apart.places._told", [cache])
    source = b"import pebble, sys\nclass Heavy:\n    def predict(self, frame):\n"
    source += b"        assert 'mainspring' not in sys.modules and isinstance(frame, dict)\n"
    source += b"        return [pebble.weigh(one) for one in frame['a']]\n"
    facts = Facts(
        loader="predictor",
        kind="regression",
        columns=[Column(name="a", type="float")],
        entry="heavy.py:Heavy",
        environment=wanted,
    )
    model = Apart(facts, {"heavy.py": sha256(source)}, lambda path: source)
    assert model.predict(pl.DataFrame({"a": [1.0, 2.5]})).tolist() == [3.0, 7.5]


def test_one_that_a_person_named_is_taken_if_it_holds_everything(tmp_path: Path) -> None:
    numpy = metadata.version("numpy")
    wanted = Wanted(python=HERE, requirements=[f"numpy=={numpy}", "polars>=1"])
    named = {"mine": sys.executable}
    assert environments.python_of(wanted, tmp_path, named) == Path(sys.executable)
    assert environments.lacks(Wanted(python="2.7"), Path(sys.executable)) == ["Python 2.7"]
    with pytest.raises(BadInputError, match="There is no Python at"):
        environments.python_of(
            Wanted(requirements=["x"]), tmp_path, {"gone": str(tmp_path / "no")}
        )


def test_one_that_cannot_be_built_says_what_pip_said(wheels: Path, tmp_path: Path) -> None:
    wanted = Wanted(requirements=["no-such-thing-at-all==9"])
    with pytest.raises(BadInputError, match="No matching distribution found") as told:
        environments.python_of(wanted, tmp_path / "cache")
    assert f"{wanted.digest}.log" in (told.value.hint or "")
    with pytest.raises(BadInputError, match=r"Python 3\.2 is asked for, and it is not on"):
        environments.python_of(Wanted(python="3.2"), tmp_path / "cache")


@pytest.mark.parametrize("line", ["-r other.txt", "--index-url http://x", "a b", "=="])
def test_a_line_that_is_no_requirement_is_refused(line: str) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        environments.requirements(f"numpy\n{line}\n")


def test_requirements_are_read_without_comments_and_in_order() -> None:
    text = "# made by hand\nscipy>=1  # for the curve\n\nnumpy==2.0\nnumpy==2.0\n"
    assert environments.requirements(text) == ["numpy==2.0", "scipy>=1"]
