"""The workflow that the page on CI shows is one, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from mainspring.cli.commands import build

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "gate-in-ci.md"


def test_the_workflow_of_the_page_runs_commands_that_exist() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    workflow = yaml.safe_load(block)
    steps = workflow["jobs"]["gate"]["steps"]
    asked = [re.sub(r"\$\{\{.*?\}\}", "flights/7", step["run"]) for step in steps if "run" in step]
    ours = [shlex.split(line.partition(" | ")[0])[1:] for line in asked if "mainspring " in line]
    ours = [words for words in ours if words[0] != "install"]
    assert [words[0] for words in ours] == ["models", "gate", "gate"]
    for words in ours:
        build().parse_args(words, exit_on_error=False, print_error=False, help_on_error=False)
    written = {words[words.index("--markdown") + 1] for words in ours if "--markdown" in words}
    assert written == {"comment.md"}
    assert "--body-file comment.md" in asked[-1]
    assert any(step.get("with", {}).get("report_paths") == "gate.xml" for step in steps)
