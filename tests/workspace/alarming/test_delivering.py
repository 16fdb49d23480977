"""People are told once a cause, over whatever still works, whatever dies on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alarm_homes import HOUR, NOW, Home, drift

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.monitoring import alarms, groups, paging
from mainspring.workspace.alarming import verbs
from mainspring.workspace.views import alarming

sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from receivers import http_receiver


def patiently(home: Home) -> None:
    """Work, turning the clock over what waits for another try."""
    for _ in range(10):
        home.settle()
        home.clock.turn(40.0)


def webhook(home: Home, name: str, url: str, **more: object) -> None:
    verbs.add_channel(home.ws, name, "webhook", {"url": url}, **more)  # type: ignore[arg-type]


def test_every_channel_is_told_once_of_the_beginning_and_once_of_the_end(both: Home):
    with http_receiver() as one, http_receiver() as two:
        webhook(both, "one", one.url, secret="s")
        webhook(both, "two", two.url)
        both.window(0, [drift(0.0)])
        both.window(1, [drift(0.4, verdict="alarm")])
        both.window(2, [drift(0.5, verdict="alarm")])
        both.window(3, [drift(0.0)])
        for receiver in (one, two):
            assert [body["event"] for body in receiver.bodies] == ["ALARM", "OK"]
        assert one.bodies == two.bodies
        assert any("mainspring why alarm:" in line for line in one.bodies[0]["lines"])
        [over, began] = both.read(paging.listed)
        assert [d.state for d in (*over.deliveries, *began.deliveries)] == ["sent"] * 4


def test_a_busy_receiver_is_asked_again_under_the_same_id(home: Home):
    with http_receiver() as receiver:
        receiver.first = [503, 500]
        webhook(home, "ops", receiver.url)
        home.window(0, [drift(0.4, verdict="alarm")])
        patiently(home)
        assert len(receiver.got) == 3
        assert len({heads["webhook-id"] for heads, _ in receiver.got}) == 1


def test_a_dead_channel_is_an_alarm_told_over_the_others_and_ends_when_it_answers(both: Home):
    with http_receiver() as dead, http_receiver() as well:
        dead.status = 503
        webhook(both, "dead", dead.url)
        webhook(both, "well", well.url)
        both.window(0, [drift(0.4, verdict="alarm")])
        patiently(both)
        assert len(dead.got) == 6
        assert ("channel", "dead") in both.open_alarms()
        assert [body["title"] for body in well.bodies][-1] == (
            "1 alarm, the channel dead cannot be reached: dead"
        )
        rows = {row.channel.name: row for row in alarming.channel_list(both.ws)}
        assert rows["dead"].dead
        assert "503" in rows["dead"].trouble
        assert rows["dead"].deliveries == {"failed": 1}
        dead.status = 200
        assert verbs.test_channel(both.ws, "dead") == "200"
        assert both.open_alarms() == []
        [alarm] = [one for one in both.read(alarms.list_alarms) if one.kind == "channel"]
        assert alarm.outcome == "dismissed"
        assert verbs.retry_channel(both.ws, "dead") == 1
        both.settle()
        assert dead.bodies[-1]["event"] == "ALARM"  # what it missed
        assert well.bodies[-1]["event"] == "OK"  # the channel is well again


def test_what_is_refused_is_not_tried_again(home: Home):
    with http_receiver() as receiver:
        receiver.status = 410
        webhook(home, "gone", receiver.url)
        home.window(0, [drift(0.4, verdict="alarm")])
        patiently(home)
        assert len(receiver.got) == 1
        assert ("channel", "gone") in home.open_alarms()


def test_more_than_a_channel_may_tell_in_an_hour_is_told_together(home: Home):
    with http_receiver() as receiver:
        webhook(home, "calm", receiver.url, per_hour=2)
        for name in "abcd":
            home.rule(name, series=f"log:{name}", above=0.5)
        # Causes of their own: one group a rule, each a window later, all in one hour of the day.
        for place in range(4):
            home.keep(place, [drift(1.0, name, monitor="log") for name in "abcd"[: place + 1]])
            home.settle()
        assert len(home.pages()) == 4
        assert len(receiver.got) == 2
        home.clock.turn(1.1 * HOUR)
        home.settle()
        assert len(receiver.got) == 3
        assert receiver.bodies[2]["title"].startswith("2 pages that had to wait")
        assert len(receiver.bodies[2]["data"]["pages"]) == 2


def test_a_channel_may_be_for_some_endpoints_only_and_may_rest(home: Home):
    with http_receiver() as ours, http_receiver() as theirs:
        webhook(home, "ours", ours.url, endpoints_=["flights"])
        webhook(home, "theirs", theirs.url, endpoints_=["trains"])
        home.window(0, [drift(0.4, verdict="alarm")])
        verbs.switch_channel(home.ws, "ours", active=False)
        home.window(1, [drift(0.0)])
        assert [body["event"] for body in ours.bodies] == ["ALARM"]
        assert theirs.got == []


def test_a_rule_may_name_its_channels_and_they_cannot_go_before_it(home: Home):
    with http_receiver() as one, http_receiver() as two:
        webhook(home, "one", one.url)
        webhook(home, "two", two.url)
        home.rule("hot", series="drift:temp", above=0.1, channels=["two"], note="Call the vendor.")
        home.window(0, [drift(0.4)])
        assert (len(one.got), len(two.got)) == (0, 1)
        assert "Call the vendor." in two.bodies[0]["lines"]
        with pytest.raises(ConflictError, match="named by hot"):
            verbs.remove_channel(home.ws, "two")
        with pytest.raises(BadInputError, match="no channel 'three'"):
            home.rule("wet", series="drift:rain", above=0.1, channels=["three"])


def test_no_secret_is_ever_shown(home: Home):
    with http_receiver() as receiver:
        webhook(home, "hook", receiver.url, secret="s3cret")
        verbs.add_channel(home.ws, "chat", "slack", {"url": receiver.url})
        verbs.add_channel(home.ws, "run", "command", {"command": ["true", "--key=s3cret"]})
        shown = repr(alarming.channel_list(home.ws))
    assert "s3cret" not in shown
    assert "hidden" not in shown
    assert "127.0.0.1" in shown
    verbs.remove_channel(home.ws, "chat")
    with pytest.raises(NotFoundError):
        verbs.test_channel(home.ws, "chat")


#: Works on a home until it is killed at the point that its environment names.
VICTIM = """
import sys, threading
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import open_workspace

settings = Settings(root=sys.argv[1], home=sys.argv[1], webhook_hosts=["127.0.0.1"], lease_s=0.5)
make_engine(open_workspace(settings, clock=TurnedClock(%r)), "victim").run(threading.Event())
""" % (NOW + HOUR)
POINTS = [
    "tell.sent:1",  # the worst moment: told, and nobody has written down that it was
    "finish.before_commit:1",
    "finish.before_commit:2",
    "finish.before_commit:3",
    "handler.after:2",
    "scan.done:3",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_one_page_is_made_and_arrives_under_one_id(home: Home, point: str):
    with http_receiver() as receiver:
        webhook(home, "ops", receiver.url)
        home.rule("hot", series="drift:temp", above=0.1)
        home.keep(0, [drift(0.4)])
        done = subprocess.run(
            [sys.executable, "-c", VICTIM, home.ws.settings.home],
            env={**os.environ, "MAINSPRING_KILL_AT": point},
            timeout=120,
        )
        assert done.returncode == -9
        home.finish(lambda: bool(receiver.got) and home.quiet_now())
        assert home.pages() == ["ALARM flights: 1 alarm, inputs moved: hot"]
        assert len({heads["webhook-id"] for heads, _ in receiver.got}) == 1
        assert len(home.read(alarms.list_alarms)) == 1


def test_two_engines_at_once_make_one_page(both: Home):
    with http_receiver() as receiver:
        webhook(both, "ops", receiver.url)
        both.rule("hot", series="drift:temp", above=0.1)
        for place, value in enumerate([0.4, 0.0, 0.4, 0.0, 0.4]):
            both.keep(place, [drift(value), drift(value, "wind", "alarm" if value else "quiet")])
            both.clock.turn(HOUR)
            both.race(4)
        assert [one.split()[0] for one in both.pages()] == ["ALARM", "OK"] * 2 + ["ALARM"]
        assert [body["event"] for body in receiver.bodies] == ["ALARM", "OK"] * 2 + ["ALARM"]
        assert len({body["id"] for body in receiver.bodies}) == 5
        [group] = both.read(groups.open_groups)
        assert len(group.members) == 2
