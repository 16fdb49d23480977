"""Another program asks for a new version: real HTTP, a token that may do nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.permissions import Permission
from mainspring.workspace.opening import Workspace

PATH = "/api/v1/loops/flights/retrain"


def asked(house: Workspace) -> list[m.RetrainRequested]:
    told = house.read(Permission.READ, lambda tx: reactor.history(tx, "flights"))
    return [event for _, event in told if isinstance(event, m.RetrainRequested)]


def test_a_build_asks_once_however_often_it_is_retried(
    house: Workspace, as_token: Callable[..., httpx.Client]
) -> None:
    ci = as_token("trigger", name="nightly-build")
    body = {"reason": "New prices were published.", "key": "build-1234", "patient": True}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ci.post(PATH, json=body), range(8)))
    assert [one.status_code for one in answers] == [200] * 8
    assert sorted(one.json()["asked"] for one in answers) == [False] * 7 + [True]
    [event] = asked(house)
    assert (event.by, event.reason, event.patient) == (
        "nightly-build",
        "New prices were published.",
        True,
    )
    assert ci.post(PATH, json={**body, "key": "build-1235"}).json() == {"asked": True}
    assert len(asked(house)) == 2


def test_without_a_key_every_call_asks(
    house: Workspace, as_token: Callable[..., httpx.Client]
) -> None:
    ci = as_token("trigger")
    for _ in range(2):
        assert ci.post(PATH, json={"reason": "Again."}).json() == {"asked": True}
    assert len(asked(house)) == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/loops/flights", None),
        ("GET", "/api/v1/decisions", None),
        ("GET", "/metrics", None),
        ("POST", "/api/v1/loops/flights/pause", {"reason": "x"}),
        ("POST", "/api/v1/models/flights/versions/1/promote", {"reason": "x"}),
        ("POST", "/endpoints/flights/invocations", {"inputs": {}}),
    ],
)
def test_its_token_may_do_nothing_else(
    as_token: Callable[..., httpx.Client], method: str, path: str, body: object
) -> None:
    assert as_token("trigger").request(method, path, json=body).status_code == 403


@pytest.mark.parametrize(
    ("role", "path", "body", "status"),
    [
        ("viewer", PATH, {"reason": "x"}, 403),
        ("contributor", PATH, {"reason": "x"}, 200),
        ("trigger", "/api/v1/loops/nobody/retrain", {"reason": "x"}, 404),
        ("trigger", PATH, {}, 400),
        ("trigger", PATH, {"reason": "x", "key": ""}, 400),
        ("trigger", PATH, {"reason": "x", "key": "k" * 101}, 400),
        ("trigger", PATH, {"reason": "x", "when": "now"}, 400),
    ],
)
def test_who_may_ask_and_how(
    as_token: Callable[..., httpx.Client], role: str, path: str, body: object, status: int
) -> None:
    answer = as_token(role).post(path, json=body)
    assert answer.status_code == status, answer.text


def test_a_stranger_is_refused(as_token: Callable[..., httpx.Client], url: str) -> None:
    as_token("trigger")  # from the first token on, tokens alone count
    assert httpx.post(url + PATH, json={"reason": "x"}, trust_env=False).status_code == 401
