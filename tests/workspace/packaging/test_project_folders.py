"""The folder that a pipeline's image is built from: the project's files, what they import."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.settings import Settings
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.packaging import folders, projects

PROJECT = """
import mainspring as ms

@ms.step
def one() -> int:
    import xgboost
    return 1

@ms.pipeline
def tiny() -> int:
    return one()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git, with what must not be in an image."""
    root = tmp_path_factory.mktemp("project")
    files = {
        "project.py": PROJECT,
        "rows.csv": "a\n1\n",
        ".env": "TOKEN=secret",
        "server.key": "secret",
        "ignored.txt": "x",
        ".gitignore": "ignored.txt\n",
        "image-old/Containerfile": "FROM x",
        "mainspring.toml": "",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    dated = {"GIT_COMMITTER_DATE": "1700000000 +0000", "PATH": "/usr/bin:/bin"}
    for words in (["init", "-q"], ["add", "-A"], [*own, "commit", "-q", "-m", "First."]):
        subprocess.run(["git", *words], cwd=root, check=True, env=dated)
    return root


@pytest.fixture
def ws(root: Path, tmp_path: Path) -> Iterator[Workspace]:
    found = open_workspace(Settings(root=str(root), home=str(tmp_path / "home")))
    yield found
    found.close()


def test_a_project_gives_the_same_folder_every_time(ws: Workspace, root: Path) -> None:
    data = call(ws, "images.pipeline", pipeline="tiny")
    assert data == call(ws, "images.pipeline", pipeline="project:tiny")
    files = folders.unpacked(data)
    kept = {path for path in files if path.startswith("project/")}
    assert kept == {
        *("project/project.py", "project/rows.csv", "project/.gitignore"),
        "project/mainspring.toml",
    }
    text = files["Containerfile"].decode()
    assert 'org.opencontainers.image.created="2023-11-14T22:13:20Z"' in text
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    assert f'org.opencontainers.image.revision="{head.stdout.strip()}"' in text
    assert 'MAINSPRING_PIPELINE="project:tiny"' in text
    assert "VOLUME /var/lib/mainspring" in text
    pinned = files["requirements.txt"].decode()
    for name in ("scikit-learn", "sqlalchemy", "xgboost"):
        assert f"\n{name}" in pinned
    assert "pytest" not in pinned
    sbom = json.loads(files["sbom.cdx.json"])
    assert sbom["metadata"]["component"]["type"] == "container"


def test_a_pipeline_that_is_none_is_named(ws: Workspace) -> None:
    with pytest.raises(BadInputError, match="it has tiny"):
        projects.folder_of(ws, "huge")


def test_a_project_that_is_too_large_says_so(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(projects, "MOST_BYTES", 10)
    with pytest.raises(TooLargeError, match="more than"):
        dict(projects._files(root, tmp_path))


def test_without_git_hidden_files_stay_behind(tmp_path: Path) -> None:
    for path in ("a.py", ".hidden/b.py", "home/c.py", "inner/d.py", ".env"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x = 1\n")
    found = dict(projects._files(tmp_path, tmp_path / "home"))
    assert set(found) == {"a.py", "inner/d.py"}
