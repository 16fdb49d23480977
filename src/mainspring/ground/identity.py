"""Names, ids and digests: how things are called and how bytes are known again."""

from __future__ import annotations

import hashlib
import os
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u to misread
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def new_id(kind: str) -> str:
    """Return a new id such as ``run_01j...`` that sorts by the time it was made.

    48 bits of milliseconds, then 80 random bits, in base 32.
    """
    millis = time.time_ns() // 1_000_000
    number = (millis << 80) | int.from_bytes(os.urandom(10), "big")
    digits = []
    for _ in range(26):
        number, rest = divmod(number, 32)
        digits.append(_ALPHABET[rest])
    return f"{kind}_{''.join(reversed(digits))}"


def sha256(data: bytes) -> str:
    """Return the digest of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any) -> bytes:
    """Return the one JSON form of a value: keys sorted, no spaces.

    Two equal values always give the same bytes, so their digest can name them.
    """
    return msgspec.json.encode(value, order="deterministic")


def key_of(*parts: Any) -> str:
    """Return the digest of several values together; order counts."""
    return sha256(canonical(list(parts)))


def is_digest(text: str) -> bool:
    """Return whether a text is 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def check_digest(text: str, field: str = "digest") -> str:
    """Return a digest unchanged, or say why it is none.

    Raises:
        BadInputError: if it is not 64 lower-case hexadecimal digits.
    """
    if not is_digest(text):
        raise BadInputError(
            f"{field} must be 64 hexadecimal digits, found {text[:80]!r}.", field=field
        )
    return text


def check_name(text: str, field: str = "name") -> str:
    """Return a name unchanged, or say why it cannot be one.

    Names stand in URLs, file names and shells, so they are plain: a letter or digit, then
    up to 127 letters, digits, ``_``, ``.`` or ``-``.

    Raises:
        BadInputError: if the name holds anything else.
    """
    if not _NAME.fullmatch(text) or ".." in text:
        shown = unicodedata.normalize("NFC", str(text))[:80]
        raise BadInputError(
            f"{field} must be 1 to 128 letters, digits, '_', '.' or '-' and begin with a letter"
            f" or digit, found {shown!r}.",
            field=field,
        )
    return text


def slug(text: str, fallback: str = "project") -> str:
    """Return the nearest valid name to any text.

    >>> slug("My churn data (2024)")
    'my-churn-data-2024'
    >>> slug("Größe und Maß")
    'grosse-und-mass'
    """
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    cut = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64].strip("-_")
    return cut or fallback
