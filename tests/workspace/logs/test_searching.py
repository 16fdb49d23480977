"""Lines are found by time, process, ids, level and text, as a plain reading would find them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.logfiles import turned_name
from mainspring.ground.logs import line_of, stamp
from mainspring.workspace.logs import asking, lines, reading
from mainspring.workspace.logs.lines import Query

START = 1_790_000_000.0
PROCESSES = ("engine", "web", "endpoint-flights", "endpoint-rows")


def write(home: Path, said: list[tuple[float, str, str, str, dict[str, Any]]], most: int) -> None:
    """Write lines as processes would, each into files of at most ``most`` lines."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for process in PROCESSES:
        own = [one for one in said if one[2] == process]
        for first in range(0, len(own), most):
            part, last = own[first : first + most], first + most >= len(own)
            file = folder / f"{process}.jsonl"
            file.write_bytes(b"".join(line_of(t, lv, p, 7, ev, f) for t, lv, p, ev, f in part))
            os.utime(file, (part[-1][0], part[-1][0]))
            if not last:
                file.rename(turned_name(file, part[-1][0]))


SAID = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["debug", "info", "warning", "error"]),
        st.sampled_from(PROCESSES),
        st.sampled_from(["began", "ENDED well", 'said "no"\n', "überall ☃", ""]),
        st.fixed_dictionaries(
            {}, optional={"run": st.sampled_from(["run_1", "run_11"]), "endpoint": st.just("rows")}
        ),
    ),
    max_size=60,
)


@given(
    SAID,
    st.sampled_from(["", "BEGAN", "said", '"no"', 'no"\n', "☃", "run_1", "event", "info"]),
    st.sampled_from([None, "engine", "endpoint", "endpoint-rows"]),
    st.sampled_from(["debug", "info", "warning", "critical"]),
    st.sampled_from([None, "run_1"]),
    st.sampled_from([None, "rows"]),
    st.tuples(st.integers(0, 60), st.integers(0, 90)),
    st.sampled_from([1, 3, 7, 100]),
)
def test_a_search_finds_what_reading_every_line_finds(
    tmp_path_factory, said, text, process, level, run, endpoint, span, most
) -> None:
    home, at, given_ = tmp_path_factory.mktemp("home"), START, []
    for step, *rest in said:
        at += step
        given_.append((at, *rest))
    write(home, given_, most)
    query = Query(
        text=text, process=process, level=level, run=run, endpoint=endpoint,
        since=START + span[0], until=START + span[0] + span[1],
    )  # fmt: skip
    found = reading.search(home / "logs", query, 1000)
    wanted = [
        (t, p, ev)
        for t, lv, p, ev, fields in given_
        if query.since <= t <= query.until
        and lv in query.levels
        and (process is None or p == process or p.startswith(f"{process}-"))
        and (run is None or fields.get("run") == run)
        and (endpoint is None or fields.get("endpoint") == endpoint)
        and any(text.lower() in str(v).lower() for v in (ev, lv, p, *fields.values()))
    ]
    assert sorted((one.time, one.process, one.event) for one in found) == sorted(wanted)
    assert [one.time for one in found] == sorted((t for t, _, _ in wanted), reverse=True)


def test_the_newest_come_first_and_no_more_than_asked_for(tmp_path) -> None:
    said = [(START + n, "info", PROCESSES[n % 4], f"number {n}", {}) for n in range(500)]
    write(tmp_path, said, 30)
    found = asking.find(tmp_path, Query(text="NUMBER"), limit=3)
    assert [line.event for line in found] == ["number 499", "number 498", "number 497"]


def test_files_outside_of_the_time_asked_for_are_not_read(tmp_path, monkeypatch) -> None:
    write(tmp_path, [(START + n, "info", "web", f"{n}", {}) for n in range(1000)], 100)
    read, real = [], os.pread

    def pread(number: int, size: int, offset: int) -> bytes:
        read.append(number)
        return real(number, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    query = Query(since=START + 950, text="absent")
    assert reading.search(tmp_path / "logs", query, 10) == []
    assert len(set(read)) == 1


@pytest.mark.parametrize("opened", [False, True], ids=["before it is opened", "after"])
def test_a_file_that_is_turned_over_during_a_search_is_searched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    said = [(START + n, "info", "web", f"line {n}", {}) for n in range(4)]
    write(tmp_path, said, most=2)
    file = tmp_path / "logs" / "web.jsonl"

    def turn() -> None:
        file.rename(turned_name(file, START + 10))
        file.write_bytes(line_of(START + 20, "info", "web", 7, "new", {}))

    searched = reading._in_file

    def in_file(one: Path, query: Query, seen: set[int]) -> Any:
        if one == file and not opened:
            turn()
        yield from searched(one, query, seen)
        if one == file and opened:
            turn()

    monkeypatch.setattr(reading, "_in_file", in_file)
    found = [line.event for line in reading.search(tmp_path / "logs", Query(), 100)]
    assert found == [*([] if opened else ["new"]), "line 3", "line 2", "line 1", "line 0"]


def test_torn_and_foreign_lines_are_passed_over(tmp_path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    good = [line_of(START + n, "info", "web", 1, f"good {n}", {}) for n in range(3)]
    torn = b'{"time":"2026-09-21T14:1\n'
    foreign = b'[1,2]\n{"time":"x"}\nplain text good\n\xff\xfe\n'
    (folder / "web.jsonl").write_bytes(good[0] + torn + good[1] + foreign + good[2] + good[2][:40])
    for query in (Query(), Query(text="good"), Query(since=START - 10), Query(level="info")):
        events = [line.event for line in reading.search(folder, query, 10)]
        assert events == ["good 2", "good 1", "good 0"]


def test_a_line_longer_than_a_piece_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reading, "FIRST_PIECE", 64)
    said = [(START + n, "info", "web", "x" * 500 + f" {n}", {"run": "r"}) for n in range(20)]
    write(tmp_path, said, 100)
    found = reading.search(tmp_path / "logs", Query(run="r", since=START + 5), 100)
    assert [line.event.split()[1] for line in found] == [str(n) for n in range(19, 4, -1)]


def test_what_else_a_line_says_comes_along(tmp_path) -> None:
    write(tmp_path, [(START, "error", "web", "e", {"status": 500, "trace": "t", "run": "r"})], 9)
    [line] = asking.find(tmp_path, Query())
    assert (line.fields, line.trace, line.run, line.pid) == ({"status": 500}, "t", "r", 7)
    assert line.time == START


def test_lines_are_counted_by_stretch_of_time(tmp_path) -> None:
    said = [(START + 20 * n, "error" if n % 2 else "info", "web", "e", {}) for n in range(12)]
    write(tmp_path, said, 5)
    found = reading.counts(tmp_path / "logs", Query(level="error"), 60.0)
    assert sum(found.values()) == 6
    assert all(at % 60 == 0 for at in found)


def test_times_are_read_as_people_write_them(tmp_path) -> None:
    write(tmp_path, [(START + n, "info", "web", str(n), {}) for n in range(100)], 100)
    clock = TurnedClock(START + 100)
    newest = asking.find(tmp_path, Query(), since="10s", clock=clock, limit=1000)
    assert len(newest) == 10
    until = asking.find(tmp_path, Query(), until=stamp(START + 4), clock=clock, limit=1000)
    assert len(until) == 5
    assert lines.moment("1970-01-01T01:00+01:00", 0.0, "since") == 0.0
    assert lines.moment("1790000000.5", 0.0, "since") == 1_790_000_000.5


@pytest.mark.parametrize("text", ["yesterday", "", "1y", "-1h", "5"])
def test_a_time_that_is_none_says_what_would_be_one(tmp_path, text) -> None:
    with pytest.raises(BadInputError, match="since must be a time or how long ago") as told:
        asking.find(tmp_path, Query(), since=text)
    assert "15m" in (told.value.hint or "")


def test_what_cannot_be_asked_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(BadInputError, match="level must be one of"):
        asking.find(tmp_path, Query(level="loud"))
    with pytest.raises(BadInputError, match=r"until .* is before since"):
        asking.find(tmp_path, Query(), since="1h", until="2h")
    with pytest.raises(BadInputError, match="at most 1000 characters"):
        asking.find(tmp_path, Query(text="x" * 1001))
    write(tmp_path, [(START, "info", "web", "e", {})], 9)
    with pytest.raises(NotFoundError, match="No process 'nope'") as told:
        asking.find(tmp_path, Query(process="nope"))
    assert told.value.hint == "There are: web."


def test_without_logs_nothing_is_found(tmp_path) -> None:
    assert asking.find(tmp_path, Query(text="x")) == []


def test_an_answer_is_plain_json(tmp_path) -> None:
    import msgspec

    write(tmp_path, [(START, "info", "web", "e☃", {"n": 1})], 9)
    assert json.loads(msgspec.json.encode(asking.find(tmp_path, Query())))[0]["event"] == "e☃"


def test_a_prediction_is_found_by_the_id_of_any_of_its_rows(tmp_path: Path) -> None:
    """A line bears the id of its first row, and how many there were."""
    said = [
        (START + n, "info", "endpoint-flights", f"n{n}", {"prediction": first, "rows": rows})
        for n, (first, rows) in enumerate([("ab12-0", 3), ("ab12-3", 2), ("ff-0", 9)])
    ]
    write(tmp_path, [*said, (START + 9, "info", "endpoint-flights", "none", {})], 10)

    def events(wanted: str) -> list[str]:
        found = reading.search(tmp_path / "logs", Query(prediction=wanted), 10)
        return [one.event for one in found]

    assert [events(f"ab12-{n}") for n in (0, 2, 3, 4, 5)] == [["n0"], ["n0"], ["n1"], ["n1"], []]
    assert events("ff-8") == ["n2"]
    own = {"prediction": "order-1", "ids": "order-1 order-9 x", "rows": 3}
    write(tmp_path, [(START + 10, "info", "endpoint-flights", "own", own)], 10)
    assert [events(f"order-{n}") for n in (1, 2, 9)] == [["own"], [], ["own"]]
    assert events("x") == ["own"]
    write(tmp_path, said, 10)
    assert events("ab12-x") == events("ab12-") == events("nothing") == events("-") == []
    [one] = reading.search(tmp_path / "logs", Query(prediction="ab12-4"), 10)
    assert (one.prediction, one.fields["rows"]) == ("ab12-3", 2)
