"""Endpoints and rollouts in a real store: one running rollout each, only allowed moves."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mainspring.backends.sql import audit, open_store
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, ConflictError, MainspringError, NotFoundError
from mainspring.ground.objects import Rollout, Strategy
from mainspring.ground.permissions import Permission, owner, service
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.scaling.serving.tables import METADATA


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request, tmp_path) -> Iterator[Callable[..., Any]]:
    """Write to either database."""
    url = f"sqlite:///{tmp_path / 'm.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    store = open_store(url, [METADATA], TurnedClock(0.0))
    yield lambda work: store.write(service("engine"), Permission.WORK, work)
    store.close()


def test_a_fleet_is_what_runs_and_what_ended_while_any_of_it_ran(both) -> None:
    def begin(name: str, started: float, **more: Any) -> Rollout:
        given = {"id": f"r_{name}", "endpoint": name, "started": started}
        return both(lambda tx: rollouts.start(tx, rollout(**{**given, **more})))

    for name in ("mine", "beside", "over", "before", "watch", "stranger"):
        both(lambda tx, name=name: endpoints.ensure(tx, name, "flights", at=0.0))
    begin("before", 10.0)
    both(lambda tx: rollouts.end(tx, "r_before", "rejected", at=90.0))
    begin("beside", 100.0)
    begin("over", 110.0)
    both(lambda tx: rollouts.end(tx, "r_over", "promoted", at=150.0))
    begin("watch", 120.0, purpose="watch")
    begin("stranger", 120.0)
    mine = begin("mine", 200.0)
    fleet = ["mine", "beside", "over", "before", "watch"]
    found = both(lambda tx: rollouts.beside(tx, mine, fleet))
    assert [one.id for one in found] == ["r_beside", "r_over"]
    both(lambda tx: rollouts.end(tx, "r_beside", "rejected", at=190.0))
    assert both(lambda tx: rollouts.beside(tx, mine, fleet)) == []
    assert both(lambda tx: rollouts.beside(tx, mine, [])) == []


@pytest.fixture
def write(tmp_path) -> Iterator[Callable[..., Any]]:
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}", [METADATA], TurnedClock(0.0))

    def run(work):
        return store.write(service("engine"), Permission.WORK, work)

    yield run
    store.close()


def rollout(**changes) -> Rollout:
    values = {
        "id": "rollout_1",
        "endpoint": "flights",
        "model": "flights",
        "champion": 1,
        "challenger": 2,
        "strategy": Strategy.CANARY,
        "share": 0.2,
        "state": "running",
        "started": 10.0,
        "better": [0.0, -1.5],
    }
    return Rollout(**{**values, **changes})


def test_a_rollout_is_kept_as_it_was_given(write) -> None:
    write(lambda tx: rollouts.start(tx, rollout()))
    assert write(lambda tx: rollouts.running(tx, "flights")) == rollout()
    assert write(lambda tx: rollouts.of_endpoint(tx, "flights")) == [rollout()]
    assert write(lambda tx: rollouts.running(tx, "other")) is None


def test_every_change_is_one_line_of_the_audit_log(write) -> None:
    write(lambda tx: rollouts.start(tx, rollout(), "It looks better."))
    write(lambda tx: rollouts.end(tx, "rollout_1", "promoted", at=20.0))
    newest, oldest = write(lambda tx: audit.rows(tx, 10))
    assert (oldest.action, oldest.subject) == ("rollout.start", "endpoint:flights")
    assert oldest.reason == "It looks better."
    assert (newest.action, newest.subject) == ("rollout.end", "endpoint:flights")


def test_only_one_runs_on_an_endpoint(write) -> None:
    write(lambda tx: rollouts.start(tx, rollout()))
    with pytest.raises(ConflictError):
        write(lambda tx: rollouts.start(tx, rollout(id="rollout_2")))
    write(lambda tx: rollouts.start(tx, rollout(id="rollout_3", endpoint="other")))
    write(lambda tx: rollouts.end(tx, "rollout_1", "rejected", at=20.0))
    write(lambda tx: rollouts.start(tx, rollout(id="rollout_2")))


def test_the_database_itself_refuses_a_second_one(write, monkeypatch) -> None:
    monkeypatch.setattr(rollouts, "running", lambda tx, endpoint: None)
    write(lambda tx: rollouts.start(tx, rollout()))
    with pytest.raises(MainspringError):
        write(lambda tx: rollouts.start(tx, rollout(id="rollout_2")))


def test_a_rollout_ends_once(write) -> None:
    write(lambda tx: rollouts.start(tx, rollout()))
    ended = write(lambda tx: rollouts.end(tx, "rollout_1", "promoted", at=20.0))
    assert (ended.state, ended.ended) == ("promoted", 20.0)
    for state in ("rejected", "running", "promoted", "nonsense"):
        with pytest.raises(ConflictError):
            write(lambda tx, state=state: rollouts.end(tx, "rollout_1", state, at=30.0))
    with pytest.raises(ConflictError):
        write(lambda tx: rollouts.update(tx, "rollout_1", [], [], rows=1, cursor=1))


def test_tests_only_go_forward(write) -> None:
    write(lambda tx: rollouts.start(tx, rollout()))
    write(lambda tx: rollouts.update(tx, "rollout_1", [1.0], [2.0], rows=5, cursor=3))
    found = write(lambda tx: rollouts.get(tx, "rollout_1"))
    assert (found.better, found.worse, found.rows, found.cursor) == ([1.0], [2.0], 5, 3)
    with pytest.raises(ConflictError):
        write(lambda tx: rollouts.update(tx, "rollout_1", [], [], rows=5, cursor=2))
    with pytest.raises(NotFoundError):
        write(lambda tx: rollouts.update(tx, "nothing", [], [], rows=5, cursor=2))


def test_nonsense_is_refused(write) -> None:
    with pytest.raises(ConflictError):
        write(lambda tx: rollouts.start(tx, rollout(challenger=1)))
    with pytest.raises(BadInputError):
        write(lambda tx: rollouts.start(tx, rollout(share=1.5)))
    with pytest.raises(BadInputError):
        write(lambda tx: rollouts.start(tx, rollout(state="ended")))


def test_an_endpoint_is_made_once_and_keeps_its_model(write) -> None:
    made = write(lambda tx: endpoints.ensure(tx, "flights", "m", at=1.0))
    assert write(lambda tx: endpoints.ensure(tx, "flights", "m", at=9.0)) == made
    assert write(lambda tx: endpoints.ensure(tx, "flights", "m", at=9.0, loop="l")).loop == "l"
    assert write(lambda tx: endpoints.of_model(tx, "m"))[0].loop == "l"
    with pytest.raises(ConflictError):
        write(lambda tx: endpoints.ensure(tx, "flights", "other", at=9.0))
    with pytest.raises(ConflictError):
        write(lambda tx: endpoints.ensure(tx, "flights", "m", at=9.0, loop="another"))
    with pytest.raises(BadInputError):
        write(lambda tx: endpoints.ensure(tx, "../x", "m", at=9.0))
    write(lambda tx: rollouts.start(tx, rollout()))
    with pytest.raises(ConflictError):
        write(lambda tx: endpoints.remove(tx, "flights"))
    write(lambda tx: rollouts.end(tx, "rollout_1", "ended", at=1.0))
    write(lambda tx: endpoints.remove(tx, "flights"))
    assert write(endpoints.list_endpoints) == []
    with pytest.raises(NotFoundError):
        write(lambda tx: endpoints.get(tx, "flights"))


def test_of_many_who_start_at_once_one_wins(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    store = open_store(url, [METADATA], TurnedClock(0.0))
    won: list[int] = []

    def start(number: int) -> None:
        try:
            store.write(
                owner() if number < 0 else service("engine"),
                Permission.WORK,
                lambda tx: rollouts.start(tx, rollout(id=f"r{number}")),
            )
        except ConflictError:
            return
        won.append(number)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert len(won) == 1
