"""Complete a word on the command line. Nothing heavy is imported: a key was pressed."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

#: What stands at the places of a command, by its name; with "*" the others are like the last.
_PLACES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("run", "repeat", "tune"), ("pipeline",)),
    **dict.fromkeys(("resume", "rerun", "cancel", "show", "again", "reproduce"), ("run",)),
    **dict.fromkeys(("waiting", "env show", "env build", "runs follow"), ("run",)),
    **dict.fromkeys(("why", "approve-step", "reject-step"), ("run", "step")),
    "compare": ("run", "*"),
    "schedule add": ("", "pipeline"),
    "trigger add": ("", "pipeline"),
    **dict.fromkeys(("data log", "data get", "data show", "data rm", "data tag"), ("dataset",)),
    "data diff": ("dataset", "*"),
    "data push": ("", "dataset", "*"),
    **dict.fromkeys(("models", "promote", "rollback", "judge", "serve", "readiness"), ("model",)),
}
#: What stands behind an option.
_OPTIONS = {
    "--only": "step", "--from": "step", "--step": "step", "--run": "run",
    "-p": "param", "--param": "param", "--register": "model", "--pipeline": "pipeline",
}  # fmt: skip
_WHERE = ("--home", "--url", "--token", "--run")
_SWITCHES = {"--json", "--json-lines", "--quiet", "-q", "--smoke", "--follow", "-f", "--help"}


def answer(words: Sequence[str]) -> int:
    """Print what the last of the words may become, one a line. It never fails: a key was hit."""
    from mainspring.ground.errors import MainspringError

    try:
        found = candidates(words)
    except (MainspringError, OSError):  # such as a setting that cannot be so
        found = []
    shown = [one for one in found if one.isprintable() and not set(one) & set("\"'\\`$")]
    sys.stdout.write("".join(f"{one}\n" for one in shown))
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last word may become; it may be empty."""
    *before, current = words or [""]
    command = next((" ".join(before[:n]) for n in (2, 1) if " ".join(before[:n]) in _PLACES), "")
    if command and not current.startswith("-"):
        return _begins(current, _values(command, before[len(command.split()) :]))
    if current.startswith("-"):
        return _begins(current, _options(before))
    behind = _OPTIONS.get(before[-1]) if before else None
    if behind is not None:
        return _begins(current, _names(before, behind, None))
    return _begins(current, _commands(before))


def _values(command: str, rest: Sequence[str]) -> list[str]:
    """Return what may stand next behind a command and the words that follow it."""
    given: list[str] = []
    option = ""
    for word in rest:
        if option:
            option = ""
        elif word.startswith("-"):
            option = "" if "=" in word or word in _SWITCHES else word
        else:
            given.append(word)
    about = given[0] if given else None
    kind = _OPTIONS.get(option, "") if option else _place(_PLACES[command], len(given))
    return _names(rest, kind, about) if kind else []


def _place(places: Sequence[str], number: int) -> str:
    """Return what kind of name stands at a place of a command; nothing behind the last."""
    if places[-1] == "*" and number >= len(places) - 1:
        return places[-2]
    return places[number] if number < len(places) else ""


def _names(words: Sequence[str], kind: str, about: str | None) -> list[str]:
    from mainspring.ground.settings import load
    from mainspring.workspace import completing

    given = {a.removeprefix("--"): b for a, b in itertools.pairwise(words) if a in _WHERE}
    given |= {a[2:]: b for a, _, b in (one.partition("=") for one in words) if a in _WHERE and b}
    run = given.pop("run", None)
    return completing.names(load(given), kind, about or run)


def _begins(current: str, several: Sequence[str]) -> list[str]:
    return [one for one in several if one.startswith(current)]


def _commands(before: Sequence[str]) -> list[str]:
    from mainspring.cli.commands import every

    known = [name.split() for name in every()]
    deep = len(before)
    found = [one[deep] for one in known if one[:deep] == [*before] and len(one) > deep]
    return sorted(dict.fromkeys(found))


def _options(before: Sequence[str]) -> list[str]:
    """Return the options of the command that stands before, by its own declaration."""
    from mainspring.cli.commands import build

    app = build()
    for word in before:
        if word.startswith("-") or word not in app:
            break
        app = app[word]
    if app.default_command is None:
        return ["--help"]
    named = [name for one in app.assemble_argument_collection() for name in one.names]
    return [*(name for name in named if name.startswith("--")), "--help"]
