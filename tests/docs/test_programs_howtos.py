"""The pages on other programs and on many workers do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.pipelines import project

DOCS = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    ("page", "steps"),
    [
        ("run-other-programs.md", ["load", "newest", "train", "report", "told"]),
        ("many-workers.md", ["train"]),
    ],
)
def test_the_page_can_be_followed(
    page: str,
    steps: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    said = ""
    for language, block in BLOCK.findall((DOCS / page).read_text("utf-8")):
        if language == "python":
            name = block.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(block)
            if name == "make_report.py":
                exec(compile(block, name, "exec"), {})
            continue
        for line in block.splitlines():
            code, told = main(shlex.split(line)[1:]), capfd.readouterr()
            assert code == 0, (line, told)
            said += told.out + told.err
    project.close()
    for step in steps:
        assert re.search(rf"\b{step}\b", said), (step, said)
    assert "finished" in said or "done" in said, said
