"""Events come in by webhooks: signed, bounded, each once, and strangers learn nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.ground.clock import SystemClock
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace

SECRET = "a secret of the sender"
PROJECT = """
import mainspring as ms

@ms.step
def say(x: str) -> str:
    return x

@ms.pipeline
def tell(x: str = "none") -> str:
    return say(x)
"""


@pytest.fixture
def hooked(house: Workspace) -> Workspace:
    (Path(house.settings.root) / "project.py").write_text(PROJECT)
    asked = {"name": "push", "pipeline": "tell", "on": "webhook", "secret": SECRET}
    made = call(
        house, "triggers.put", **asked, params={"x": "{event.ref}"}, filters=["ref like main*"]
    )
    assert (made["secret"], made["trigger"]["hook"]) == (SECRET, "/api/v1/hooks/push")
    return house


def signed(body: bytes, at: int | None = None, secret: str = SECRET) -> dict[str, str]:
    told = body if at is None else f"{at}.".encode() + body
    made = hmac.new(secret.encode(), told, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={made}"}
    return headers if at is None else {**headers, "x-mainspring-timestamp": str(at)}


def test_an_event_counts_once_however_it_is_shown_and_sent_again(
    hooked: Workspace, url: str
) -> None:
    now = int(SystemClock().now())
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:

        def post(event: Any, headers: dict[str, str], name: str = "push") -> int:
            body = event if isinstance(event, bytes) else json.dumps(event).encode()
            return client.post(f"/api/v1/hooks/{name}", content=body, headers=headers).status_code

        body = json.dumps({"ref": "main"}).encode()
        assert post(body, signed(body)) == 202
        assert post(body, signed(body)) == 200
        assert post(body, {**signed(body), "x-github-delivery": "another"}) == 200
        assert post(body, signed(body, now)) == 202
        assert post(body, signed(body, now)) == 200
        assert post(body, signed(body, now - 400)) == 401
        token = {"authorization": f"Bearer {SECRET}"}
        assert post(body, {**token, "idempotency-key": "1"}) == 202
        assert post(body, {**token, "idempotency-key": "1"}) == 200
        assert post({"ref": "feature"}, token) == 202
        for wrong in (
            {},
            {"authorization": "Bearer x"},
            signed(body, secret="another secret!"),
            {"x-hub-signature-256": "sha256="},
        ):
            assert post(body, wrong) == 401
        unknown = client.post("/api/v1/hooks/none", content=body, headers=signed(body))
        refused = client.post("/api/v1/hooks/push", content=body)
        assert unknown.json() == refused.json()
        for bad in (b"[1]", b"{", b"[" * 5000):
            assert post(bad, signed(bad)) == 400
        assert post(b"x" * (1 << 20) + b"x", token) == 413
        headers = {**signed(body), "host": "evil.example"}
        assert client.post("/api/v1/hooks/push", content=body, headers=headers).status_code == 403
        assert client.get("/api/v1/hooks/push").status_code == 405
    events = call(hooked, "triggers.get", name="push")["events"]
    assert [one["state"] for one in reversed(events)] == ["waiting"] * 3 + ["skipped"]
    tried = call(hooked, "triggers.test", name="push", event={"ref": "main-2"})
    assert (tried["starts"], tried["params"]) == (True, {"x": "main-2"})


def test_a_trigger_is_listed_rests_and_goes(hooked: Workspace) -> None:
    [row] = call(hooked, "triggers.list")
    assert (row["name"], row["on"], row["paused"]) == ("push", "webhook", None)
    assert "secret" not in row
    assert call(hooked, "triggers.pause", name="push") == {"done": True}
    assert call(hooked, "triggers.list")[0]["paused"] is not None
    assert call(hooked, "triggers.resume", name="push") == {"done": True}
    assert call(hooked, "triggers.remove", name="push") == {"done": True}
    assert call(hooked, "triggers.list") == []
