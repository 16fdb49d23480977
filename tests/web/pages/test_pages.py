"""The pages over HTTP: what they say, what they never let through, how one signs in."""

from __future__ import annotations

import re
from types import ModuleType

import httpx
import msgspec
import pytest

from mainspring.engine import reactor
from mainspring.ground.objects import Alarm, Decision, Window
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions
from mainspring.web.pages import assets, figures, markdown, render, subjects, timeline
from mainspring.web.pages.headers import POLICY
from mainspring.web.pages.session import way_back
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import TimelineEntry

HTML = {"Accept": "text/html,application/xhtml+xml"}
PAGES = (
    "/",
    "/loops/flights",
    "/endpoints/flights",
    "/runs",
    "/runs?status=failed",
    "/runs/run_failed",
    "/runs/run_001",
    "/models",
    "/models/flights",
)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_html_under_the_strict_policy(told: httpx.Client, path: str) -> None:
    answer = told.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("<!doctype html>")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL)
    assert scripts
    assert not any(scripts)
    assert "://" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))


@pytest.mark.parametrize("path", PAGES)
def test_what_did_not_change_is_not_sent_again(told: httpx.Client, path: str) -> None:
    query = "&part=main" if "?" in path else "?part=main"
    first = told.get(path + query)
    assert first.status_code == 200
    assert "<html" not in first.text
    assert "data-part=" in first.text
    again = told.get(path + query, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_home_page_says_how_every_loop_stands(told: httpx.Client) -> None:
    text = told.get("/").text
    assert "Version 6 meets traffic beside champion 5." in text
    assert "0.1390 at promotion" in text
    assert "1 open alarm" in text
    assert "The engine is not running." in text


def test_an_empty_home_says_what_to_run(site: str) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        text = client.get("/", headers=HTML).text
        for told in ("mainspring demo", "mainspring init", "mainspring serve", "mainspring run"):
            assert told in text
        assert "No model yet." in client.get("/models").text
        assert "No run yet." in client.get("/runs").text


def test_a_loop_shows_its_decisions_with_their_reasons_newest_first(told: httpx.Client) -> None:
    text = told.get("/loops/flights").text
    kinds = re.findall(r'<div class="what"><span class="badge \w+">([\w ]+)</span>', text)
    assert kinds[:4] == ["canary", "retrain", "dismissed", "promoted"]
    assert "Worse than the champion by 0.0210" in text
    assert 'href="/models/flights?version=4#v4"' in text


def test_the_timeline_has_a_stretch_for_each_reign_and_a_mark_for_each_decision(
    told: httpx.Client,
) -> None:
    figure = told.get("/loops/flights?figure=timeline&metric=auc").json()
    names = [one.get("name", "") for one in figure["data"]]
    assert [n for n in names if n.endswith(", champion")] == [
        "v1, champion",
        "v2, champion",
        "v3, champion",
        "v5, champion",
    ]
    assert len(figure["layout"]["shapes"]) == 5  # four promotions and a roll-back
    assert "AUC" in str(figure["layout"]["yaxis"]["title"])
    assert {one["type"] for one in figure["data"]} == {"scatter"}  # drawn as SVG


def test_what_is_dismissed_for_one_reason_stands_as_one_and_is_not_the_last_decision() -> None:
    def entry(number: int, kind: str, subject: str, at: float = 5.0) -> TimelineEntry:
        decision = Decision(
            id=f"d{number}", at=at, made=9.0, kind=kind, subject=subject, reason="So.", by="l"
        )
        return TimelineEntry(decision=decision, links=[])

    alarm = Alarm(
        id="a1", endpoint="e", kind="drift", subject="temp", reason="", raised=1.0, window="w"
    )
    entries = [
        entry(1, "dismiss", "alarm:a1"),
        entry(2, "dismiss", "alarm:a2"),
        entry(5, "dismiss", "alarm:gone"),
        entry(3, "dismiss", "alarm:a1", at=4.0),
        entry(4, "wait", "version:3"),
    ]
    other = msgspec.structs.replace(alarm, id="a2", subject="wind")
    found = subjects.rows(entries, "m", [alarm, other])
    assert [row.subjects for row in found] == [
        ["drift of temp, wind", "an alarm"],
        ["drift of temp"],
        ["m/3"],
    ]
    last = subjects.newest(entries)
    assert last is not None
    assert last.kind == "wait"


def test_what_was_decided_before_any_event_time_is_drawn_at_the_beginning() -> None:
    decision = Decision(
        id="d", at=0.0, made=9.0, kind="retrain", subject="loop:l", reason="None yet.", by="l"
    )
    window = Window(id="w", endpoint="e", start=1e9, end=1e9 + 7, rows=1, version=1)
    figure = timeline.draw([window], [decision], [], "loss")
    assert figure["data"][-1]["x"] == [figures.axis_time(1e9)]


def test_drift_is_shown_by_column_with_what_chance_reaches_and_what_matters(
    told: httpx.Client,
) -> None:
    figure = told.get("/endpoints/flights?figure=drift&column=dest").json()
    assert figure["column"] == "dest"
    named = {one["name"]: one for one in figure["data"]}
    assert len(named["distance"]["y"]) == 30
    assert named["begins to matter"]["y"][0] == 0.05
    assert all(y >= 0.029 for y in named["chance reaches"]["y"])
    text = told.get("/endpoints/flights").text
    assert text.count('class="cell alarm" title') == 16
    assert text.count('class="cell notice" title') == 3


def test_a_failed_run_shows_its_trace_and_graph(told: httpx.Client) -> None:
    text = told.get("/runs/run_failed").text
    assert "&lt;b&gt;delayd&lt;/b&gt;" in text or "&lt;b&gt;" in text
    assert "<b>delayd" not in text
    assert "<svg" in text
    assert "train failed" in text


def test_a_model_shows_gates_aliases_card_and_why(told: httpx.Client) -> None:
    text = told.get("/models/flights").text
    assert "5 of 5 checks passed" in text
    assert "at least 0.700" in text
    assert "<strong>late</strong>" in text
    assert "&lt;script&gt;" in text
    assert "How the aliases moved" in text
    assert "Why it is what it is" in text


def test_what_is_not_there_is_said_on_a_page_to_people_and_in_json_to_machines(
    told: httpx.Client,
) -> None:
    page = told.get("/loops/nowhere")
    assert page.status_code == 404
    assert "There is no loop &#39;nowhere&#39;." in page.text
    assert page.headers["content-security-policy"] == POLICY
    machine = told.get("/loops/nowhere", headers={"Accept": "*/*"})
    assert machine.json()["error"] == "NOT_FOUND"
    assert told.get("/api/v1/loops/nowhere").headers["content-type"] == "application/json"
    assert told.get("/loops/flights?figure=secret").status_code == 404
    assert told.get("/nowhere").status_code == 404


def test_names_and_reasons_are_shown_as_text(
    site: str, home: Workspace, story: ModuleType
) -> None:
    evil = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"

    def work(tx: Tx) -> None:
        story.furnish(tx)
        decision = Decision(
            id="decision_evil",
            at=story.START,
            made=story.NOW,
            kind="promote",
            subject=evil,
            reason=evil,
            by=evil,
            loop="flights",
            evidence={evil: evil},
        )
        decisions.record(tx, decision)

    from mainspring.ground.permissions import Permission, service

    home.store.write(service("engine"), Permission.WORK, work)
    with httpx.Client(base_url=site, trust_env=False) as client:
        for path in ("/", "/loops/flights", "/loops/flights?part=main"):
            text = client.get(path, headers=HTML).text
            assert "&lt;script&gt;document" in text
            assert "<script>document" not in text
            assert "<img src=x" not in text
        figure = client.get("/loops/flights?figure=timeline").text
        assert "<script" not in figure
        assert "<img" not in figure


def test_a_loop_without_windows_has_a_page(site: str, write, story: ModuleType) -> None:  # type: ignore[no-untyped-def]
    write(lambda tx: reactor.declare(tx, story.SPEC, at=story.START))
    with httpx.Client(base_url=site, trust_env=False) as client:
        assert "Waiting for its first version." in client.get("/loops/flights").text
        assert "Waiting for its first version." in client.get("/").text
        assert "empty" in client.get("/loops/flights?figure=timeline").json()


def test_static_files_are_kept_forever_by_their_digest_and_nothing_else_is_served(
    told: httpx.Client,
) -> None:
    plotly = told.get(assets.url("plotly.min.js"))
    assert plotly.status_code == 200
    assert "immutable" in plotly.headers["cache-control"]
    assert plotly.headers["content-type"] == "text/javascript; charset=utf-8"
    assert told.get("/static/app.js?v=old").headers["cache-control"] == "no-cache"
    for path in ("/static/..%2Fsite.py", "/static/site.py", "/static/%2e%2e/site.py", "/static/"):
        assert told.get(path).status_code == 404


def test_with_tokens_a_browser_is_sent_to_sign_in_and_out_again(
    site: str, home: Workspace
) -> None:
    from mainspring.web.api import call

    token = call(home, "tokens.create", name="eve", role="viewer")["token"]
    with httpx.Client(base_url=site, headers=HTML, trust_env=False) as client:
        sent = client.get("/loops/flights")
        assert (sent.status_code, sent.headers["location"]) == (
            303,
            "/login?next=%2Floops%2Fflights",
        )
        form = client.get(sent.headers["location"])
        assert 'name="next" value="/loops/flights"' in form.text
        wrong = client.post("/login", data={"token": "ms_no_thing", "next": "/"})
        assert wrong.status_code == 401
        assert "unknown, expired or revoked" in wrong.text
        signed = client.post("/login", data={"token": token, "next": "/runs"})
        assert (signed.status_code, signed.headers["location"]) == (303, "/runs")
        cookie = signed.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
            assert part in cookie
        assert "Sign out" in client.get("/").text
        assert client.get("/api/v1/loops").status_code == 200
        assert client.post("/logout").headers["location"] == "/login"
        assert client.get("/").status_code == 303
        assert client.get("/?part=main", headers={"Accept": "*/*"}).status_code == 401


def test_a_form_from_elsewhere_is_refused(site: str) -> None:
    with httpx.Client(base_url=site, headers=HTML, trust_env=False) as client:
        for path in ("/login", "/logout"):
            foreign = client.post(path, headers={"Origin": "https://elsewhere.example"})
            assert foreign.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere", "runs", "/a\nb", ""],
)
def test_signing_in_never_leads_elsewhere(path: str) -> None:
    assert way_back(path) == "/"


def test_markdown_escapes_before_it_marks_up() -> None:
    text = "# A\n\n- **b** <i>\n- `c<d`\n\n| x | y |\n|---|---|\n| 1 | <u> |\n\nplain\nlines"
    assert str(markdown.html(text)) == (
        "<h3>A</h3>\n<ul><li><strong>b</strong> &lt;i&gt;</li><li><code>c&lt;d</code></li></ul>\n"
        "<table><thead><tr><th>x</th><th>y</th></tr></thead><tbody><tr><td>1</td>"
        "<td>&lt;u&gt;</td></tr></tbody></table>\n<p>plain<br>lines</p>"
    )


def test_hover_texts_hold_no_markup() -> None:
    assert (
        figures.said("<a href='javascript:x'>y</a>") == "&lt;a href='javascript:x'&gt;y&lt;/a&gt;"
    )


def test_the_style_sheets_that_plotly_looks_for_are_known_by_its_own_ids() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in render.plotly_style_ids())
