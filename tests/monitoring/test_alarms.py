"""An alarm is raised once while it is open, and ends once."""

import pytest

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Alarm
from mainspring.monitoring import alarms


def alarm(window: str = "e:0", subject: str = "age", kind: str = "drift", **given) -> Alarm:
    return Alarm(
        id=alarms.alarm_id("e", kind, subject, window),
        endpoint="e",
        kind=kind,
        subject=subject,
        reason="It moved.",
        raised=float(window.partition(":")[2]),
        window=window,
        evidence={"distance": 0.2},
        **given,
    )


def test_an_alarm_comes_back_as_it_was_raised(tx):
    first = alarms.raise_(tx, alarm())
    assert first == alarms.get(tx, first.id) == alarm()
    assert alarms.open_subjects(tx, "e") == {("drift", "age")}
    assert alarms.open_subjects(tx, "other") == set()


def test_a_second_alarm_about_the_same_is_the_first_while_it_is_open(tx):
    first = alarms.raise_(tx, alarm("e:0"))
    assert alarms.raise_(tx, alarm("e:10")) == first
    assert alarms.open_alarms(tx) == [first]


def test_another_subject_kind_or_endpoint_is_another_alarm(tx):
    for one in (alarm(), alarm(subject="city"), alarm(kind="quality")):
        alarms.raise_(tx, one)
    assert len(alarms.open_alarms(tx, "e")) == 3


def test_an_alarm_ends_exactly_once(tx):
    first = alarms.raise_(tx, alarm())
    assert alarms.end(tx, first.id, "rejected", "decision_1") is True
    assert alarms.end(tx, first.id, "promoted", "decision_2") is False
    ended = alarms.get(tx, first.id)
    assert (ended.outcome, ended.decision) == ("rejected", "decision_1")
    assert alarms.open_alarms(tx) == []


def test_after_its_end_the_same_may_be_alarmed_about_again(tx):
    first = alarms.raise_(tx, alarm("e:0"))
    alarms.end(tx, first.id, "dismissed", "decision_1")
    second = alarms.raise_(tx, alarm("e:10"))
    assert second.id != first.id
    assert [a.id for a in alarms.list_alarms(tx, "e")] == [second.id, first.id]
    assert len(alarms.list_alarms(tx, limit=1)) == 1


def test_judging_a_window_again_does_not_raise_its_ended_alarm_again(tx):
    first = alarms.raise_(tx, alarm())
    alarms.end(tx, first.id, "dismissed", "decision_1")
    assert alarms.raise_(tx, alarm()).outcome == "dismissed"
    assert alarms.open_alarms(tx) == []


def test_what_is_not_an_alarm_is_refused(tx):
    with pytest.raises(BadInputError, match="ended as promoted"):
        alarms.raise_(tx, alarm(outcome="promoted"))
    with pytest.raises(BadInputError, match="score_drift"):
        alarms.raise_(tx, alarm(kind="mood"))
    with pytest.raises(BadInputError, match="dismissed"):
        alarms.end(tx, "alarm_1", "forgotten", "decision_1")
    with pytest.raises(NotFoundError):
        alarms.end(tx, "alarm_1", "dismissed", "decision_1")
    with pytest.raises(NotFoundError):
        alarms.get(tx, "alarm_1")
