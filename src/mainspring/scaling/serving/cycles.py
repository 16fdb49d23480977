"""One request and its answer over HTTP, for the case that nearly all are of.

uvicorn's cycle looks at each header of an answer with two patterns and writes head and body
apart. An answer that is there whole, with its length, is written here in one go; everything else
(streams, HEAD, a connection that ends) is left to uvicorn.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_LEFT = frozenset({b"connection", b"transfer-encoding"})


class Cycle(RequestResponseCycle):
    """Holds the head of an answer until its body is there."""

    _held: Any = None

    async def send(self, message: Any) -> None:
        """Take a part of the answer."""
        if self._held is None:
            if self.response_started or message["type"] != "http.response.start":
                await super().send(message)
            else:
                self._held = message
            return
        head, self._held = self._held, None
        if not self._written(head, message):
            await super().send(head)
            await super().send(message)

    def _written(self, head: Any, message: Any) -> bool:
        """Write a whole answer; False if it is none, or the connection does not simply go on."""
        if (
            message["type"] != "http.response.body"
            or message.get("more_body")
            or not self.keep_alive
            or self.disconnected
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
        ):
            return False
        body: bytes = message.get("body", b"")
        parts: list[bytes] = [STATUS_LINE[head["status"]]]
        length = None
        headers = [*self.default_headers, *head.get("headers", ())]
        for name, value in headers:
            if name in _LEFT:
                return False
            if name == b"content-length":
                length = value
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        top = b"".join(parts)
        # A line end inside a header would be a header of somebody else's making.
        if length != b"%d" % len(body) or top.count(b"\n") != len(headers) + 2:
            return False
        if top.count(b"\r") != len(headers) + 2:
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(top + body)
        self.message_event.set()
        self.on_response()
        return True
