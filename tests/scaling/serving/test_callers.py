"""Who calls is counted by token, by its own word and by its class; never by person or address."""

from __future__ import annotations

import msgspec
import pytest

from mainspring.ground.deprecations import Deprecation
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Principal, Role
from mainspring.scaling.serving.callers import MOST, Callers, agent_class, prune, read

CURL = {b"user-agent": b"curl/8.1"}


def test_calls_are_added_up_by_who_calls(tmp_path):
    now = [10.0]
    several = Callers(tmp_path, "boot", lambda: now[0])
    several.add("", CURL)
    several.flush()
    now[0] = 20.0
    several.add("", CURL)
    several.add("ci", {**CURL, b"x-client": b"billing"})
    several.flush()
    several.flush()
    first, second = read(tmp_path, 0.0, 100.0)
    assert (first.token, first.client, first.agent) == ("", "", "curl")
    assert (first.requests, first.first, first.last) == (2, 10.0, 20.0)
    assert (second.token, second.client, second.requests) == ("ci", "billing", 1)
    assert [one.token for one in read(tmp_path, 15.0, 100.0)] == ["", "ci"]
    assert read(tmp_path, 30.0, 100.0) == []


@pytest.mark.parametrize("client", [b"me@example.com", b"Jo Doe", b"a" * 65, b"\xff"])
def test_what_could_name_a_person_is_not_kept(tmp_path, client):
    several = Callers(tmp_path, "boot", lambda: 1.0)
    several.add("", {b"x-client": client})
    several.flush()
    assert [one.client for one in read(tmp_path, 0.0, 9.0)] == ["unnamed"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"python-requests/2.32", "python-requests"),
        (b"Mozilla/5.0 (X11; Linux) Gecko", "browser"),
        (b"(strange)", "unnamed"),
        (b"", ""),
    ],
)
def test_a_program_is_known_by_its_class(header, name):
    assert agent_class(header) == name


def test_strangers_do_not_fill_memory(tmp_path):
    several = Callers(tmp_path, "boot", lambda: 1.0)
    for number in range(MOST + 50):
        several.add("", {b"x-client": b"c%d" % number})
    several.flush()
    found = read(tmp_path, 0.0, 9.0)
    assert len(found) == MOST + 1
    assert (found[0].client, found[0].requests) == ("others", 50)


def test_old_days_go_and_half_a_line_is_passed_over(tmp_path):
    now = [1.0]
    several = Callers(tmp_path, "boot", lambda: now[0])
    for day in (0, 500):
        now[0] = day * DAY_S + 1
        several.add("", CURL)
        several.flush()
    newest = max((tmp_path / "callers").iterdir())
    newest.write_bytes(newest.read_bytes() + b'{"requests": 3, "fi')
    assert prune(tmp_path) == 1
    assert [one.requests for one in read(tmp_path, 0.0, 1e9)] == [1]


def test_an_endpoint_counts_its_callers_and_a_call_without_a_key_is_among_them(stage):
    def who(scope):
        token = dict(scope["headers"]).get(b"authorization", b"").decode()
        return Principal(token.partition(" ")[2] or "owner", Role.ADMIN)

    one = stage(authenticate=who)
    row = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
    one.predict([row])
    one.predict([row], authorization="Bearer ci", **{"x-client": "billing"})
    one.client.get("/ping")  # no prediction: nobody's use of the model
    one.close()
    found = {(call.token, call.client): call for call in read(one.folder, 0.0, 1e12)}
    assert set(found) == {("", ""), ("ci", "billing")}
    assert found["", ""].agent == "python-httpx"


def test_answers_of_what_goes_away_say_so_until_it_is_taken_back(stage):
    one = stage()
    assert "sunset" not in one.client.get("/ping").headers
    gone = Deprecation(
        subject="endpoint:flights", since=1.7e9, until=1.8e9, reason="r", by="me",
        use="endpoint:flights2",
    )  # fmt: skip
    one.route(deprecation=gone)
    served = list(one.loaded)
    for answer in (one.client.get("/ping"), one.client.post("/invocations", content=b"")):
        assert answer.headers["deprecation"] == "@1700000000"
        assert answer.headers["sunset"] == "Fri, 15 Jan 2027 08:00:00 GMT"
        assert 'rel="successor-version"' in answer.headers["link"]
        assert "/endpoints/flights2/invocations" in answer.headers["link"]
    one.route(deprecation=None)
    assert "deprecation" not in one.client.get("/ping").headers
    assert one.loaded == served  # the same version, not loaded again
    assert msgspec.json.decode(msgspec.json.encode(one.routing))["deprecation"] is None
