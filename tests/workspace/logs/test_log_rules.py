"""A pattern or a rate in the logs raises one alarm, which ends when it is over."""

from __future__ import annotations

import os
import threading

import pytest

from mainspring.ground.errors import AlreadyExistsError, BadInputError, NotFoundError
from mainspring.ground.logs import line_of
from mainspring.ground.permissions import Permission
from mainspring.monitoring import alarms, groups, states
from mainspring.workspace.logs import alarming, rules
from mainspring.workspace.logs.rules import LogRule
from mainspring.workspace.opening import Workspace, open_workspace

ERRORS = LogRule(name="errors", level="error", above=2, within_s=60.0, note="See the runbook.")


def say(ws: Workspace, event: str, level: str = "error", **fields: str) -> None:
    now = ws.clock.now()
    file = ws.home / "logs" / "engine.jsonl"
    with file.open("ab") as handle:
        handle.write(line_of(now, level, "engine", 1, event, fields))
    os.utime(file, (now, now))


def add(ws: Workspace, rule: LogRule) -> None:
    ws.write(Permission.ADMIN, lambda tx: rules.add(tx, rule, ws.clock.now()))


def open_alarms(ws: Workspace) -> list[tuple[str, str, str]]:
    found = ws.read(Permission.READ, alarms.open_alarms)
    return [(one.endpoint, one.kind, one.subject) for one in found]


def test_more_lines_than_allowed_raise_one_alarm_and_fewer_end_it(ws: Workspace) -> None:
    add(ws, ERRORS)
    assert alarming.look(ws) == ["errors"]  # judged for the first time: OK
    for number in range(3):
        say(ws, f"it broke {number}")
        ws.clock.turn(5)
    assert alarming.look(ws) == ["errors"]
    assert open_alarms(ws) == [("", "log", "errors")]
    say(ws, "it broke again")
    assert alarming.look(ws) == []  # still the same alarm
    [alarm] = ws.read(Permission.READ, alarms.open_alarms)
    assert alarm.reason.startswith("3 lines of error and above in 1 min; more than 2 are too many")
    assert "See the runbook." in alarm.reason
    assert "it broke" not in alarm.reason  # who sees alarms may not read the logs
    [group] = ws.read(Permission.READ, lambda tx: groups.open_groups(tx, ""))
    assert group.cause == "log:errors"
    ws.clock.turn(120)
    assert alarming.look(ws) == ["errors"]
    assert open_alarms(ws) == []
    [ended] = ws.read(Permission.READ, lambda tx: alarms.list_alarms(tx, ""))
    assert (ended.outcome, bool(ended.decision)) == ("dismissed", True)


def test_nothing_is_written_while_nothing_moves(ws: Workspace) -> None:
    add(ws, ERRORS)
    alarming.look(ws)
    before = ws.store.changed()
    ws.clock.turn(60)
    assert alarming.look(ws) == []
    assert ws.store.changed() == before


def test_a_rule_asks_for_text_process_level_and_endpoint(ws: Workspace) -> None:
    add(ws, LogRule(name="slow", text="Took longer", endpoint="flights", within_s=60.0))
    add(ws, LogRule(name="web", level="warning", process="web", within_s=60.0))
    say(ws, "it took LONGER than 5 s", "info", endpoint="flights")
    say(ws, "it took longer", "info", endpoint="rows")
    alarming.look(ws)
    assert open_alarms(ws) == [("flights", "log", "slow")]


def test_lines_are_counted_minute_by_minute_also_before_the_rule(ws: Workspace) -> None:
    begin = ws.clock.now()
    for _ in range(4):
        say(ws, "it broke")
        ws.clock.turn(30)
    add(ws, ERRORS)
    found = alarming.rates(ws, "errors", 3600.0)
    assert sum(count for _, count in found.points) == 4
    assert all(begin - 60 <= at <= ws.clock.now() for at, _ in found.points)
    [stands] = alarming.standing(ws)
    assert (stands.state, stands.lines, stands.alarm) == ("INSUFFICIENT_DATA", 2, None)


def test_a_rule_that_is_removed_takes_its_alarm_along(ws: Workspace) -> None:
    add(ws, LogRule(name="any", text="broke"))
    say(ws, "it broke")
    alarming.look(ws)
    [stands] = alarming.standing(ws)
    assert stands.state == "ALARM"
    assert stands.alarm

    def remove(tx) -> None:
        alarming.forget(tx, rules.remove(tx, "any"), ws.clock.now())

    ws.write(Permission.ADMIN, remove)
    assert open_alarms(ws) == []
    assert ws.read(Permission.READ, lambda tx: states.listed(tx, kind="log")) == []
    assert alarming.look(ws) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (LogRule(name="a/b", text="x"), "name must be"),
        (LogRule(name="all"), "a text, or for a level of warning"),
        (LogRule(name="all", level="info"), "a text, or for a level of warning"),
        (LogRule(name="odd", level="loud"), "level must be one of"),
        (LogRule(name="odd", text="x", above=-1), "above must be 0 or more"),
        (LogRule(name="odd", text="x", within_s=0.0), "within must be between"),
        (LogRule(name="odd", text="x", within_s=1e6), "within must be between"),
        (LogRule(name="odd", text="x" * 1001), "at most 1000 characters"),
    ],
)
def test_a_rule_that_cannot_be_says_why(ws: Workspace, rule: LogRule, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        add(ws, rule)


def test_a_name_is_used_once_and_what_is_not_there_is_said(ws: Workspace, monkeypatch) -> None:
    add(ws, ERRORS)
    with pytest.raises(AlreadyExistsError, match="a rule 'errors' already"):
        add(ws, ERRORS)
    with pytest.raises(NotFoundError, match="no rule 'nope'"):
        alarming.rates(ws, "nope", 60.0)
    monkeypatch.setattr(rules, "MOST_RULES", 1)
    with pytest.raises(BadInputError, match="no more may be"):
        add(ws, LogRule(name="more", text="x"))


def test_what_goes_wrong_is_told_and_the_watch_goes_on(ws: Workspace, monkeypatch) -> None:
    told: dict[str, str] = {}
    stop = threading.Event()
    looks = []

    def look(_: Workspace) -> None:
        looks.append(dict(told))
        if len(looks) == 1:
            raise OSError("disk gone")
        if len(looks) == 3:
            stop.set()

    monkeypatch.setattr(alarming, "look", look)
    monkeypatch.setattr(alarming, "LOOK_S", 0.001)
    alarming.keep_watch(ws, stop, told)
    assert looks == [{}, {"logs": "disk gone"}, {}]


def test_rules_and_their_alarms_are_kept_on_both_databases(tmp_path, home_url) -> None:
    from mainspring.ground.clock import TurnedClock
    from mainspring.ground.settings import Settings

    home = tmp_path / "logs-home"
    settings = Settings(root=str(tmp_path), home=str(home), database=home_url)
    ws = open_workspace(settings, clock=TurnedClock(1e9))
    add(ws, LogRule(name="any", text="broke"))
    say(ws, "it broke")
    assert alarming.look(ws) == ["any"]
    assert open_alarms(ws) == [("", "log", "any")]
    assert [one.name for one in ws.read(Permission.READ, rules.every)] == ["any"]
    ws.close()
