"""Hold no connection, memory or descriptor for a client that is slow, silent, or one too many.

uvicorn's protocol with bounds: how long the head of a request may take and how large it may be,
how long an answer may wait to be read, how long a body may go on that nobody asks for any more,
and how many connections there may be. A body that is read has bounds of its own (``body.py``).
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mainspring.scaling.serving.cycles import Cycle

HEAD_S = 10.0  # from the first byte, or from the connection, to the end of the headers
HEAD_BYTES = 65_536
WRITE_S = 30.0  # for a client to read on: what it was sent is in memory until then
REST_S = 30.0  # for a body to end whose answer is out already
#: Descriptors that connections leave to everything else: files, databases, children.
RESERVE = 64
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)
FULL_TEXT = b'{"error":"OVERLOADED","message":"There are too many connections. Try again later."}'


def most_connections() -> int:
    """Return how many connections this process may hold, by its limit of descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(soft // 4, soft - RESERVE)


class BoundedProtocol(HttpToolsProtocol):
    """One connection, which is cut when its client takes too long."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or send it away where there are too many."""
        super().connection_made(transport)
        self._in_head, self._in_message, self._fresh = True, False, True
        self._head_bytes = 0
        self._bound: Any = self.loop.call_later(HEAD_S, self._cut)
        self._write_bound: Any = None
        if len(self.connections) > most_connections():
            transport.write(FULL % (len(FULL_TEXT), FULL_TEXT))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._free()
        if self._write_bound is not None:
            self._write_bound.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        # A request that came whole, as nearly all do, passes without a timer.
        if self._in_head:
            # What came with the head's beginning may be the end of a body before it.
            self._head_bytes += 0 if self._fresh else len(data)
            self._fresh = False
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
            elif self._bound is None and self._in_message:
                self._bound = self.loop.call_later(HEAD_S, self._cut)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._in_head = self._in_message = self._fresh = True

    def on_headers_complete(self) -> None:
        """Note that its head is there, and have it answered."""
        if not self._begun():
            super().on_headers_complete()
        self._in_head, self._head_bytes = False, 0
        if self._bound is not None:
            self._free()

    def _begun(self) -> bool:
        """Begin a plain request as uvicorn does, in fewer steps; False if it is not plain."""
        url, parser = self.url, self.parser
        if (
            url[:1] != b"/"
            or b"%" in url
            or b"#" in url
            or not url.isascii()
            or self.root_path
            or self.limit_concurrency is not None
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
            or self._answering()
        ):
            return False
        path, _, query = url.partition(b"?")
        scope: Any = self.scope
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = path.decode("ascii"), path, query
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)
        return True

    def _answering(self) -> bool:
        before: RequestResponseCycle | None = self.cycle
        return before is not None and not before.response_complete

    def on_message_complete(self) -> None:
        """Note that all of it is there."""
        super().on_message_complete()
        self._in_message = False
        if self._bound is not None:
            self._free()

    def on_response_complete(self) -> None:
        """Bound what the client may still send, and how long it may take to read."""
        super().on_response_complete()
        if self._in_message and self._bound is None:
            # The rest of its body is thrown away, but not for ever.
            self._bound = self.loop.call_later(REST_S, self._cut)
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._bound_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up on a client that asks nothing more."""
        if self.transport.get_write_buffer_size():
            self._cut()  # closing would wait for it to be read
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Wait for the client to read, for a while."""
        super().pause_writing()
        self._bound_writing()

    def resume_writing(self) -> None:
        """Note that it has read."""
        super().resume_writing()
        if self._write_bound is not None:
            self._write_bound.cancel()
            self._write_bound = None

    def _bound_writing(self) -> None:
        if self._write_bound is None:
            self._write_bound = self.loop.call_later(WRITE_S, self._cut)

    def _free(self) -> None:
        if self._bound is not None:
            self._bound.cancel()
            self._bound = None

    def _cut(self) -> None:
        self._bound = None
        self.transport.abort()
