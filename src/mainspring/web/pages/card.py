"""The card of one version as a page, and as a file in each of its forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.pages import fields
from mainspring.web.pages.files import SEALED, disposition
from mainspring.workspace.opening import Workspace

_MOST_FIELDS = 10
#: form -> (type, how the file ends)
FORMS = {
    "markdown": ("text/markdown; charset=utf-8", "card.md"),
    "html": ("text/html; charset=utf-8", "card.html"),
    "json": ("application/json", "card.json"),
    "sagemaker": ("application/json", "sagemaker.json"),
}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return a version's card, what it lacks, and the cards before it.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if the version is no number.
    """
    from mainspring.workspace.cards import keeping, writing
    from mainspring.workspace.views.models import version_detail

    number = _number(asked)
    detail = version_detail(ws, asked["model"], number)
    name = f"{detail.version.model}/{number}"
    return {
        "name": name,
        "detail": detail,
        "card": writing.card(ws, name),
        "history": keeping.card_history(ws, detail.version.model, number),
        "forms": list(FORMS),
    }


def _number(asked: Mapping[str, str]) -> int:
    text = asked["number"]
    if not text.isdecimal() or len(text) > 9:
        raise BadInputError(f"A version is a number, found {text[:20]!r}.", field="number")
    return int(text)


class CardFile:
    """Answers with a version's card in one of its forms, as an attachment."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/models/{model}/{number}/card/{form}"
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        asked = fields.read(scope["query_string"], _MOST_FIELDS, scope["path_params"])
        ws = self._ws.acting_as(who)
        body, media, name = await self._threads.run(lambda: _made(ws, asked))
        headers = [(b"content-disposition", disposition("attachment", name)), *SEALED]
        await send_bytes(send, body, media, headers=headers)


def _made(ws: Workspace, asked: Mapping[str, str]) -> tuple[bytes, str, str]:
    from mainspring.workspace.cards import writing

    form, number = asked["form"], _number(asked)
    media, ending = FORMS.get(form, ("text/plain", ""))  # another one is refused by the writer
    text = writing.card(ws, f"{asked['model']}/{number}", form)
    return text.encode(), media, f"{asked['model']}-{number}-{ending}"
