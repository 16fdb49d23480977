"""What boto3's ``invoke_endpoint`` says in headers, and how it reads answers and refusals.

The path is ``/endpoints/{name}/invocations`` on the main port, ``/invocations`` at an endpoint's
own. The signature of a request is not checked: who asks is known as for every other protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.scaling.serving.answers import JSON, Reply
from mainspring.scaling.serving.protocols.calls import check_ids

Headers = Mapping[bytes, bytes]

PREFIX = b"x-amzn-sagemaker-"
TARGET_MODEL = PREFIX + b"target-model"
VARIANT = b"x-amzn-invoked-production-variant"
ATTRIBUTES = PREFIX + b"custom-attributes"
_MOST_ATTRIBUTES = 1024
#: What would change the answer, and is not here; ignored it would be answered by another.
_UNREAD = ("target-container-hostname", "inference-component", "session-id")
_TRUE = {"true", "`true`"}
_FALSE = {"false", "`false`", ""}

#: How its clients call an error, by status; a client that does not know it retries from 500 on.
_NAMES = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    424: "ModelError",
    429: "ThrottlingException",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the headers of one request ask for beside its rows."""

    version: str | None = None
    inference_id: str | None = None
    explain: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()  #: of the answer


NOTHING = Wanted()


def read(headers: Headers, names: tuple[str, ...]) -> Wanted:
    """Return what a request asks for. ``names`` are those the endpoint and its model go by.

    Raises:
        BadInputError: naming the header that asks for what is not here.
    """
    given = {
        key[len(PREFIX) :].decode("latin-1"): value.decode("latin-1")
        for key, value in headers.items()
        if key.startswith(PREFIX)
    }
    for word in _UNREAD:
        if word in given:
            raise BadInputError(f"{_title(word)} is not taken here.", field=_title(word))
    model = given.get("target-model")
    if model is not None and model.removesuffix(".tar.gz") not in names:
        raise BadInputError(
            f"TargetModel {model[:80]!r} is not what {names[0]} serves.",
            field="TargetModel",
            hint="Ask the endpoint of that name, or the endpoint 'shared' for any of them.",
        )
    own = given.get("inference-id")
    if own is not None:
        check_ids([own], "InferenceId")
    attributes = given.get("custom-attributes")
    if attributes is not None and len(attributes) > _MOST_ATTRIBUTES:
        raise BadInputError(
            f"CustomAttributes has {len(attributes)} characters, at most {_MOST_ATTRIBUTES} are"
            " taken.",
            field="CustomAttributes",
        )
    echoed = () if attributes is None else ((ATTRIBUTES, attributes.encode("latin-1")),)
    return Wanted(given.get("target-variant"), own, _explain(given), echoed)


def is_asked(headers: Headers) -> bool:
    """Return whether a client of AWS asks: it signs, or says something in its own headers."""
    # Asked of every request: one search in all names costs less than a look at each.
    if PREFIX in b" ".join(headers):
        return True
    shown = headers.get(b"authorization")
    return shown is not None and shown.startswith(b"AWS4-HMAC-SHA256")


def refusal(reply: Reply, message: str) -> Reply:
    """Return a refusal as the clients of AWS read it.

    What a model could not do is their ModelError, with the status it would have had: 424 is not
    tried again, as 500 is.
    """
    status = 424 if reply.status in (500, 504) else reply.status
    body = reply.body
    if status == 424:
        told = {"OriginalStatusCode": reply.status, "OriginalMessage": message}
        known = msgspec.json.decode(body, type=dict) if reply.kind == JSON else {}
        body = msgspec.json.encode({**known, "message": message, **told})
    headers = [*reply.headers, (b"x-amzn-errortype", name_of(status).encode())]
    return Reply(status, JSON if status == 424 else reply.kind, body, headers)


def name_of(status: int) -> str:
    """Return how the clients of AWS call a refusal.

    >>> name_of(400), name_of(404), name_of(503)
    ('ValidationError', 'ValidationError', 'ServiceUnavailable')
    """
    return _NAMES.get(status, "ValidationError" if status < 500 else "InternalFailure")


def ids_of(inference_id: str | None, rows: int) -> list[str] | None:
    """Return the prediction ids of a request with an inference id: itself, or ``ID-0``, ``ID-1``.

    >>> ids_of("order7", 1), ids_of("order7", 2), ids_of(None, 2)
    (['order7'], ['order7-0', 'order7-1'], None)
    """
    if inference_id is None or rows == 1:
        return None if inference_id is None else [inference_id]
    return [f"{inference_id}-{row}" for row in range(rows)]


def message_of(error: Exception) -> str:
    """Return what a client of AWS is told of an error."""
    return str(error) if isinstance(error, MainspringError) else f"{type(error).__name__}"


def _explain(given: Mapping[str, str]) -> bool:
    told = given.get("enable-explanations", "").strip().lower()
    if told not in _TRUE | _FALSE:
        raise BadInputError(
            f"EnableExplanations is {told[:80]!r}; true or false is taken, an expression is not.",
            field="EnableExplanations",
        )
    return told in _TRUE


def _title(word: str) -> str:
    return "".join(part.capitalize() for part in word.split("-"))
