"""Tokens, from the first one on, at every door: the API, the pages, the endpoint's own port."""

from __future__ import annotations

import time
from contextlib import suppress

import httpx
import pytest
from tests.acceptance.conftest import Stranger

from waiting import files_below, until

BODY = {"dataframe_records": [{"usage": 1.5, "region": "north", "active": True}]}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def secrets(up: Stranger) -> dict[str, str]:
    """Return one secret a role; before there is any, the owner's connection is enough."""
    assert httpx.get(f"{up.url}/api/v1/tokens").json() == []
    roles = ("admin", "approver", "contributor", "viewer")
    made = {r: up.ask("token", "create", f"the-{r}", "--role", r)["token"] for r in roles}
    for door in (up.url + "/api/v1/status", up.endpoint("customers")["url"] + "/status"):
        until(lambda door=door: httpx.get(door).status_code == 401)  # each looks by itself
    return made


def test_without_a_token_no_door_opens(up: Stranger, secrets: dict[str, str]) -> None:
    own = up.endpoint("customers")["url"]
    shut = ["/api/v1/status", "/metrics", "/api/v1/audit", "/v2/models/customers"]
    asked = [(f"{up.url}{path}", None) for path in shut]
    asked += [(f"{own}/status", None), (f"{own}/metrics", None), (f"{own}/invocations", BODY)]
    asked += [(f"{up.url}/endpoints/customers/invocations", BODY)]
    for url, body in asked:
        for headers in ({}, bearer("ms_0_guess")):
            reply = (
                httpx.get(url, headers=headers)
                if body is None
                else httpx.post(url, json=body, headers=headers)
            )
            assert reply.status_code == 401, url
    page = httpx.get(f"{up.url}/", headers={"accept": "text/html"})
    assert "customers" not in page.text
    for path in ("/health", "/version"):
        assert httpx.get(f"{up.url}{path}").status_code == 200


def test_a_role_may_what_it_may(up: Stranger, secrets: dict[str, str]) -> None:
    def post(who: str, path: str, **body: object) -> int:
        return httpx.post(f"{up.url}{path}", json=body, headers=bearer(secrets[who])).status_code

    assert post("viewer", "/endpoints/customers/invocations", **BODY) == 200
    assert post("viewer", "/api/v1/loops/customers/pause", reason="x") == 403
    assert post("contributor", "/api/v1/loops/customers/pause", reason="x") == 200
    assert post("contributor", "/api/v1/loops/customers/resume", reason="x") == 200
    rollback = "/api/v1/models/customers/rollback"
    assert post("contributor", rollback, reason="x") == 403
    assert post("approver", rollback, reason="x") == 409  # there is nothing to go back to
    assert post("approver", "/api/v1/tokens", name="more", role="admin") == 403
    assert post("admin", "/api/v1/tokens", name="more", role="viewer") == 200


def test_a_token_ends_at_once_at_every_door(up: Stranger, secrets: dict[str, str]) -> None:
    secret = up.ask("token", "create", "guest", "--role", "viewer", "--ttl", "1h")["token"]
    doors = [f"{up.url}/api/v1/status", f"{up.endpoint('customers')['url']}/status"]
    for door in doors:
        assert httpx.get(door, headers=bearer(secret)).status_code == 200
    up.say("token", "revoke", "guest")
    time.sleep(1.0)  # what is promised
    for door in doors:
        assert httpx.get(door, headers=bearer(secret)).status_code == 401
    short = up.ask("token", "create", "short", "--role", "viewer", "--ttl", "1s")["token"]
    time.sleep(1.6)
    assert httpx.get(doors[0], headers=bearer(short)).status_code == 401


def test_secrets_are_nowhere_in_the_home(up: Stranger, secrets: dict[str, str]) -> None:
    read = 0
    for file in files_below(up.home):
        with suppress(OSError):  # a folder, or it is gone: this home is at work
            data, read = file.read_bytes(), read + 1
            for secret in secrets.values():
                assert secret.encode() not in data, file
    assert read > 20
    rows = [r for r in up.ask("audit", "list") if r["action"] == "token.create"]
    assert len(rows) >= len(secrets)
    assert up.ask("audit", "verify")["ok"]


def test_the_command_line_shows_its_token(up: Stranger, secrets: dict[str, str]) -> None:
    far = {"MAINSPRING_URL": up.url}
    assert "asks for a token" in up.say("runs", code=1, **far)
    assert up.ask("runs", **far, MAINSPRING_TOKEN=secrets["viewer"])["runs"]
    said = up.say("token", "list", code=1, **far, MAINSPRING_TOKEN=secrets["viewer"])
    assert "may not admin" in said


def test_a_foreign_site_is_refused(up: Stranger, secrets: dict[str, str]) -> None:
    admin = bearer(secrets["admin"])
    for name, value in (("Host", "evil.example"), ("Origin", "http://evil.example")):
        for url in (f"{up.url}/api/v1/status", f"{up.endpoint('customers')['url']}/status"):
            assert httpx.get(url, headers=admin | {name: value}).status_code == 403
