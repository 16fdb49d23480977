"""Read what values a param may take: ``int(10,200)``, ``log(1e-4,1e-1)``, ``['a','b']``."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainspring.experiments.exact import INT64, exact_key
from mainspring.ground.errors import BadInputError

MOST_CHOICES = 1_000
MOST_POINTS = 100_000  #: of a grid
_FORMS = "int(1,9), int(1,512,log), float(0,1), float(0,1,step=0.1), log(1e-4,1e-1), ['a','b']"
_CALL = re.compile(r"\s*(int|float|uniform|log)\s*\((.*)\)\s*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^'\\]*'|"[^"\\]*")|(?P<word>[A-Za-z]+)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*(?P<end>,|$)"""
)
_WORDS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}

Choice = None | bool | int | float | str


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """What one param may be: a range of numbers, or one of a list."""

    kind: Literal["int", "float", "choice"]
    low: float | int = 0
    high: float | int = 0
    log: bool = False  #: drawn evenly over orders of magnitude
    step: float | int | None = None
    choices: list[Choice] = []


Space = dict[str, Dimension]


def read_space(given: Mapping[str, Any] | Sequence[str]) -> Space:
    """Return the space that a mapping, or texts like ``lr=log(1e-4,1e-1)``, describe.

    >>> read_space(["trees=int(10,200)"])["trees"].high
    200
    >>> read_space({"kind": ["a", "b"]})["kind"].choices
    ['a', 'b']

    Raises:
        BadInputError: naming the param whose values cannot be read.
    """
    pairs: dict[str, Any] = {}
    if isinstance(given, Mapping):
        pairs = dict(given)
    else:
        for text in given:
            name, equals, values = text.partition("=")
            if not equals or not name.strip():
                raise BadInputError(
                    f"A dimension is written name=values, found {text[:80]!r}.",
                    field="space",
                    hint=f"Values are written {_FORMS}.",
                )
            if name.strip() in pairs:
                raise BadInputError(f"{name.strip()} stands twice in the space.", field="space")
            pairs[name.strip()] = values
    if not pairs:
        raise BadInputError("The space has no param to vary.", field="space")
    return {exact_key(name, "param"): dimension(name, values) for name, values in pairs.items()}


def read_file(file: Path) -> Space:
    """Return the space of a TOML file: its table ``[space]``, or all of it if it has none.

    Raises:
        BadInputError: if there is no such file or it cannot be read.
    """
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}.", field="space") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} is not valid TOML: {error}.", field="space") from error
    return read_space(found.get("space", found))


def dimension(name: str, values: Any) -> Dimension:
    """Return one dimension from a text or a list of choices.

    Raises:
        BadInputError: saying what was found and which forms there are.
    """
    if isinstance(values, Dimension):
        return values
    if isinstance(values, Mapping):
        return _record(name, values)
    if isinstance(values, list | tuple):
        return _choice(name, list(values))
    if not isinstance(values, str):
        raise _unread(name, values)
    text = values.strip()
    if text.startswith("["):
        if not text.endswith("]"):
            raise _unread(name, values)
        return _choice(name, list(_listed(name, text[1:-1])))
    call = _CALL.fullmatch(text)
    if call is None:
        raise _unread(name, values)
    return _range(name, call[1], call[2].split(","), values)


def size(space: Space) -> int | None:
    """Return how many points a grid over the space has; None if a range is continuous."""
    total = 1
    for one in space.values():
        count = _count(one)
        if count is None:
            return None
        total *= count
    return total


def grid(space: Space) -> list[dict[str, Choice]]:
    """Return every point of the space, the last param varying fastest.

    Raises:
        BadInputError: if a range is continuous, or there are more than 100,000 points.
    """
    for name, one in space.items():
        if _count(one) is None:
            raise BadInputError(
                f"A grid cannot try every value of {name}, which is continuous.",
                field="space",
                hint=f"Give it a step, such as {name}=float(0,1,step=0.1), or a list.",
            )
    if (size(space) or 0) > MOST_POINTS:
        raise BadInputError(
            f"The grid has {size(space):,} points; at most {MOST_POINTS:,} are tried.",
            field="space",
        )
    return [
        dict(zip(space, point, strict=True)) for point in product(*map(_values, space.values()))
    ]


def _values(one: Dimension) -> list[Choice]:
    if one.kind == "choice":
        return list(one.choices)
    step = one.step or 1
    count = _count(one) or 0
    if one.kind == "int":
        return [int(one.low) + n * int(step) for n in range(count)]
    # Rounded, so that 0.1 * 3 is 0.3 in a param's text.
    return [float(f"{one.low + n * step:.12g}") for n in range(count)]


def _count(one: Dimension) -> int | None:
    if one.kind == "choice":
        return len(one.choices)
    if one.kind == "float" and one.step is None:
        return None
    return math.floor((one.high - one.low) / (one.step or 1) + 1e-9) + 1


def _range(name: str, word: str, parts: list[str], values: str) -> Dimension:
    """Read ``low, high`` and what may follow: ``log`` or ``step=...``."""
    numbers: list[float | int] = []
    step: float | int | None = None
    log = word == "log"
    for part in (piece.strip() for piece in parts):
        if part == "log":
            log = True
        elif part.startswith("step="):
            step = _number(name, part[5:].strip(), values)
        elif len(numbers) < 2:
            numbers.append(_number(name, part, values))
        else:
            raise _unread(name, values)
    if len(numbers) != 2:
        raise _unread(name, values)
    whole = word == "int"
    if whole and not all(isinstance(n, int) for n in (*numbers, step or 1)):
        raise BadInputError(f"{name}: int(...) takes whole numbers, found {values!r}.", field=name)
    low, high = numbers
    _check_range(name, low, high, log=log, step=step)
    if not whole:
        low, high, step = float(low), float(high), None if step is None else float(step)
    return Dimension(kind="int" if whole else "float", low=low, high=high, log=log, step=step)


def _check_range(name: str, low: float, high: float, *, log: bool, step: float | None) -> None:
    if not low < high:
        raise BadInputError(
            f"{name}: the first number must be below the second, found {low} and {high}.",
            field=name,
        )
    if log and low <= 0:
        raise BadInputError(f"{name}: orders of magnitude begin above 0, found {low}.", field=name)
    if step is not None and (step <= 0 or log):
        why = "a step cannot go with log" if log else f"a step must be above 0, found {step}"
        raise BadInputError(f"{name}: {why}.", field=name)


def _number(name: str, text: str, values: str) -> float | int:
    if not _NUMBER.fullmatch(text):
        raise _unread(name, values)
    if re.fullmatch(r"[+-]?\d+", text):
        whole = int(text) if len(text) < 40 else INT64
        if not -INT64 <= whole < INT64:
            raise BadInputError(f"{name}: {text[:40]} does not fit 64 bits.", field=name)
        return whole
    number = float(text)
    if not math.isfinite(number):
        raise BadInputError(f"{name}: {text[:40]} is too large.", field=name)
    return number


def _listed(name: str, text: str) -> Iterator[Choice]:
    place = 0
    while place < len(text) and text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None or (found["word"] and found["word"] not in _WORDS):
            raise _unread(name, f"[{text}]")
        place = found.end()
        if found["text"]:
            yield found["text"][1:-1]
        elif found["word"]:
            yield _WORDS[found["word"]]
        else:
            yield _number(name, found["number"], f"[{text}]")


def _choice(name: str, values: list[Any]) -> Dimension:
    for value in values:
        if value is not None and not isinstance(value, bool | int | float | str):
            raise BadInputError(
                f"{name}: a choice is text, a number, a bool or None,"
                f" found {type(value).__name__}.",
                field=name,
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInputError(f"{name}: a choice must be finite, found {value}.", field=name)
    if not 1 <= len(values) <= MOST_CHOICES:
        raise BadInputError(
            f"{name}: a list holds 1 to {MOST_CHOICES:,} choices, found {len(values)}.",
            field=name,
        )
    if len({(type(value), value) for value in values}) != len(values):
        raise BadInputError(f"{name}: a choice stands twice in {values!r:.80}.", field=name)
    return Dimension(kind="choice", choices=values)


def _record(name: str, values: Mapping[str, Any]) -> Dimension:
    """Return a dimension that came written out, as over HTTP, checked like any other."""
    try:
        one = msgspec.convert(dict(values), Dimension)
    except msgspec.ValidationError as error:
        raise BadInputError(f"{name}: {error}.", field=name) from error
    if one.kind == "choice":
        return _choice(name, one.choices)
    if one.kind == "int" and not all(isinstance(n, int) for n in (one.low, one.high)):
        raise _unread(name, values)
    if not all(math.isfinite(n) for n in (one.low, one.high, one.step or 1)):
        raise _unread(name, values)
    _check_range(name, one.low, one.high, log=one.log, step=one.step)
    return one


def _unread(name: str, values: object) -> BadInputError:
    return BadInputError(
        f"{str(name)[:80]}: the values {str(values)[:80]!r} cannot be read.",
        field=str(name)[:80],
        hint=f"They are written {_FORMS}.",
    )
