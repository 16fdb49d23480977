"""One table from errors to answers, for every door but the MLflow wire."""

from __future__ import annotations

import logging
import secrets
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from mainspring.ground.errors import MainspringError, OverloadedError, UnauthenticatedError

_log = logging.getLogger("mainspring.web")

#: What Starlette's own refusals are called here.
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}

Headers = list[tuple[bytes, bytes]]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error on its way out."""

    status: int
    body: dict[str, Any]
    headers: Headers = []


def refusal(error: Exception, path: str) -> Refusal:
    """Return the answer to an error; one that nobody expected tells nothing but its number.

    A number that comes with ``INTERNAL`` stands beside the traceback in the log.
    """
    found = _known(error)
    if found is None:
        incident = secrets.token_hex(6)
        _log.error("incident %s on %s", incident, path, exc_info=error)
        told = {
            "error": "INTERNAL",
            "message": "Something failed that should not have.",
            "hint": f"The log of this server tells more under the incident {incident}.",
            "incident": incident,
        }
        found = Refusal(status=500, body=told)
    if path.startswith("/v2"):  # the inference protocol knows one key, and a sentence in it
        body, hint = found.body, found.body.get("hint")
        said = f"{body['message']} {hint}" if hint else body["message"]
        found = msgspec.structs.replace(found, body={"error": said})
    return found


def _known(error: Exception) -> Refusal | None:
    if isinstance(error, MainspringError):
        headers: Headers = []
        if isinstance(error, OverloadedError):
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        elif error.status == 503:
            headers.append((b"retry-after", b"1"))
        if isinstance(error, UnauthenticatedError):
            headers.append((b"www-authenticate", b"Bearer"))
        if error.status == 413:  # what is still on its way will not be read
            headers.append((b"connection", b"close"))
        return Refusal(status=error.status, body=error.as_dict(), headers=headers)
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "REFUSED")
        told = {"error": code, "message": f"{error.detail}: {code.lower().replace('_', ' ')}."}
        if error.status_code == 404:
            told = {"error": code, "message": "There is nothing at this path."}
        if error.status_code == 405:
            told = {"error": code, "message": "This path does not take this method."}
        given = error.headers or {}
        headers = [(k.lower().encode(), v.encode()) for k, v in given.items()]
        return Refusal(status=error.status_code, body=told, headers=headers)
    return None
