"""Talk to an endpoint's own process over loopback: its status, its answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextvars import ContextVar
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    MainspringError,
    OverloadedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from mainspring.ground.identity import check_name
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace

#: An endpoint of this machine answers in a millisecond; one that takes longer is not well.
STATUS_TIMEOUT_S = 0.5
HOSTED_TIMEOUT_S = 3.0  # of hundreds of endpoints
PREDICT_TIMEOUT_S = 60.0

#: What the caller of this thread or task showed us, to be shown to the endpoint in turn, so
#: that it is asked in the caller's name and never in a stronger one.
CALLER: ContextVar[str | None] = ContextVar("caller_authorization", default=None)


def told(home: Path, name: str) -> dict[str, Any] | None:
    """Return what is told of an endpoint that is served here: its ``url``, its workers' number."""
    return _read(home / "run" / "endpoints" / f"{check_name(name)}.json")


def address(home: Path, name: str) -> str | None:
    """Return the URL of an endpoint on this machine, or None if it is not served here."""
    found = told(home, name)
    return None if found is None else str(found["url"])


def host_of(url: str) -> str | None:
    """Return the address of the shared host that answers an endpoint's, or None if none does.

    >>> host_of("http://127.0.0.1:9/e/flights"), host_of("http://127.0.0.1:9")
    ('http://127.0.0.1:9', None)
    """
    base, found, _ = url.partition("/e/")
    return base if found else None


def workers(home: Path, name: str) -> list[dict[str, Any]]:
    """Return what each worker of an endpoint told of itself, the oldest first: pid, url, started.

    An endpoint that shares a process with others has none of its own.
    """
    folder = home / "run" / "endpoints" / f"{check_name(name)}.d"
    found = [_read(file) for file in folder.glob("[0-9]*.json")]
    return sorted((one for one in found if one), key=lambda one: float(one.get("started", 0)))


def departed(home: Path, name: str) -> dict[str, Any]:
    """Return what workers that have ended had counted: ``status`` and ``metrics``."""
    return _content(home / "run" / "endpoints" / f"{check_name(name)}.d" / "departed.json")


def _read(file: Path) -> dict[str, Any] | None:
    """Return what a process told, with its ``url``; None where it cannot be asked."""
    found = _content(file)
    try:
        own = f"http://127.0.0.1:{int(found['port'])}"
    except (KeyError, TypeError, ValueError):
        return None
    url = str(found.get("url", own))
    # Whoever could write another address there shall not have our callers' tokens sent to it.
    return {**found, "url": url} if url == own or url.startswith(f"{own}/") else None


def _content(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def down(name: str) -> UnavailableError:
    """Return what is said when an endpoint's process does not answer."""
    return UnavailableError(
        f"The endpoint {name} does not answer.",
        hint="Is it up? See: mainspring status. Endpoints run while 'mainspring up' does.",
    )


def elsewhere(name: str) -> ConflictError:
    """Return what is said to who asks an endpoint that answers elsewhere."""
    return ConflictError(
        f"{name} answers elsewhere: only its predictions are fed to here.",
        field="name",
        hint=f"Ask it where it is served. What it is watched by: mainspring monitor {name}",
    )


def status(ws: Workspace, url: str) -> dict[str, Any] | None:
    """Return what an endpoint's process says of itself, or None if it does not answer in time.

    Empty where it answers, but not to us: then at least it is known to be there.
    """
    try:
        code, body = _send(ws, f"{url}/status", None, STATUS_TIMEOUT_S)
        found = msgspec.json.decode(body)
    except (OSError, HTTPException, msgspec.DecodeError):
        return None
    return found if code == 200 and isinstance(found, dict) else {}


def hosted(ws: Workspace, base: str) -> dict[str, dict[str, Any]]:
    """Return what a shared host says of all its endpoints, by name; nothing if it is away."""
    try:
        code, body = _send(ws, f"{base}/e", None, HOSTED_TIMEOUT_S)
        found = msgspec.json.decode(body)
    except (OSError, HTTPException, msgspec.DecodeError):
        return {}
    told = found.get("endpoints") if code == 200 and isinstance(found, dict) else None
    return told if isinstance(told, dict) else {}


def metrics(ws: Workspace, url: str) -> str | None:
    """Return what an endpoint's process counts, in Prometheus's format, or None if it is away."""
    try:
        code, body = _send(ws, f"{url}/metrics", None, STATUS_TIMEOUT_S)
    except (OSError, HTTPException):
        return None
    return body.decode("utf-8", "replace") if code == 200 else None


def predict(ws: Workspace, name: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Ask an endpoint for predictions of rows; ``more`` is what ``/predict`` takes beside them.

    Raises:
        UnavailableError: if its process is not there or does not answer.
        BadInputError: if it refuses the rows.
    """
    url = address(ws.home, name)
    if url is None:
        raise elsewhere(name) if _is_fed(ws, name) else down(name)
    asked = {key: value for key, value in more.items() if value not in (None, False)}
    body = msgspec.json.encode({"rows": rows, **asked})
    try:
        code, answer = _send(ws, f"{url}/predict", body, PREDICT_TIMEOUT_S)
        found = msgspec.json.decode(answer)
    except (OSError, HTTPException, msgspec.DecodeError) as error:
        raise down(name) from error
    if code != 200 or not isinstance(found, dict):
        raise _refusal(name, code, found if isinstance(found, dict) else {})
    return found


def _is_fed(ws: Workspace, name: str) -> bool:
    found = ws.read(Permission.PREDICT, endpoints.list_endpoints)
    return any(one.name == name and one.kind == "fed" for one in found)


def _send(ws: Workspace, url: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json"}
    shown = CALLER.get() or (f"Bearer {ws.settings.token}" if ws.settings.token else None)
    if shown:
        headers["Authorization"] = shown
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310  loopback
    # A proxy set for the machine must not get between two processes of ours.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _refusal(name: str, code: int, told: dict[str, Any]) -> MainspringError:
    message = str(told.get("message") or told.get("error") or f"It answered {code}.")
    if code in (401, 403):
        kind = UnauthenticatedError if code == 401 else PermissionDeniedError
        return kind(message, hint=told.get("hint"))
    if code == 503:
        return OverloadedError(message, hint=told.get("hint"))
    if 400 <= code < 500:
        return BadInputError(message, field=told.get("field"), hint=told.get("hint"))
    return UnavailableError(f"The endpoint {name} failed: {message}")
