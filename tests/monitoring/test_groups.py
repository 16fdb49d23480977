"""Which alarms share a cause."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.objects import Alarm, Finding, MonitorPolicy, Window
from mainspring.ground.rules import AlarmRule, AlarmState
from mainspring.monitoring.groups import Item, causes, headline, item_of
from mainspring.monitoring.rules import repeated


def item(monitor: str, subject: str) -> Item:
    name = f"{monitor} {subject}"
    return Item(state=name, monitor=monitor, subject=subject, name=name)


def test_what_began_with_a_version_is_the_versions():
    several = [item("drift", "a"), item("performance", "loss"), item("traffic", "rows")]
    assert set(causes(several, version=7).values()) == {"version:7"}


def test_a_declared_source_missing_rows_and_moved_columns_are_causes_of_their_own():
    several = [
        item("drift", "temp"),
        item("drift", "wind"),
        item("quality", "rain/missing"),
        item("drift", "rain"),
        item("drift", "price"),
        item("quality", "price/out of range"),
        item("age", "age"),
        item("score_drift", "score"),
    ]
    found = causes(several, sources={"weather": ["temp", "wind"]})
    assert found == {
        "drift temp": "source:weather",
        "drift wind": "source:weather",
        "quality rain/missing": "missing",
        "drift rain": "missing",
        "drift price": "columns",
        "quality price/out of range": "columns",
        "age age": "age",
        "score_drift score": "source:weather",
    }


def test_answers_that_change_alone_are_told_alone_or_with_inputs_that_still_move():
    alone = [item("performance", "loss"), item("slice", "carrier=AA")]
    assert set(causes(alone).values()) == {"answers"}
    assert set(causes(alone, open_causes={"columns": 5.0}, began=99.0).values()) == {"columns"}


def test_columns_join_those_of_the_window_before_and_later_are_another_cause():
    one = [item("drift", "b")]
    assert causes(one, open_causes={"columns": 20.0}, window="e:3", began=20.0) == {
        "drift b": "columns"
    }
    assert causes(one, open_causes={"columns": 10.0}, window="e:3", began=20.0) == {
        "drift b": "columns:e:3"
    }
    both = {"columns": 10.0, "columns:e:3": 30.0}
    assert causes(one, open_causes=both, window="e:4", began=30.0) == {"drift b": "columns:e:3"}
    assert causes([item("log", "errors")], open_causes=both) == {"log errors": "log:errors"}


@given(st.permutations([item("drift", c) for c in "abc"] + [item("performance", "loss")]))
def test_the_order_of_alarms_does_not_matter(several):
    assert set(causes(several).values()) == {"columns"}


def test_a_rule_stands_for_its_series_and_one_that_joins_for_the_first_it_asks_about():
    hot = AlarmRule(name="hot", endpoint="e", series="drift/psi:temp", above=0.1)
    both = AlarmRule(name="both", endpoint="e", when="wet or hot")
    wet = AlarmRule(name="wet", endpoint="e", when="hot and hot")
    known = {one.name: one for one in (hot, both, wet)}
    for name in known:
        state = AlarmState(
            id=name, endpoint="e", kind="rule", subject=name, state="ALARM", reason="", since=1.0,
            at=1.0,
        )  # fmt: skip
        found = item_of(state, known)
        assert (found.monitor, found.subject, found.name) == ("drift", "temp", name)


def test_a_headline_names_five_and_counts_the_rest():
    told = headline("columns", "e", [f"drift c{i}" for i in range(7)])
    assert told == (
        "e: 7 alarms, inputs moved: drift c0, drift c1, drift c2, drift c3, drift c4 and 2 more"
    )
    assert headline("version:3", "e", ["x"]) == "e: 1 alarm, since version 3 serves: x"


def test_a_monitor_raises_once_enough_of_the_newest_windows_agree():
    def window(place: int, verdict: str) -> Window:
        found = [Finding(monitor="bias", subject="age", value=0.3, verdict=verdict)]
        row = {"column": "a", "check": "missing", "verdict": verdict}
        return Window(
            id=f"e:{place}", endpoint="e", start=float(place), end=place + 1.0, rows=9, version=1,
            found=found, quality=[row],
        )  # fmt: skip

    def alarm(kind: str, subject: str) -> Alarm:
        return Alarm(
            id=kind, endpoint="e", kind=kind, subject=subject, reason="", raised=1.0, window="e:9"
        )

    raised = [alarm("bias", "age"), alarm("quality", "a"), alarm("drift", "a")]
    policy = MonitorPolicy(raise_after={"bias": (2, 3), "quality": (3, 3)})
    kinds = lambda earlier: [one.kind for one in repeated(raised, earlier, policy)]  # noqa: E731
    assert kinds([]) == ["drift"]
    assert kinds([window(8, "quiet"), window(7, "alarm")]) == ["bias", "drift"]
    assert kinds([window(8, "alarm"), window(7, "alarm")]) == ["bias", "quality", "drift"]
    assert kinds([window(8, "quiet"), window(7, "quiet"), window(6, "alarm")]) == ["drift"]
