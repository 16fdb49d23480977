"""A home that cannot be written is named, with what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.settings import Settings
from mainspring.workspace import opening
from mainspring.workspace.changes import sides


def test_a_home_that_is_a_file_or_lies_where_none_can_be_made_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "größe"
    file.touch()
    for home in (file, file / "below"):
        with pytest.raises(BadInputError, match=r"cannot be written: .*größe") as told:
            opening.open_workspace(Settings(root=str(tmp_path), home=str(home)))
        assert (told.value.exit_code, told.value.field) == (2, "home")

    def full(home: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home))

    monkeypatch.setattr(opening, "make_home", full)  # a full disk is nobody's input
    with pytest.raises(OSError, match="No space left"):
        opening.open_workspace(Settings(root=str(tmp_path), home=str(tmp_path / "home")))


def test_a_machine_without_git_is_told_so_and_not_that_a_commit_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInputError, match="git is not installed"):
        sides.commit_of(tmp_path, "HEAD")
