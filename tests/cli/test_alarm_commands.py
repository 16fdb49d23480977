"""Rules, quiet times and channels as a person types them, on the home and over a server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Finding, Window
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.monitoring import windows
from mainspring.scaling.serving import endpoints
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))

from receivers import http_receiver

START = 1_800_000_000.0


def furnish(tx: Tx) -> None:
    endpoints.ensure(tx, "flights", "flights", at=START)
    for place, value in enumerate([0.02, 0.3, 0.4, 0.1]):
        found = [Finding(monitor="drift", subject="temp", value=value, verdict="quiet")]
        start = START + 3600 * place
        one = Window(
            id=f"flights:{place}", endpoint="flights", start=start, end=start + 3600, rows=9,
            version=1, found=found,
        )  # fmt: skip
        windows.save(tx, one)


@pytest.fixture
def ws(say: Any, tmp_path: Path) -> Iterator[Workspace]:
    """The home of the folder that commands stand in, put to rules by an engine of this thread."""
    settings = load({"webhook_hosts": ["127.0.0.1"]}, start=tmp_path)
    (tmp_path / "mainspring.toml").write_text('webhook_hosts = ["127.0.0.1"]\n')
    with contextlib.closing(open_workspace(settings, clock=SystemClock())) as found:
        found.acting_as(service("test")).write(Permission.WORK, furnish)
        work(found)
        yield found


def work(ws: Workspace) -> None:
    engine = make_engine(ws, "test")
    for _ in range(200):
        if not engine.step_once():
            break
    assert not engine.troubles


def test_a_rule_is_made_shown_changed_and_deleted(ws: Workspace, say: Callable[..., Any]) -> None:
    line = ("--series", "drift:temp", "--above", "0.2", "--for", "2", "--of", "3")
    made = say("alarms", "create", "hot", "--endpoint", "flights", *line)
    assert made.code == 0
    assert "hot is watched from now on: drift:temp above 0.2 in 2 of 3." in made.out
    assert say("alarms", "create", "hot", "--endpoint", "flights", *line).code != 0
    [row] = say("alarms", "rules", "--json").json
    assert row["state"]["state"] == "ALARM"  # put at once to the windows there are
    assert "ALARM" in say("alarms", "states", "--kind", "rule").out
    assert "new to ALARM" in say("alarms", "history").out
    [alarm] = say("alarms", "--open", "--json").json
    assert say("alarms", "ack", alarm["id"], "--reason", "Seen.", "--until", "2h").code == 0
    assert say("alarms", "ack", alarm["id"], "--back").code == 0
    assert "1 alarm, inputs moved: hot" in say("alarms", "groups", "--open").out
    changed = say("alarms", "edit", "hot", "--above", "0.5", "--reason", "Too loud.")
    assert "version 2: drift:temp above 0.5" in changed.out
    assert say("alarms", "--open", "--json").json == []  # OK again: dismissed, with a decision
    assert "Too loud." in say("alarms", "rules", "hot").out
    off = say("alarms", "edit", "hot", "--off", "--reason", "Rest.", "--json")
    assert off.json["rule"]["enabled"] is False
    assert say("alarms", "delete", "hot", "--reason", "Done.").code == 0
    assert "No rules yet" in say("alarms", "rules").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("alarms", "create", "x", "--endpoint", "flights", "--series", "drift", "--above", "1"),
         "MONITOR"),
        (("alarms", "create", "x", "--endpoint", "flights", "--when", "a and"), "when"),
        (("alarms", "create", "x", "--endpoint", "flights", "--when", "a"), "no such rule"),
        (("alarms", "create", "x", "--endpoint", "flights", "--missing", "odd"), "odd"),
        (("alarms", "quiet", "--reason", "x"), "--for or --until"),
        (("alarms", "quiet", "--reason", "x", "--cron", "0 3 * * *"), "--for"),
        (("alarms", "quiet", "--reason", "x", "--for", "soon"), "soon"),
        (("channels", "add", "x", "smoke"), "smoke"),
        (("channels", "add", "x", "webhook"), "url"),
        (("channels", "add", "x", "webhook", "--to-url", "http://10.0.0.1/"), "this network"),
        (("monitor", "backtest", "flights", "--rule", "a", "--alpha", "0.1"), "One thing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    ws: Workspace, say: Callable[..., Any], words: tuple[str, ...], says: str
) -> None:
    said = say(*words)
    assert said.code == 2
    assert says in said.err


def test_quiet_times_and_channels_come_and_go(ws: Workspace, say: Callable[..., Any]) -> None:
    made = say("alarms", "quiet", "--for", "2h", "--reason", "Work.", "--json").json
    assert made["ends"] - made["starts"] == pytest.approx(7200)
    night = ("--cron", "0 3 * * 0", "--for", "90m", "--tz", "Europe/Berlin", "--reason", "Sunday.")
    weekly = say("alarms", "quiet", *night, "--endpoint", "flights", "--json").json
    assert "1.5 hours from each '0 3 * * 0' (Europe/Berlin)" in say("alarms", "quiets").out
    for one in (made, weekly):  # both: it may be Sunday night where this runs
        assert say("alarms", "unquiet", one["id"]).code == 0
    with http_receiver() as receiver:
        url = ("--to-url", receiver.url, "--secret", "s3cret")
        assert say("channels", "add", "ops", "webhook", *url).code == 0
        assert "ops: 200." in say("channels", "test", "ops").out
        assert receiver.bodies[0]["event"] == "TEST"
        assert say("channels", "add", "echo", "command", "--", "/bin/true", "--loud").code == 0
        listed = say("channels", "list")
        assert "s3cret" not in listed.out
        assert "hidden" not in listed.out
        assert "/bin/true" in listed.out
        say("alarms", "create", "hot", "--endpoint", "flights", "--series", "drift:temp",
            "--above", "0.05")  # fmt: skip
        work(ws)
        assert [body["event"] for body in receiver.bodies] == ["TEST", "ALARM"]
        assert "ops sent" in say("alarms", "pages").out
    assert say("channels", "rest", "ops").code == 0
    assert say("channels", "use", "ops").code == 0
    assert say("channels", "retry", "ops").code == 0
    assert say("channels", "remove", "ops").code == 0
    assert say("channels", "test", "ops").code != 0


def test_the_same_from_python(ws: Workspace, tmp_path: Path) -> None:
    import mainspring as ms

    rule = ms.AlarmRule(
        "warm", endpoint="flights", series="drift:temp", above=0.05, at_least=2, cooldown="1h"
    )
    tried = ms.backtest(rule, home=ws.home)
    assert [(one.first, one.windows) for one in tried.firings] == [("flights:2", 2)]
    assert ms.watch(rule, home=ws.home) == 1
    assert ms.watch(rule, home=ws.home) == 1  # the same again is no new version
    with pytest.raises(BadInputError, match="season"):
        ms.AlarmRule("odd", endpoint="flights", series="drift:temp", band=3, season=99)
