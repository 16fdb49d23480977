"""The page on finding and comparing runs does what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import mainspring as ms
from mainspring.cli.start import main

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "find-and-compare-runs.md").read_text()


def test_the_page_on_finding_runs_works_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    scope: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "the page", "exec"), scope)
    out = capfd.readouterr().out
    assert out.splitlines() == ["10 [0.94, 0.91]", "['C'] 0.925"]
    first, second = ms.search(experiment="churn", order="started").ids
    names = {"run_01jf3k": first, "run_01jf3m": second}
    commands = re.findall(r"^(mainspring .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        words = [names.get(word, word) for word in shlex.split(command)[1:]]
        assert main(words) == 0, command
    told = capfd.readouterr().out
    assert "auc by params.C" in told
    assert "id,params.C,metrics.auc,duration" in told
