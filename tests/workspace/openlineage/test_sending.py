"""Events arrive: by HTTP as the receiver asks for, as lines of a file, late, and none is lost."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openlineage_receivers import Receiver, an_event, start, told_of, work

from mainspring.cli import doctor
from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.objects import (
    RunStatus,
)
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load
from mainspring.pipelines import secrets
from mainspring.workspace import crons
from mainspring.workspace.opening import Workspace
from mainspring.workspace.openlineage import delivering, sending
from mainspring.workspace.openlineage import events as openlineage
from mainspring.workspace.vault import verbs as vault


def test_headers_of_ones_own_an_endpoint_and_gzip_as_its_own_clients_set_them(
    place: Workspace, receiver: Receiver
) -> None:
    own = {"X-Team": "risk", "X-Key": "secret:RECEIVER_KEY"}
    place.settings = msgspec.structs.replace(
        place.settings, openlineage_headers=own, openlineage_compression="gzip",
        openlineage_endpoint="api/v2/lineage?x=1", openlineage_key=None,
    )  # fmt: skip
    sending.send(place.acting_as(service("test")), [an_event()])
    assert receiver.paths == {"/api/v2/lineage?x=1"}
    found = receiver.headers[0]
    assert (found["x-team"], found["x-key"]) == ("risk", "the key itself")
    assert (found["content-encoding"], receiver.tokens) == ("gzip", {None})
    assert receiver.events == [an_event()]


def test_events_are_lines_of_a_file_each_whole_after_a_line_that_was_cut_off(
    place: Workspace, receiver: Receiver
) -> None:
    place.settings = msgspec.structs.replace(
        place.settings, openlineage_url="file:told/events%20of%20runs.ndjson"
    )
    file = Path(place.settings.root) / "told" / "events of runs.ndjson"
    file.parent.mkdir()
    file.write_bytes(b'{"eventType": "STA')
    sending.send(place, [an_event(), an_event()])
    sending.send(place, [an_event()])
    cut, *lines = file.read_text().splitlines()
    assert cut == '{"eventType": "STA'
    assert [json.loads(one) for one in lines] == 3 * [an_event()]
    assert receiver.events == []
    assert sending.reachable(place.settings) == ""


def test_only_what_is_wrong_with_an_event_itself_gives_it_up(
    place: Workspace, receiver: Receiver
) -> None:
    own = place.acting_as(service("test"))
    for status in (302, 401, 404, 429, 503):
        receiver.answer = status
        with pytest.raises(UnavailableError, match=str(status)):
            sending.send(own, [an_event()])
    for status in sending.REFUSED:
        receiver.answer = status
        with pytest.raises(BadInputError, match=str(status)):
            sending.send(own, [an_event()])
    assert receiver.events == []


def test_a_receiver_that_is_ill_delays_no_run_and_is_told_all_once_it_is_well(
    place: Workspace, receiver: Receiver
) -> None:
    receiver.answer = 503
    run = start(place, n=3)
    _, [past] = crons.shown(place, "hourly")
    assert (past.run, past.status) == (run, "finished")
    found = delivering.deliveries(place)
    assert (found.done, found.waiting > 0, "503" in found.error) == (0, True, True)
    receiver.answer = 201
    for _ in range(12):
        place.clock.turn(400.0)  # type: ignore[attr-defined]
        work(place)
    assert delivering.deliveries(place).waiting == 0
    assert len({json.dumps(one) for one in receiver.events}) == len(receiver.events)
    kinds = [told_of(one) for one in receiver.events]
    assert ("COMPLETE", "project:add") in kinds


def test_events_wait_for_the_secret_that_the_receivers_key_is_kept_as(
    place: Workspace, receiver: Receiver
) -> None:
    place.write(Permission.ADMIN, lambda tx: secrets.remove(tx, "RECEIVER_KEY"))
    start(place, n=3)
    told = delivering.deliveries(place)
    assert (told.done, told.failed, receiver.events) == (0, 0, [])
    assert "mainspring secret set RECEIVER_KEY" in told.error
    vault.put(place, "RECEIVER_KEY", "the key itself")
    for _ in range(12):
        place.clock.turn(400.0)  # type: ignore[attr-defined]
        work(place)
    assert delivering.deliveries(place).waiting == 0
    assert receiver.tokens == {"Bearer the key itself"}


def test_what_waits_for_a_dead_receiver_is_bounded_and_without_an_address_nothing_waits(
    place: Workspace,
) -> None:
    def wait(tx: Any) -> None:
        every = (
            tasks.NewTask(id=f"x{n}", kind="k", group=delivering.GROUP)
            for n in range(delivering.MOST_WAITING)
        )
        tasks.submit(tx, every)

    own = place.acting_as(service("test"))
    now = place.clock.now()

    def due(settings: Any) -> int:
        return len(own.read(Permission.WORK, lambda tx: delivering.due(tx, settings, now)))

    start(place, n=3)
    assert due(msgspec.structs.replace(place.settings, openlineage_url=None)) == 0
    own.write(Permission.WORK, wait)
    assert due(place.settings) == 0


def test_what_had_no_room_while_the_receiver_was_ill_is_told_once_it_is_well(
    place: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "MOST_WAITING", 4)
    monkeypatch.setattr(delivering, "_RUNS", 2)
    receiver.answer = 503
    several = []
    for n in (3, 4, 5):
        several.append(openlineage.run_id(start(place, n=n)))
        place.clock.turn(10.0)  # type: ignore[attr-defined]
    assert delivering.deliveries(place).waiting == 4
    receiver.answer = 201
    for _ in range(6):
        place.clock.turn(400.0)  # type: ignore[attr-defined]
        work(place)
    assert delivering.deliveries(place).waiting == 0
    told = {(one["eventType"], one["run"]["runId"]) for one in receiver.events}
    assert len(told) == len(receiver.events) == 3 * 6
    assert {("COMPLETE", one) for one in several} <= told


def test_of_a_run_that_goes_on_only_what_ended_since_the_last_look_is_read(
    place: Workspace,
) -> None:
    start(place, n=3)
    own, now = place.acting_as(service("test")), place.clock.now()
    [run] = own.read(Permission.WORK, lambda tx: experiments.started_between(tx, 0, now + 1, 9))
    going = msgspec.structs.replace(run, status=RunStatus.RUNNING, ended=None)
    seen: dict[str, float] = {}

    def steps() -> int:
        found = own.read(Permission.WORK, lambda tx: delivering._of_run(tx, going, seen))
        return len([one for one in found if "/step/" in one.id])

    assert (steps(), steps()) == (2, 2)  # so late may one be seen to have ended
    seen[run.id] += 2 * delivering._LATE_S
    assert steps() == 0
    assert len(own.read(Permission.WORK, lambda tx: delivering._of_run(tx, run, seen))) == 3
    assert seen == {}


def test_the_names_of_other_tools_are_honoured_and_ours_stand_above(tmp_path: Path) -> None:
    environ = {"OPENLINEAGE_URL": "http://a", "OPENLINEAGE_API_KEY": "k"}
    found = load(start=tmp_path, environ=environ)
    assert (found.openlineage_url, found.openlineage_key) == ("http://a", "k")
    both = {**environ, "MAINSPRING_OPENLINEAGE_URL": "http://b"}
    assert load(start=tmp_path, environ=both).openlineage_url == "http://b"


def test_what_its_clients_are_told_of_a_transport_is_read_as_they_do(tmp_path: Path) -> None:
    many = "OPENLINEAGE__TRANSPORT__"

    def found(**told: str) -> Any:
        environ = {"OPENLINEAGE_URL": "http://a"}
        return load(start=tmp_path, environ=environ | {f"{many}{k}": v for k, v in told.items()})

    key = '{"type": "api_key", "apiKey": "k"}'
    one = found(TYPE="http", URL="http://b", ENDPOINT="x", COMPRESSION="gzip", AUTH=key,
                CUSTOM_HEADERS='{"A": "b"}')  # fmt: skip
    assert sending.url_of(one) == "http://b/x"
    assert (one.openlineage_key, one.openlineage_headers) == ("k", {"A": "b"})
    assert one.openlineage_compression == "gzip"
    assert sending.url_of(found()) == "http://a/api/v1/lineage"
    filed = found(TYPE="file", LOG_FILE_PATH="/x/y.ndjson")
    assert sending.file_of(filed) == Path("/x/y.ndjson")
    assert sending.file_of(load({"openlineage_url": "file:///x/y"}, start=tmp_path)) == Path(
        "/x/y"
    )
    for elsewhere in ({"TYPE": "kafka", "URL": "x"}, {"AUTH": '{"type": "jwt", "apiKey": "k"}'}):
        passed = found(**elsewhere)
        assert (passed.openlineage_url, passed.openlineage_key) == ("http://a", None)
    off = load(start=tmp_path, environ={"OPENLINEAGE_DISABLED": "true"})
    assert off.openlineage_disabled is True
    for wrong, field in (
        ({"CUSTOM_HEADERS": "[1]"}, "OPENLINEAGE__TRANSPORT__CUSTOM_HEADERS"),
        ({"COMPRESSION": "zip"}, "openlineage_compression"),
    ):
        with pytest.raises(BadInputError) as caught:
            found(**wrong)
        assert caught.value.field == field


def test_a_receiver_that_cannot_be_reached_is_told_by_the_doctor(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        url = f"http://127.0.0.1:{there.getsockname()[1]}"
        told = load({"openlineage_url": url}, start=tmp_path, environ={})
        [good] = doctor._openlineage(told)
        assert (good.state, good.found) == ("ok", f"{url}/api/v1/lineage is there")
    [ill] = doctor._openlineage(told)
    assert (ill.state, "does not answer" in ill.found) == ("warn", True)
    off = msgspec.structs.replace(told, openlineage_disabled=True)
    assert list(doctor._openlineage(off)) == []
