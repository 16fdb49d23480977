"""Every ``mainspring ...`` command that the documents show exists, with the options shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.cli.commands import build, every

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`(mainspring [^`\n]+)`")
#: What stands in a shown command for something that is different each time.
_STANDS_FOR = {"RUN_ID": "run_01", "...": "x"}


def _commands(page: Path) -> Iterator[str]:
    """Yield every command of a page: the lines of its blocks, and what stands in the text."""
    text = page.read_text("utf-8")
    for language, block in _BLOCK.findall(text):
        if language in ("", "sh", "shell", "console", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.search(r"(?:^|&& |\$ )\s*(mainspring .*)", line)
                if found:
                    yield found[1]
    yield from _INLINE.findall(_BLOCK.sub("", text))


def _words(command: str) -> list[str]:
    words = shlex.split(command, comments=True)[1:]
    for place, word in enumerate(words):
        if word in (">", ">>", "|", "&&", "2>", ";"):
            words = words[:place]
            break
    return [_STANDS_FOR.get(word, word) for word in words]


FOUND = [(page, command) for page in PAGES for command in _commands(page)]


@pytest.mark.parametrize(
    ("page", "command"),
    [pytest.param(p, c, id=f"{p.relative_to(ROOT)}:{c}") for p, c in FOUND],
)
def test_a_shown_command_parses(page: Path, command: str) -> None:
    words = _words(command)
    if not words or words == ["--version"] or words == ["--help"]:
        return
    name = " ".join(words[:2]) if " ".join(words[:2]) in every() else words[0]
    if words in (["loop"], ["token"], ["audit"]):
        return
    # A bare name in running text names the command; only blocks and full lines give arguments.
    if name in every() and words == name.split():
        return
    build().parse_args(words, exit_on_error=False, print_error=False, help_on_error=False)


def test_the_documents_show_commands_at_all() -> None:
    shown = {words[0] for _, command in FOUND if (words := _words(command))}
    assert {"init", "run", "up", "predict", "label", "monitor", "why", "simulate"} <= shown


def test_every_example_of_the_help_parses() -> None:
    for _, _, _, example in every().values():
        build().parse_args(
            shlex.split(example)[1:], exit_on_error=False, print_error=False, help_on_error=False
        )
