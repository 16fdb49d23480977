"""A project whose pipelines have shapes that only their runs know."""

import time
from pathlib import Path

import mainspring as ms

HERE = Path(__file__).parent


def did(what: str) -> None:
    """Leave a mark for each time something was really done."""
    with (HERE / "done.txt").open("a") as file:
        file.write(f"{what}\n")


def broken(what: str) -> None:
    if (HERE / f"broken-{what}").exists():
        raise ValueError(f"{what} is broken")


@ms.step
def numbers(count: int) -> list[int]:
    did("numbers")
    return list(range(count))


@ms.step
def square(number: int) -> int:
    did(f"square {number}")
    broken(f"square-{number}")
    return number * number


@ms.step
def add(parts: list) -> int:
    did("add")
    return sum(part for part in parts if part is not None)


@ms.step
def plus(a: int, b: int) -> int:
    return a + b


@ms.step
def is_large(number: int) -> bool:
    return number > 10


@ms.step
def note(text: str, number: int) -> str:
    did(f"note {text}")
    return f"{text} {number}"


@ms.step
def double(number: int) -> int:
    did(f"double {number}")
    broken(f"double-{number}")
    return 2 * number


@ms.step
def fail(number: int) -> int:
    did("fail")
    raise KeyError(f"no {number}")


@ms.step
def apology(error: dict, number: int) -> dict:
    broken("apology")
    return {**error, "number": number}


@ms.pipeline
def squares(count: int = 4, tolerate: float = 0, limit: int | None = 2):
    return add(ms.map(square, over=numbers(count), limit=limit, tolerate=tolerate))


@ms.pipeline
def pairs(count: int = 3):
    base = square(5)
    return add(ms.map(lambda n: plus(square(n), base), over=numbers(count), name="each"))


@ms.pipeline
def told_of(count: int = 4, tolerate: str = "50%", rest: str = "finish"):
    """What failed of a map, and why, for the step after it."""
    return summed(ms.map(lambda n: double(square(n)), over=numbers(count), name="each", limit=1,
                         tolerate=tolerate, rest=rest, report=True))  # fmt: skip


@ms.step
def summed(found: dict) -> list:
    kept = [one for one in found["results"] if one is not None]
    return [sum(kept), [[one["item"], one["step"], one["type"]] for one in found["failed"]]]


@ms.pipeline
def beside(rest: str = "stop"):
    first = square(2)
    return ms.parallel(
        lambda: double(fail(first)),
        lambda: double(square(square(double(first)))),
        lambda: ms.run_pipeline(squares, count=first),
        lambda: ms.wait_for_event("never"),
        rest=rest,
    )


@ms.pipeline
def picked(number: int = 2, default: bool = True):
    found = square(number)
    return ms.choose(
        found,
        {4: lambda: note("four", found), 9: lambda: note("nine", found)},
        default=(lambda: note("other", 0)) if default else None,
    )


@ms.pipeline
def either(number: int = 3):
    found = square(number)
    told = ms.when(is_large(found), lambda: note("large", found), lambda: note("small", number))
    return note("told", plus(found, 1)) if number < 0 else told


@ms.pipeline
def growing(start: int = 1, most: int = 10, at_most: str = "fail"):
    return ms.iterate(double, start, until=is_large, most=most, at_most=at_most)


@ms.pipeline
def careful(number: int = 3, on: str = ""):
    first = square(number)
    return ms.catch(
        lambda: double(fail(first)),
        lambda error: apology(error, first),
        on=[on] if on else (),
    )


@ms.pipeline
def careful_map():
    return ms.catch(
        lambda: ms.iterate(lambda n: add(ms.map(square, over=numbers(2))), 0, until=is_large),
        lambda error: apology(error, 0),
        on=ValueError,
    )


@ms.dynamic
def plan(values: list[int], extra: int) -> int:
    did("plan")
    ms.log(values=len(values))
    ms.current_run().log(extra=extra)
    if len(values) > 2:
        return add([square(value) for value in values])
    return plus(double(values[0]), extra)


@ms.pipeline
def planned(count: int = 3):
    return plan(numbers(count), 7)


@ms.pipeline
def nested(count: int = 3):
    """A map of branches of catches of iterations, and a map within."""

    def one(number):
        grown = ms.catch(
            lambda: ms.iterate(double, number, until=is_large, most=5),
            lambda error: square(0),
        )
        return ms.when(
            is_large(grown),
            lambda: add(ms.map(lambda n: plus(n, grown), over=numbers(2), name="inner")),
            lambda: grown,
        )

    return ms.map(one, over=numbers(count), name="each")


@ms.pipeline
def outer(number: int = 2):
    return square(ms.run_pipeline(squares, count=square(number)))


@ms.pipeline
def circle():
    return ms.run_pipeline(circle)


@ms.step(retry=[
    ms.Retry(on=ConnectionError, most=2, backoff_s=10.0, backoff_rate=3.0, max_delay_s=20.0),
    ms.Retry(on="ValueError", most=1, backoff_s=8.0, jitter=True),
])  # fmt: skip
def moody(moods: list[str]) -> int:
    """Raise what it is told, one after the other; return which try this is."""
    did("moody")
    tries = (HERE / "done.txt").read_text().splitlines().count("moody")
    if len(moods) >= tries:
        raise {"c": ConnectionRefusedError, "v": ValueError, "k": KeyError}[moods[tries - 1]]()
    return tries


@ms.pipeline
def trying(moods: str = ""):
    return moody(list(moods))


@ms.step(timeout_s=5, heartbeat_s=1)
def slow(number: int) -> int:
    ms.heartbeat()
    return number


@ms.pipeline
def timed():
    return ms.catch(lambda: slow(3), lambda error: apology(error, 0), on=TimeoutError)


@ms.step(cache=False)
def order() -> str:
    return ms.run_id()


@ms.step(retries=1, backoff_s=0.0)
def flaky(number: int, moods: list[str]) -> int:
    """Fail as often as it is told to, by its number; then square."""
    did(f"flaky {number}")
    tries = (HERE / "done.txt").read_text().splitlines().count(f"flaky {number}")
    wanted = [one for one in moods if int(one[1:]) == number]
    if len(wanted) >= tries:
        raise {"c": ConnectionRefusedError, "v": ValueError}[wanted[tries - 1][0]](f"{number}")
    return number * number


@ms.pipeline
def tried_map(count: int = 4, moods: str = "", retries: int = 2, tolerate: int = 0,
              rest: str = "finish", limit: int | None = None):  # fmt: skip
    """A map that is tried again as a whole, and around it what catches the rest."""
    given = moods.split()
    return ms.catch(
        lambda: add(
            ms.map(lambda n: double(flaky(n, given)), over=numbers(count), name="each",
                   retries=retries, tolerate=tolerate, rest=rest, limit=limit)
        ),
        lambda error: apology(error, 0),
        on=ConnectionError,
    )  # fmt: skip


@ms.pipeline
def ruled_map(moods: str = ""):
    given = moods.split()
    return ms.map(
        lambda n: flaky(n, given), over=numbers(3), name="each",
        retry=[ms.Retry(on=ConnectionError, most=2, backoff_s=600.0, backoff_rate=3.0),
               ms.Retry(on="ValueError", most=1, backoff_s=8.0)],
    )  # fmt: skip


@ms.pipeline
def tried_parallel(moods: str = "", retries: int = 1):
    given = moods.split()
    return ms.parallel(
        lambda: double(flaky(1, given)),
        lambda: add(ms.map(square, over=numbers(3))),
        lambda: ms.run_pipeline(tried_map, count=2, moods=moods, retries=0),
        retries=retries,
    )


@ms.dynamic
def hangs(values: list[int]) -> int:
    while True:  # the values never come to be enough
        len(values)


@ms.pipeline
def hanging(deep: bool = False):
    if deep:
        return ms.catch(
            lambda: hangs(numbers(2)), lambda error: apology(error, 0), on=TimeoutError
        )
    while True:  # a body that waits for something
        time.sleep(0.01)


@ms.pipeline
def called_back(expires: str = "1h"):
    """Somebody outside does the work, and tells the run what came of it or went wrong."""
    return ms.catch(
        lambda: ms.wait_for_event("labelled", after=order(), expires=expires),
        lambda error: apology(error, 0),
        on=["NotLabelled", "EventExpired"],
    )


@ms.step
def sent(text: str, number: int, token: str) -> int:
    """Hand a token to somebody outside: here, to whoever reads the file."""
    did(f"sent {text} {number}")
    with (HERE / "tokens.txt").open("a") as file:
        file.write(f"{token}\n")
    broken("sent")
    return number


@ms.pipeline
def by_token(expires: str | None = None, heartbeat: str | None = None, on_expiry: str = "fail"):
    first = square(3)
    got = ms.wait_for_callback(
        "outside", lambda token: double(sent("to", first, token)), expires=expires,
        heartbeat=heartbeat, on_expiry=on_expiry,
    )  # fmt: skip
    return told_back(got, first)


@ms.pipeline
def called_and_tried():
    summed_ = add(ms.map(lambda n: double(flaky(n, ["v1", "v1"])), over=numbers(3), name="each",
                         retry=ms.Retry(most=1, backoff_s=0.0)))  # fmt: skip
    got = ms.wait_for_callback("outside", lambda token: sent("to", summed_, token))
    return told_back(got, summed_)


@ms.step
def told_back(got: object, first: int) -> list:
    return [got, first]


@ms.pipeline
def by_tokens(count: int = 3):
    """One wait an item, each with its own token; what went wrong outside is caught by its type."""
    return ms.map(
        lambda n: ms.catch(
            lambda: ms.wait_for_callback("outside", lambda token: sent("item", n, token)),
            lambda error: apology(error, n),
            on="NotDone",
        ),
        over=numbers(count),
        name="each",
    )  # fmt: skip


@ms.pipeline
def token_elsewhere():
    return ms.wait_for_callback(
        "outside", lambda token: ms.when(token, lambda: sent("x", 1, token))
    )  # fmt: skip


@ms.pipeline
def outer_asked():
    return ms.run_pipeline(asked)


@ms.pipeline
def asked(expires: str | None = None, on_expiry: str = "fail", on_rejection: str = "fail"):
    found = square(3)
    yes = ms.wait_for_approval(
        "release", message="Is 9 right?", after=found, expires=expires,
        on_expiry=on_expiry, on_rejection=on_rejection,
    )  # fmt: skip
    return ms.when(yes, lambda: note("released", found), lambda: note("kept", found))


@ms.pipeline
def told(expires: str | None = None, on_expiry: str = "fail"):
    return ms.wait_for_event("rows-came", expires=expires, on_expiry=on_expiry)


@ms.pipeline
def later(until: str = "2027-01-15T08:10:00Z"):
    return double(ms.wait("10m", after=square(ms.wait_until(until, after=square(2)))))


@ms.pipeline
def no_list():
    return ms.map(square, over=is_large(3))


@ms.pipeline
def no_bool():
    return ms.when(square(3), lambda: square(4))


@ms.step
def gathered(total: int, grown: int, caught: dict, text: str) -> list:
    return [total, grown, caught["type"], text]


@ms.pipeline
def everything(count: int = 3):
    """One of each, so that kills find all kinds of decisions."""
    five = plus(2, 3)
    return gathered(
        add(ms.map(square, over=numbers(count), limit=2)),
        ms.iterate(double, 2, until=is_large),
        ms.catch(lambda: fail(five), lambda error: apology(error, five)),
        ms.when(is_large(plus(20, 5)), lambda: note("large", plus(20, 5)), lambda: note("s", 1)),
    )


@ms.pipeline
def deep(count: int = 3):
    """A graph that grows, rounds and a run of its own beside each other."""
    grown = plan(numbers(count), 7)
    return add([grown, ms.iterate(double, 2, until=is_large), ms.run_pipeline(squares, count=2)])


@ms.dynamic
def endless(number: int) -> int:
    return endless(number + 1)


@ms.pipeline
def bottomless():
    return endless(0)


@ms.pipeline
def wide(count: int = 2000, limit: int | None = 8):
    return add(ms.map(lambda n: plus(square(n), 1), over=numbers(count), name="each", limit=limit))


@ms.step
def strange(kind: str) -> object:
    found = {"none": None, "dict": {"a": 1}, "text": "abc", "number": 3}
    return found[kind] if kind in found else (n for n in range(3))


@ms.pipeline
def over_what(kind: str = "dict"):
    return add(ms.map(square, over=strange(kind)))


@ms.step
def sleeps() -> None:
    did("asleep")
    time.sleep(3600)
    did("awake")


@ms.step
def fails_then() -> None:
    """Fail once the other branch is at work."""
    while not (HERE / "done.txt").exists():
        time.sleep(0.01)
    raise ValueError("enough")


@ms.pipeline
def one_sleeps():
    return ms.parallel(sleeps, fails_then)
