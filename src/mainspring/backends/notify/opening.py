"""Turn a channel's record into what sends: targets are read and refused in one place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mainspring.backends.notify.command import CommandNotifier
from mainspring.backends.notify.log import LogNotifier
from mainspring.backends.notify.mail import MailNotifier, MailServer
from mainspring.backends.notify.posting import refuse_inward
from mainspring.backends.notify.through_apprise import AppriseNotifier
from mainspring.backends.notify.webhook import SlackNotifier, WebhookNotifier
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Notifier

_ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
MOST_TO, MOST_WORDS = 50, 100


def open_notifier(
    kind: str, target: Mapping[str, Any], secret: str | None, allowed: Sequence[str]
) -> Notifier:
    """Return what sends over a channel; ``allowed`` are hosts of this network it may post to.

    For Slack and apprise the secret is the URL, for mail the password, for a webhook what
    signs.

    Raises:
        BadInputError: naming what is missing or wrong in the target.
    """
    if kind not in _MAKERS:
        raise BadInputError(
            f"A channel's kind is one of {', '.join(_MAKERS)}, found {kind[:40]!r}.", field="kind"
        )
    makes, known = _MAKERS[kind]
    odd = sorted(set(target) - set(known))
    if odd:
        raise BadInputError(
            f"A {kind} channel has no {odd[0]!r}.",
            field=odd[0],
            hint=f"It has: {', '.join(known) or 'nothing'}.",
        )
    return makes(target, secret, allowed)


def _log(_: Mapping[str, Any], __: str | None, ___: Sequence[str]) -> Notifier:
    return LogNotifier()


def _webhook(target: Mapping[str, Any], secret: str | None, allowed: Sequence[str]) -> Notifier:
    url = _text(target, "url")
    refuse_inward(url, allowed)
    return WebhookNotifier(url, secret, allowed)


def _slack(_: Mapping[str, Any], secret: str | None, allowed: Sequence[str]) -> Notifier:
    if not secret:
        raise BadInputError("A slack channel needs the URL of its webhook.", field="url")
    refuse_inward(secret, allowed)
    return SlackNotifier(secret, allowed)


def _apprise(_: Mapping[str, Any], secret: str | None, __: Sequence[str]) -> Notifier:
    if not secret or "://" not in secret:
        raise BadInputError("An apprise channel needs a URL such as tgram://...", field="url")
    return AppriseNotifier(secret)


def _mail(target: Mapping[str, Any], secret: str | None, _: Sequence[str]) -> Notifier:
    to = target.get("to")
    if not isinstance(to, list | tuple) or not 1 <= len(to) <= MOST_TO:
        raise BadInputError(f"A mail channel writes to 1 to {MOST_TO} people.", field="to")
    sender = _text(target, "sender")
    for field, address in [("sender", sender), *(("to", one) for one in to)]:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise BadInputError(f"{str(address)[:80]!r} is no mail address.", field=field)
    security = target.get("security", "starttls")
    if security not in ("starttls", "tls", "none"):
        raise BadInputError(
            f"security is starttls, tls or none, found {str(security)[:40]!r}.", field="security"
        )
    user = str(target.get("user", ""))
    if user and security == "none":
        raise BadInputError("A password is not sent without TLS.", field="security")
    port = target.get("port", {"tls": 465, "starttls": 587, "none": 25}[security])
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise BadInputError(f"port is 1 to 65535, found {port!r}.", field="port")
    server = MailServer(host=_text(target, "host"), port=port, security=security, user=user)
    return MailNotifier(server, sender, to, secret)


def _command(target: Mapping[str, Any], _: str | None, __: Sequence[str]) -> Notifier:
    words = target.get("command")
    if not isinstance(words, list | tuple) or not 1 <= len(words) <= MOST_WORDS or not words[0]:
        raise BadInputError(
            f"A command channel has a list of 1 to {MOST_WORDS} words.", field="command"
        )
    if any(not isinstance(word, str) or "\x00" in word for word in words):
        raise BadInputError("A word of the command is no text.", field="command")
    seconds = target.get("timeout_s", 30.0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadInputError("timeout_s is a number.", field="timeout_s")
    if not (0 < seconds <= 60 and math.isfinite(seconds)):
        raise BadInputError(f"timeout_s is above 0 and at most 60, found {seconds}.")
    return CommandNotifier(words, float(seconds))


def host_of(url: str) -> str:
    """Return as much of a URL as may be shown: no path, no user, no query.

    >>> host_of("https://hooks.slack.com/services/T0/B0/secret")
    'https://hooks.slack.com/...'
    """
    try:
        found = urlsplit(url)
        host = found.hostname or ""
    except ValueError:
        return "..."
    return f"{found.scheme}://{host}/..." if found.scheme in ("http", "https") else "..."


def _text(target: Mapping[str, Any], field: str) -> str:
    found = target.get(field)
    if not isinstance(found, str) or not found or len(found) > 2_000:
        raise BadInputError(f"{field} is missing, or no text.", field=field)
    return found


_Maker = Callable[[Mapping[str, Any], str | None, Sequence[str]], Notifier]
_MAKERS: dict[str, tuple[_Maker, tuple[str, ...]]] = {
    "log": (_log, ()),
    "webhook": (_webhook, ("url",)),
    "mail": (_mail, ("host", "port", "security", "user", "sender", "to")),
    "slack": (_slack, ("shown",)),
    "apprise": (_apprise, ("shown",)),
    "command": (_command, ("command", "timeout_s")),
}
