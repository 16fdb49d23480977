"""Packages that no index has are kept with a run, and are there when it is made again."""

from __future__ import annotations

import _bz2
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.backends.objects.local import LocalObjects
from mainspring.ground import environment, repacking
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import sha256_file
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import brought, captured, engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.proofs import remaking, reproducing

PROJECT = """
import mainspring as ms
import tide_tools
import tide_twice
from tide_parts import _bz2


@ms.step
def high() -> float:
    return tide_twice.twice(tide_tools.level()) * len(_bz2.BZ2Compressor().flush()[:1])


@ms.pipeline
def tide():
    return high()
"""

FAST = f"src/tide_parts/{Path(str(_bz2.__file__)).name}"


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def installed(site: Path, name: str, files: dict[str, str], origin: dict[str, object]) -> None:
    """Write a package as an installer leaves it behind."""
    info = f"{name}-1.0.dist-info"
    told = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/direct_url.json": json.dumps(origin),
    }
    told[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*told, f"{info}/RECORD"])
    for path, text in told.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages: one for editing, one that came from a folder."""
    tools, site = tmp_path / "tools", tmp_path / "site-packages"
    (tools / "src").mkdir(parents=True)
    (tools / "src" / "tide_tools.py").write_text("def level():\n    return 1.5\n")
    (tools / FAST).parent.mkdir()
    shutil.copy(str(_bz2.__file__), tools / FAST)  # a compiled module, whichever
    git(tools, "init", "-q")
    (tools / ".git" / "info" / "exclude").write_text("*.so\n")
    git(tools, "add", ".")
    git(tools, "commit", "-qm", "First")
    (tools / "src" / "tide_tools.py").write_text("def level():\n    return 2.5\n")
    pth = {"tide_tools.pth": f"{tools / 'src'}\n"}
    editable = {"url": tools.as_uri(), "dir_info": {"editable": True}}
    installed(site, "tide_tools", pth, editable)
    twice = {"tide_twice.py": "def twice(x):\n    return 2 * x\n"}
    installed(site, "tide_twice", twice, {"url": "file:///gone", "dir_info": {}})
    before = [one for one in os.environ.get("PYTHONPATH", "").split(":") if one]
    # A .pth file is read in site-packages alone, so the test says what it says.
    monkeypatch.setenv("PYTHONPATH", ":".join([*map(str, (site, tools / "src")), *before]))
    monkeypatch.syspath_prepend(tools / "src")
    monkeypatch.syspath_prepend(site)
    environment.environment.cache_clear()
    yield site
    environment.environment.cache_clear()


@pytest.fixture
def ws(site: Path, tmp_path: Path) -> Iterator[Workspace]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "project.py").write_text(PROJECT)
    found = open_workspace(Settings(root=str(root), home=str(tmp_path / "home")))
    yield found
    found.close()
    projects.close()


def ran(ws: Workspace) -> tuple[str, captured.ProjectFile]:
    run = running.start_run(ws, "tide")
    assert engines.drive(ws, run).status == "finished"
    told = ws.read(Permission.READ, lambda tx: captured.read(ws, tx, run))
    assert told is not None
    return run, told[0]


def made_again(ws: Workspace, run: str, **asked: object) -> Evidence:
    begun = remaking.ask(ws, remaking.Wanted(run=run, **asked))
    engines.settle(ws, begun.task)
    _, runs, _ = reproducing.reproduction(ws, begun.task)
    for one in runs:
        engines.drive(ws, one)
    _, _, found = reproducing.reproduction(ws, begun.task)
    assert found is not None
    return found


def test_they_are_kept_and_made_again_as_they_were(
    ws: Workspace, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, told = ran(ws)
    tools, twice = told.packages["tide-tools"], told.packages["tide-twice"]
    assert tools.sources is not None
    assert tools.sources.git is not None
    assert (tools.paths, tools.sources.git.changed) == (["src"], ["src/tide_tools.py"])
    assert (twice.sources, twice.file) == (None, "tide_twice-1.0-py3-none-any.whl")
    assert brought.is_same(tools, "tide-tools")
    assert brought.is_same(twice, "tide-twice")
    # The working tree goes on; the run is made again of what it was, compiled parts too.
    fast = site.parent / "tools" / FAST
    assert tools.compiled == {FAST: sha256_file(fast)}
    fast.write_bytes(b"compiled anew")
    assert not brought.is_same(tools, "tide-tools")
    source = Path(tools.sources.root) / "src" / "tide_tools.py"
    source.write_text("def level():\n    return 99\n")
    assert not brought.is_same(tools, "tide-tools")
    found = made_again(ws, run)
    assert found.detail["environment"].endswith("; tide-tools as it was then, beside them")
    assert (found.detail["verdict"], found.detail["packages"]) == ("identical", [])
    # Of another size: within a second the compiled file would pass for it.
    (site / "tide_twice.py").write_text("def twice(x):\n    return x + x + x\n")
    found = made_again(ws, run, here=True)
    assert "the value: 5.0 -> 7.5" in found.found
    assert found.detail["packages"] == ["tide-twice 1.0 with other files"]
    # What was not kept, because no index has it, is refused before anything is built.
    monkeypatch.setattr(remaking, "_is_unknown", lambda _, name: name == "tide-tools")
    found = made_again(ws, run, rebuild=True)
    assert found.detail["verdict"] == "cannot"
    assert "package tide-tools was installed for editing from file:///" in found.found
    assert found.found.endswith("or take what is installed here: --here")


def test_what_cannot_be_kept_says_why(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.parent / "tools" / FAST).write_bytes(b"compiled")
    monkeypatch.setattr(brought, "MOST_COMPILED", 7)
    (site / "tide_twice.py").unlink()
    left = {"tide-tools": "installed for editing", "tide-twice": "installed", "lost": "installed"}
    found = brought.taken(left, {}, LocalObjects(tmp_path / "objects"), tmp_path / "cache")
    assert {name: one.why for name, one in found.items()} == {
        "tide-tools": "it has compiled parts of 8 B, and 7 B are kept at most",
        "tide-twice": "its file tide_twice.py is missing",
        "lost": "it is not to be found",
    }
    assert not brought.is_same(found["tide-tools"], "tide-tools")


def test_a_wheel_is_made_again_of_what_is_installed(site: Path) -> None:
    info = repacking.info_of("tide-twice")
    assert info is not None
    name, data = repacking.wheel(info)
    assert repacking.wheel(info) == (name, data)
    assert name == "tide_twice-1.0-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        names, record = packed.namelist(), packed.read("tide_twice-1.0.dist-info/RECORD")
        assert packed.read("tide_twice.py") == (site / "tide_twice.py").read_bytes()
    assert "tide_twice-1.0.dist-info/direct_url.json" not in names
    assert record.startswith(b"tide_twice-1.0.dist-info/METADATA,sha256=")
    (site / "tide_twice.py").unlink()
    with pytest.raises(BadInputError, match=r"its file tide_twice\.py is missing"):
        repacking.wheel(info)


def test_the_finder_of_setuptools_says_where_packages_are(site: Path, tmp_path: Path) -> None:
    finder = {"__editable___a_1_0_finder.py": f"MAPPING: dict = {{'a': {str(tmp_path / 'x' / 'a')!r}}}\n"}  # fmt: skip  # noqa: E501
    installed(site, "a", finder, {"url": "file:///x", "dir_info": {"editable": True}})
    assert brought.imported_from(site / "a-1.0.dist-info") == [str(tmp_path / "x")]
