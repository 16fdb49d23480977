"""Who is not told, and until when: suppression, quiet times, acknowledgements, cool-downs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from alarm_homes import HOUR, NOW, Home, drift

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.rules import Quiet
from mainspring.monitoring import alarms, quiets
from mainspring.readiness import decisions
from mainspring.web.api import call
from mainspring.workspace.alarming import verbs
from mainspring.workspace.views import alarming


def held(home: Home) -> list[str]:
    return [row.held for row in alarming.group_list(home.ws, open_only=True)]


def test_in_a_maintenance_states_move_and_nobody_is_paged_until_it_is_over(both: Home):
    quiet = verbs.add_quiet(both.ws, "The warehouse moves.", ends=NOW + 2.5 * HOUR)
    both.rule("hot", series="drift:temp", above=0.1)
    both.window(0, [drift(0.4)])
    assert both.state("rule", "hot").state == "ALARM"
    assert both.pages() == []
    assert held(both) == [f"Quiet until 2027-01-15T10:30:00Z ({quiet.by}: The warehouse moves.)"]
    both.window(1, [drift(0.4)])
    assert both.pages() == []
    both.window(2, [drift(0.4)])  # 30 of its 60 minutes were maintenance: its rows do not count
    assert both.pages() == []
    both.window(3, [drift(0.4)])
    assert [page.split()[0] for page in both.pages()] == ["ALARM"]


def test_what_was_over_before_anybody_was_told_is_never_told(home: Home):
    verbs.add_quiet(home.ws, "Work.", ends=NOW + 3 * HOUR)
    home.rule("hot", series="drift:temp", above=0.1)
    home.window(0, [drift(0.4)])
    home.window(1, [drift(0.0)])
    home.window(5, [drift(0.0)])
    assert home.pages() == []
    assert [one.outcome for one in home.read(alarms.list_alarms)] == ["dismissed"]


def test_a_quiet_time_may_be_of_one_rule_and_be_ended_by_hand(home: Home):
    home.rule("hot", series="drift:temp", above=0.1)
    home.rule("wet", series="quality:rain/missing", above=0.1)
    quiet = verbs.add_quiet(home.ws, "Known.", subject="hot", ends=NOW + 99 * HOUR)
    home.window(0, [drift(0.4), drift(0.4, "rain/missing", monitor="quality")])
    assert home.pages() == ["ALARM flights: 1 alarm, rows or values are missing: wet"]
    verbs.remove_quiet(home.ws, quiet.id)
    home.settle()
    assert "ALARM flights: 1 alarm, inputs moved: hot" in home.pages()


def test_a_rule_is_silent_while_what_suppresses_it_is_in_alarm(both: Home):
    both.rule("load", series="traffic:rows", below=10.0)
    both.rule("hot", series="drift:temp", above=0.1, suppressed_by=["load", "drift:wind"])
    both.window(0, [drift(0.4)], traffic={"rows": 3})
    assert len(both.pages()) == 1  # of the load
    assert "Suppressed while load is in ALARM." in held(both)
    both.window(1, [drift(0.4), drift(0.3, "wind", "alarm")], traffic={"rows": 500})
    both.window(2, [drift(0.4), drift(0.0, "wind")], traffic={"rows": 500})
    titles = [page for page in both.pages() if "hot" in page]
    assert titles[-1].startswith("ALARM flights:")


def test_after_a_page_a_rule_keeps_still_for_its_cool_down(home: Home):
    home.rule("hot", series="drift:temp", above=0.1, cooldown_s=3.5 * HOUR)
    for place, value in enumerate([0.4, 0.0, 0.4, 0.0, 0.4]):
        home.window(place, [drift(value)])
    events = [page.split()[0] for page in home.pages()]
    assert events == ["ALARM", "OK", "ALARM"]  # at hours 1, 2 and 5; that of hour 3 was held
    assert home.read(lambda tx: len(alarms.list_alarms(tx))) == 3  # states and alarms go on


def test_who_acknowledges_is_not_paged_again_until_it_is_over_or_the_time_has_come(both: Home):
    both.rule("hot", series="drift:temp", above=0.1)
    both.window(0, [drift(0.4)])
    [(alarm)] = both.read(alarms.open_alarms)
    [state] = verbs.acknowledge(both.ws, alarm.id, "The vendor knows.", until=NOW + 3 * HOUR)
    assert state.acknowledged.reason == "The vendor knows."
    both.window(1, [drift(0.4)])
    assert len(both.pages()) == 1
    both.window(3, [drift(0.4)])  # the word has run out, and it is still in ALARM
    assert [page.split()[0] for page in both.pages()] == ["ALARM", "ALARM"]
    both.window(4, [drift(0.4)])
    assert len(both.pages()) == 2
    assert both.read(lambda tx: alarms.get(tx, alarm.id)).outcome is None
    both.window(5, [drift(0.0)])
    assert both.state("rule", "hot").acknowledged is None
    assert both.read(lambda tx: alarms.get(tx, alarm.id)).outcome == "dismissed"
    with pytest.raises(ConflictError, match="in ALARM"):
        verbs.acknowledge(both.ws, alarm.id, "Too late.")
    with pytest.raises(NotFoundError):
        verbs.acknowledge(both.ws, "alarm_none", "What?")
    with pytest.raises(BadInputError, match="future"):
        verbs.acknowledge(both.ws, alarm.id, "Back then.", until=NOW)


def test_an_alarm_of_a_rule_is_dismissed_by_hand_once_and_that_of_a_loop_is_not(home: Home):
    home.rule("hot", series="drift:temp", above=0.1)
    home.window(0, [drift(0.4)])
    [alarm] = home.read(alarms.open_alarms)
    decision = call(home.ws, "alarms.dismiss", id=alarm.id, reason="It was a test.")["decision"]
    assert home.read(lambda tx: decisions.get(tx, decision)).reason == "It was a test."
    with pytest.raises(ConflictError, match="ended as dismissed"):
        verbs.dismiss(home.ws, alarm.id, "Again.")
    home.window(1, [drift(0.0)])  # OK again: the alarm has ended already, and ends not twice
    assert home.read(lambda tx: alarms.get(tx, alarm.id)).decision == decision
    home.window(2, [drift(0.4)])
    [other] = home.read(alarms.open_alarms)
    assert other.id != alarm.id


def test_a_rule_is_edited_by_versions_and_its_deletion_ends_its_alarm(both: Home):
    both.rule("hot", series="drift:temp", above=0.1)
    both.rule("any", when="hot or drift:wind")
    both.window(0, [drift(0.4)])
    with pytest.raises(ConflictError, match="asked about by any"):
        verbs.remove_rule(both.ws, "hot", "Enough.")
    assert both.state("rule", "any").state == "INSUFFICIENT_DATA" or both.open_alarms()
    verbs.edit_rule(both.ws, "hot", {"above": 0.5}, "Too loud.")
    assert both.state("rule", "hot").state == "OK"  # put to the windows there are at once
    verbs.edit_rule(both.ws, "hot", {"above": 0.2}, "Too quiet.")
    assert both.state("rule", "hot").state == "ALARM"
    assert [one.why for one in alarming.rule_versions(both.ws, "hot")] == [
        "Too quiet.", "Too loud.", "",
    ]  # fmt: skip
    verbs.remove_rule(both.ws, "any", "Enough.")
    verbs.remove_rule(both.ws, "hot", "Enough.")
    both.settle()
    assert both.open_alarms() == []
    assert both.state("rule", "hot") is None
    assert alarming.rule_versions(both.ws, "hot")[0].why == "Enough."
    assert alarming.rule_list(both.ws) == []
    with pytest.raises(BadInputError, match="no such rule"):
        both.rule("more", when="hot or cold")
    with pytest.raises(BadInputError, match="circle"):
        both.rule("self", when="not self")


def berlin(*parts: int) -> float:
    return datetime(*parts, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


def test_a_time_that_comes_again_follows_the_wall_clock_through_both_changes():
    night = Quiet(
        id="q", reason="r", by="b", cron="30 2 * * *", duration_s=HOUR, tz="Europe/Berlin"
    )
    for day in range(1, 29):  # through 2027-03-28, when 02:30 does not exist, and on
        assert quiets.is_quiet(night, berlin(2027, 2, day, 3, 0))
        assert not quiets.is_quiet(night, berlin(2027, 2, day, 4, 0))
    for day in (29, 30):
        assert quiets.is_quiet(night, berlin(2027, 10, day, 3, 0))
    assert quiets.is_quiet(night, berlin(2027, 10, 31, 2, 45))  # the hour that comes twice
    assert not quiets.is_quiet(night, berlin(2027, 10, 31, 5, 0))
    assert quiets.overlap_s(night, berlin(2027, 2, 1, 0), berlin(2027, 2, 3, 0)) == 2 * HOUR
    half = quiets.overlap_s(night, berlin(2027, 2, 1, 3), berlin(2027, 2, 2, 0))
    assert half == HOUR / 2


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("until", {}),
        ("until", {"ends": NOW - 1}),
        ("cron", {"cron": "61 * * * *", "duration_s": 60.0}),
        ("cron", {"cron": "* *", "duration_s": 60.0}),
        ("duration_s", {"cron": "0 3 * * *"}),
        ("tz", {"cron": "0 3 * * *", "duration_s": 60.0, "tz": "Mars/Base"}),
        ("cron", {"cron": "0 3 * * *", "duration_s": 60.0, "ends": NOW + 5}),
        ("reason", {"ends": NOW + 5, "reason": " "}),
    ],
)
def test_a_quiet_time_that_cannot_be_is_refused_with_the_field(home: Home, field, more):
    with pytest.raises(BadInputError) as refused:
        verbs.add_quiet(home.ws, **{"reason": "Work.", **more})
    assert refused.value.field == field
    with pytest.raises(NotFoundError):
        verbs.add_quiet(home.ws, "Work.", endpoint="nowhere", ends=NOW + 5)
