"""The page on models that are served elsewhere does what it says, from its first block on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mainspring.cli.start import main

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "watch-a-model-served-elsewhere.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {}
    said = ""
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), names)
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[:1] == ["mainspring"]:
                assert main(words[1:]) == 0, (line, capfd.readouterr())
                said += capfd.readouterr().out
    assert re.search(r"fraud:1700006400 .* alarm: amount, score", said), said
    assert re.search(r"nightly:\S+ .* alarm: .*amount", said), said
    assert "1,000 rows are kept" in said
    assert "drift" in said
    assert re.search(r"accuracy 0\.\d+", said), "the labels gave a performance"
