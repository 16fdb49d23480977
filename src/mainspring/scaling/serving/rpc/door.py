"""Open and close the gRPC port of an endpoint, as its options say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from mainspring.ground import extras
from mainspring.ground.errors import MainspringError, NotFoundError
from mainspring.scaling.serving.app import EndpointApp

HOST = "127.0.0.1"
DRAIN_S = 1.5  # calls under way have this long to finish; the process has 2 s in all
_log = logging.getLogger(__name__)


class Door:
    """The gRPC port of one endpoint, in the event loop that answers its HTTP.

    Several workers of an endpoint share one port: the kernel spreads connections over them.
    """

    def __init__(
        self, app: EndpointApp, uid_of: Callable[[Any, Any], int], most_bytes: int
    ) -> None:
        self.port: int | None = None  #: that is open
        self.trouble = ""  #: why none is, where one should be
        self._app, self._uid_of, self._most_bytes = app, uid_of, most_bytes
        self._wanted: int | None = None
        self._server: Any = None
        self._turn = asyncio.Lock()

    async def follow(self, port: int | None) -> None:
        """Have a port open, 0: any, or none. What goes wrong is told by ``trouble``."""
        async with self._turn:
            if port == self._wanted and not self.trouble:
                return
            await self.close()
            self._wanted = port
            if port is None:
                return
            try:
                await self._open(port)
            except MainspringError as error:
                self.trouble = str(error)
            except (RuntimeError, OSError) as error:
                self.trouble = f"gRPC port {port}: {error}"
            if self.trouble:
                _log.warning("%s", self.trouble)

    async def close(self) -> None:
        """Take no new calls, and let those under way finish."""
        self.trouble = ""
        if self._server is not None:
            server, self._server, self.port = self._server, None, None
            await server.stop(DRAIN_S)

    async def _open(self, port: int) -> None:
        from mainspring.scaling.serving.rpc.servicer import Servicer

        grpc: Any = extras.need("grpc", extra="grpc", purpose="Serving over gRPC")
        servicer = Servicer(self._find, lambda: [self._app], self._uid_of)
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._most_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 1),
            ]
        )
        server.add_generic_rpc_handlers((servicer.handlers(grpc),))
        servicer.port = self.port = server.add_insecure_port(f"{HOST}:{port}")
        await server.start()
        self._server = server
        _log.info("gRPC on port %d", self.port)

    def _find(self, name: str) -> EndpointApp:
        app = self._app
        if name not in (app.name, app.generations.current.routing.model):
            raise NotFoundError(f"There is no model {name[:200]!r} here.")
        return app
