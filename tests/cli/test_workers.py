"""Workers of one endpoint behind one socket, with real processes that stand in for them."""

import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from tests.cli.test_supervisor import Up, lines_of, up, want

from waiting import alive, held_port, until

__all__ = ["up"]  # the fixture


def scaled(up: Up, **more: Any) -> None:
    """Have the engine want one endpoint, with these options."""
    quick = {"out_after_s": 0.1, "in_after_s": 0.5, "in_flight": 8}
    want(up, json.dumps([{"name": "flights", "place": "own", **quick, **more}]))


def load(up: Up, flying: float) -> None:
    """Have each worker tell of so many requests under way."""
    new = up.home / "load.new"
    new.write_text(json.dumps({"flying": flying, "open": 0, "took": [0, int(flying > 0), 0, 0]}))
    new.replace(up.home / "load")


def told(up: Up) -> dict[str, Any]:
    file = up.home / "run/endpoints/flights.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def workers(up: Up) -> dict[str, int]:
    return {name: pid for name, pid in up.pids().items() if name.startswith("endpoint-")}


def ask(up: Up) -> int:
    """Return the process id of the worker that answers."""
    with socket.create_connection(("127.0.0.1", told(up)["port"]), timeout=60) as connection:
        return int(connection.recv(100))


def test_workers_grow_with_the_load_and_fall_back_and_it_is_told_why(up: Up) -> None:
    load(up, 0)
    scaled(up, fewest=1, most=3)
    until(lambda: told(up).get("wanted") == 1)
    load(up, 31)
    until(
        lambda: (
            workers(up).keys() == {"endpoint-flights"} | {f"endpoint-flights~{n}" for n in (2, 3)}
        )
    )
    load(up, 0)
    until(lambda: workers(up).keys() == {"endpoint-flights"})
    up_step, *_, last = told(up)["changes"]
    assert up_step["before"] == 1
    assert "in flight, 8 a worker are wanted" in up_step["why"]
    assert last["after"] == 1
    assert "would have done" in last["why"]
    assert lines_of(up.home, "flights: 1 workers instead of")


def test_an_idle_endpoint_has_no_worker_and_the_next_request_is_answered(up: Up) -> None:
    load(up, 0)
    scaled(up, fewest=0, most=2, idle_s=0.3)
    until(lambda: told(up).get("wanted") == 0)
    assert workers(up) == {}
    first = ask(up)  # which may have ended already when it is looked at
    until(lambda: told(up)["wanted"] == 0 and not alive(first))
    answers: list[int] = []
    asking = [threading.Thread(target=lambda: answers.append(ask(up))) for _ in range(5)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(60)
    assert len(answers) == 5
    assert first not in answers
    assert [c["why"] for c in told(up)["changes"]][:2] == [
        "a request came",
        "nobody asked for 0.3 s",
    ]


def test_a_worker_that_starts_longer_than_an_idle_one_may_live_answers_all_the_same(
    up: Up,
) -> None:
    (up.home / "slow").write_text("1.2")
    load(up, 0)
    scaled(up, fewest=0, most=1, idle_s=0.2)
    until(lambda: told(up).get("wanted") == 0)
    assert ask(up)


def test_connections_wait_while_the_only_worker_starts_again_and_find_the_same_port(
    up: Up,
) -> None:
    scaled(up)
    port = until(lambda: told(up).get("port"))
    first = ask(up)
    os.kill(first, signal.SIGKILL)
    until(lambda: not alive(first))  # or it might accept once more, and never answer
    assert ask(up) != first
    assert told(up)["port"] == port
    assert json.loads((up.home / "run/ports.json").read_text()) == {"flights": port}


def test_one_of_two_workers_is_killed_and_the_other_answers(up: Up) -> None:
    scaled(up, fewest=2, most=2)
    both = until(lambda: len(found := workers(up)) == 2 and told(up) and found)
    until(lambda: {ask(up) for _ in range(3)} >= set(both.values()))
    os.kill(both["endpoint-flights~2"], signal.SIGKILL)
    until(lambda: not alive(both["endpoint-flights~2"]))
    assert all(ask(up) for _ in range(20))
    again = until(lambda: len(found := workers(up)) == 2 and found != both and found)
    assert again["endpoint-flights"] == both["endpoint-flights"]


def test_an_endpoint_that_is_removed_refuses_connections(up: Up) -> None:
    scaled(up, fewest=2, most=2)
    port = until(lambda: told(up).get("port"))
    pids = until(lambda: len(found := workers(up)) == 2 and found)
    want(up)
    until(lambda: not any(alive(pid) for pid in pids.values()))
    with socket.socket() as late:
        assert late.connect_ex(("127.0.0.1", port)) != 0
    assert not list((up.home / "run/endpoints").iterdir())


def test_a_port_is_the_same_after_stop_and_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    with held_port() as port:  # which nobody else is given while the home is down
        (home / "run/ports.json").write_text(json.dumps({"flights": port}))
        for _ in range(2):
            turn = Up(home)
            try:
                scaled(turn)
                assert until(lambda turn=turn: told(turn).get("port")) == port
                ask(turn)
            finally:
                assert turn.end() == 0
                turn.process.communicate()
            assert told(turn) == {}


def test_endpoints_that_share_a_process_have_one_for_all(up: Up) -> None:
    shared = [{"name": name, "place": "shared"} for name in ("a", "b")]
    want(up, json.dumps(shared))
    pid = up.wait_for("host")["host"]
    assert workers(up) == {}
    want(up)
    until(lambda: "host" not in up.pids() and not alive(pid))
