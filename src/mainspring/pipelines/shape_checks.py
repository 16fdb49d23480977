"""What the words for shapes refuse while a pipeline is wired, each with what was found."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.declare import Step

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")


def within(name: str, found: object, low: int, high: int) -> None:
    """Refuse what is no whole number within bounds."""
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise BadInputError(f"{name} must be from {low} to {high:,}, found {found!r}.", field=name)


def check_callable(found: object, word: str) -> None:
    """Refuse what cannot be called."""
    if not callable(found):
        raise BadInputError(
            f"ms.{word} takes a step or a function that wires steps, found {found!r:.80}.",
            field="body",
            hint="Pass the function itself, or write lambda: in front of the call.",
        )


def takes_one(function: Callable[..., Any]) -> bool:
    """Return whether a function takes an argument."""
    plain = function.function if isinstance(function, Step) else function
    return bool(inspect.signature(plain).parameters)


def called_so(name: str | None, body: object, word: str) -> str:
    """Return what a shape is called: as it was asked, else by its function, else by its word."""
    if name is not None:
        return check_name(name)
    own = getattr(body, "name", getattr(body, "__name__", word))
    return word if own == "<lambda>" else str(own)


def check_name(name: object) -> str:
    """Return a name that is one."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r:.80} is no name: letters, digits, _ and -, up to 80.", field="name"
        )
    return name


def truth(found: object) -> bool:
    """Return what is True or False; refuse the rest."""
    if not isinstance(found, bool):
        raise BadInputError(
            f"A condition must be True or False, found {found!r:.80}.",
            field="condition",
            hint="Let a step compare and return a bool.",
        )
    return found


def one_of(name: str, found: object, allowed: Sequence[str]) -> None:
    """Refuse what is none of several words."""
    if found not in allowed:
        raise BadInputError(f"{name} must be {' or '.join(allowed)}, found {found!r}.", field=name)


def check_text(name: str, found: object) -> str:
    """Return text that is not too long."""
    if not isinstance(found, str) or len(found) > 2000:
        raise BadInputError(f"{name} must be text of up to 2,000 letters.", field=name)
    return found
