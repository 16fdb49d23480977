"""Let connections go without failing a request: the next answer says that it is the last.

HTTP lets a client send its next request at the moment the server closes an idle connection, and
that request is lost. So a worker that ends, or has more than its share, does not close: it tells
each client with its next answer (``Connection: close``), and the client comes back on a new
connection, which another worker may accept.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable
from typing import Any

#: A worker that ends looks so often, every :data:`TURN_S`, whether its clients were told. Who says
#: nothing in that time is idle, and is hung up on. Looks are counted and not seconds: where a
#: machine stands still, so do the clients, and they get what is left of the time afterwards.
LOOKS = 40
TURN_S = 0.01
_LAST = (b"connection", b"close")


def let_go(state: Any, connections: Iterable[Any]) -> None:
    """Have uvicorn's ``connections`` told with their next answer that it is the last.

    A protocol reads the headers it adds from its ``server_state``; one that leaves gets its own.
    """
    for connection in connections:
        if _LAST not in connection.server_state.default_headers:
            own = copy.copy(state)
            own.default_headers = [*state.default_headers, _LAST]
            connection.server_state = own


def shed(state: Any, number: int) -> None:
    """Let at most ``number`` connections go that were not told yet."""
    staying = [one for one in state.connections if one.server_state is state]
    let_go(state, staying[:number])


async def farewell(servers: Iterable[Any], state: Any, looks: int = LOOKS) -> None:
    """Accept nobody any more, and wait until those who are here have left or are idle."""
    for server in servers:
        server.close()
    for _ in range(looks):
        # Again and again: one that was being accepted a moment ago appears only now.
        let_go(state, list(state.connections))
        if not state.connections:
            return
        await asyncio.sleep(TURN_S)
