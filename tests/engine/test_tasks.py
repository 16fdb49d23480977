"""Tasks wait for each other, are handed out once, and refuse what comes too late."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from mainspring.engine import again, leases, tasks
from mainspring.engine.tables import tasks as table
from mainspring.engine.tasks import NewTask
from mainspring.ground.errors import BadInputError, ConflictError, LeaseLostError

Home = Any


def task(name: str, *needs: str, **more: Any) -> NewTask:
    return NewTask(id=name, kind="k", needs=list(needs), **{"group": "g", **more})


def test_submitting_the_same_id_again_changes_nothing(home: Home) -> None:
    assert home.submit(task("a", payload={"x": 1})) == 1
    assert home.submit(task("a", payload={"x": 2}), task("b")) == 1
    assert home.get("a").payload == {"x": 1}


def test_a_need_that_does_not_exist_is_refused_and_nothing_is_kept(home: Home) -> None:
    with pytest.raises(BadInputError, match="'ghost'"):
        home.submit(task("a"), task("b", "ghost"))
    assert home.read(lambda tx: tasks.get(tx, "a")) is None


def test_a_task_is_ready_once_everything_it_needs_is_done(home: Home) -> None:
    home.submit(task("join", "a", "b"), task("a"), task("b"))
    assert home.state("join") == "waiting"
    home.finish(home.claim())
    assert home.state("join") == "waiting"
    home.finish(home.claim())
    assert home.state("join") == "ready"


def test_a_need_that_is_done_already_does_not_hold_a_new_task_up(home: Home) -> None:
    home.submit(task("a"))
    home.finish(home.claim())
    home.submit(task("b", "a"))
    assert home.state("b") == "ready"


def test_a_need_that_failed_already_skips_a_new_task_and_all_behind_it(home: Home) -> None:
    home.submit(task("a"))
    home.fail(home.claim())
    home.submit(task("b", "a"), task("c", "b"), task("end", "a", "c", always=True))
    assert [home.state(t) for t in ("b", "c", "end")] == ["skipped", "skipped", "ready"]


def test_a_failure_skips_what_is_behind_it_but_always_tasks_still_run(home: Home) -> None:
    home.submit(task("a"), task("b", "a"), task("c", "b"), task("x"))
    home.submit(task("end", "a", "b", "c", "x", always=True))
    assert home.fail(home.claim()) == "failed"
    assert [home.state(t) for t in ("b", "c", "end")] == ["skipped", "skipped", "waiting"]
    home.finish(home.claim())
    assert home.state("end") == "ready"


def test_first_come_first_served_unless_a_priority_is_higher(home: Home) -> None:
    home.submit(task("a"), task("b"), task("c", priority=5))
    assert [home.claim().task.id for _ in range(3)] == ["c", "a", "b"]
    assert home.claim() is None


def test_a_task_is_given_out_only_when_it_is_due(home: Home) -> None:
    home.submit(task("later", due=home.clock.now() + 60))
    assert home.claim() is None
    assert not home.read(lambda tx: leases.claimable(tx, home.clock.now()))
    home.clock.turn(60)
    assert home.claim().task.id == "later"


def test_a_worker_may_ask_for_a_group_or_a_kind_only(home: Home) -> None:
    home.submit(task("a"), NewTask(id="b", kind="other", group="h"))
    assert home.claim(group="h").task.id == "b"
    assert home.claim(kinds=["other"]) is None
    assert home.claim(kinds=["k"]).task.id == "a"


def test_a_failed_attempt_waits_twice_as_long_each_time_and_then_fails(home: Home) -> None:
    home.submit(task("a", max_attempts=3, backoff_s=10.0))
    for wait in (10.0, 20.0):
        assert home.fail(home.claim(), retry=True) == "ready"
        assert home.get("a").due == home.clock.now() + wait
        assert home.claim() is None
        home.clock.turn(wait)
    assert home.fail(home.claim(), retry=True) == "failed"
    assert home.get("a").error == "broken"


def test_a_dead_workers_task_is_taken_over_and_its_late_result_refused(home: Home) -> None:
    home.submit(task("a"))
    zombie = home.claim("zombie")
    assert home.claim("heir") is None
    home.let_leases_run_out()
    heir = home.claim("heir")
    assert (heir.attempt, heir.task.owner) == (2, "heir")
    for late in (home.finish, home.fail):
        with pytest.raises(LeaseLostError):
            late(zombie)
    with pytest.raises(LeaseLostError):
        home.write(lambda tx: leases.renew(tx, zombie))
    assert home.read(lambda tx: leases.asked_to_stop(tx, [zombie, heir])) == [zombie]
    home.finish(heir)
    assert home.state("a") == "done"


def test_a_lease_that_ran_out_but_was_not_taken_over_is_still_good(home: Home) -> None:
    home.submit(task("a"))
    slow = home.claim()
    home.let_leases_run_out()
    home.finish(slow)
    assert home.state("a") == "done"


def test_a_renewed_lease_is_not_given_away(home: Home) -> None:
    home.submit(task("a"))
    mine = home.claim()
    home.let_leases_run_out()
    assert home.write(lambda tx: leases.renew(tx, mine)) is False
    assert home.claim("heir") is None


def test_a_lease_from_before_the_last_boot_is_free(home: Home) -> None:
    """The lease clock of SQLite starts at boot: an old lease seems to begin in the future."""
    home.submit(task("a"))
    home.claim("before the reboot")
    future = update(table).values(lease_until=table.c.lease_until + 1_000_000.0)
    home.write(lambda tx: tx.run(future))
    assert home.claim("after").attempt == 2


def test_a_task_whose_last_workers_died_fails_and_skips_what_is_behind(home: Home) -> None:
    home.submit(task("a", max_attempts=2), task("b", "a"))
    for _ in range(2):
        home.claim()
        home.let_leases_run_out()
    assert home.claim() is None
    dead = home.write(lambda tx: leases.expire(tx, home.clock.now()))
    assert [t.id for t in dead] == ["a"]
    assert (home.state("a"), home.state("b")) == ("failed", "skipped")


def test_cancel_stops_what_has_not_begun_and_asks_what_runs(home: Home) -> None:
    home.submit(task("a"), task("b"), task("c", "b"), task("end", "a", "b", "c", always=True))
    running = home.claim()
    assert home.write(lambda tx: tasks.cancel(tx, "g")) == 3
    assert [home.state(t) for t in ("a", "b", "c", "end")] == [
        "leased", "cancelled", "cancelled", "waiting",
    ]  # fmt: skip
    assert home.write(lambda tx: leases.renew(tx, running)) is True
    assert home.read(lambda tx: leases.asked_to_stop(tx, [running])) == [running]
    assert home.fail(running, retry=True) == "cancelled"
    assert home.state("end") == "ready"


def test_a_worker_that_died_after_it_was_asked_to_stop_leaves_a_cancelled_task(home: Home) -> None:
    home.submit(task("a"))
    home.claim()
    home.write(lambda tx: tasks.cancel(tx, "g"))
    home.let_leases_run_out()
    assert home.claim() is None
    home.write(lambda tx: leases.expire(tx, home.clock.now()))
    assert home.state("a") == "cancelled"


def test_a_released_task_is_ready_again_and_loses_no_attempt(home: Home) -> None:
    home.submit(task("a", max_attempts=1))
    lease = home.claim()
    home.write(lambda tx: leases.release(tx, lease, home.clock.now()))
    again = home.claim()
    assert again.attempt == 2
    assert again.task.last_attempt == 2


def test_retry_goes_on_from_the_failed_step_and_runs_the_end_again(home: Home) -> None:
    home.submit(task("a"), task("b", "a"), task("c", "b"))
    home.submit(task("end", "a", "b", "c", always=True))
    home.finish(home.claim())
    home.fail(home.claim())
    home.finish(home.claim())
    assert [home.state(t) for t in ("a", "b", "c", "end")] == ["done", "failed", "skipped", "done"]
    assert home.write(lambda tx: again.retry(tx, "g")) == 3
    assert [home.state(t) for t in ("a", "b", "c", "end")] == [
        "done", "ready", "waiting", "waiting",
    ]  # fmt: skip
    for name in ("b", "c", "end"):
        lease = home.claim()
        assert lease.task.id == name
        home.finish(lease)
    assert home.read(lambda tx: tasks.all_final(tx, "g"))


def test_what_is_still_at_work_is_not_retried(home: Home) -> None:
    home.submit(task("a"))
    with pytest.raises(ConflictError, match="still at work"):
        home.write(lambda tx: again.retry(tx, "g"))


def test_a_move_that_the_table_of_moves_does_not_know_is_refused(home: Home) -> None:
    home.submit(task("a"))
    with pytest.raises(ConflictError, match="skipped cannot become done"):
        home.write(lambda tx: tasks.move(tx, table.c.id == "a", ["skipped"], "done"))


def test_a_task_due_later_is_settled_but_one_that_waits_for_its_next_try_is_not(
    home: Home,
) -> None:
    now = home.clock.now()
    home.submit(task("a", due=now + 60))
    assert not home.read(lambda tx: tasks.unsettled(tx, now))
    home.submit(task("b"))
    home.fail(home.claim(), retry=True)
    assert home.read(lambda tx: tasks.unsettled(tx, now))


def test_groups_are_counted_and_listed_in_order(home: Home) -> None:
    home.submit(task("a"), task("b", "a"), NewTask(id="z", kind="k", group="h"))
    home.finish(home.claim())
    assert home.read(lambda tx: tasks.group_state(tx, "g")) == {"done": 1, "ready": 1}
    assert [t.id for t in home.read(lambda tx: tasks.list_tasks(tx, "g"))] == ["a", "b"]
