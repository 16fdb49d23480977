"""The page on secrets can be followed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.ground import settings
from mainspring.pipelines import project
from mainspring.workspace.opening import open_workspace

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "keep-secrets.md"


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text("utf-8")
    (tmp_path / "project.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "SECRET_KEY"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("mainspring.cli.secrets._asked", lambda _: "a value of some length")
    open_workspace(settings.load(start=tmp_path)).close()
    said = []
    for line in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0].splitlines():
        code, told = main(shlex.split(line)[1:]), capfd.readouterr()
        assert code == 0, (line, told)
        said.append(told.out)
    project.close()
    assert "the key is ***" in said[1]
    assert "SERVICE_KEY" in said[2]
    assert "not here" not in said[2]
    assert "1 values are sealed" in said[3]
