"""Of many endpoints only those are looked at of which something moved; none is forgotten."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.workspace import attention
from mainspring.workspace.attention import COLD_AT_ONCE, COLD_S, SLOWEST_S, Attention

AT = 1e9


class Home:
    """Some endpoints, their folders, and a clock that the test turns."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self.root, self.now = root, 1000.0
        self.keys = dict.fromkeys(names, 0)
        self.attention = Attention(lambda name: root / name)

    def look(self, ended=(), at=AT, needs=()) -> list[str]:
        found = list(self.attention.due(self.keys, set(ended), at))
        for name in found:
            self.attention.looked(name, needs, at)
        return found

    def write(self, name: str, text: str) -> None:
        (self.root / name).mkdir(exist_ok=True)
        with (self.root / name / "rows.open").open("a") as file:
            file.write(text)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    made = Home(tmp_path, ["a", "b", "c"])
    monkeypatch.setattr(attention.time, "monotonic", lambda: made.now)
    return made


def test_everything_is_looked_at_once_and_then_what_moved(home):
    assert sorted(home.look()) == ["a", "b", "c"]
    assert home.look() == []
    home.write("b", "row")
    assert home.look() == ["b"]
    home.write("b", "more")
    assert home.look() == ["b"]
    home.keys["c"] = 1  # labels came, or it was declared anew
    assert home.look() == ["c"]
    assert home.look() == []


def test_work_that_ended_is_worth_a_look_and_work_at_hand_is_not(home):
    home.look(needs=["window/1"])
    assert home.attention.pending == {"window/1"}
    assert home.look() == []
    assert sorted(home.look(ended=["window/1"])) == ["a", "b", "c"]
    assert home.attention.pending == set()


def test_what_was_quiet_for_long_is_noticed_within_the_slowest_pace(home):
    home.look()
    for _ in range(100):  # quiet for a while: it is felt less and less often
        home.now += 0.25
        home.look()
    home.write("a", "row")
    waited = 0.0
    while home.look() != ["a"]:
        home.now += 0.25
        waited += 0.25
    assert waited <= SLOWEST_S
    home.write("a", "next")
    assert home.look() == ["a"]  # and from now on at once


def test_what_never_moves_is_looked_at_all_the_same_a_few_at_a_time(tmp_path, monkeypatch):
    names = [f"loop-{n}" for n in range(3 * COLD_AT_ONCE)]
    home = Home(tmp_path, names)
    monkeypatch.setattr(attention.time, "monotonic", lambda: home.now)
    home.look()
    home.now += 2 * COLD_S
    seen: list[str] = []
    for _ in range(3):
        found = home.look()
        assert len(found) == COLD_AT_ONCE
        seen += found
    assert sorted(seen) == sorted(names)
    assert home.look() == []


def test_a_clock_that_is_turned_is_worth_a_look(home):
    home.look()
    assert sorted(home.look(at=AT + 2 * COLD_S)) == ["a", "b", "c"]
    assert sorted(home.look(at=AT - 2 * COLD_S)) == ["a", "b", "c"]


def test_an_endpoint_that_is_gone_is_forgotten_and_looked_at_anew_when_it_is_back(home):
    home.look(needs=["window/1"])
    del home.keys["b"]
    home.look()
    home.keys["b"] = 0
    assert home.look() == ["b"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_no_change_of_a_key_is_ever_missed(steps):
    keys = dict.fromkeys("abc", 0)
    watch = Attention(lambda name: Path("/nowhere") / name)
    for name in watch.due(keys, set(), AT):
        watch.looked(name, (), AT)
    for name, key in steps:
        moved, keys[name] = keys[name] != key, key
        assert (name in list(watch.due(keys, set(), AT))) == moved
        watch.looked(name, (), AT)
