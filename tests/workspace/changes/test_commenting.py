"""One comment a report, replaced by the next; where none can be, it is said why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.workspace.changes import commenting
from serving_in_a_thread import listening

REPORT = f"## ✅ flights: the gate passed\n\n{commenting.mark('train', 'flights')}\n"


class Service(HTTPServer):
    """Comments as GitHub and GitLab keep them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.refuses: dict[str, int] = {"/user": 403}  # as a workflow's token is answered
        self.tokens: set[str | None] = set()

    def add(self, body: str, who: str) -> None:
        one = {"id": len(self.comments) + 1, "body": body}
        self.comments.append({**one, "user": {"login": who}, "author": {"username": who}})


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        page = int(parse_qs(parts.query).get("page", ["1"])[0])
        if parts.path.endswith("/user"):
            self._answer({"username": "project_1_bot"})
        else:
            self._answer(self.server.comments[(page - 1) * 100 : page * 100])

    def do_POST(self) -> None:
        body = self._body()
        if not self._refused():
            self.server.add(body, "github-actions[bot]")
        self._answer({})

    def do_PATCH(self) -> None:
        body = self._body()
        number = int(self.path.rpartition("/")[2])
        self.server.comments[number - 1]["body"] = body
        self._answer({})

    do_PUT = do_PATCH  # noqa: N815  the name that http.server asks for

    def _body(self) -> str:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

    def _refused(self) -> int | None:
        ends = self.server.refuses.items()
        keys = (f"{self.command} {urlsplit(self.path).path}", urlsplit(self.path).path)
        return next((status for end, status in ends if any(k.endswith(end) for k in keys)), None)

    def _answer(self, told: Any) -> None:
        shown = self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"]
        self.server.tokens.add(shown)
        self.server.asked.append((self.command, urlsplit(self.path).path))
        data = json.dumps(told).encode()
        self.send_response(self._refused() or 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with listening(Service()) as found:
        yield found


def github(service: Service, **more: str) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/12/merge", "GH_TOKEN": "t",
            "GITHUB_REPOSITORY": "team/m", "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_API_URL": f"http://127.0.0.1:{service.server_port}", **more}  # fmt: skip


def gitlab(service: Service, **more: str) -> dict[str, str]:
    return {"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "7", "CI_PROJECT_ID": "3",
            "GITLAB_TOKEN": "t", "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_API_V4_URL": f"http://127.0.0.1:{service.server_port}/api/v4",
            **more}  # fmt: skip


def test_the_first_report_makes_a_comment_and_the_next_replaces_it(service: Service) -> None:
    for number in range(150):  # more than a page of talk before it
        service.add(f"talk {number}", "ada")
    assert commenting.comment(REPORT, github(service)).done == "made"
    again = commenting.comment(REPORT.replace("passed", "refused it"), github(service))
    assert (again.done, again.number) == ("replaced", "12")
    assert len(service.comments) == 151
    assert "refused it" in service.comments[-1]["body"]
    assert ("POST", "/repos/team/m/issues/12/comments") in service.asked
    assert service.asked[-1] == ("PATCH", "/repos/team/m/issues/comments/151")
    assert service.tokens == {"Bearer t"}


def test_a_strangers_comment_and_another_reports_are_left_alone(service: Service) -> None:
    other = REPORT.replace("train flights", "train arrivals")
    service.add(REPORT, "mallory")
    service.add(other, "github-actions[bot]")
    assert commenting.comment(REPORT, github(service)).done == "made"
    assert [one["body"] for one in service.comments[:2]] == [REPORT, other]


def test_gitlab_has_its_notes(service: Service) -> None:
    service.refuses = {}
    service.add(REPORT, "project_1_bot")
    found = commenting.comment("New.\n" + REPORT, gitlab(service))
    assert (found.done, found.number) == ("replaced", "7")
    assert service.comments[0]["body"].startswith("New.")
    assert service.asked[-1] == ("PUT", "/api/v4/projects/3/merge_requests/7/notes/1")
    assert service.tokens == {"t"}


def test_where_no_comment_can_be_it_is_said_and_fails_nothing(
    service: Service, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 9}}))
    for environ, why in (
        ({}, "no job of GitHub or GitLab"),
        (github(service, GITHUB_REF="refs/heads/gh-readonly-queue/main/pr-1",
                GITHUB_EVENT_NAME="merge_group"), "merge_group is about no pull request"),
        (github(service, GH_TOKEN=""), "no GH_TOKEN"),
        (gitlab(service, CI_MERGE_REQUEST_IID="", CI_PIPELINE_SOURCE="push"), "push is about no"),
        (gitlab(service, GITLAB_TOKEN=""), "no GITLAB_TOKEN"),
    ):  # fmt: skip
        found = commenting.comment(REPORT, environ)
        assert (found.done, why in found.why) == ("none", True)
    service.refuses["POST /repos/team/m/issues/9/comments"] = 403  # the token of a fork reads
    of_event = github(service, GITHUB_REF="refs/heads/x", GITHUB_EVENT_PATH=str(event))
    found = commenting.comment(REPORT, of_event)
    assert (found.done, "the token may not" in found.why) == ("none", True)
    assert service.comments == []


def test_what_is_no_report_is_refused_and_an_ill_service_told(service: Service) -> None:
    with pytest.raises(BadInputError, match="no report"):
        commenting.comment("# mine\n", github(service))
    for token in ("hid\nden", "hidd\u00e9n"):
        with pytest.raises(BadInputError, match="GH_TOKEN is no token") as refused:
            commenting.comment(REPORT, github(service, GH_TOKEN=token))
        assert token not in str(refused.value)
    service.refuses["/comments"] = 502
    with pytest.raises(UnavailableError, match="502"):
        commenting.comment(REPORT, github(service))
    service.refuses["/comments"] = 422
    with pytest.raises(BadInputError, match="422"):
        commenting.comment(REPORT, github(service))


def test_a_token_out_of_a_file_goes_without_the_lines_end(service: Service) -> None:
    assert commenting.comment(REPORT, github(service, GH_TOKEN="hidden\n")).done == "made"
    assert service.tokens == {"Bearer hidden"}


def test_a_long_report_is_cut_between_lines_and_found_again(service: Service) -> None:
    whole = "```mermaid\n" + "line of a chart\n" * 10_000 + "```\n" + REPORT
    assert commenting.comment(whole, github(service)).done == "made"
    body = service.comments[0]["body"]
    assert len(body) < 65_536
    assert body.count("```") == 2
    assert commenting.comment(REPORT, github(service)).done == "replaced"
