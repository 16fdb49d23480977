"""Send the report of one window as a file: to be kept, or passed on, and opened anywhere."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.types import Receive, Scope, Send

from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.pages import fields
from mainspring.web.pages.files import SEALED, disposition
from mainspring.workspace.opening import Workspace

_MOST_FIELDS = 10


class ReportFile:
    """Answers with a window beside its baseline as one HTML file, as an attachment.

    The file brings its own script, so it is never shown under our address, where it could ask
    in the reader's name: it leaves to be kept.
    """

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/endpoints/{name}/report"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        asked = fields.read(scope["query_string"], _MOST_FIELDS, scope["path_params"])
        ws = self._ws.acting_as(who)
        body, name = await self._threads.run(lambda: _made(ws, asked["name"], asked.get("window")))
        headers = [(b"content-disposition", disposition("attachment", name)), *SEALED]
        await send_bytes(send, body, "text/html; charset=utf-8", headers=headers)


def _made(ws: Workspace, endpoint: str, window: str | None) -> tuple[bytes, str]:
    from mainspring.workspace.reports import onefile
    from mainspring.workspace.reports.building import report
    from mainspring.workspace.reports.of_window import compare_window, stored

    start = stored(ws, endpoint, window).window.start
    day = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d")
    text = onefile.html(report(compare_window(ws, endpoint, window)))
    return text.encode(), f"{endpoint}-{day}.html"
