"""The words for pipelines whose shape is decided while they run: map, when, choose and more.

Within a pipeline's body each wires a controller: a node that decides, once the run is there, what
is run how often (see :mod:`controls`). Called as plain Python each does what it says at once, so
that a body can be tested; what waits for somebody else needs a run and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.pipelines.declare import TRACER, Pipeline, Step, counted
from mainspring.pipelines.graph import target_of
from mainspring.pipelines.options import Retry, names_of_errors, rules_of
from mainspring.pipelines.parameters import parameters_of
from mainspring.pipelines.shape_checks import (
    called_so,
    check_callable,
    one_of,
    takes_one,
    truth,
    within,
)

Rest = Literal["finish", "stop"]

MOST_ROUNDS = 10_000  #: of one iteration
MOST_AT_ONCE = 10_000  #: items of a map
EVERY = 1_000_000_000  #: items: more than any map has
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,6})?")


def map(  # noqa: A001  the word of the field
    body: Callable[..., Any],
    over: Any,
    *,
    limit: int | None = None,
    tolerate: float | str = 0,
    rest: Rest = "finish",
    report: bool = False,
    retries: int = 0,
    retry: Retry | Sequence[Retry] = (),
    name: str | None = None,
) -> Any:
    """Run a step, or what a function wires, for each item of a list known at run time only.

    ``over`` is a list, or what a step returned: up to 100,000 items. Returns the results in the
    order of the items. At most ``limit`` items have begun and not ended at once, however many
    steps each wires (default: as many as can be). ``tolerate`` items may fail: so many, or a
    share of them, as ``"10%"`` or below 1; a failed item's result is None. With ``report=True``
    it returns a dict instead: ``results``, and ``failed``, a list of dicts with the number of
    the ``item``, the ``step``, the ``type`` of the error and its ``message``. More failures than
    tolerated fail the map, once all others have ended, so that a resumed run goes on with those
    alone; with ``rest="stop"`` what has not ended is stopped at once. Before it fails, the items
    that failed or were stopped are done again ``retries`` times, or by rules of ``retry``
    (:class:`Retry`: by type of error, each with its own waits); those that succeeded are kept.
    A step's own retries come first, and catch what they can; :func:`catch` around the map comes
    last. Each item's steps are reused like any others. The steps are called ``fit[0]``,
    ``fit[1]`` and so on, or ``NAME[0].fit`` where a function wires.

    >>> map(str, over=[1, 2])
    ['1', '2']
    >>> map(int, over=["1", "two"], tolerate="50%", report=True)["failed"][0]["type"]
    'ValueError'

    Raises:
        BadInputError: for a limit below 1, a tolerance that is neither a share nor a number, or
            retries that are none.
    """
    check_callable(body, "map")
    if limit is not None:
        within("limit", limit, 1, MOST_AT_ONCE)
    tolerate, again = _tolerance(tolerate), rules_of(retries, retry)
    one_of("rest", rest, ("finish", "stop"))
    if not isinstance(report, bool):
        raise BadInputError(f"report must be True or False, found {report!r:.80}.", field="report")
    tracer = TRACER.get()
    if tracer is None:
        return _mapped(body, over, tolerate, report)
    called = called_so(name, body, "map")
    block = tracer.block(body, ["item"], f"what the map {called} wires", named=True)
    settings = {
        "limit": limit,
        "tolerate": tolerate,
        "bare": _is_bare(body, block),
        "rest": rest,
        "report": report,
        "retry": again,
    }
    return tracer.shape("map", called, {"over": over}, {"each": block}, settings)


def parallel(
    *branches: Callable[[], Any],
    rest: Rest = "stop",
    retries: int = 0,
    retry: Retry | Sequence[Retry] = (),
    name: str = "parallel",
) -> Any:
    """Run what several functions wire beside each other; return a list of what they return.

    When a step of one branch fails for good, the others are stopped at once, and what they have
    not ended is not run; with ``rest="finish"`` they come to their ends first. Either way it
    fails then, and a resumed run goes on with what is not done. Before that, ``retries`` times or
    by rules of ``retry``, what failed or was stopped of the branches is done again. Steps that
    need nothing of each other run beside each other anyway: this is for what must succeed or
    stop together.

    >>> parallel(lambda: "left", lambda: "right")
    ['left', 'right']

    Raises:
        BadInputError: without a branch, for one that is no function, or retries that are none.
    """
    one_of("rest", rest, ("finish", "stop"))
    again = rules_of(retries, retry)
    for one in branches:
        check_callable(one, "parallel")
    if not branches:
        raise BadInputError("ms.parallel was given no branch.", field="branches")
    tracer = TRACER.get()
    if tracer is None:
        return [one() for one in branches]
    called = called_so(name, None, "parallel")
    blocks = {
        f"{n}": tracer.block(one, (), f"branch {n + 1} of {called}", named=False)
        for n, one in enumerate(branches)
    }
    told = {"rest": rest, "retry": again}
    return counted(tracer.shape("parallel", called, {}, blocks, told), len(branches))


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
            check_callable(one, "when")
    tracer = TRACER.get()
    if tracer is None:
        taken = then if truth(condition) else otherwise
        return None if taken is None else taken()
    called = called_so(name, None, "when")
    blocks = {"then": tracer.block(then, (), f"the branch of {called}", named=False)}
    if otherwise is not None:
        words = f"the other branch of {called}"
        blocks["otherwise"] = tracer.block(otherwise, (), words, named=False)
    return tracer.shape("when", called, {"condition": condition}, blocks)


def choose(
    value: Any,
    branches: Mapping[Any, Callable[[], Any]],
    default: Callable[[], Any] | None = None,
    *,
    name: str = "choose",
) -> Any:
    """Run what one of several branches wires: the one under the value that a step returned.

    ``branches`` gives a function for each value: text, whole numbers, True or False, None.
    ``default`` is run for every other value; without it another value fails the run. The steps
    of the branches that are not taken end as skipped, with a reason. Returns what the taken one
    returns.

    >>> choose("small", {"small": lambda: 1, "large": lambda: 2}, default=lambda: 0)
    1

    Raises:
        BadInputError: without a branch, for a value that is none of these, or a branch that is
            no function.
    """
    if not isinstance(branches, Mapping) or not branches:  # type: ignore[redundant-expr]
        raise BadInputError(
            f"branches must be a dict of functions by value, found {branches!r:.80}.",
            field="branches",
        )
    for case, one in branches.items():
        if not isinstance(case, str | int | None):
            raise BadInputError(
                "A branch stands under text, a whole number, True, False or None;"
                f" found {case!r:.80}.",
                field="branches",
            )
        check_callable(one, "choose")
    if default is not None:
        check_callable(default, "choose")
    tracer = TRACER.get()
    if tracer is None:
        number = chosen(value, list(branches))
        taken = default if number is None else list(branches.values())[number]
        if taken is None:
            raise BadInputError(no_branch(name, value, list(branches)), field="value")
        return taken()
    called = called_so(name, None, "choose")
    blocks = {
        f"{n}": tracer.block(one, (), f"the branch {case!r} of {called}", named=False)
        for n, (case, one) in enumerate(branches.items())
    }
    if default is not None:
        blocks["default"] = tracer.block(default, (), f"the default of {called}", named=False)
    return tracer.shape("choose", called, {"value": value}, blocks, {"cases": list(branches)})


def chosen(value: Any, cases: Sequence[Any]) -> int | None:
    """Return the number of the case that a value is; True is not 1, and "1" is not 1 either.

    >>> chosen(1, [True, "1", 1]), chosen("x", ["y"])
    (2, None)
    """
    same = (n for n, case in enumerate(cases) if type(case) is type(value) and case == value)
    return next(same, None)


def no_branch(name: str, value: Any, cases: Sequence[Any]) -> str:
    """Return in words that no branch stands under a value."""
    shown = ", ".join(repr(one) for one in cases[:5]) + (", ..." if len(cases) > 5 else "")
    return f"{name} has no branch for {value!r:.80}, and no default; it has {shown}."


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
    check_callable(body, "iterate")
    check_callable(until, "iterate")
    within("most", most, 1, MOST_ROUNDS)
    one_of("at_most", at_most, ("fail", "accept"))
    tracer = TRACER.get()
    if tracer is None:
        return _looped(body, start, until, most, at_most)
    called = called_so(name, None, "iterate")
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
    check_callable(body, "catch")
    check_callable(fallback, "catch")
    wanted = names_of_errors("on", on)
    tracer = TRACER.get()
    if tracer is None:
        return _caught(body, fallback, wanted)
    called = called_so(name, None, "catch")
    params = ["error"] if takes_one(fallback) else []
    blocks = {
        "body": tracer.block(body, (), f"the body of {called}", named=False),
        "fallback": tracer.block(fallback, params, f"the fallback of {called}", named=False),
    }
    return tracer.shape("catch", called, {}, blocks, {"on": wanted})


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


def _mapped(body: Callable[..., Any], over: Any, tolerate: float, report: bool) -> Any:
    if not isinstance(over, list | tuple):
        raise BadInputError(
            f"A map goes over a list, found {type(over).__name__}.",
            field="over",
            hint="Make a list of it first, such as list(...).",
        )
    out: list[Any] = []
    failed: list[tuple[int, BaseException]] = []
    for number, item in enumerate(over):
        try:
            out.append(body(item))
        except Exception as error:  # noqa: BLE001  whatever a step raises counts as an item
            failed.append((number, error))
            out.append(None)
    if len(failed) > tolerated(tolerate, len(over)):
        raise failed[0][1]
    if not report:
        return out
    told = [
        {"item": n, "step": "", "type": type(error).__name__, "message": str(error)}
        for n, error in failed
    ]
    return {"results": out, "failed": told}


def _looped(
    body: Callable[[Any], Any], state: Any, until: Callable[[Any], Any], most: int, at_most: str
) -> Any:
    for _ in range(most):
        state = body(state)
        if truth(until(state)):
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
        return fallback(told) if takes_one(fallback) else fallback()


# ---------------------------------------------------------------- checks


def tolerated(tolerate: float, items: int) -> int:
    """Return how many of so many items may fail: below 1 it is a share, rounded down.

    >>> tolerated(3, 10), tolerated(0.25, 10)
    (3, 2)
    """
    return int(tolerate) if tolerate >= 1 else int(tolerate * items + 1e-9)


def _tolerance(found: object) -> float:
    """Return how many items may fail as a share below 1 or a number; all of them: ``EVERY``."""
    if isinstance(found, str):
        share = found.strip().removesuffix("%").strip()
        if found.strip().endswith("%") and _PERCENT.fullmatch(share) and float(share) <= 100:
            return float(share) / 100 if float(share) < 100 else EVERY
    elif isinstance(found, int | float) and not isinstance(found, bool) and _is_count(found):
        return found
    raise BadInputError(
        "tolerate must be a share such as '10%' or 0.1, or a whole number of items from 1 on;"
        f" found {found!r:.80}.",
        field="tolerate",
    )


def _is_count(found: float) -> bool:
    return 0 <= found < 1 or (1 <= found < EVERY and found == int(found))


def _is_bare(body: object, block: Any) -> bool:
    """Return whether an item is one step, so that it needs no name beside its number."""
    return isinstance(body, Step) and len(block.nodes) == 1
