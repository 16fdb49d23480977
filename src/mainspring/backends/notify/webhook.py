"""Tell people by posting JSON: our own form, signed, or the form that Slack's webhooks take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mainspring.backends.notify.posting import accepted, post, signature
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.rules import Message

_MOST_SLACK = 2_900  #: characters of a section; Slack takes 3,000


class WebhookNotifier:
    """Posts a message, signed as Standard Webhooks are where there is a secret.

    ``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY``.
    """

    def __init__(self, url: str, secret: str | None, allowed: Sequence[str]) -> None:
        self._url, self._secret, self._allowed = url, secret, allowed

    def send(self, message: Message, at: float) -> str:
        """Post it and return the status that was answered.

        Raises:
            UnavailableError: if nobody answers, or it is told to come again.
            BadInputError: if it is refused, or the address is one of this network's.
        """
        body, stamp = json.dumps(body_of(message)).encode(), str(int(at))
        headers = {"webhook-id": message.id, "webhook-timestamp": stamp}
        if self._secret:
            headers["webhook-signature"] = signature(self._secret, message.id, stamp, body)
        return accepted(post(self._url, body, headers, self._allowed), self._url)


class SlackNotifier:
    """Posts what Slack's incoming webhooks (and Mattermost's, and Discord's /slack) take.

    The URL is itself the secret, so that no answer and no error names more than its host.
    """

    def __init__(self, url: str, allowed: Sequence[str]) -> None:
        self._url, self._allowed = url, allowed

    def send(self, message: Message, at: float) -> str:  # noqa: ARG002  Slack has its own clock
        """Post it and return the status that was answered.

        Raises:
            UnavailableError: if nobody answers, or it is told to come again.
            BadInputError: if it is refused, or the address is one of this network's.
        """
        body = json.dumps(slack_body(message)).encode()
        try:
            return accepted(post(self._url, body, {}, self._allowed), "Slack's address")
        except (BadInputError, UnavailableError) as error:
            # httpx and a receiver may repeat the address, which is the secret.
            told = str(error).replace(self._url, "the address")
            raise type(error)(told, field="url") from None


def body_of(message: Message) -> dict[str, Any]:
    """Return what a receiver of ours gets."""
    return {
        "id": message.id,
        "event": message.event,
        "title": message.title,
        "lines": message.lines,
        "endpoint": message.endpoint,
        "at": iso(message.at),
        "data": message.data,
    }


def slack_body(message: Message) -> dict[str, Any]:
    """Return a message in Slack's form: a text for the notification, blocks for the eye."""
    title, lines = _escaped(message.title), _escaped("\n".join(message.lines))
    mark = {"ALARM": ":rotating_light:", "OK": ":white_check_mark:"}.get(message.event, ":bell:")
    blocks = [_section(f"{mark} *{title[:_MOST_SLACK]}*")]
    if lines:
        blocks.append(_section(lines[:_MOST_SLACK]))
    return {"text": f"{message.event}: {title}", "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escaped(text: str) -> str:
    """Return a text in which nothing calls people or leads elsewhere: Slack's three signs."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
