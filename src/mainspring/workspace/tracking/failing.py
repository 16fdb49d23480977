"""Why a run failed: the exception that ended it, as a tag and as a file of the run."""

from __future__ import annotations

import traceback

TRACE = "mainspring/trace.txt"
_MOST = 500  #: characters of the tag; the file has all of it


def tags(error: BaseException) -> dict[str, str]:
    """Return the tag that says in a line what was raised.

    >>> tags(ValueError("no luck"))
    {'mainspring.error': 'ValueError: no luck'}
    """
    return {"mainspring.error": _clean(_line(error))[:_MOST]}


def trace(error: BaseException) -> str:
    """Return the traceback, causes included."""
    return _clean("".join(traceback.format_exception(error)))


def _line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _clean(text: str) -> str:
    """Return text that UTF-8 can hold, whatever the message was made of."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
