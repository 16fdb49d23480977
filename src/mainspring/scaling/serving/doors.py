"""Have the port that an endpoint's options name beside HTTP's open, whenever they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from mainspring.ground.objects import Routing


class Door(Protocol):
    """A port beside HTTP's, in the same event loop."""

    port: int | None  #: that is open
    trouble: str  #: why none is, where one should be

    async def follow(self, port: int | None) -> None:
        """Have that port open, or none."""

    async def close(self) -> None:
        """Take no new calls, and let those under way finish."""


class Doorkeeper:
    """Tells a door what the routing says, from whichever thread that is read in."""

    def __init__(self) -> None:
        self.door: Door | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: int | None = None
        self._moving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int | None:
        """Return the port that is open."""
        return None if self.door is None else self.door.port

    @property
    def trouble(self) -> str:
        """Return why none is open, where one should be."""
        return "" if self.door is None else self.door.trouble

    def followed(self, routing: Callable[[], Routing]) -> Callable[[], Routing]:
        """Return what reads the routing, and notices that another port is wanted."""

        def look() -> Routing:
            found = routing()
            port = found.options.grpc
            if port != self._asked and self._loop is not None:
                self._asked = port
                self._loop.call_soon_threadsafe(self._move, port)
            return found

        return look

    def begin(self) -> None:
        """Open what is wanted from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Close what is open."""
        self._loop = None
        if self.door is not None:
            await self.door.close()

    def _move(self, port: int | None) -> None:
        if self.door is not None and self._loop is not None:
            task = asyncio.create_task(self.door.follow(port))
            self._moving.add(task)
            task.add_done_callback(self._moving.discard)
