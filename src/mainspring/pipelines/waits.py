"""The words for what a run waits for: a person, an event, who has a token, a time.

Within a pipeline's body each wires a controller (see :mod:`controls`). A run that waits holds no
worker and no process. Called as plain Python they say that only a run can wait for somebody.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any, Literal, NoReturn

from mainspring.ground.durations import seconds as seconds_of
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.pipelines.declare import TRACER, Tracer
from mainspring.pipelines.graph import leaves
from mainspring.pipelines.shape_checks import check_callable, check_name, check_text, one_of

Ending = Literal["fail", "continue"]


def wait_for_approval(
    name: str,
    *,
    message: str = "",
    after: Any = None,
    expires: str | float | None = None,
    on_expiry: Ending = "fail",
    on_rejection: Ending = "fail",
) -> Any:
    """Wait until a person with the approver role says yes; return True.

    It asks once ``after`` is there (what a step returned, or a list of such), and shows
    ``message``. ``mainspring approve-step RUN NAME --reason WHY`` says yes, ``reject-step`` no.
    ``expires`` is how long it waits, such as ``"2d"``. A rejection and an expiry fail the step,
    or with ``"continue"`` give False, which :func:`when` can take. A run that waits holds no
    worker and no process.

    Raises:
        BadInputError: if it would expire in the past, or for a name that is none.
    """
    one_of("on_expiry", on_expiry, ("fail", "continue"))
    one_of("on_rejection", on_rejection, ("fail", "continue"))
    settings = {
        "name": check_name(name),
        "message": check_text("message", message),
        "expires_s": _expiry(expires),
        "on_expiry": on_expiry,
        "on_rejection": on_rejection,
    }
    return _waiting("approval", name, {"after": after}, settings)


def wait_for_event(
    name: str,
    *,
    after: Any = None,
    expires: str | float | None = None,
    on_expiry: Ending = "fail",
) -> Any:
    """Wait for news from outside of the run; return the value that came with them.

    ``mainspring signal NAME --run RUN --value JSON`` brings them. News that come before the step
    waits are kept for it. ``expires`` is how long it waits; then it fails, or with
    ``on_expiry="continue"`` returns None.

    Raises:
        BadInputError: if it would expire in the past, or for a name that is none.
    """
    one_of("on_expiry", on_expiry, ("fail", "continue"))
    settings = {
        "name": check_name(name),
        "expires_s": _expiry(expires),
        "on_expiry": on_expiry,
    }
    return _waiting("event", name, {"after": after}, settings)


def wait_for_callback(
    name: str,
    send: Callable[[Any], Any],
    *,
    expires: str | float | None = None,
    heartbeat: str | float | None = None,
    on_expiry: Ending = "fail",
) -> Any:
    """Hand a token out, wait until somebody answers with it, and return what they bring.

    ``send`` is a function of the token: it wires the step that sends it out, such as
    ``lambda token: order(rows, token)``. Whoever has the token answers once, with a value or an
    error, and needs no login: ``mainspring answer TOKEN --value JSON``, or
    ``POST /api/v1/callbacks/answer``. The token is made when that step runs, each of its tries
    has its own, and only their digests are kept; it is taken out of what the step prints, and
    no page shows it. ``expires`` is how long it waits from then on, such as ``"2d"``;
    ``heartbeat`` how long it waits for another sign of life, which the token gives as well.
    Then it fails (``CallbackExpired``, or ``HeartbeatError``), or with
    ``on_expiry="continue"`` returns None. An error that is brought fails it with that type, for
    ``ms.catch``. A resumed run that failed so sends again, with another token.

    Raises:
        BadInputError: if it would expire in the past, for a name that is none, or if no step
            of ``send`` takes the token.
    """
    one_of("on_expiry", on_expiry, ("fail", "continue"))
    check_callable(send, "wait_for_callback")
    settings = {
        "name": check_name(name),
        "expires_s": _expiry(expires),
        "heartbeat_s": _expiry(heartbeat, "heartbeat"),
        "on_expiry": on_expiry,
    }
    tracer: Tracer | None = TRACER.get()
    if tracer is None:
        _needs_a_run("callback", name)
    block = tracer.block(send, ["token"], f"what the callback {name} sends", named=True)
    if not _takes_token(block):
        raise BadInputError(
            f"No step of what the callback {name} sends takes the token, so nobody could answer.",
            field="send",
            hint="Give it to the step that sends it out: lambda token: order(rows, token)",
        )
    return tracer.shape("callback", name, {}, {"send": block}, settings)


def _takes_token(block: Any) -> bool:
    inner = [one for node in block.nodes for one in node.every_block()]
    args = (leaf for one in (block, *inner) for node in one.nodes for _, leaf in leaves(node.args))
    return any(leaf.get("param") == "token" and leaf.get("in") == block.id for leaf in args)


def wait(seconds: str | float, *, after: Any = None, name: str = "wait") -> Any:
    """Wait for a while once ``after`` is there, such as ``"10m"``; return what ``after`` is.

    Raises:
        BadInputError: for what is no stretch of time.
    """
    length = seconds_of(seconds, "seconds")
    if TRACER.get() is None:
        time.sleep(length)
        return after
    return _waiting("wait", name, {"after": after}, {"name": name, "seconds": length})


def wait_until(when: str | float | dt.datetime, *, after: Any = None, name: str = "wait") -> Any:
    """Wait until a time, and until ``after`` is there; return what ``after`` is.

    The time is text such as ``"2026-12-24T08:00:00Z"``, a datetime, or UTC seconds; without a
    time zone it is UTC. A time that has passed is not waited for.

    Raises:
        BadInputError: for what is no time.
    """
    until = _moment(when)
    return _waiting("wait", name, {"after": after}, {"name": name, "until": until})


def _waiting(kind: str, name: str, args: dict[str, Any], settings: dict[str, Any]) -> Any:
    tracer: Tracer | None = TRACER.get()
    if tracer is None:
        _needs_a_run(kind, name)
    return tracer.shape(kind, check_name(name), args, {}, settings)


def _needs_a_run(kind: str, name: str) -> NoReturn:
    raise ProjectError(
        f"{name} waits ({kind}), and only a run can wait for it.",
        hint="Start the pipeline as a run: mainspring run PIPELINE",
    )


def _expiry(found: str | float | None, field: str = "expires") -> float | None:
    if found is None:
        return None
    if isinstance(found, str) and found.strip().startswith("-"):
        raise _past(found, field)
    length = seconds_of(found, field) if not _is_negative(found) else -1.0
    if length <= 0:
        raise _past(found, field)
    return length


def _is_negative(found: object) -> bool:
    return isinstance(found, int | float) and found < 0


def _past(found: object, field: str) -> BadInputError:
    return BadInputError(
        f"It would expire in the past: {field} must be above 0, found {found!r}.",
        field=field,
        hint="Say how long it waits, such as 2d.",
    )


def _moment(found: object) -> float:
    if isinstance(found, str):
        try:
            found = dt.datetime.fromisoformat(found)
        except ValueError as error:
            raise _no_time(found) from error
    if isinstance(found, dt.datetime):
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e11:
        return float(found)
    raise _no_time(found)


def _no_time(found: object) -> BadInputError:
    return BadInputError(
        f"{found!r:.80} is no time.",
        field="when",
        hint="Write it as 2026-12-24T08:00:00Z, or give a datetime or UTC seconds.",
    )
