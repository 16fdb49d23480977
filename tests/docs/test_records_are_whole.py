"""The decision records leave no number out, and the one on dependencies names every one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"


def test_decisions_are_numbered_without_a_hole() -> None:
    files = sorted(DECISIONS.glob("*.md"))
    assert [int(file.name[:3]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        assert file.read_text("utf-8").startswith(f"# {file.name[:3]}"), file.name


def test_every_dependency_has_its_reason() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    reasons = (DECISIONS / "002-dependencies.md").read_text("utf-8").casefold()
    for line in wanted:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0].casefold()
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", reasons), name
