"""A model in a process of its own may crash, hang, raise or eat memory: it is replaced."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mainspring.ground.errors import (
    DeadlineError,
    ModelFailedError,
    OverloadedError,
    UnavailableError,
)
from mainspring.ground.objects import Column, EndpointLimits, Signature
from mainspring.scaling.models.apart import child
from mainspring.scaling.models.apart.spawned import Launch
from mainspring.scaling.serving.scorers.breaker import Breaker
from mainspring.scaling.serving.scorers.isolated import Isolated
from waiting import alive, until

ILL = Path(__file__).with_name("ill_models.py")
TWO = Signature(
    columns=[Column(name="a", type="float"), Column(name="b", type="float")],
    kind="regression",
    target="y",
)
ANSWER, CRASH, HANG, RAISE, EAT, EXIT, LIE = range(7)

Make = Callable[..., Isolated]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Isolated] = []

    def start(name: str, *, signature: Signature = TWO, **options) -> Isolated:
        limits = options.pop("limits", {"timeout_ms": 60_000})
        launch = Launch(loader=f"{ILL}:{name}", **options.pop("launch", {}))
        made.append(
            Isolated(
                *("0" * 64, signature, "python", launch),
                limits=lambda: EndpointLimits(**limits),
                **options,
            )
        )
        return made[-1].open()

    yield start
    for one in made:
        one.close()


def rows(scorer: Isolated, a: float, count: int = 1):
    return scorer.check({"a": [float(a)] * count, "b": [2.0] * count})


def answered_again(scorer: Isolated) -> float:
    """Return the answer of the next child that is there, however long it is waited for."""

    def answer() -> list[float]:
        try:
            return [float(scorer.score(rows(scorer, ANSWER))[0, 0])]
        except OverloadedError:
            return []

    return until(answer)[0]


def test_a_child_answers_what_its_model_says(make: Make) -> None:
    scorer = make("good")
    asked = scorer.check({"a": [1.0, 2.5], "b": [2.0, 0.25]})
    assert scorer.score(asked).tolist() == [[3.0], [2.75]]
    assert scorer.labels(scorer.score(asked)) == [3.0, 2.75]
    assert scorer.score(scorer.check({"a": [], "b": []})).shape == (0, 1)
    account = scorer.account()
    assert (account["state"], account["restarts"], len(account["pids"])) == ("up", 0, 1)


def test_the_loader_gets_what_it_was_told(make: Make) -> None:
    scorer = make("told", launch={"told": {"add": 41}})
    assert scorer.score(rows(scorer, 0, count=3)).tolist() == [[41.0]] * 3


def test_every_type_of_column_crosses_whole(make: Make) -> None:
    columns = [
        Column(name="word", type="str", nullable=True),
        Column(name="n", type="int"),
        Column(name="yes", type="bool"),
        Column(name="x", type="float", nullable=True),
    ]
    signature = Signature(columns=columns, kind="multiclass", target="y", classes=list("abcd"))
    scorer = make("echo", signature=signature)
    found = scorer.score(
        scorer.check(
            {"word": ["", None, "äß→"], "n": [1, -(2**53), 3], "yes": [True, False, True],
             "x": [0.1, float("nan"), -0.0]}
        )
    )  # fmt: skip
    assert found[:, 0].tolist() == [0, -1, 3]
    assert found[:, 1].tolist() == [1, -(2**53), 3]
    assert found[:, 2].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found[:, 3], [0.1, np.nan, -0.0])


def test_what_a_model_raises_fails_that_request_alone_and_its_words_are_not_shown(
    make: Make,
) -> None:
    scorer = make("by_order")
    before = answered_again(scorer)
    with pytest.raises(ModelFailedError, match="KeyError") as failed:
        scorer.score(rows(scorer, RAISE))
    assert "no such thing" not in str(failed.value)
    assert "no such thing" in failed.value.trace
    with pytest.raises(ModelFailedError, match="ValueError"):
        scorer.score(rows(scorer, LIE))
    assert answered_again(scorer) == before
    assert scorer.account()["restarts"] == 0


@pytest.mark.parametrize(
    ("order", "why"), [(CRASH, "SIGSEGV"), (EXIT, "code 7")], ids=["crash", "exit"]
)
def test_a_crash_is_answered_at_once_and_another_child_takes_over(
    make: Make, order: int, why: str
) -> None:
    scorer = make("by_order")
    before = answered_again(scorer)
    with pytest.raises(OverloadedError, match=why):
        scorer.score(rows(scorer, order))
    assert answered_again(scorer) != before
    assert why in scorer.account()["why"]
    assert scorer.account()["restarts"] == 1


def test_a_hang_is_given_up_in_time_and_the_child_is_gone(make: Make) -> None:
    limits = {"timeout_ms": 60_000}
    scorer = make("by_order", limits=limits)
    before = int(answered_again(scorer))
    limits["timeout_ms"] = 300
    with pytest.raises(DeadlineError, match="300 ms"):
        scorer.score(rows(scorer, HANG))
    limits["timeout_ms"] = 60_000
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert answered_again(scorer) != before


def test_memory_above_the_limit_ends_the_child_and_not_the_machine(make: Make) -> None:
    scorer = make("by_order", limits={"timeout_ms": 60_000, "memory_mb": 300})
    with pytest.raises(OverloadedError, match=r"memory|300 MB"):
        scorer.score(rows(scorer, EAT))
    answered_again(scorer)


def test_a_child_that_was_killed_idle_costs_no_request(make: Make) -> None:
    scorer = make("by_order")
    before = int(answered_again(scorer))
    os.kill(before, signal.SIGKILL)
    # Whether the keeper saw it first or not, the request had not begun and is answered.
    assert scorer.score(rows(scorer, ANSWER))[0, 0] != before


def test_after_several_crashes_calls_are_refused_at_once_until_one_try_goes_well(
    make: Make,
) -> None:
    scorer = make("by_order", breaker=Breaker(failures=2, window_s=600, open_s=1.0))
    for _ in range(2):
        until(lambda: scorer.account()["state"] == "up")
        with pytest.raises(OverloadedError):
            scorer.score(rows(scorer, CRASH))
    assert scorer.account()["state"] in ("open", "half-open")
    assert scorer.account()["opened"] == 1
    answered_again(scorer)
    assert scorer.account()["state"] == "up"


def test_several_children_answer_side_by_side(make: Make) -> None:
    limits = {"timeout_ms": 2_000}
    scorer = make("by_order", children=2, limits=limits)
    until(lambda: len(scorer.account()["pids"]) == 2)
    ended: list[str] = []

    def hang() -> None:
        try:
            scorer.score(rows(scorer, HANG))
        except DeadlineError:
            ended.append("in time")

    stuck = threading.Thread(target=hang)
    stuck.start()
    until(lambda: scorer.account()["busy"] == 1 or ended)
    limits["timeout_ms"] = 60_000
    answered_again(scorer)
    stuck.join(60)
    assert ended == ["in time"]


def test_a_model_that_cannot_be_loaded_says_why(make: Make) -> None:
    with pytest.raises(UnavailableError, match="ValueError: a bad file"):
        make("refuse")
    with pytest.raises(UnavailableError, match="code 9"):
        make("crash_at_once")


def test_a_child_sees_no_proxy_no_secret_and_no_listening_socket(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("MAINSPRING_SECRET", "x")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        scorer = make("environment")
        assert scorer.score(rows(scorer, 0, count=2)).tolist() == [[0.0], [0.0]]


def test_children_die_with_their_parent_however_it_dies(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, threading\n"
        "from mainspring.ground.objects import Column, Signature\n"
        "from mainspring.scaling.serving.scorers.isolated import Isolated\n"
        "from mainspring.scaling.models.apart.spawned import Launch\n"
        "two = Signature(columns=[Column(name=n, type='float') for n in 'ab'],"
        " kind='regression', target='y')\n"
        f"one = Isolated('0' * 64, two, 'python', Launch(loader={f'{ILL}:by_order'!r})).open()\n"
        "print(one.account()['pids'][0], flush=True)\n"
        "one.score(one.check({'a': [2.0], 'b': [0.0]}))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        found = int(parent.stdout.readline())
        parent.kill()

    until(lambda: not alive(found))


def test_the_file_of_a_child_needs_the_standard_library_alone() -> None:
    import ast

    tree = ast.parse(Path(child.__file__).read_text("utf-8"), feature_version=(3, 8))
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named.add(str(node.module).partition(".")[0])
    import sys

    assert named <= sys.stdlib_module_names
