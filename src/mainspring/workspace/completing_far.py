"""Name what a word on the command line may become by what a server answers, within a second.

A shell asks with a key, so what takes longer is nothing, whatever is wrong with the server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from mainspring.ground.settings import Settings

LIMIT_S = 1.0
_MOST_BYTES = 4_000_000  #: of an answer
_NEWEST = 200  #: runs

Ask = Callable[..., Any]


def names(settings: Settings, kind: str, about: str | None) -> list[str]:
    """Return the names of a kind that a server knows; nothing if it does not say so in time."""
    return within(lambda: _KINDS[kind](_asker(settings), about))


def within(work: Callable[[], list[str]]) -> list[str]:
    """Return what some work finds, or nothing if it fails or takes longer than ``LIMIT_S``."""
    found: list[str] = []

    def begun() -> None:
        with suppress(OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError):
            found.extend(work())

    # A name that cannot be resolved holds its thread for long: it is left behind.
    thread = threading.Thread(target=begun, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    return [] if thread.is_alive() else found


def _asker(settings: Settings) -> Ask:
    from urllib.request import Request, urlopen

    base = str(settings.url).rstrip("/")
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    if not base.startswith(("http://", "https://")):
        return lambda path, **query: []  # noqa: ARG005

    def ask(path: str, **query: Any) -> Any:
        asked = Request(f"{base}/api/v1/{path}?{urlencode(query)}", headers=headers)  # noqa: S310
        with urlopen(asked, timeout=LIMIT_S) as reply:  # noqa: S310  http(s) alone, see above
            return json.loads(reply.read(_MOST_BYTES))

    return ask


def _runs(ask: Ask, about: str | None) -> list[str]:  # noqa: ARG001  all are asked alike
    found = ask("runs", limit=_NEWEST, columns="id")["runs"]
    return ["last", *(str(one["id"]) for one in found)]


def _steps(ask: Ask, about: str | None) -> list[str]:
    """Return the steps of a run, or of the newest run of a pipeline."""
    if about is not None and about.startswith("run_"):
        asked = {"filter": f"id like '{about.replace(chr(39), '')}%'"}
    elif about in (None, "last"):
        asked = {}
    else:
        asked = {"experiment": str(about).rpartition(":")[2]}
    for one in ask("runs", limit=20, columns="id", **asked)["runs"]:
        if one["pipeline"] and not (one["cause"] or "").startswith("step:"):
            steps = ask(f"runs/{quote(one['id'])}")["steps"]
            return [str(step["step"]) for step in steps][:_NEWEST]
    return []


def _pipelines(ask: Ask, about: str | None) -> list[str]:  # noqa: ARG001
    return [str(one["name"]) for one in ask("pipelines")]


def _params(ask: Ask, about: str | None) -> list[str]:
    wanted = (about or "").rpartition(":")[2]
    several = [one["parameters"] for one in ask("pipelines") if one["name"] == wanted]
    return [f"{one['name']}=" for one in (several[0] if several else [])]


def _datasets(ask: Ask, about: str | None) -> list[str]:  # noqa: ARG001
    return [str(one["name"]) for one in ask("data")]


def _models(ask: Ask, about: str | None) -> list[str]:  # noqa: ARG001
    return [str(one["name"]) for one in ask("models")]


_KINDS: dict[str, Callable[[Ask, str | None], list[str]]] = {
    "run": _runs,
    "pipeline": _pipelines,
    "step": _steps,
    "param": _params,
    "dataset": _datasets,
    "model": _models,
}
