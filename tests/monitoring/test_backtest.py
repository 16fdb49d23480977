"""How a rule would have done: window by window what it does when it is on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.objects import Alarm, Finding, Window
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring import backtest, rules


def window(place: int, value: float | None, loss: str | None = None) -> Window:
    found = [Finding(monitor="custom", subject="x", value=value)]
    performance = None
    if loss is not None:
        performance = {"rows": 9, "verdict": loss, "loss": {"estimate": 0.2}, "metrics": {}}
    return Window(
        id=f"e:{place}", endpoint="e", start=place * 10.0, end=place * 10.0 + 10, rows=9,
        version=1, found=found, performance=performance,
    )  # fmt: skip


def raised(place: int) -> Alarm:
    return Alarm(
        id=f"alarm_{place}", endpoint="e", kind="drift", subject="a", reason="Far.",
        raised=place * 10.0 + 10, window=f"e:{place}",
    )  # fmt: skip


RULE = AlarmRule(name="r", endpoint="e", series="custom:x", above=0.5)


def test_firings_are_counted_against_labels_and_what_was_really_raised():
    line = [
        window(0, 0.1, "quiet"),
        window(1, 0.9, "alarm"),  # harmful, and it would have fired
        window(2, 0.9, "quiet"),
        window(3, 0.1, "alarm"),  # harmful, and it would have been silent
        window(4, 0.9, "quiet"),  # harmless
        window(5, 0.1),
        window(6, 0.9),  # labels do not know yet; it still fires
    ]
    found = backtest.of_rule(RULE, line, [raised(2), raised(5), raised(99)])
    assert [(one.first, one.windows, one.harm) for one in found.firings] == [
        ("e:1", 2, "harmful"), ("e:4", 1, "harmless"), ("e:6", 1, "not known"),
    ]  # fmt: skip
    assert found.firings[0].raised == ["alarm_2"]
    assert found.firings[0].until == 40.0
    assert found.firings[2].until is None
    assert (found.harmful, found.harmless, found.missed) == (1, 1, 1)
    assert (found.windows, found.labelled, found.alarming) == (7, 5, 4)
    assert (found.really, found.both) == (2, 1)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30), st.integers(1, 3))
def test_it_says_what_the_rule_says_when_it_is_on(values, at_least):
    rule = AlarmRule(name="r", endpoint="e", series="custom:x", above=0.5, at_least=at_least, of=3)
    line = [window(place, value) for place, value in enumerate(values)]
    found = backtest.of_rule(rule, line, [])
    live, states = "INSUFFICIENT_DATA", []
    for end in range(1, len(line) + 1):
        live = rules.evaluate(rule, rules.slots_of(line[:end], rules.series_of("custom:x")), live)
        live = live.state
        states.append(live)
    assert found.alarming == states.count("ALARM")
    assert found.unknown == states.count("INSUFFICIENT_DATA")
    begun = [s == "ALARM" and b != "ALARM" for b, s in zip(["", *states], states, strict=False)]
    assert len(found.firings) == sum(begun)


def test_rules_joined_are_tried_through_those_they_ask_about():
    both = AlarmRule(name="both", endpoint="e", when="r and not custom:y")
    line = [window(0, 0.9), window(1, 0.1), window(2, 0.9)]
    found = backtest.of_rule(both, line, [], {"r": RULE})
    assert found.unknown == 2  # custom:y is not known, and r says yes
    alone = AlarmRule(name="alone", endpoint="e", when="r or custom:x")
    assert backtest.of_rule(alone, line, [], {"r": RULE}).alarming == 2


def test_verdicts_of_changed_monitors_are_counted_subject_by_subject():
    line = [window(place, 0.1) for place in range(4)]
    verdicts = {"e:1": ["drift:a", "drift:b"], "e:2": ["drift:a"]}
    reasons = {("e:1", "drift:a"): "Far."}
    found = backtest.of_verdicts("alpha 0.01", "e", line, verdicts, [raised(1)], reasons)
    assert [(one.subject, one.first, one.windows) for one in found.firings] == [
        ("drift:a", "e:1", 2), ("drift:b", "e:1", 1),
    ]  # fmt: skip
    assert found.firings[0].reason == "Far."
    assert found.alarming == 2


@pytest.mark.parametrize("line", [[], [window(0, None)]])
def test_no_history_is_said_and_no_zero_of_a_rate(line):
    found = backtest.of_rule(RULE, line, [])
    assert (found.windows, found.firings, found.alarming) == (len(line), [], 0)
    assert found.unknown == len(line)
    assert found.since == (line[0].start if line else None)
