"""What is installed is written down so that it can be fetched again, and from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.ground import environment, locks

COMMIT = "5a1f" * 10
FROM_GIT = {"url": "https://git.example/a.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    environment.environment.cache_clear()
    yield tmp_path
    environment.environment.cache_clear()


@pytest.mark.parametrize(
    ("origin", "line", "left"),
    [
        (None, "tide-tools==1.0", None),
        (FROM_GIT, f"tide-tools @ git+https://git.example/a.git@{COMMIT}", None),
        (
            FROM_GIT | {"subdirectory": "py"},
            f"tide-tools @ git+https://git.example/a.git@{COMMIT}#subdirectory=py",
            None,
        ),
        (
            {"url": "file:///a", "dir_info": {"editable": True}},
            None,
            "installed for editing from file:///a",
        ),
        (
            {"url": "https://me:key@x.example/a.whl", "archive_info": {}},
            None,
            "installed from https://x.example/a.whl",
        ),
    ],
    ids=["index", "git", "part of a repository", "editable", "address"],
)
def test_a_package_is_asked_of_an_index_only_if_it_came_from_one(
    origin: dict[str, object] | None, line: str | None, left: str | None, site: Path
) -> None:
    info = site / "tide_tools-1.0.dist-info"
    info.mkdir()
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))
    found = locks.installed()
    mine = [one for one in found.lines if one.startswith("tide")]
    assert (mine, found.left.get("tide-tools")) == ([line] if line else [], left)
