"""A window is judged, and states, alarms, groups and pages follow."""

from alarm_homes import HOUR, NOW, Home, drift

from mainspring.monitoring import alarms, groups, states, windows
from mainspring.readiness import decisions


def test_a_rule_goes_from_no_data_to_alarm_to_ok_and_its_alarm_ends_once(both: Home):
    both.rule("hot", series="drift:temp", above=0.1, at_least=2, of=3)
    said = []
    for place, value in enumerate([0.02, 0.2, 0.05, 0.3, 0.02, 0.03]):
        both.window(place, [drift(value)])
        said.append(both.state("rule", "hot").state)
    assert said == ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "OK", "ALARM", "OK", "OK"]
    [alarm] = both.read(alarms.list_alarms)
    assert (alarm.kind, alarm.subject, alarm.outcome) == ("rule", "hot", "dismissed")
    decision = both.read(lambda tx: decisions.get(tx, alarm.decision))
    assert decision.subject == f"alarm:{alarm.id}"
    assert "hot is OK again: drift:temp: 1 of the newest 3 windows" in decision.reason
    name = both.state("rule", "hot").id
    changes = both.read(lambda tx: states.history(tx, state=name))
    assert [one.new for one in reversed(changes)] == ["INSUFFICIENT_DATA", "OK", "ALARM", "OK"]
    assert changes[1].window == "flights:3"
    assert both.state("rule", "hot").since == NOW + 5 * HOUR
    assert both.pages() == [
        "ALARM flights: 1 alarm, inputs moved: hot",
        "OK Over after 1 hours: flights: 1 alarm, inputs moved: hot",
    ]


def test_forty_columns_that_move_in_one_window_are_one_page(both: Home):
    both.window(0, [drift(0.01, f"c{i}") for i in range(40)])
    several = [drift(0.4, f"c{i}", "alarm") for i in range(40)]
    both.window(1, [*several, drift(0.3, "score", "alarm", monitor="score_drift")])
    [group] = both.read(groups.open_groups)
    assert len(group.members) == 41
    [page] = both.pages()
    assert page.startswith("ALARM flights: 41 alarms, inputs moved: drift c0, drift c1")
    several.append(drift(0.5, "next", "alarm"))
    both.window(2, several)  # the next window joins, and nobody is told again
    [group] = both.read(groups.open_groups)
    assert len(group.members) == 42
    both.window(3, several)
    assert len(both.pages()) == 1
    both.window(4, [*several, drift(0.5, "late", "alarm")])  # another cause: another page
    assert both.pages()[-1] == "ALARM flights: 1 alarm, inputs moved: drift late"
    calm = [drift(0.01, f"c{i}") for i in range(40)]
    both.window(5, [*calm, drift(0.01, "score", monitor="score_drift")])
    assert both.state("drift", "late").state == "INSUFFICIENT_DATA"  # its column is gone
    assert sorted(one.split()[0] for one in both.pages()) == ["ALARM", "ALARM", "OK", "OK"]


def test_labels_that_come_late_move_the_state_they_are_about(both: Home):
    both.rule("bad", series="performance:auc", below=0.7)
    both.window(0)
    both.window(1)
    assert both.state("rule", "bad") is None

    def labelled(window, auc):
        found = {"rows": 400, "verdict": "quiet", "metrics": {"auc": {"estimate": auc, "n": 400}}}
        both.write(lambda tx: windows.update_performance(tx, window, found, 400))
        both.settle()
        return both.state("rule", "bad")

    assert labelled("flights:0", 0.6).state == "ALARM"
    assert labelled("flights:1", 0.8).state == "OK"
    again = labelled("flights:0", 0.5)  # judged again: the newest stands
    assert (again.state, again.window) == ("OK", "flights:1")
    assert len(both.read(alarms.list_alarms)) == 1


def test_rules_joined_follow_their_members_in_the_same_breath(both: Home):
    both.rule("hot", series="drift:temp", above=0.1)
    both.rule("planned", series="traffic:rows", below=1.0, missing="not_breaching")
    both.rule("page-me", when="(hot or drift:wind) and not planned")
    both.window(0, [drift(0.2), drift(0.0, "wind")])
    assert both.state("rule", "page-me").state == "INSUFFICIENT_DATA"  # planned is not known
    both.window(1, [drift(0.2), drift(0.0, "wind")], traffic={"rows": 500})
    assert both.state("rule", "page-me").state == "ALARM"
    both.window(2, [drift(0.0), drift(0.0, "wind")], traffic={"rows": 500})
    assert both.state("rule", "page-me").state == "OK"
    both.window(3, [drift(0.0), drift(0.3, "wind", "alarm")], traffic={"rows": 500})
    assert both.state("rule", "page-me").state == "ALARM"
    assert "drift:wind is ALARM" in both.state("rule", "page-me").reason
