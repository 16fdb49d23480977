"""Waits on a server: listed, answered and signalled by CLI, HTTP and Python, each by its role."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mainspring.cli.start import main
from mainspring.ground.errors import ConflictError, PermissionDeniedError
from mainspring.ground.permissions import Permission
from mainspring.web.app import build_app
from mainspring.workspace import tokens
from mainspring.workspace.asking import Server
from serving_in_a_thread import served

Shapes = Any
ROLES = ("viewer", "contributor", "approver")


@pytest.fixture
def url(shapes: Shapes) -> Iterator[str]:
    """The home of shapes on the network; its steps are still carried out by the test."""
    with served(build_app(shapes.ws)) as found:
        yield found


@pytest.fixture
def secret(shapes: Shapes) -> dict[str, str]:
    """A token of each role."""
    now = shapes.ws.clock.now()
    return {
        role: shapes.ws.write(
            Permission.ADMIN, lambda tx, r=role: tokens.create(tx, r, r, now=now, ttl_s=None)
        )
        for role in ROLES
    }


@pytest.fixture
def say(
    url: str, secret: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any]]:
    """Return a function that runs a command against the server, as somebody of a role."""

    def run(role: str, *words: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = main([*words, "--url", url, "--token", secret[role], "--json"])
        out, err = capfd.readouterr()
        return code, json.loads(out) if out.strip() else err

    return run


def test_who_may_answer_answers_once_and_in_time_by_the_command_line(
    shapes: Shapes, say: Callable[..., tuple[int, Any]]
) -> None:
    run = shapes.start("asked", expires="2d")
    for role in ROLES:
        code, [found] = say(role, "waiting", run)
        assert (code, found["step"], found["message"]) == (0, "release", "Is 9 right?")
    yes = ("approve-step", run, "release", "--reason", "9 is right")
    for role in ("viewer", "contributor"):
        code, told = say(role, *yes)
        assert code != 0
        assert "approver" in json.dumps(told)
    assert say("approver", *yes)[0] == 0
    code, told = say("approver", "reject-step", run, "release", "--reason", "no")
    assert code != 0
    assert "it has one already" in json.dumps(told)
    shapes.settle()
    assert shapes.result(run) == "released 9"
    assert shapes.look(run)[1]["release"].why == "approved by approver: 9 is right"

    late = shapes.start("asked", expires="1h", on_expiry="continue")
    shapes.ws.clock.turn(3600)
    code, told = say("approver", "approve-step", late, "release", "--reason", "now")
    assert code != 0
    assert "its time was over at" in json.dumps(told)
    shapes.settle()
    assert shapes.result(late) == "kept 9"


def test_news_are_brought_by_command_line_http_and_python_alike(
    shapes: Shapes, url: str, secret: dict[str, str], say: Callable[..., tuple[int, Any]]
) -> None:
    run = shapes.start("told")
    assert say("viewer", "signal", "rows-came", "--run", run)[0] != 0
    words = ("signal", "rows-came", "--run", run)
    code, told = say("contributor", *words, "--value", '{"rows": 12}')
    assert (code, told["steps"]) == (0, ["rows-came"])
    shapes.settle()
    assert shapes.result(run) == {"rows": 12}

    run = shapes.start("called_back")
    bearer = {"Authorization": f"Bearer {secret['contributor']}"}
    path = f"{url}/api/v1/runs/{run}/signal"
    bad = {"name": "labelled", "error": "nobody came", "error_type": "NotLabelled"}
    assert (
        httpx.post(path, json={**bad, "value": 1}, headers=bearer, timeout=60).status_code == 400
    )
    assert httpx.post(path, json=bad, timeout=60).status_code == 401
    assert httpx.post(path, json=bad, headers=bearer, timeout=60).json() == {"steps": ["labelled"]}
    assert httpx.post(path, json=bad, headers=bearer, timeout=60).status_code == 409
    shapes.settle()
    assert shapes.result(run)["type"] == "NotLabelled"

    run = shapes.start("asked", on_rejection="continue")
    asked = f"/api/v1/runs/{run}/steps/release/reject"
    refused = Server(url, secret["contributor"])
    with pytest.raises(PermissionDeniedError):
        refused.ask("POST", asked, body={"reason": "no"})
    refused.close()
    python = Server(url, secret["approver"])
    assert [one["step"] for one in python.ask("GET", "/api/v1/waiting")] == ["release"]
    python.ask("POST", asked, body={"reason": "it is 8"})
    with pytest.raises(ConflictError):
        python.ask("POST", asked, body={"reason": "it is 8"})
    python.close()
    shapes.settle()
    assert shapes.result(run) == "kept 9"


def test_of_a_yes_and_a_no_at_once_exactly_one_wins(
    shapes: Shapes, url: str, secret: dict[str, str]
) -> None:
    run = shapes.start("asked", on_rejection="continue")
    at_once = threading.Barrier(6)
    codes: dict[str, list[int]] = {"approve": [], "reject": []}
    bearer = {"Authorization": f"Bearer {secret['approver']}"}

    def answer(word: str) -> None:
        at_once.wait(60)
        path = f"{url}/api/v1/runs/{run}/steps/release/{word}"
        found = httpx.post(path, json={"reason": word}, headers=bearer, timeout=60)
        codes[word].append(found.status_code)

    threads = [threading.Thread(target=answer, args=(word,)) for word in codes for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(codes["approve"] + codes["reject"]) == [200] + [409] * 5
    shapes.settle()
    assert shapes.result(run) == ("released 9" if 200 in codes["approve"] else "kept 9")


def test_a_callback_is_answered_without_a_login_by_command_line_and_http(
    shapes: Shapes, url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (shapes.start("by_token", heartbeat="10m") for _ in range(2))
    tokens = (shapes.folder / "tokens.txt").read_text().split()

    def post(word: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{url}/api/v1/callbacks/{word}", json=body)

    assert (
        httpx.get(f"{url}/api/v1/waiting", headers={"Authorization": "Bearer x"}).status_code
        == 401
    )
    assert post("alive", token=tokens[0]).json()["until"] > shapes.ws.clock.now()
    for status, body in (
        (404, {"token": tokens[0][::-1], "value": 1}),
        (400, {"token": "", "value": 1}),
        (400, {"token": tokens[0], "value": 1, "error": "both"}),
        (400, {"token": tokens[0], "surprise": 1}),
        (413, {"token": tokens[0], "value": "x" * 3_000_000}),
    ):
        answer = post("answer", **body)
        assert answer.status_code == status, answer.text
        assert tokens[0] not in answer.text
    assert post("answer", token=tokens[0], value={"rows": 3}).json() == {
        "run": first, "step": "outside",
    }  # fmt: skip
    assert post("answer", token=tokens[0], value=4).status_code == 409
    assert post("alive", token=tokens[0]).status_code == 409

    def say(*words: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = main([*words, "--url", url, "--json"])
        out, err = capfd.readouterr()
        return code, json.loads(out) if out.strip() else err

    assert say("answer", tokens[1], "--alive")[0] == 0
    assert say("answer", tokens[1], "--alive", "--fail", "no")[0] == 2
    assert say("answer", tokens[1], "--value", "{")[0] == 2
    assert say("answer", "wrong", "--value", "1")[0] == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tokens[1]}\n"))
    code, told = say("answer", "-", "--fail", "nobody came", "--error-type", "NotLabelled")
    assert (code, told) == (0, {"run": second, "step": "outside"})
    shapes.settle()
    assert shapes.result(first) == [{"rows": 3}, 9]
    assert shapes.error(second, "outside") == "it was answered: nobody came"
