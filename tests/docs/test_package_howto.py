"""The page on images does what it says, up to the building, which test_images.py does for real."""

from __future__ import annotations

import re
import shlex
import tarfile
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.scaling.serving import packaged

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "package-as-an-image.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
#: These need a tool that builds, or never end.
_ELSEWHERE = ("--build", "serve-package")
#: These ask a registry: see test_registries.py.
_ASKS = "mainspring package orders/1"


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
            if words[0] != "mainspring" or any(one in words for one in _ELSEWHERE):
                continue
            if line == _ASKS or "registry.example.org" in line:
                continue
            assert main(words[1:]) == 0, (line, capfd.readouterr())
            said += capfd.readouterr().out
    assert "orders/1: image-orders-1 holds what its image is built from." in said
    assert said.count("is not pinned") == 2
    packaged.Folder(tmp_path / "image-orders-1" / "model")
    with tarfile.open("model.tar.gz") as tar:
        assert "version.json" in tar.getnames()
    assert (tmp_path / "image-history" / "project" / "project.py").is_file()
