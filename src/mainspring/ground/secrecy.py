"""Take secrets out of a text before it is written where many may read it."""

from __future__ import annotations

import re
import threading

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


def _hidden(found: re.Match[str]) -> str:
    parts = found.groupdict()
    for first, second in (("header", "colon"), ("name", "is")):
        if parts[first]:
            return f"{parts[first]}{parts[second]}{HIDDEN}"
    return f"{parts['scheme'] or parts['user'] or ''}{HIDDEN}"
