"""The words for pipelines whose shape is decided while they run: map, when, iterate, catch, waits.

Within a pipeline's body each wires a controller: a node that decides, once the run is there, what
is run how often (see :mod:`controls`). Called as plain Python each does what it says at once, so
that a body can be tested; what waits for somebody else needs a run and says so.
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NoReturn

from mainspring.ground.durations import seconds as seconds_of
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.pipelines.declare import TRACER, Pipeline, Step, Tracer
from mainspring.pipelines.graph import target_of
from mainspring.pipelines.options import names_of_errors
from mainspring.pipelines.parameters import parameters_of

Ending = Literal["fail", "continue"]

MOST_ROUNDS = 10_000  #: of one iteration
MOST_AT_ONCE = 10_000  #: steps of a map
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")


def map(  # noqa: A001  the word of the field
    body: Callable[..., Any],
    over: Any,
    *,
    limit: int | None = None,
    tolerate: float = 0,
    name: str | None = None,
) -> Any:
    """Run a step, or what a function wires, for each item of a list known at run time only.

    ``over`` is a list, or what a step returned. Returns the results in the order of the items.
    At most ``limit`` steps of the map run at once (default: as many as there are workers).
    ``tolerate`` items may fail: a share of them if it is below 1, else so many; a failed item's
    result is None. Items that failed beyond that fail the map, once all others have ended,
    and a resumed run goes on with them alone. Each item's steps are reused like any others. The
    steps are called ``fit[0]``, ``fit[1]`` and so on, or ``NAME[0].fit`` where a function wires.

    >>> map(str, over=[1, 2])
    ['1', '2']

    Raises:
        BadInputError: for a limit below 1, or a tolerance that is neither a share nor a number.
    """
    _callable(body, "map")
    if limit is not None:
        _within("limit", limit, 1, MOST_AT_ONCE)
    _check_tolerance(tolerate)
    tracer = TRACER.get()
    if tracer is None:
        return _mapped(body, over, tolerate)
    called = _called(name, body, "map")
    block = tracer.block(body, ["item"], f"what the map {called} wires", named=True)
    settings = {"limit": limit, "tolerate": tolerate, "bare": _is_bare(body, block)}
    return tracer.shape("map", called, {"over": over}, {"each": block}, settings)


def when(
    condition: Any,
    then: Callable[[], Any],
    otherwise: Callable[[], Any] | None = None,
    *,
    name: str = "when",
) -> Any:
    """Run what ``then`` wires if a condition holds, else what ``otherwise`` wires.

    ``condition`` is True or False, or what a step returned. Both are functions that are called
    while the pipeline is wired; the steps of the one that is not taken end as skipped, with a
    reason. Returns what the taken one returns; without ``otherwise`` that may be None.

    >>> when(True, lambda: "yes", lambda: "no")
    'yes'
    """
    for one in (then, otherwise):
        if one is not None:
            _callable(one, "when")
    tracer = TRACER.get()
    if tracer is None:
        taken = then if _truth(condition) else otherwise
        return None if taken is None else taken()
    called = _called(name, None, "when")
    blocks = {"then": tracer.block(then, (), f"the branch of {called}", named=False)}
    if otherwise is not None:
        words = f"the other branch of {called}"
        blocks["otherwise"] = tracer.block(otherwise, (), words, named=False)
    return tracer.shape("when", called, {"condition": condition}, blocks)


def iterate(
    body: Callable[[Any], Any],
    start: Any,
    until: Callable[[Any], Any],
    *,
    most: int = 10,
    at_most: Literal["fail", "accept"] = "fail",
    name: str | None = None,
) -> Any:
    """Run a body again and again, each time with what it returned, until a condition holds.

    ``body`` wires steps from its one argument (``start`` at first); ``until`` wires what returns
    True or False of what the body returned: both are steps or functions. Returns what the body
    returned last. After ``most`` rounds it fails, or with ``at_most="accept"`` it ends with
    what there is. The steps are called ``iterate[0].fit``, ``iterate[1].fit`` and so on, or by
    ``name``.

    >>> iterate(lambda n: n * 2, 1, until=lambda n: n > 50)
    64

    Raises:
        BadInputError: if ``most`` is not from 1 to 10,000.
    """
    _callable(body, "iterate")
    _callable(until, "iterate")
    _within("most", most, 1, MOST_ROUNDS)
    _one_of("at_most", at_most, ("fail", "accept"))
    tracer = TRACER.get()
    if tracer is None:
        return _looped(body, start, until, most, at_most)
    called = _called(name, None, "iterate")
    block = tracer.block(body, ["state"], f"what {called} wires", named=True, until=until)
    settings = {"most": most, "at_most": at_most}
    return tracer.shape("iterate", called, {"start": start}, {"round": block}, settings)


def catch(
    body: Callable[[], Any],
    fallback: Callable[..., Any],
    *,
    on: str | type[BaseException] | Iterable[str | type[BaseException]] = (),
    name: str = "catch",
) -> Any:
    """Run what ``body`` wires; if a step of it fails for good, run what ``fallback`` wires.

    ``fallback`` is given what went wrong, as a dict of ``type``, ``message`` and ``step``, if it
    takes an argument. ``on`` names the types of error that are caught (with their subclasses);
    others fail the run. A step's own ``retries`` come first. The run counts as finished if the
    fallback ends well, and a resumed run does not go back into the body.

    >>> catch(lambda: 1 / 0, lambda error: error["type"], on=ArithmeticError)
    'ZeroDivisionError'
    """
    _callable(body, "catch")
    _callable(fallback, "catch")
    wanted = names_of_errors("on", on)
    tracer = TRACER.get()
    if tracer is None:
        return _caught(body, fallback, wanted)
    called = _called(name, None, "catch")
    params = ["error"] if _takes_one(fallback) else []
    blocks = {
        "body": tracer.block(body, (), f"the body of {called}", named=False),
        "fallback": tracer.block(fallback, params, f"the fallback of {called}", named=False),
    }
    return tracer.shape("catch", called, {}, blocks, {"on": wanted})


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
    _one_of("on_expiry", on_expiry, ("fail", "continue"))
    _one_of("on_rejection", on_rejection, ("fail", "continue"))
    settings = {
        "name": _check_name(name),
        "message": _text("message", message),
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
    _one_of("on_expiry", on_expiry, ("fail", "continue"))
    settings = {
        "name": _check_name(name),
        "expires_s": _expiry(expires),
        "on_expiry": on_expiry,
    }
    return _waiting("event", name, {"after": after}, settings)


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


def run_pipeline(pipeline: Pipeline[..., Any], /, **params: Any) -> Any:
    """Start a run of another pipeline, wait for its end, and return its result.

    It is a run of its own: listed, cached, cancelled and resumed with this one, and linked both
    ways. Calling the pipeline instead wires its steps into this run. Params may be what steps
    returned, if that is plain data.

    Raises:
        BadInputError: for a param that is unknown or missing.
    """
    if not isinstance(pipeline, Pipeline):
        raise BadInputError(
            f"{pipeline!r} is no pipeline; mark it with @ms.pipeline.", field="pipeline"
        )
    known = {one.name: one for one in parameters_of(pipeline)}
    for given in params:
        if given not in known:
            raise BadInputError(
                f"Pipeline {pipeline.name} has no parameter {given!r}.",
                field=given,
                hint=f"It has: {', '.join(known)}." if known else None,
            )
    missing = [one.name for one in known.values() if one.required and one.name not in params]
    if missing:
        raise BadInputError(
            f"Pipeline {pipeline.name} needs {', '.join(missing)}.", field=missing[0]
        )
    tracer = TRACER.get()
    if tracer is None:
        return pipeline(**params)
    settings = {"pipeline": target_of(pipeline.function)}
    return tracer.shape("run", pipeline.name, params, {}, settings)


# ---------------------------------------------------------------- as plain Python


def _mapped(body: Callable[..., Any], over: Any, tolerate: float) -> list[Any]:
    if not isinstance(over, list | tuple):
        raise BadInputError(f"A map goes over a list, found {type(over).__name__}.", field="over")
    out: list[Any] = []
    failed: list[BaseException] = []
    for item in over:
        try:
            out.append(body(item))
        except Exception as error:  # noqa: BLE001  whatever a step raises counts as an item
            failed.append(error)
            out.append(None)
    if len(failed) > tolerated(tolerate, len(over)):
        raise failed[0]
    return out


def _looped(
    body: Callable[[Any], Any], state: Any, until: Callable[[Any], Any], most: int, at_most: str
) -> Any:
    for _ in range(most):
        state = body(state)
        if _truth(until(state)):
            return state
    if at_most == "accept":
        return state
    raise ProjectError(f"The condition did not hold within {most} rounds.")


def _caught(body: Callable[[], Any], fallback: Callable[..., Any], on: Sequence[str]) -> Any:
    try:
        return body()
    except Exception as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        if on and not set(on).intersection(names):
            raise
        told = {"type": names[0], "message": str(error), "step": ""}
        return fallback(told) if _takes_one(fallback) else fallback()


def _waiting(kind: str, name: str, args: dict[str, Any], settings: dict[str, Any]) -> Any:
    tracer: Tracer | None = TRACER.get()
    if tracer is None:
        _needs_a_run(kind, name)
    return tracer.shape(kind, _check_name(name), args, {}, settings)


def _needs_a_run(kind: str, name: str) -> NoReturn:
    raise ProjectError(
        f"{name} waits ({kind}), and only a run can wait for it.",
        hint="Start the pipeline as a run: mainspring run PIPELINE",
    )


# ---------------------------------------------------------------- checks


def tolerated(tolerate: float, items: int) -> int:
    """Return how many of so many items may fail: below 1 it is a share, rounded down.

    >>> tolerated(3, 10), tolerated(0.25, 10)
    (3, 2)
    """
    return int(tolerate) if tolerate >= 1 else int(tolerate * items + 1e-9)


def _within(name: str, found: object, low: int, high: int) -> None:
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise BadInputError(f"{name} must be from {low} to {high:,}, found {found!r}.", field=name)


def _check_tolerance(found: object) -> None:
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not (0 <= found < 1 or (found >= 1 and found == int(found))):  # type: ignore[operator,call-overload]
        raise BadInputError(
            "tolerate must be a share of 0 or more and below 1, or a whole number of items from"
            f" 1 on; found {found!r}.",
            field="tolerate",
        )


def _callable(found: object, word: str) -> None:
    if not callable(found):
        raise BadInputError(
            f"ms.{word} takes a step or a function that wires steps, found {found!r:.80}.",
            field="body",
            hint="Pass the function itself, or write lambda: in front of the call.",
        )


def _is_bare(body: object, block: Any) -> bool:
    """Return whether an item is one step, so that it needs no name beside its number."""
    return isinstance(body, Step) and len(block.nodes) == 1


def _takes_one(function: Callable[..., Any]) -> bool:
    plain = function.function if isinstance(function, Step) else function
    return bool(inspect.signature(plain).parameters)


def _called(name: str | None, body: object, word: str) -> str:
    if name is not None:
        return _check_name(name)
    own = getattr(body, "name", getattr(body, "__name__", word))
    return word if own == "<lambda>" else str(own)


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r:.80} is no name: letters, digits, _ and -, up to 80.", field="name"
        )
    return name


def _truth(found: object) -> bool:
    if not isinstance(found, bool):
        raise BadInputError(
            f"A condition must be True or False, found {found!r:.80}.",
            field="condition",
            hint="Let a step compare and return a bool.",
        )
    return found


def _one_of(name: str, found: object, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise BadInputError(f"{name} must be {' or '.join(allowed)}, found {found!r}.", field=name)


def _text(name: str, found: object) -> str:
    if not isinstance(found, str) or len(found) > 2000:
        raise BadInputError(f"{name} must be text of up to 2,000 letters.", field=name)
    return found


def _expiry(found: str | float | None) -> float | None:
    if found is None:
        return None
    if isinstance(found, str) and found.strip().startswith("-"):
        raise _past(found)
    length = seconds_of(found, "expires") if not _is_negative(found) else -1.0
    if length <= 0:
        raise _past(found)
    return length


def _is_negative(found: object) -> bool:
    return isinstance(found, int | float) and found < 0


def _past(found: object) -> BadInputError:
    return BadInputError(
        f"It would expire in the past: expires must be above 0, found {found!r}.",
        field="expires",
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
