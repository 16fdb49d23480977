"""Take only values that can be given back exactly as they came."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from mainspring.ground.errors import BadInputError, NotExactError, TooLargeError
from mainspring.ground.identity import canonical

INT64 = 2**63
MAX_KEY = 250
MAX_TEXT = 64_000
#: Kinds of characters that nobody sees: control, format, private, unknown, line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})
#: Others that take no room or look like a space, which Unicode counts as letters, marks, signs
#: or spaces.
_LIKE_NOTHING = frozenset(
    "\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b\u180c\u180d\u180f\u202f\u205f\u2800"
    "\u3164\uffa0"
) | {chr(number) for number in (*range(0x2000, 0x200B), *range(0xFE00, 0xFE10))}
_VARIANTS = range(0xE0100, 0xE01F0)
#: The first and the last moment that a calendar has: the years 1 to 9999, in UTC seconds.
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0


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


def exact_time(value: object, field: str) -> float:
    """Return a time in UTC seconds that a calendar has: of the years 1 to 9999.

    Raises:
        BadInputError: if it is no number.
        NotExactError: if no calendar has it, such as one in milliseconds.
    """
    if isinstance(value, bool):
        raise BadInputError(f"{field} must be UTC seconds, found {value!r}.", field=field)
    time = exact_float(value, field)
    if not math.isfinite(time):
        raise NotExactError(f"{field} must be finite, found {time}.", field=field)
    if not EARLIEST <= time <= LATEST:
        raise NotExactError(
            f"{field} must be UTC seconds of the years 1 to 9999, found {time!r}.", field=field
        )
    return time


def exact_key(key: object, field: str) -> str:
    """Return the key of a metric, param or tag as it is kept: a plain name.

    Raises:
        BadInputError: if it is no text, or no name: empty, too long, or like another one.
    """
    return plain_name(key, field)


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


def plain_name(name: object, field: str, most: int = MAX_KEY) -> str:
    """Return a name as it is kept: in Unicode's composed form, so that none is kept twice.

    >>> plain_name("Cafe\u0301", "name") == "Caf\u00e9"
    True

    Raises:
        BadInputError: if it is blank or too long, begins or ends with a blank, or holds what
            nobody can see: two such names would look alike.
    """
    if not isinstance(name, str):
        raise BadInputError(
            f"{field} must be text, found {type(name).__name__} {_shown(name)}.", field=field
        )
    if name.isascii() and name.isprintable() and name.strip() == name and 0 < len(name) <= most:
        return name  # most are
    plain = unicodedata.normalize("NFC", exact_text(name, field))
    if not plain.strip() or len(plain) > most:
        raise BadInputError(
            f"{field} must be 1 to {most} characters, found {_shown(name)}.", field=field
        )
    unseen = next((c for c in plain if is_unseen(c)), None)
    if unseen is not None or plain != plain.strip():
        what = "a blank at an end" if unseen is None else f"U+{ord(unseen):04X}"
        raise BadInputError(
            f"{field} {_shown(plain)} holds {what}, which nobody can see: two names would look"
            " alike.",
            field=field,
            hint="Leave it out.",
        )
    return plain


def is_unseen(character: str) -> bool:
    """Return whether nobody can see a character, or tell it from a space.

    >>> [is_unseen(one) for one in ("a", " ", "\u00a0", "\u200b", "\u3164")]
    [False, False, True, True, True]
    """
    return (
        character in _LIKE_NOTHING
        or unicodedata.category(character) in _UNSEEN
        or ord(character) in _VARIANTS
    )


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
        except (TypeError, UnicodeEncodeError, RecursionError) as error:
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
