"""Webhooks made by MLflow's own client, delivered by the engine, signed and never inward."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError
from mainspring.workspace import telling
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace
from serving_in_a_thread import listening


class Receiver:
    """A server on loopback that keeps what it is sent; ``statuses`` are its answers in turn."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((dict(self.headers), body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Location", "http://169.254.169.254/")
                self.end_headers()
                self.wfile.write(b"heard")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"


@pytest.fixture
def receiver(house: Workspace) -> Iterator[Receiver]:
    """A receiver that the house may tell."""
    found = Receiver()
    house.settings = _allowing(house, f"127.0.0.1:{found.server.server_port}")
    with listening(found.server):
        yield found


def _allowing(house: Workspace, *hosts: str) -> Any:
    import msgspec

    return msgspec.structs.replace(house.settings, webhook_hosts=list(hosts))


def work(house: Workspace, *, until: int = 0) -> None:
    """Let an engine do what there is to do, with the clock turned over every wait."""
    clock = TurnedClock(house.clock.now())
    house.clock = clock
    engine = make_engine(house, "test")
    for _ in range(200):
        if not engine.step_once():
            clock.turn(1000)
            until -= 1
            if until < 0:
                return


def test_a_clients_webhook_is_told_and_can_prove_who_tells(
    client: Any, house: Workspace, receiver: Receiver, web: httpx.Client
) -> None:
    from mlflow.entities.webhook import WebhookEvent

    events = [
        WebhookEvent("registered_model", "created"),
        WebhookEvent("model_version", "created"),
        WebhookEvent("model_version_tag", "set"),
        WebhookEvent("model_version_alias", "created"),
    ]
    made = client.create_webhook("ci", receiver.url, events, secret="s3cret")
    assert str(made.status) == "ACTIVE"
    assert client.get_webhook(made.webhook_id).events == events
    assert "s3cret" not in web.get(f"webhooks/{made.webhook_id}").text
    client.create_registered_model("m", {"a": "b"})
    client.create_model_version("m", "s3://b/k", tags={"c": "d"}, description="first")
    client.set_registered_model_alias("m", "beta", "1")
    work(house)
    told = [json.loads(body) for _, body in receiver.heard]
    assert {(one["entity"], one["action"]) for one in told} == {
        ("registered_model", "created"),
        ("model_version", "created"),
        ("model_version_tag", "set"),
        ("model_version_alias", "created"),
    }
    version = next(one for one in told if one["entity"] == "model_version")
    assert version["data"] == {
        "name": "m",
        "version": "1",
        "source": "s3://b/k",
        "run_id": None,
        "tags": {"c": "d"},
        "description": "first",
    }
    for headers, body in receiver.heard:
        signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode()
        wanted = hmac.new(b"s3cret", signed + body, hashlib.sha256).digest()
        assert headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(wanted).decode()}"
    work(house)
    assert len(receiver.heard) == 4


def test_a_delivery_is_tried_again_and_given_up_visibly(
    client: Any, house: Workspace, receiver: Receiver
) -> None:
    from mlflow.entities.webhook import WebhookEvent

    made = client.create_webhook("ci", receiver.url, [WebhookEvent("registered_model", "created")])
    receiver.statuses = [500, 429]
    client.create_registered_model("m1")
    work(house, until=20)
    ids = {headers["X-MLflow-Delivery-Id"] for headers, _ in receiver.heard}
    assert (len(receiver.heard), len(ids)) == (3, 1)
    receiver.statuses = [302]
    client.create_registered_model("m2")
    work(house, until=20)
    assert telling.deliveries(house, made.webhook_id)[0] == {"done": 1, "failed": 1}
    assert "answered 302" in telling.deliveries(house, made.webhook_id)[1]
    assert telling.retry(house, made.webhook_id) == 1
    work(house, until=2)
    assert telling.deliveries(house, made.webhook_id)[0] == {"done": 2}


def test_a_webhook_is_changed_tried_out_listed_and_removed(
    client: Any, house: Workspace, receiver: Receiver
) -> None:
    from mlflow.entities.webhook import WebhookEvent, WebhookStatus
    from mlflow.exceptions import RestException

    event = WebhookEvent("model_version", "created")
    made = client.create_webhook("ci", receiver.url, [event])
    found = client.test_webhook(made.webhook_id)
    assert (found.success, found.response_status, found.response_body) == (True, 200, "heard")
    other = WebhookEvent("model_version_alias", "deleted")
    changed = client.update_webhook(made.webhook_id, name="cd", events=[other])
    assert (changed.name, changed.events) == ("cd", [other])
    client.update_webhook(made.webhook_id, status=WebhookStatus.DISABLED)
    assert [str(one.status) for one in client.list_webhooks()] == ["DISABLED"]
    receiver.statuses = [404]
    assert not client.test_webhook(made.webhook_id, event).success
    client.delete_webhook(made.webhook_id)
    with pytest.raises(RestException, match="not found"):
        client.get_webhook(made.webhook_id)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "ftp://example.com/",
        "http://user:secret@example.com/",
        "http:///x",
        "",
    ],
)
def test_nothing_is_sent_inward_unless_it_is_allowed(house: Workspace, url: str) -> None:
    with pytest.raises(BadInputError):
        telling.make(house, "in", url, ["alias.set"])


def test_what_never_happens_cannot_be_listened_for(client: Any, web: httpx.Client) -> None:
    told = {
        "name": "x",
        "url": "https://example.invalid/",
        "events": [{"entity": "PROMPT", "action": "CREATED"}],
    }
    found = web.post("webhooks", json=told)
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "prompt.created" in found.json()["message"]
