"""The page on batches does what it says, from its first block on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from mainspring.cli.start import main

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "batch-scoring.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    said = ""
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), {})
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            assert main(words[1:]) == 0, (line, capfd.readouterr())
            said += capfd.readouterr().out
    found = pl.read_parquet("scored.parquet")
    assert found.columns == [
        "order", "amount", "prediction_id", "prediction", "score", "model_version",
    ]  # fmt: skip
    assert found.height == 1_000
    assert "1,000 rows are scored by orders/1: night.csv" in said
    assert "They are fed: mainspring monitor nightly" in said
    assert "1,000 labels: 1,000 are new." in said
    assert "no prediction here" not in said, "the labels met their rows"
