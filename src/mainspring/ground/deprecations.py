"""The record of something that goes away, and the headers that say so."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from mainspring.ground.records import Record


class Deprecation(Record, frozen=True, kw_only=True):
    """Something that goes away at a date: who stands on it should move.

    ``subject`` is ``endpoint:NAME``, ``model:NAME``, ``model/number`` or ``dataset:NAME``.
    """

    subject: str
    since: float  #: UTC seconds of the wall clock
    until: float  #: from then on nobody should ask for it
    reason: str
    by: str
    use: str = ""  #: what to use instead, in the same form


def headers(one: Deprecation) -> list[tuple[bytes, bytes]]:
    """Return what an answer says of it: ``Deprecation``, ``Sunset`` and where to go instead.

    Example:
        >>> gone = Deprecation(subject="endpoint:a", since=1.0, until=2.0, reason="r", by="me")
        >>> headers(gone)
        [(b'deprecation', b'@1'), (b'sunset', b'Thu, 01 Jan 1970 00:00:02 GMT')]

    Source: RFC 9745, section 2 (a structured date); RFC 8594, section 3 (an HTTP date) and, for
    the link, RFC 5829, section 3.3.
    """
    sunset = format_datetime(datetime.fromtimestamp(int(one.until), UTC), usegmt=True)
    found = [(b"deprecation", b"@%d" % int(one.since)), (b"sunset", sunset.encode())]
    kind, _, name = one.use.partition(":")
    if kind == "endpoint" and name:
        link = f'</endpoints/{name}/invocations>; rel="successor-version"'
        found.append((b"link", link.encode()))
    return found
