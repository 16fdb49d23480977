"""Read the fields of MLflow's requests, and write values in its forms."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from mainspring.experiments.exact import INT64
from mainspring.ground.errors import BadInputError, NotExactError, NotFoundError

_MOST_FIELDS = 1100  # of a query string: more ids than any route takes, so that it says so
_MOST_SHOWN = 200  # characters of a value in a message
_LARGEST = 1.7976931348623157e308
_MOST_MS = 2**50  #: up to here milliseconds survive being seconds in a float


class Fields:
    """The fields of one request; those that nobody asks for are ignored, as MLflow does."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, *names: str) -> str:
        """Return a required text by the first of its names that is there.

        Raises:
            BadInputError: if it is missing, empty or no text.
        """
        found = self.text_or(*names, default="")
        if not found:
            raise missing(names[0])
        return found

    def text_or(self, *names: str, default: str = "") -> str:
        """Return a text, or the default where there is none."""
        for name in names:
            value = self._values.get(name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise wrong(name, value)
            return value
        return default

    def raw(self, name: str) -> object:
        """Return a field as it came, for a message."""
        return self._values.get(name)

    def given(self, name: str) -> bool:
        """Return whether a field is there and not null."""
        return self._values.get(name) is not None

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number, which may come as text.

        Raises:
            BadInputError: if it is no whole number of 64 bits, or missing without a default.
        """
        value = self._values.get(name)
        if value is None:
            if default is None:
                raise missing(name)
            return default
        try:
            number = int(value) if isinstance(value, str) and len(value) <= 20 else value
        except ValueError:
            raise wrong(name, value) from None
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            raise wrong(name, value)
        if not -INT64 <= number < INT64:
            raise NotExactError(f"Invalid value {number} for parameter '{name}': not 64 bits.")
        return number

    def flag(self, name: str) -> bool:
        """Return whether something is wanted; it may come as text."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise wrong(name, value)

    def limit(self, default: int, most: int) -> int:
        """Return ``max_results``."""
        found = self.whole("max_results", default)
        if not 1 <= found <= most:
            raise BadInputError(
                f"Invalid value {found} for parameter 'max_results' supplied. It must be at"
                f" least 1 and at most {most}.",
                field="max_results",
            )
        return found

    def number(self, name: str) -> float:
        """Return a float; NaN and the infinities come as text.

        Raises:
            BadInputError: if it is no number.
        """
        value = self._values.get(name)
        if value is None:
            raise missing(name)
        if isinstance(value, str):
            named = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
            try:
                return named[value] if value in named else float(value)
            except ValueError:
                raise wrong(name, value) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(name, value)
        return _exact(name, value)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; a single text is a list of one, as in a query string."""
        value = self._values.get(name)
        found = [value] if isinstance(value, str) else value
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise wrong(name, value)
        return found

    def several(self, name: str) -> list[Fields]:
        """Return a list of messages."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise wrong(name, value)
        return [Fields(one) for one in value]

    def message(self, name: str) -> Fields | None:
        """Return a message within this one, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong(name, value)
        return Fields(value)

    def choice(self, name: str, names: Sequence[str], default: str = "") -> str:
        """Return one of some names; it may come as its number, counted from 1."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal() and len(value) < 4:
            value = int(value)
        if isinstance(value, int) and 1 <= value <= len(names):
            return names[value - 1]
        if value in names:
            return str(value)
        raise wrong(name, value)

    def seconds(self, name: str, default: float) -> float:
        """Return a time given in milliseconds, as seconds."""
        if self._values.get(name) is None:
            return default
        number = self.whole(name)
        if abs(number) > _MOST_MS:
            raise NotExactError(
                f"Invalid value {number} for parameter '{name}': such a time cannot be kept"
                " exactly.",
                field=name,
            )
        return number / 1000

    def offset(self) -> int:
        """Return where a page begins, as its token says."""
        token = self.text_or("page_token")
        if not token:
            return 0
        try:
            told = base64.b64decode(token.encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise BadInputError(
                "Invalid page token, could not base64-decode", field="page_token"
            ) from None
        try:
            found = msgspec.json.decode(told, type=_Token)
        except msgspec.MsgspecError:
            raise BadInputError("Invalid page token, parsing failed", field="page_token") from None
        if not 0 <= found.offset < 2**40:
            raise BadInputError("Invalid page token", field="page_token")
        return found.offset


class _Token(msgspec.Struct):
    offset: int


def token(offset: int) -> str:
    """Return the token of the page that begins at an offset."""
    return base64.b64encode(msgspec.json.encode(_Token(offset))).decode()


def page_of(name: str, rows: Sequence[Any], offset: int, limit: int) -> dict[str, Any]:
    """Return a page of ``rows``, of which there is one more than ``limit`` if there is more."""
    found: dict[str, Any] = {name: list(rows[:limit])} if rows else {}
    if len(rows) > limit:
        found["next_page_token"] = token(offset + limit)
    return found


def from_query(text: bytes) -> dict[str, Any]:
    """Return the fields of a query string; one that is repeated becomes a list.

    Raises:
        BadInputError: if it is no query string.
    """
    try:
        pairs = parse_qs(
            text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise BadInputError("The query string cannot be read.", field="query") from error
    return {key: found[0] if len(found) == 1 else found for key, found in pairs.items()}


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow gives it."""
    return round(seconds * 1000)


def metric_value(value: float) -> float | str:
    """Return a metric's value as MLflow writes it: JSON has no NaN and no infinity."""
    if math.isnan(value):
        return "NaN"
    return max(-_LARGEST, min(_LARGEST, value))


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags or params as a list of key and value."""
    return [{"key": key, "value": value} for key, value in values.items()]


def trimmed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without its unset fields and empty lists."""
    return {key: value for key, value in values.items() if value is not None and value != []}


def missing(name: str) -> BadInputError:
    """Return the refusal of a request that lacks a field."""
    return BadInputError(
        f"Missing value for required parameter '{name}'. See the API docs for more information"
        " about request parameters.",
        field=name,
    )


def wrong(name: str, value: object) -> BadInputError:
    """Return the refusal of a field of a type that it cannot have."""
    return BadInputError(
        f"Invalid value {as_json(value)} for parameter '{name}' supplied:  Hint: Value was of type"
        f" '{type(value).__name__}'. See the API docs for more information about request"
        " parameters.",
        field=name,
    )


def as_json(value: object) -> str:
    """Return how MLflow shows a value in a message: as JSON, here of bounded length.

    >>> as_json("a"), as_json([{"b": 1}])
    ('"a"', '[{"b":1}]')
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def absent(what: str) -> NotFoundError:
    """Return the refusal of something that is not there."""
    return NotFoundError(f"{what} not found")


def _exact(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if number != value and value == value:  # only NaN differs from itself
        raise NotExactError(
            f"Invalid value {str(value)[:40]} for parameter '{name}': it cannot be kept exactly.",
            field=name,
        )
    return number
