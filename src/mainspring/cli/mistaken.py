"""Word a mistake in what names a pipeline and its params: ``mainspring run wine folds=5``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError, MainspringError

if TYPE_CHECKING:
    from cyclopts import CycloptsError

_TAKING = ("run", "repeat")  #: commands that take a pipeline and -p
_ELSEWHERE = ("--home", "--url", "--root")  #: with which the pipelines here may be others
_NAMED = 12


def worded(error: CycloptsError, given: Sequence[str]) -> BadInputError | None:
    """Return what to say of a param or pipeline that was given another way; None for all else."""
    from cyclopts import MissingArgumentError, UnknownOptionError, UnusedCliTokensError

    command = " ".join(error.command_chain or ())
    if command not in _TAKING:
        return None
    name = next((w for w in given[1:] if not w.startswith("-") and "=" not in w), "")
    if isinstance(error, UnusedCliTokensError):
        loose = next((one for one in error.unused_tokens or () if _is_pair(one)), None)
        return None if loose is None else _param(command, name, loose, loose, given)
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        key = option.lstrip("-").replace("-", "_")
        params = _params(name, given)
        if not key.isidentifier() or key not in params:
            return None
        return _param(command, name, option, f"{key}={_value(option, given)}", given)
    if isinstance(error, MissingArgumentError) and command == "run" and not name:
        return _unnamed(given)
    return None


def _is_pair(word: str) -> bool:
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier()


def _value(option: str, given: Sequence[str]) -> str:
    """Return what was meant as the value of an option that is none."""
    for place, word in enumerate(given):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and place + 1 < len(given) and not given[place + 1].startswith("--"):
            return given[place + 1]
    return "VALUE"


def _param(
    command: str, pipeline: str, found: str, pair: str, given: Sequence[str]
) -> BadInputError:
    params = _params(pipeline, given)
    takes = f" {pipeline} takes {', '.join(params)}." if params else ""
    return BadInputError(
        f"A parameter of a pipeline is given with -p, found {found}.",
        field="param",
        hint=f"mainspring {command} {pipeline} -p {pair}.{takes}",
    )


def _unnamed(given: Sequence[str]) -> BadInputError:
    words = "run takes the name of a pipeline."
    try:
        names = [str(one["name"]) for one in _pipelines(given)]
    except MainspringError as error:
        hint = f"{error.message} {error.hint or ''}".strip()
        return BadInputError(words, field="pipeline", hint=hint)
    if not names:
        return BadInputError(words, field="pipeline", hint="See: mainspring run --help")
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return BadInputError(
        words,
        field="pipeline",
        hint=f"This project has {', '.join(names[:_NAMED])}{more}: mainspring run {names[0]}",
    )


def _params(pipeline: str, given: Sequence[str]) -> list[str]:
    """Return the params of a pipeline; none if the project does not say so just now."""
    try:
        found = _pipelines(given)
    except MainspringError:  # what is wrong with it is told by a command that is written right
        return []
    for one in found:
        if pipeline in (one["name"], one["target"]):
            return [str(param["name"]) for param in one["parameters"]]
    return []


def _pipelines(given: Sequence[str]) -> list[dict[str, Any]]:
    from mainspring.cli.options import HERE
    from mainspring.cli.remote import asking

    if any(word.partition("=")[0] in _ELSEWHERE for word in given):
        return []
    with asking(HERE, create=True) as house:
        found: list[dict[str, Any]] = house.call("pipelines.list")
        return found
