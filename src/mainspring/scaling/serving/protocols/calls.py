"""One request on its way through an endpoint, and what its answer is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError, NotFoundError, UnavailableError
from mainspring.scaling.serving.answers import Reply
from mainspring.scaling.serving.body import Receive, Scope
from mainspring.scaling.serving.body import packed as _packed
from mainspring.scaling.serving.router import Generation, Variant

if TYPE_CHECKING:
    from mainspring.scaling.serving.predicting import Predicted


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}")


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
            "route",
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
        self.route = ""  #: the path as it is declared, or how that begins
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


def variant_named(name: str, now: Generation, asked: str) -> Variant:
    """Return the loaded version that a number, ``champion`` or ``challenger`` names.

    Raises:
        NotFoundError: if it is not served here.
    """
    if asked == "champion":
        return champion(name, now)
    found = now.challenger if asked == "challenger" else None
    if asked.isascii() and asked.isdecimal() and len(asked) < 10:
        found = now.variant(int(asked))
    if found is None:
        raise NotFoundError(
            f"Version {asked[:20]!r} of {name} is not served here.",
            field="version",
            hint="A version is asked by its number, or as champion or challenger.",
        )
    return found


def alone(now: Generation, variant: Variant) -> Generation:
    """Return a generation in which one version answers, whatever the shares say."""
    return Generation(now.serial, now.routing, variant, None)


def check_ids(ids: Sequence[str], field: str) -> None:
    """Refuse ids of a caller's own that could not be told from others or kept as they are.

    Raises:
        BadInputError: naming the first.
    """
    for row, name in enumerate(ids):
        if _ID.fullmatch(name) is None:
            raise BadInputError(
                f"Id {row} is {name[:80]!r}; an id has at most 64 letters, digits and ._:-, the"
                " first a letter or digit.",
                field=field,
            )
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise BadInputError(f"Id {twice!r} is there twice.", field=field)


def shows_token(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request brings a token; what clients of AWS sign with is none."""
    shown = headers.get(b"authorization")
    if shown is None:
        return False
    return not shown.startswith(b"AWS4-") or b"x-amz-security-token" in headers


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


__all__ = [
    "Call",
    "Reply",
    "alone",
    "champion",
    "check_ids",
    "no_model",
    "not_loaded",
    "packed",
    "shows_token",
    "variant_named",
]
