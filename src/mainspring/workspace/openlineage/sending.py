"""Send OpenLineage events: to a receiver over HTTP, or as lines of a file."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from mainspring.backends.notify import posting
from mainspring.ground.errors import BadInputError, StoreError, UnavailableError
from mainspring.ground.permissions import Permission
from mainspring.ground.secrecy import hide
from mainspring.pipelines import secrets
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import Workspace

TIMEOUT_S = 3.0
AGAIN_S = 30.0  #: a receiver that did not answer is left alone so long
NAMED = "secret:"  #: begins a value that is the name of a kept secret
ENDPOINT = "api/v1/lineage"
#: Answers that are about the event itself. All others may be another tomorrow: a key that was
#: wrong, a path that was not there, a proxy in between.
REFUSED = (400, 413, 422)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def send(ws: Workspace, events: Sequence[dict[str, Any]]) -> None:
    """Send events to where the settings say, in their order.

    Raises:
        UnavailableError: if they are not taken now; those before may have been.
        BadInputError: if one is refused for what it is.
    """
    settings = ws.settings
    if (file := file_of(settings)) is not None:
        _append(file, events)
        return
    headers = headers_of(ws)
    for event in events:
        _post(settings, event, headers)


def url_of(settings: Settings) -> str:
    """Return the address that events are posted to.

    As its own clients join them where an endpoint is set; else the usual path is added to a URL
    that has none.
    """
    url = settings.openlineage_url or ""
    if settings.openlineage_endpoint is not None:
        return urljoin(url, settings.openlineage_endpoint)
    url = url.rstrip("/")
    return url if urlsplit(url).path.strip("/") else f"{url}/{ENDPOINT}"


def file_of(settings: Settings) -> Path | None:
    """Return the file that events are added to; None where they go over HTTP."""
    url = settings.openlineage_url or ""
    if not url.startswith("file:"):
        return None
    path = unquote(url.removeprefix("file:"))
    if path.startswith("//"):
        path = f"/{path[2:].partition('/')[2]}"  # a host before it is this one
    return Path(settings.root) / path


def headers_of(ws: Workspace) -> dict[str, str]:
    """Return what the receiver asks for, with the kept secrets that are named filled in.

    Raises:
        UnavailableError: if a secret is not there, does not open, or a header cannot be sent.
    """
    settings = ws.settings
    found = {"Content-Encoding": "gzip"} if settings.openlineage_compression == "gzip" else {}
    if settings.openlineage_key:
        key = _opened(ws, settings.openlineage_key, "openlineage_key")
        found["Authorization"] = f"Bearer {key}"
    for name, value in settings.openlineage_headers.items():
        if _HEADER.fullmatch(name) is None:
            raise UnavailableError(f"openlineage_headers has {name[:80]!r}, which names none.")
        found[name] = _opened(ws, value, f"openlineage_headers.{name}")
    for name, value in found.items():
        if not value.isascii() or not value.isprintable():
            raise UnavailableError(f"The header {name} for OpenLineage is no plain text.")
    return found


def _opened(ws: Workspace, told: str, field: str) -> str:
    """Return a value as it is set, or of the kept secret that it names."""
    if not told.startswith(NAMED):
        return told
    name = told.removeprefix(NAMED)
    kept = ws.read(Permission.WORK, lambda tx: secrets.values(tx, [name])).get(name)
    if kept is None:
        raise UnavailableError(
            f"{field} names the secret {name[:80]}, and none is kept by that name.",
            hint=f"Keep it: mainspring secret set {name[:80]}",
        )
    try:
        found: str = sealed.unseal(ws, "secret", name, kept) or ""
    except StoreError as error:
        raise UnavailableError(str(error)) from error
    hide(found)
    return found


def _post(settings: Settings, event: dict[str, Any], headers: dict[str, str]) -> None:
    url = url_of(settings)
    parts = urlsplit(url)
    body = msgspec.json.encode(event)
    if settings.openlineage_compression == "gzip":
        body = gzip.compress(body, mtime=0)
    # Whoever sets the address answers for it: it may be one of this network's.
    own = [*settings.webhook_hosts, parts.netloc.rpartition("@")[2], parts.hostname or ""]
    try:
        answer = posting.post(url, body, headers, own, TIMEOUT_S)
    except BadInputError as error:  # the address, not the event
        raise UnavailableError(error.message) from error
    told = f"{parts.hostname} answered {answer.status}: {answer.body[:200]}"
    if answer.status in REFUSED:
        raise BadInputError(told)
    if not 200 <= answer.status < 300:
        raise UnavailableError(told)


def _append(file: Path, events: Sequence[dict[str, Any]]) -> None:
    """Add events as lines, each whole: one that a crash cut off is not continued."""
    lines = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            size = out.seek(0, os.SEEK_END)
            if size:
                out.seek(size - 1)
                lines = lines if out.read(1) == b"\n" else b"\n" + lines
            out.write(lines)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UnavailableError(f"{file} cannot be written: {error.strerror}.") from error


def reachable(settings: Settings) -> str:
    """Return why nothing can be sent just now; empty if it can. Nothing is sent."""
    file = file_of(settings)
    if file is not None:
        there = next(one for one in (file, *file.parents) if one.exists())
        return "" if os.access(there, os.W_OK) else f"{there} cannot be written"
    parts = urlsplit(url_of(settings))
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), TIMEOUT_S):
            return ""
    except (OSError, ValueError) as error:
        return f"{parts.hostname} does not answer: {error}"
