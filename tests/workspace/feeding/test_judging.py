"""Windows of fed rows: cut by time or count, each once, each version apart, none in silence."""

import os

import polars as pl
import pytest
from world import DAY, FIRST, POLICY, answered

from mainspring import sdk
from mainspring.engine import leases, tasks
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.objects import MonitorPolicy
from mainspring.ground.permissions import Permission
from mainspring.monitoring import alarms, windows
from mainspring.readiness import registry
from mainspring.workspace.catching_up import ask_again, catch_up
from mainspring.workspace.feeding import declared
from mainspring.workspace.scans import Scans


def everything(ws, endpoint="fraud"):
    return ws.read(Permission.READ, lambda tx: windows.list_windows(tx, endpoint))[::-1]


def raised(ws):
    found = ws.read(Permission.READ, lambda tx: alarms.list_alarms(tx))
    return {(one.kind, one.subject): one.outcome for one in found}


def said(window, subject):
    return next((one for one in window.found if one.subject == subject), None)


def test_drift_is_alarmed_in_its_window_and_ends_when_it_is_quiet_again(fraud, feed, judge):
    for day, shift in ((0, 0.0), (1, 0.7), (2, 0.0), (3, 0.0)):
        feed(answered(500, day + 1, day, shift))
    found = judge()
    assert [window.rows for window in found] == [500, 500, 500]
    assert [window.performance["verdict"] for window in found] == ["quiet"] * 3
    assert raised(fraud)["drift", "x"] == "dismissed"
    assert raised(fraud)["score_drift", "score"] == "dismissed"
    assert judge() == [], "each window is judged once"


def test_labels_that_turn_show_in_the_performance_alone(fraud, feed, judge):
    feed(answered(800, 1, worse=True))
    feed(answered(10, 2, day=1))
    [window] = judge()
    assert window.performance["verdict"] == "alarm"
    assert ("performance", "loss") in raised(fraud)
    assert ("drift", "x") not in raised(fraud)


def test_windows_may_be_cut_by_count(fraud, feed, judge):
    policy = MonitorPolicy(window_rows=300, label_delay_s=0.0, min_rows=100)
    declared.create(fraud, "fraud", policy=policy)
    feed(answered(500, 1, day=1))
    feed(answered(250, 2, day=0))  # older rows that came later, and in time
    found = judge()
    assert [window.rows for window in found] == [300, 300]
    assert found[0].end == found[1].start
    feed(answered(200, 3, day=2))
    assert [window.rows for window in judge()] == [300]


def test_rows_that_come_too_late_are_stated_with_the_window_they_belong_to(fraud, feed, judge):
    feed(answered(300, 1, day=0))
    feed(answered(300, 2, day=1))
    [first] = judge()
    fraud.clock.turn(60)
    assert feed(answered(40, 3, day=0)).late == 40
    feed(answered(10, 4, day=2))
    [second] = judge()
    late = said(second, "late")
    assert (late.value, late.verdict) == (40, "notice")
    assert late.detail["windows"] == {first.id: 40}
    assert second.rows == 300
    feed(answered(10, 5, day=3))
    assert said(judge()[0], "late") is None, "they are stated once"


def test_a_clock_that_jumped_ahead_ends_no_window_and_is_stated(fraud, feed, judge):
    future = answered(2, 9).with_columns(ts=pl.lit(FIRST + 5_000 * DAY))
    feed(pl.concat([answered(300, 1), future]))
    found = judge()
    assert [window.rows for window in found] == [300]
    assert said(found[0], "clock").value == 2
    state = fraud.read(Permission.READ, lambda tx: windows.monitor(tx, "fraud"))
    assert state.judged_until < fraud.clock.now() + DAY


def test_a_clock_that_was_set_to_1970_costs_one_step_and_not_twenty_thousand(fraud, feed, judge):
    feed(answered(1, 9).with_columns(ts=pl.lit(0.0)))
    feed(answered(300, 1))
    feed(answered(10, 2, day=1))
    assert [window.rows for window in judge()] == [1, 300]
    state = fraud.read(Permission.READ, lambda tx: windows.monitor(tx, "fraud"))
    assert state.empty > 20_000


def test_two_versions_are_judged_apart_each_against_its_own_baseline(fraud, feed, judge):
    shifted = answered(4_000, 8, shift=2.0)
    declared.create(fraud, "fraud", baseline=shifted, version="2.0")
    for day in (0, 1, 2):
        old = answered(500, day + 1, day).with_columns(model_version=pl.lit("1.0"))
        new = answered(400, day + 11, day, shift=2.0 if day < 1 else 4.0)
        feed(pl.concat([old, new.with_columns(model_version=pl.lit("2.0"))]))
    first, second = judge()
    assert {v["rows"] for v in first.traffic["versions"].values()} == {500, 400}
    assert (first.rows, first.version) == (500, 1), "the one that answered most, on its own rows"
    of_two = fraud.read(Permission.READ, lambda tx: windows.list_windows(tx, "fraud", version=2))[
        ::-1
    ]
    assert [(one.id, one.rows, one.side) for one in of_two] == [
        (f"{first.id}/2", 400, 2), (f"{second.id}/2", 400, 2),
    ]  # fmt: skip
    assert [row["verdict"] for row in of_two[0].drift] == ["quiet"] * 3
    assert ("drift", "v2 x") in raised(fraud)
    assert ("drift", "x") not in raised(fraud)


def test_a_version_with_too_few_rows_is_stated_and_not_judged(fraud, feed, judge):
    old = answered(500, 1).with_columns(model_version=pl.lit("1.0"))
    new = answered(20, 2).with_columns(model_version=pl.lit("2.0"))
    feed(pl.concat([old, new]))
    feed(answered(5, 3, day=1))
    [window] = judge()
    found = said(window, "version/2")
    assert (found.verdict, found.rows) == ("too few rows", 20)
    known = fraud.read(Permission.READ, lambda tx: registry.versions(tx, "fraud"))
    assert [one.number for one in known] == [2, 1]


def test_a_window_that_cannot_be_judged_is_stated_and_the_next_one_is(
    fraud, feed, judge, monkeypatch
):
    from mainspring.monitoring import judge as judging

    usual, broken = judging.judge_inputs, [True]

    def fails(frame, *args, **more):
        if broken[0] and args[3][0] == FIRST:
            raise ConflictError("The rows are cursed.")
        return usual(frame, *args, **more)

    monkeypatch.setattr(judging, "judge_inputs", fails)
    for day in (0, 1, 2):
        feed(answered(300, day + 1, day))
    lost, fine = judge()
    assert not windows.was_judged(lost)
    assert lost.rows == 300
    assert "cursed" in said(lost, "window").why
    assert windows.was_judged(fine)
    assert raised(fraud)["traffic", "window"] is not None, "raised, and over with the next window"
    broken[0] = False
    catch_up(fraud, "fraud", ask_again(fraud, "fraud", lost.id))
    again = everything(fraud)[0]
    assert again.id == lost.id
    assert windows.was_judged(again)
    assert again.drift
    with pytest.raises(NotFoundError):
        ask_again(fraud, "fraud", "fraud:17")


def test_an_engine_that_dies_while_it_judges_leaves_the_window_to_another(fraud, feed, judge):
    for day in (0, 1):
        feed(answered(300, day + 1, day))
    ws = fraud

    def claim(tx):
        [new] = [t for t in Scans(ws).all(tx) if t.kind == "window"]
        tasks.submit(tx, [new])
        return leases.claim(tx, f"dead:{os.getpid()}", 0.0, ws.clock.now(), kinds=["window"])

    assert ws.store.write(ws.acting_as(sdk_service()).who, Permission.WORK, claim) is not None
    [window] = judge()
    assert window.rows == 300
    assert len(everything(fraud)) == 1


def sdk_service():
    from mainspring.ground.permissions import service

    return service("engine")


def test_a_window_may_be_a_batch_or_a_count():
    assert sdk.Monitor("batch").by_batch
    assert sdk.Monitor(window_rows=5_000).window_rows == 5_000
    assert POLICY.window_rows is None
