"""A kind of task may be opened as it is taken: short chains then cost one transaction each."""

from __future__ import annotations

import threading
from typing import Any

from mainspring.engine.doing import Done, Opener
from mainspring.engine.tasks import Lease, NewTask
from mainspring.ground.errors import ConflictError
from mainspring.ground.ports import Tx

Home = Any


def chain(length: int) -> list[NewTask]:
    return [
        NewTask(id=f"t{n}", kind="k", group="g", needs=[f"t{n - 1}"] if n else [])
        for n in range(length)
    ]


def nothing(tx: Tx, lease: Lease) -> None:
    """Undo nothing."""


def counted(home: Home) -> list[int]:
    """Count the writes of the home's store from now on."""
    writes, write = [0], home.store.write

    def counting(*args: Any) -> Any:
        writes[0] += 1
        return write(*args)

    home.store.write = counting
    return writes


def test_a_chain_with_nothing_to_do_is_finished_in_the_transaction_that_takes_it(
    home: Home,
) -> None:
    home.submit(*chain(30))
    writes = counted(home)
    engine = home.engine(
        {"k": home.effect}, opens={"k": Opener(lambda _, lease: home.effect(lease), nothing)}
    )
    assert engine.step_once()
    assert home.effects() == 30
    assert writes[0] == 1


def test_what_is_opened_is_found_by_the_handler(home: Home) -> None:
    home.submit(*chain(2))
    seen: list[Any] = []

    def handler(lease: Lease) -> Done:
        seen.append(lease.opened)
        return Done()

    opens = {"k": Opener(lambda tx, lease: f"opened {lease.task.id}", nothing)}
    assert home.engine({"k": handler}, opens=opens).run_group("g") == {"done": 2}
    assert seen == ["opened t0", "opened t1"]


def test_what_an_opener_raises_never_undoes_the_end_of_the_task_before(home: Home) -> None:
    home.submit(*chain(2))

    def refuse(tx: Tx, lease: Lease) -> object:
        if lease.task.id == "t1":
            raise ConflictError("not this one")
        return "fine"

    def handler(lease: Lease) -> Done:
        if lease.opened is None:
            raise ConflictError("not this one, said again")
        return home.effect(lease)

    engine = home.engine({"k": handler}, opens={"k": Opener(refuse, nothing)})
    assert engine.run_group("g") == {"done": 1, "failed": 1}
    assert home.effects() == 1
    assert home.get("t1").error == "not this one, said again"


def test_a_task_that_was_opened_and_never_begun_is_undone_as_it_is_given_back(home: Home) -> None:
    home.submit(*chain(2))
    stop, undone = threading.Event(), []

    def handler(lease: Lease) -> Done:
        stop.set()
        return Done()

    opens = {
        "k": Opener(lambda tx, lease: "opened", lambda tx, lease: undone.append(lease.task.id))
    }
    home.engine({"k": handler}, opens=opens, workers=1).worker(stop, None)
    assert home.state("t0") == "done"
    assert home.state("t1") == "ready"
    assert undone == ["t1"]
    assert home.get("t1").last_attempt == 4
