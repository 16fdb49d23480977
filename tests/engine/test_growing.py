"""Tasks that grow while they run: parked, awaited anyhow, told from outside, held in pools."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.engine import again, leases, tasks
from mainspring.engine.tasks import FINAL, NewTask
from mainspring.engine.worker import Done, Parks
from mainspring.ground.errors import BadInputError, ConflictError, LeaseLostError

Home = Any
FAR = 4e9


def task(name: str, *needs: str, **more: Any) -> NewTask:
    return NewTask(id=name, needs=list(needs), **{"group": "g", "kind": "k", **more})


def park(home: Home, lease: Any, *new: NewTask, needs: Any = ()) -> bool:
    return home.write(lambda tx: leases.park(tx, lease, new, needs))


def tell(home: Home, name: str) -> bool:
    return home.write(lambda tx: tasks.tell(tx, name, {"told": 1}, home.clock.now()))


def test_a_parked_task_goes_on_once_what_it_added_has_ended_well_or_not(home: Home) -> None:
    home.submit(task("grow"), task("end", "grow", always=True))
    assert park(home, home.claim(), task("x", before=["end"]), task("y"))
    assert home.state("grow") == "waiting"
    first, second = home.claim(), home.claim()
    home.fail(first)
    assert (home.state("grow"), home.state("end")) == ("waiting", "waiting")
    home.finish(second)
    again = home.claim()
    assert (again.task.id, again.attempt) == ("grow", 2)
    home.finish(again)
    assert home.state("end") == "ready"


def test_parking_again_and_again_never_uses_up_the_attempts(home: Home) -> None:
    home.submit(task("grow", max_attempts=2))
    for number in range(5):
        assert park(home, home.claim(), task(f"x{number}"))
        home.finish(home.claim())
    assert home.fail(home.claim(), retry=True) == "ready"


def test_a_task_parked_on_what_has_ended_already_is_ready_at_once(home: Home) -> None:
    home.submit(task("x"), task("grow"))
    home.finish(home.claim())
    assert park(home, home.claim(), task("x"), needs=["x"])
    assert home.state("grow") == "ready"


def test_a_need_nobody_knows_keeps_nothing_of_the_growth(home: Home) -> None:
    home.submit(task("grow"))
    lease = home.claim()
    with pytest.raises(BadInputError, match="'ghost'"):
        park(home, lease, task("x"), needs=["ghost"])
    assert home.state("grow") == "leased"
    assert home.read(lambda tx: tasks.get(tx, "x")) is None


def test_who_lost_the_lease_adds_nothing(home: Home) -> None:
    home.submit(task("grow"))
    zombie = home.claim("zombie")
    home.let_leases_run_out()
    assert home.claim("heir").task.id == "grow"
    with pytest.raises(LeaseLostError):
        park(home, zombie, task("x"))
    assert home.read(lambda tx: tasks.get(tx, "x")) is None


def test_a_cancelled_task_does_not_grow(home: Home) -> None:
    home.submit(task("grow"))
    lease = home.claim()
    home.write(lambda tx: tasks.cancel(tx, "g"))
    assert park(home, lease, task("x")) is False
    assert home.state("grow") == "cancelled"
    assert home.read(lambda tx: tasks.get(tx, "x")) is None


def test_what_waits_anyhow_is_not_skipped_by_a_failure(home: Home) -> None:
    home.submit(task("a"), task("tolerant", anyhow=["a"]), task("strict", "a"))
    home.fail(home.claim())
    assert (home.state("tolerant"), home.state("strict")) == ("ready", "skipped")


def test_a_task_cannot_go_before_one_that_runs_already(home: Home) -> None:
    home.submit(task("end"))
    with pytest.raises(ConflictError, match="end does not wait any more"):
        home.submit(task("x", before=["end"]))


def test_news_wake_what_waits_for_them_and_only_the_first_counts(home: Home) -> None:
    home.submit(task("news", due=FAR), task("waits", "news"))
    assert home.claim() is None
    assert tell(home, "news")
    assert not tell(home, "news")
    assert home.get("news").result == {"told": 1}
    assert home.claim().task.id == "waits"


def test_news_that_are_given_up_cannot_be_told(home: Home) -> None:
    home.submit(task("news", due=home.clock.now() + 10))
    home.clock.turn(10)
    assert home.claim().task.id == "news"
    assert not tell(home, "news")


def test_a_retry_leaves_what_others_dealt_with_and_keeps_when_news_are_due(home: Home) -> None:
    home.submit(task("caught"), task("news", due=FAR), task("b"), task("e", "b", always=True))
    home.fail(home.claim())
    home.fail(home.claim())
    home.write(lambda tx: tasks.cancel(tx, "g"))
    home.finish(home.claim())
    assert home.write(lambda tx: again.retry(tx, "g", leave=["caught"])) == 3
    assert (home.state("caught"), home.get("news").due) == ("failed", FAR)


def test_of_a_pool_only_so_many_are_worked_on_at_once(home: Home) -> None:
    home.submit(*(task(f"p{n}", pool="p", pool_size=2, lot=n) for n in range(4)), task("free"))
    held = [home.claim(f"w{n}") for n in range(3)]
    assert [one.task.id for one in held] == ["p0", "p1", "free"]
    assert home.claim() is None
    assert not home.read(lambda tx: leases.claimable(tx, home.clock.now()))
    home.finish(held[0])
    assert home.claim().task.id == "p2"


def test_a_lot_of_several_tasks_has_its_place_until_all_of_it_has_ended(home: Home) -> None:
    two = {"pool": "p", "pool_size": 1}
    home.submit(*(task(f"{x}{n}", *needs, lot=n, **two)
                  for n in range(3) for x, needs in (("a", []), ("b", [f"a{n}"]))))  # fmt: skip
    home.finish(home.claim())
    assert home.claim().task.id == "b0"
    assert home.claim() is None
    home.let_leases_run_out()
    home.finish(home.claim())  # b0, once more: a place is kept over a death
    home.fail(home.claim())
    assert (home.state("a1"), home.state("b1"), home.state("a2")) == ("failed", "skipped", "ready")
    home.finish(home.claim())
    home.finish(home.claim())
    assert home.write(lambda tx: again.retry(tx, "g")) == 2
    assert [home.claim().task.id, home.claim()] == ["a1", None]


def test_a_group_that_goes_on_lets_in_no_more_than_its_pool_takes(home: Home) -> None:
    home.submit(*(task(f"p{n}", pool="p", pool_size=2, lot=n) for n in range(5)))
    first = home.claim()
    home.write(lambda tx: tasks.cancel(tx, "g"))
    home.finish(first)
    assert home.write(lambda tx: again.retry(tx, "g")) == 4
    assert [one and one.task.id for one in (home.claim(), home.claim(), home.claim())] == [
        "p1", "p2", None,
    ]  # fmt: skip


def test_many_engines_never_let_too_many_lots_begin(home: Home) -> None:
    """Eight workers in two engines; the largest number of lots at once is counted by handlers."""
    lock, now, most = threading.Lock(), set(), [0]

    def work(lease: Any) -> Done:
        name, number = lease.task.id[0], lease.task.id[1:]
        with lock:
            if name == "a":
                now.add(number)
                most[0] = max(most[0], len(now))
            else:
                now.remove(number)
        return Done()

    home.submit(*(task(f"{x}{n}", *needs, pool="p", pool_size=3, lot=n)
                  for n in range(20) for x, needs in (("a", []), ("b", [f"a{n}"]))))  # fmt: skip
    engines = [home.engine({"k": work}, workers=4) for _ in range(2)]
    threads = [threading.Thread(target=one.run_group, args=("g",)) for one in engines]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert home.read(lambda tx: tasks.group_state(tx, "g")) == {"done": 40}
    assert 1 <= most[0] <= 3


def test_a_handler_grows_the_graph_and_finishes_when_it_is_done(home: Home) -> None:
    seen: list[str] = []

    def grow(lease: Any) -> Done:
        seen.append(f"grow {lease.attempt}")
        if lease.attempt == 1:
            new = [task(f"x{n}", kind="x") for n in range(3)]
            return Done(parks=Parks(new=new))
        return Done(result={"sum": 3})

    home.submit(NewTask(id="g", kind="grow", group="g"), task("after", "g", kind="x"))
    home.engine({"grow": grow, "x": home.effect}).run_group("g")
    assert (seen, home.effects()) == (["grow 1", "grow 2"], 4)
    assert home.get("g").result == {"sum": 3}


def test_working_on_a_group_does_what_it_waits_for_elsewhere_and_leaves_what_waits_long(
    home: Home,
) -> None:
    home.submit(task("far", group="other", kind="x"), task("not asked", group="third", kind="x"))
    home.submit(task("near", "far", kind="x"), task("news", due=home.clock.now() + 3600))
    home.submit(task("behind", "news", "near", kind="x"))
    assert home.engine({"x": home.effect}).run_group("g") == {"done": 1, "ready": 1, "waiting": 1}
    assert (home.state("far"), home.state("not asked")) == ("done", "ready")


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_whatever_ends_how_every_task_ends_and_nothing_grown_is_lost(
    home: Home, data: Any
) -> None:
    """Tasks finish, fail, die or grow by chance; the tree always comes to its end."""
    names = iter(range(10_000))
    tag = f"h{data.draw(st.integers(0, 10**9), label='tag')}-{id(data)}"
    home.write(lambda tx: tasks.submit(tx, [task(f"{tag}", group=tag, max_attempts=2)]))
    home.write(lambda tx: tasks.submit(tx, [task(f"{tag}:end", tag, group=tag, always=True)]))
    grown = 0
    while (lease := home.claim(group=tag)) is not None:
        act = data.draw(st.sampled_from(["finish", "fail", "retry", "grow", "die"]))
        if act == "grow" and grown < 12 and not lease.task.always:
            more = data.draw(st.integers(1, 3))
            new = [task(f"{tag}:{next(names)}", group=tag, max_attempts=2) for _ in range(more)]
            new[-1] = task(f"{new[-1].id}", *[t.id for t in new[:-1]], group=tag)
            assert park(home, lease, *[
                NewTask(**{**{f: getattr(t, f) for f in t.__struct_fields__},
                           "before": [f"{tag}:end"]}) for t in new
            ])  # fmt: skip
            grown += more
        elif act == "die":
            home.let_leases_run_out()
            home.write(lambda tx: leases.expire(tx, home.clock.now()))
        elif act in ("fail", "retry"):
            home.fail(lease, retry=act == "retry")
            home.clock.turn(400)
        else:
            home.finish(lease)
    every = home.read(lambda tx: tasks.list_tasks(tx, tag))
    assert {one.state for one in every} <= set(FINAL)
    assert len(every) == 2 + grown
