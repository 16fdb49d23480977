"""One request on its way through an endpoint, and what its answer is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mainspring.ground.errors import NotFoundError, UnavailableError
from mainspring.scaling.serving.answers import Reply
from mainspring.scaling.serving.body import Receive, Scope
from mainspring.scaling.serving.body import packed as _packed
from mainspring.scaling.serving.router import Generation, Variant

if TYPE_CHECKING:
    from mainspring.scaling.serving.predicting import Predicted


class Call:
    """One HTTP request."""

    __slots__ = (
        *(
            "caller",
            "done",
            "headers",
            "method",
            "path",
            "receive",
            "request_id",
            "scope",
            "trace_id",
        ),
        "who",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        request_id: str = "",
    ) -> None:
        self.scope, self.receive, self.headers = scope, receive, headers
        self.request_id = request_id  #: stands in the answer's X-Request-Id
        self.trace_id: str | None = None  #: where the request is traced
        self.who = ""  #: name of the token that was shown
        self.caller: str | None = None  #: whose requests under way are counted
        self.done: Predicted | None = None  #: what was predicted, once it was
        self.method: str = scope["method"]
        self.path: str = scope["path"]

    def address(self) -> str:
        """Return where a caller without a token asks from, and what it says it is."""
        address = (self.scope.get("client") or ("",))[0]
        return f"{address} {self.headers.get(b'x-client', b'')[:64].decode('latin-1')}"


def champion(name: str, now: Generation) -> Variant:
    """Return who answers by default.

    Raises:
        UnavailableError: if no champion is loaded yet.
    """
    if now.champion is None:
        raise not_loaded(name)
    return now.champion


def not_loaded(name: str, why: str = "") -> UnavailableError:
    """Return the refusal of an endpoint that has nothing to answer with yet."""
    return UnavailableError(
        f"Endpoint {name} has no champion loaded yet.{' ' * bool(why)}{why}",
        hint="Promote a version, or wait for it to be loaded; /status says what is wrong.",
    )


def no_model(rest: str) -> NotFoundError:
    """Return the refusal of a model that is not served here."""
    return NotFoundError(f"There is no model {rest[:200]!r} here.")


def packed(reply: Reply, call: Call) -> Reply:
    """Return an answer compressed where its caller asks for it."""
    body, encoding = _packed(reply.body, call.headers)
    if encoding is None:
        return reply
    headers = [*reply.headers, (b"content-encoding", encoding), (b"vary", b"accept-encoding")]
    return Reply(reply.status, reply.kind, body, headers)


__all__ = ["Call", "Reply", "champion", "no_model", "not_loaded", "packed"]
