"""Word every refusal as MLflow's clients expect it."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from mainspring.ground import errors as e
from mainspring.web.errors import Refusal

#: Paths on which refusals are worded here.
PREFIXES = (
    "/api/2.0/mlflow",
    "/ajax-api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/ajax-api/3.0/mlflow",
    "/get-artifact",
    "/model-versions/get-artifact",
)

#: Clients try 408, 429, 500, 502, 503 and 504 again: what cannot succeed must be none of these.
_CODES: list[tuple[type[Exception], int, str]] = [
    (e.AlreadyExistsError, 400, "RESOURCE_ALREADY_EXISTS"),
    (e.ConflictError, 400, "INVALID_PARAMETER_VALUE"),
    (e.BadInputError, 400, "INVALID_PARAMETER_VALUE"),
    (e.NotFoundError, 404, "RESOURCE_DOES_NOT_EXIST"),
    (e.UnauthenticatedError, 401, "UNAUTHENTICATED"),
    (e.PermissionDeniedError, 403, "PERMISSION_DENIED"),
    (e.OverloadedError, 503, "TEMPORARILY_UNAVAILABLE"),
    (e.UnavailableError, 503, "TEMPORARILY_UNAVAILABLE"),
    (e.DeadlineError, 408, "TEMPORARILY_UNAVAILABLE"),
]


class NotServedError(e.MainspringError):
    """MLflow has this route, and we do not serve it."""

    code = "NOT_IMPLEMENTED"
    status = 501


def reworded(error: Exception, found: Refusal) -> Refusal:
    """Return a refusal in MLflow's form; ``found`` is what other doors would answer."""
    status, code = _status_and_code(error)
    message = str(error) if isinstance(error, e.MainspringError) else _told(found)
    if isinstance(error, HTTPException):
        message = "There is no such endpoint on this server, or not with this method."
    headers = found.headers
    if status == 413:
        headers = [(b"connection", b"close")]
    return Refusal(status=status, body={"error_code": code, "message": message}, headers=headers)


def _status_and_code(error: Exception) -> tuple[int, str]:
    if isinstance(error, NotServedError):
        return 501, "NOT_IMPLEMENTED"
    if isinstance(error, HTTPException):
        return 404, "ENDPOINT_NOT_FOUND"
    if isinstance(error, e.TooLargeError) and error.field == "body":
        return 413, "INVALID_PARAMETER_VALUE"
    for kind, status, code in _CODES:
        if isinstance(error, kind):
            return status, code
    return 500, "INTERNAL_ERROR"


def _told(found: Refusal) -> str:
    hint = found.body.get("hint")
    message = str(found.body.get("message", ""))
    return f"{message} {hint}" if hint else message
