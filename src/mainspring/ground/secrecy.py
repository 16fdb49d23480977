"""Take secrets out of a text before it is written where many may read it."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"

#: What a name must hold for its value to be taken for a secret.
_NAMES = r"password|passwd|secret|token|api[_-]?key|access[_-]?key|credential"
_FORMS = re.compile(
    # 1. Keys by their own form: ours, those of well-known services, signed web tokens, PEM.
    r"\bms_[0-9a-z]{20,}_[\w-]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[a-z]-[\w-]{10,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"
    r"|hooks\.slack\.com/services/[\w/]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    # 2. What stands behind a name that says so.
    r"|(?P<header>\b(?:proxy-)?authorization|\bx-mainspring-secret|\b(?:set-)?cookie)"
    r"(?P<colon>['\"]?\s*[:=,]\s*(?:b?['\"])?)(?:(?:bearer|basic)\s+)?[^\s'\",;]+"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    rf"|(?P<name>(?:{_NAMES})[\w-]*)(?P<is>['\"]?\s*[:=]\s*['\"]?)(?!{re.escape(HIDDEN)})"
    r"[^\s'\",;&)}\]]{3,}"
    # 3. The password of a URL.
    r"|(?P<user>://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)",
    re.IGNORECASE,
)
#: A text without any of these, in small letters, holds none of the forms: found in 1 us.
_HINTS = (
    *("ms_", "akia", "asia", "gh", "xox", "eyj", "slack", "private key"),
    *("authorization", "secret", "cookie", "bearer", "basic", "passw", "token", "key", "://"),
    "credential",
)
_SECRET_NAME = re.compile(rf"{_NAMES}|authorization|cookie", re.IGNORECASE)
_KNOWN: set[str] = set()
_MUTEX = threading.Lock()


def hide(secret: str | None) -> None:
    """Never let a secret of this process through again, wherever it stands in a text."""
    if secret and len(secret) >= 6:  # a shorter one would tear holes into common words
        with _MUTEX:
            _KNOWN.add(secret)


def is_secret_name(name: str) -> bool:
    """Return whether a field so named holds a secret.

    >>> is_secret_name("api_key"), is_secret_name("endpoint")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def scrubbed(text: str) -> str:
    """Return a text with ``***`` where a secret stood.

    Known are our own tokens, keys of well-known services by their form, whatever stands behind
    a word such as ``password=`` or ``Authorization:``, passwords in URLs, and what was given to
    :func:`hide`. A secret that looks like any other word cannot be known.

    >>> scrubbed("postgresql://me:hush@host/db refused, Authorization: Bearer abc.def")
    'postgresql://me:***@host/db refused, Authorization: ***'
    """
    for secret in tuple(_KNOWN):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    small = text.lower()
    return _FORMS.sub(_hidden, text) if any(hint in small for hint in _HINTS) else text


class Hiding:
    """Takes given secrets out, in the forms they may have: as they are, and encoded.

    >>> Hiding(["pa/ss word"]).text("pa/ss word, pa%2Fss%20word, cGEvc3Mgd29yZA==")
    '***, ***, ***'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for one in secrets for form in _forms(one) if form}
        self._all = sorted(forms, key=len, reverse=True)
        self._found = re.compile(b"|".join(map(re.escape, self._all)) or b"(?!)")

    def data(self, data: bytes) -> bytes:
        """Return bytes with ``***`` where a secret stood."""
        return self._found.sub(HIDDEN.encode(), data)

    def text(self, text: str) -> str:
        """Return a text with ``***`` where a secret stood."""
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def begun(self, data: bytes) -> int:
        """Return how many bytes of the end may be the beginning of a secret."""
        most = min(max(map(len, self._all), default=1) - 1, len(data))
        for count in range(most, 0, -1):
            end = data[-count:]
            if any(one.startswith(end) for one in self._all):
                return count
        return 0


def _forms(secret: str) -> set[bytes]:
    plain = secret.encode("utf-8", "surrogatepass")
    texts = {
        secret,
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
    encoded = {base64.b64encode(plain), base64.urlsafe_b64encode(plain)}
    return {one.encode("utf-8", "surrogatepass") for one in texts} | encoded


def _hidden(found: re.Match[str]) -> str:
    parts = found.groupdict()
    for first, second in (("header", "colon"), ("name", "is")):
        if parts[first]:
            return f"{parts[first]}{parts[second]}{HIDDEN}"
    return f"{parts['scheme'] or parts['user'] or ''}{HIDDEN}"
