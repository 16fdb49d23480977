"""Take only values that can be given back exactly as they came."""

from __future__ import annotations

import unicodedata
from typing import Any

from mainspring.ground.errors import BadInputError, NotExactError, TooLargeError
from mainspring.ground.identity import canonical

INT64 = 2**63
MAX_KEY = 250
MAX_TEXT = 64_000
#: Kinds of characters that nobody sees: control, format, private, unknown, line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})


def exact_float(value: object, field: str) -> float:
    """Return a number as a float of the same value; NaN and the infinities are values too.

    >>> exact_float(3, "loss")
    3.0

    Raises:
        BadInputError: if it is no number.
        NotExactError: if no float has its value, such as ``2**53 + 1``.
    """
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        raise BadInputError(
            f"{field} must be a number, found {type(value).__name__} {_shown(value)}.",
            field=field,
        )
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{field} must be one number: {error}.", field=field) from error
    if number != value and value == value:  # only NaN differs from itself
        raise NotExactError(
            f"{field} = {_shown(value)} cannot be kept exactly; the nearest float is {number!r}.",
            field=field,
            hint="Round it first, or keep it as a param, which is text.",
        )
    return number


def exact_int(value: object, field: str) -> int:
    """Return a whole number that fits 64 bits.

    Raises:
        BadInputError: if it is no whole number.
        NotExactError: if it lies outside of -2**63 to 2**63 - 1.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadInputError(
            f"{field} must be a whole number, found {type(value).__name__} {_shown(value)}.",
            field=field,
        )
    number = int(value.__index__())
    if not -INT64 <= number < INT64:
        raise NotExactError(f"{field} = {_shown(number)} does not fit 64 bits.", field=field)
    return number


def exact_key(key: object, field: str) -> str:
    """Return the key of a metric, param or tag: 1 to 250 characters.

    Raises:
        BadInputError: if it is empty, too long or no text.
    """
    text = exact_text(key, field) if isinstance(key, str) else ""
    if not 1 <= len(text) <= MAX_KEY:
        raise BadInputError(
            f"{field} must be 1 to {MAX_KEY} characters, found {_shown(key)}.", field=field
        )
    return text


def exact_text(value: str, field: str, most: int = MAX_TEXT) -> str:
    """Return text that every database keeps as it is.

    Raises:
        NotExactError: if it holds a NUL or half of a surrogate pair.
        TooLargeError: if it is longer than ``most`` characters.
    """
    if len(value) > most:
        raise TooLargeError(
            f"{field} has {len(value):,} characters; at most {most:,} are kept.",
            field=field,
            hint="Log it as an artifact.",
        )
    if "\x00" in value or not _is_whole(value):
        raise NotExactError(
            f"{field} holds a NUL or half a surrogate pair, which cannot be kept exactly.",
            field=field,
        )
    return value


def plain_name(name: str, field: str, most: int = MAX_KEY) -> str:
    """Return a name as it is kept: in Unicode's composed form, so that none is kept twice.

    >>> plain_name("Cafe\u0301", "name") == "Caf\u00e9"
    True

    Raises:
        BadInputError: if it is blank or too long, begins or ends with a blank, or holds what
            nobody can see: two such names would look alike.
    """
    plain = unicodedata.normalize("NFC", exact_text(name, field))
    if not plain.strip() or len(plain) > most:
        raise BadInputError(
            f"{field} must be 1 to {most} characters, found {_shown(name)}.", field=field
        )
    unseen = next((c for c in plain if unicodedata.category(c) in _UNSEEN), None)
    if unseen is not None or plain != plain.strip():
        what = "a blank at an end" if unseen is None else f"U+{ord(unseen):04X}"
        raise BadInputError(
            f"{field} {_shown(plain)} holds {what}, which nobody can see: two names would look"
            " alike.",
            field=field,
            hint="Leave it out.",
        )
    return plain


def param_text(value: Any, field: str) -> str:
    """Return a param as the text it is kept as: text as it is, numbers as Python shows them.

    Lists and dicts become JSON.

    >>> param_text(0.1, "rate"), param_text([1, 2], "layers")
    ('0.1', '[1,2]')

    Raises:
        BadInputError: if the value is none of these.
    """
    if isinstance(value, str):
        return exact_text(value, field)
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list | tuple | dict):
        try:
            return exact_text(canonical(value).decode(), field)
        except (TypeError, UnicodeEncodeError) as error:
            raise BadInputError(f"{field} is not JSON-like: {error}.", field=field) from error
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return param_text(value.item(), field)
    raise BadInputError(
        f"{field} must be text, a number, a bool, None, a list or a dict,"
        f" found {type(value).__name__}.",
        field=field,
    )


def _is_whole(value: str) -> bool:
    try:
        value.encode()  # half of a pair is all that cannot be
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
