"""The page of the predictions that came of a thing, and the same as a file."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from starlette.types import Receive, Scope, Send

from mainspring.ground.durations import seconds
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.pages import fields
from mainspring.web.pages.fields import Asked
from mainspring.web.pages.files import SEALED, disposition
from mainspring.web.pages.lineage import link, page_of
from mainspring.workspace.lineage import touched
from mainspring.workspace.opening import Workspace

PATH = "/lineage/predictions.csv"
SPANS = ("1h", "12h", "1d", "7d", "30d", "365d")
_WEEK = "7d"
_IDS = 10  #: of each version that are shown
_MOST_FIELDS = 10


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return how many predictions came of a thing by endpoint, version and day; or a form."""
    subject, since = asked.get("subject", "").strip(), asked.get("since", "").strip() or _WEEK
    spans = SPANS if since in SPANS else (since, *SPANS)
    shown = {"subject": subject, "since": since, "spans": spans, "found": None}
    if not subject:
        return shown
    found = touched.touched(ws, subject, since_s=seconds(since, "since"), most=_IDS)
    of_day: dict[str, list[tuple[touched.Answered, int]]] = defaultdict(list)
    for one in found.answered:
        for each in one.days:
            of_day[each.day].append((one, each.predictions))
    days = [(day, sum(n for _, n in several), several) for day, several in sorted(of_day.items())]
    return {
        **shown,
        "found": found,
        "days": days,
        "highest": max((count for _, count, _ in days), default=0),
        "link": link,
        "page": page_of,
        "most_in_file": touched.MOST_IN_FILE,
        "file": f"{PATH}?{urlencode({'subject': subject, 'since': since})}",
    }


class PredictionsFile:
    """Answers with the ids of the predictions that came of a thing, as CSV to be kept."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = PATH
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        asked = fields.read(scope["query_string"], _MOST_FIELDS)
        ws = self._ws.acting_as(who)
        body = await self._threads.run(lambda: _made(ws, asked))
        named = (b"content-disposition", disposition("attachment", "predictions.csv"))
        await send_bytes(send, body, "text/csv; charset=utf-8", headers=[*SEALED, named])


def _made(ws: Workspace, asked: Asked) -> bytes:
    since = seconds(asked.get("since", "") or _WEEK, "since")
    held = io.StringIO()
    out = csv.writer(held, lineterminator="\n")
    out.writerow(("endpoint", "version", "prediction", "time"))
    for row in touched.listed(ws, asked.get("subject", "").strip(), since_s=since):
        out.writerow([_plain(text) for text in row])
    return held.getvalue().encode()


def _plain(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: ids may be a client's own."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
