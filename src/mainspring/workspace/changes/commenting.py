"""Put a report where people talk about the change: one comment, which later reports replace.

It is found again by a mark in its text, and only among those of whoever the token is: a stranger
may write the mark, too, and what stands under a stranger's name the stranger can change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from mainspring.ground.errors import BadInputError, UnavailableError

#: In every report; what is in it says which report of several it is.
MARK = re.compile(r"<!-- mainspring ci report: [A-Za-z0-9_.:/ \-]{1,300} -->")
_LETTERS = {"github": 65_000, "gitlab": 900_000}  # GitHub takes 65,536, GitLab a million
_PAGE, _PAGES = 100, 30
_TIMEOUT_S = 20.0
_BOT = "github-actions[bot]"  # whose token a workflow has; it may not ask who it is
_PULL = re.compile(r"refs/pull/(\d+)/\w+")
_MAY_NOT = (401, 403, 404)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where comments on a change stand."""

    service: Literal["github", "gitlab"]
    api: str  #: of the service
    comments: str  #: path below it
    token: str
    number: str  #: of the pull or merge request


class Commented(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a comment."""

    done: Literal["made", "replaced", "none"]
    why: str = ""  #: why there is none
    number: str | None = None  #: of the pull or merge request


def mark(pipeline: str, model: str) -> str:
    """Return the mark of a report.

    >>> mark("train", "flights")
    '<!-- mainspring ci report: train flights -->'
    """
    return f"<!-- mainspring ci report: {pipeline} {model} -->"


def place_of(environ: Mapping[str, str]) -> Place | str:
    """Return where a job's comments stand by its environment; in words, why nowhere."""
    if environ.get("GITLAB_CI"):
        return _gitlab(environ)
    if environ.get("GITHUB_ACTIONS"):
        return _github(environ)
    return "this is no job of GitHub or GitLab"


def _github(environ: Mapping[str, str]) -> Place | str:
    found = _PULL.fullmatch(environ.get("GITHUB_REF", ""))
    number = found[1] if found else _of_event(environ.get("GITHUB_EVENT_PATH"))
    if number is None:
        return f"{environ.get('GITHUB_EVENT_NAME', 'this event')} is about no pull request"
    token = _token(environ, "GH_TOKEN") or _token(environ, "GITHUB_TOKEN")
    if not token:
        return "the job has no GH_TOKEN"
    repository = quote(environ.get("GITHUB_REPOSITORY", ""), safe="/")
    return Place(
        service="github",
        api=environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        comments=f"/repos/{repository}/issues/{number}/comments",
        token=token,
        number=number,
    )


def _of_event(file: str | None) -> str | None:
    """Return the number of the pull request that an event is about."""
    try:
        told = json.loads(Path(file).read_text("utf-8")) if file else {}
        return str(int(told["pull_request"]["number"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _gitlab(environ: Mapping[str, str]) -> Place | str:
    number = environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        return f"{environ.get('CI_PIPELINE_SOURCE', 'this pipeline')} is about no merge request"
    token = _token(environ, "GITLAB_TOKEN")
    if not token:
        return "the job has no GITLAB_TOKEN (its own token may not write comments)"
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    return Place(
        service="gitlab",
        api=environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4").rstrip("/"),
        comments=f"/projects/{quote(project, safe='')}/merge_requests/{quote(number)}/notes",
        token=token,
        number=number,
    )


def _token(environ: Mapping[str, str], name: str) -> str:
    """Return a token without the line's end that a file leaves; no error may show it."""
    token = environ.get(name, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise BadInputError(
            f"{name} is no token: it has signs that no header can hold.", field=name
        )
    return token


def comment(text: str, environ: Mapping[str, str]) -> Commented:
    """Write a report as a comment on the change that a job is about, or over the one before.

    A job without a request, without a token, or whose token may not write, as that of a fork,
    writes none and says why.

    Raises:
        BadInputError: if the text is no report, the token none, or the service refuses it.
        UnavailableError: if the service does not answer.
    """
    found = MARK.search(text)
    if found is None:
        raise BadInputError(
            "This is no report: it has no mark to be found again by.",
            field="report",
            hint="Write one: mainspring ci report PIPELINE --markdown report.md",
        )
    place = place_of(environ)
    if isinstance(place, str):
        return Commented(done="none", why=place)
    with _Service(place) as service:
        try:
            before = service.find(found[0])
            service.write(_cut(text, _LETTERS[place.service], found[0]), before)
        except PermissionError as error:
            return Commented(done="none", why=str(error), number=place.number)
    done: Literal["made", "replaced"] = "made" if before is None else "replaced"
    return Commented(done=done, number=place.number)


def _cut(text: str, most: int, mark_: str) -> str:
    if len(text) <= most:
        return text
    kept = text[: most - 200].rpartition("\n")[0]
    fence = "\n```" if kept.count("```") % 2 else ""
    return f"{kept}{fence}\n\nThe rest is in the report that the job keeps.\n\n{mark_}\n"


class _Service:
    """Comments over the service's API."""

    def __init__(self, place: Place) -> None:
        import httpx

        self._place = place
        github = place.service == "github"
        shown = {"Authorization": f"Bearer {place.token}"}
        accepts = {"Accept": "application/vnd.github+json"} if github else {}
        self._failed = httpx.HTTPError
        self._client = httpx.Client(
            headers={**(shown if github else {"PRIVATE-TOKEN": place.token}), **accepts},
            timeout=_TIMEOUT_S,
        )

    def __enter__(self) -> _Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def find(self, mark_: str) -> str | None:
        """Return the id of our newest comment with the mark."""
        own = self._own_name()
        found = None
        for one in self._comments():
            who = one.get("user") or one.get("author") or {}
            name = who.get("login") or who.get("username")
            if name == own and mark_ in str(one.get("body", "")):
                found = str(one["id"])
        return found

    def write(self, text: str, before: str | None) -> None:
        """Write a comment, or over the one before."""
        github = self._place.service == "github"
        path = self._place.comments
        if before is None:
            self._ask("POST", path, {"body": text})
        elif github:  # where a comment has an address without its request
            self._ask("PATCH", f"{path.rpartition('/issues/')[0]}/issues/comments/{before}",
                      {"body": text})  # fmt: skip
        else:
            self._ask("PUT", f"{path}/{before}", {"body": text})

    def _own_name(self) -> str:
        try:
            told = self._ask("GET", "/user")
        except PermissionError:
            return _BOT
        return str(told.get("login") or told.get("username"))

    def _comments(self) -> Iterator[dict[str, Any]]:
        order = "" if self._place.service == "github" else "&sort=asc&order_by=created_at"
        for page in range(1, _PAGES + 1):
            path = f"{self._place.comments}?per_page={_PAGE}&page={page}{order}"
            several = self._ask("GET", path)
            yield from several
            if len(several) < _PAGE:
                return

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._client.request(method, self._place.api + path, json=body)
        except self._failed as error:
            raise UnavailableError(f"{self._place.api} does not answer: {error}.") from error
        told = f"{self._place.service} answered {answer.status_code} to {method} {path}"
        if answer.status_code in _MAY_NOT:
            raise PermissionError(f"{told}: the token may not")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise UnavailableError(f"{told}.")
        if answer.status_code >= 300:
            raise BadInputError(f"{told}: {answer.text[:200]}", field="report")
        return answer.json()
