"""The pages of readiness, decisions, policies and debt over HTTP: what they say, and never run."""

from __future__ import annotations

import html
import json
import re
from types import ModuleType

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.objects import Decision
from mainspring.ground.permissions import Permission
from mainspring.readiness import decisions
from mainspring.web.pages import card, evidenced, opens, policies, renewals
from mainspring.web.pages.headers import POLICY
from mainspring.workspace.opening import Workspace

PATHS = (
    "/models/flights",
    "/models/flights?version=4",
    "/models/flights/5/card",
    "/evidence",
    "/evidence?subject=flights/5&kind=load",
    "/evidence/ev_load",
    "/decisions",
    "/decisions?kind=reject&loop=flights",
    "/decisions?one=decision_override",
    "/loops/flights",
    "/debt",
    "/debt?kind=no_owner&severity=high&subject=flights",
)


def _words(answer: httpx.Response) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.text).split()))


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_html_under_the_strict_policy(judging: httpx.Client, path: str) -> None:
    answer = judging.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert not re.search(r"<style|\sstyle=|<img src=x|javascript:alert\(1\)\"", answer.text)
    assert not any(re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL))
    links = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert [one for one in links if not re.match(r"(/(?![/\\])|#)", one)] == []
    again = judging.get(path + ("&" if "?" in path else "?") + "part=main")
    assert "data-part=" in again.text


def test_versions_stand_in_a_table_and_the_champion_in_full(judging: httpx.Client) -> None:
    answer = judging.get("/models/flights")
    table = answer.text[answer.text.index('id="versions-scroll"') :].partition("</table>")[0]
    assert re.findall(r">v(\d)</a></th>", table) == ["6", "5", "4", "3", "2", "1"]
    assert "overridden" in table
    assert "holds 29 days more" in table or "holds 30 days more" in table
    told = _words(answer)
    assert "2 of 2 checks passed" in told
    assert 'href="/evidence/ev_load"' in answer.text
    assert 'href="/runs/run_005"' in answer.text
    assert "Production checklist" in told
    assert "goes away" in told


def test_one_version_is_chosen_and_its_override_is_loud(judging: httpx.Client) -> None:
    answer = judging.get("/models/flights?version=4")
    assert re.search(r'class="note red override" role="alert"', answer.text)
    told = _words(answer)
    assert "flights/4 was let into a canary past its gate" in told
    assert "p95 96 ms" in told
    assert "not ready" in told
    for asked in ("version=99", "version=x"):
        assert judging.get(f"/models/flights?{asked}").status_code == 404


def test_the_score_is_shown_as_it_was_kept_with_four_sections_and_its_trend(
    judging: httpx.Client,
) -> None:
    answer = judging.get("/models/flights")
    part = answer.text[answer.text.index('data-part="score"') :]
    assert re.findall(r'class="section-name">(\w+)<', part) == [
        "Data",
        "Model",
        "Infra",
        "Monitor",
    ]
    assert '<svg class="spark"' in part
    assert "Rose last: " in part
    assert part.count('class="points p') == 28


def test_the_score_is_counted_when_that_is_asked_for(
    home: Workspace, site: str, write, story: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    write(story.furnish)
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        assert "It was not scored yet" in client.get("/models/flights").text
        told = _words(client.get("/models/flights?score=now"))
        assert "Counted now" in told
        assert "Data 1" in told
        assert "As it was kept" in _words(client.get("/models/flights"))


def test_a_card_is_a_page_and_a_file_in_every_form(judging: httpx.Client) -> None:
    assert "<strong>late</strong>" in judging.get("/models/flights/5/card").text
    for form, media in card.FORMS.items():
        sent = judging.get(f"/models/flights/5/card/{form}")
        assert sent.status_code == 200
        assert sent.headers["content-type"] == media[0]
        assert sent.headers["content-disposition"].startswith(
            "attachment; filename*=UTF-8''flights"
        )
        assert "sandbox" in sent.headers["content-security-policy"]
    assert json.loads(judging.get("/models/flights/5/card/sagemaker").text)
    assert judging.get("/models/flights/5/card/pdf").status_code == 400
    assert judging.get("/models/flights/x/card").status_code == 400
    assert judging.get("/models/flights/77/card").status_code == 404


def test_evidence_shows_its_figures_its_code_and_what_it_opens(judging: httpx.Client) -> None:
    answer = judging.get("/evidence/ev_load")
    told = _words(answer)
    assert "c0de" * 16 in told
    assert "p95 4.2 ms at 40 requests a second." in told
    assert 'href="/models/flights?version=5#gate"' in answer.text
    assert "elsewhere.example" in told  # as text, not as a link
    assert "elsewhere.example" not in "".join(re.findall(r'href="([^"]*)"', answer.text))
    assert judging.get("/evidence/ev_none").status_code == 404
    rows = judging.get("/evidence?subject=flights/5&kind=load").text
    assert rows.count('href="/evidence/ev_load') == 3


def test_decisions_are_filtered_by_kind_and_rejected_ones_are_as_loud(
    judging: httpx.Client,
) -> None:
    every = judging.get("/decisions").text
    kinds = set(re.findall(r'<div class="what"><span class="badge \w+">([\w -]+)</span>', every))
    assert {"promoted", "rolled back", "retrain", "override"} <= kinds
    assert re.search(r'<li class="red" id="d-', every)
    assert re.search(r'<li class="green" id="d-', every)
    backs = judging.get("/decisions?kind=roll_back").text
    assert "Worse than the champion by 0.0210" in backs
    assert 'href="/models/flights?version=4#gate"' in backs
    assert "fresh version would gain nothing" not in backs
    assert "has been decided yet" in _words(judging.get("/decisions?kind=nothing"))
    assert judging.get("/decisions?one=none").status_code == 404


def test_older_decisions_are_on_the_next_page(home: Workspace, site: str, write) -> None:  # type: ignore[no-untyped-def]
    def work(tx) -> None:  # type: ignore[no-untyped-def]
        for number in range(70):
            one = Decision(
                id=f"decision_{number:03d}", at=1e9, made=1e9, kind="hold",
                subject=f"loop:l{number}",
                reason="So.", by="l", loop=f"l{number}",
            )  # fmt: skip
            decisions.record(tx, one)

    write(work)
    with httpx.Client(base_url=site, headers={"Accept": "text/html"}, trust_env=False) as client:
        text = client.get("/decisions").text
        assert text.count('id="d-decision_') == 60
        older = html.unescape(re.findall(r'href="(/decisions\?after=[^"]*)"', text)[0])
        assert client.get(older).text.count('id="d-decision_') == 10
        assert "Nobody has looked for debt yet." in client.get("/debt").text
        assert "empty" in client.get("/debt?figure=trend").json()
        assert "Nothing has been tried or measured" in client.get("/evidence").text
    assert home.read(Permission.READ, decisions.kinds) == {"hold": 70}
    assert home.read(Permission.READ, lambda tx: decisions.kinds(tx, "l3")) == {"hold": 1}


def test_a_loop_shows_its_policy_its_retrainings_and_what_replays_say(
    judging: httpx.Client,
) -> None:
    answer = judging.get("/loops/flights")
    told = _words(answer)
    for said in ("What holds back", "cool-down", "of 50 trainings spent", "no freeze is declared"):
        assert said in told
    table = answer.text[answer.text.index('id="renewals-scroll"') :].partition("</table>")[0]
    ends = re.findall(r"version=(\d)#chosen.*?<span class=\"badge \w+\">([\w ]+)<", table)
    assert ends == [
        ("6", "rolling out"),
        ("5", "promoted"),
        ("4", "rolled back"),
        ("3", "promoted"),
        ("2", "promoted"),
        ("1", "promoted"),
    ]
    assert "The loop would have lost 0.0117 less a row" in told
    assert "At 63 days a model loses" in told
    assert "Another loop" not in told


def test_policies_are_drawn_as_quality_against_retrainings(
    judging: httpx.Client, told: httpx.Client
) -> None:
    figure = judging.get("/loops/flights?figure=policies").json()
    marks = figure["data"][0]
    assert (marks["x"], marks["y"]) == ([0, 30, 6], [0.70, 0.764, 0.761])
    assert marks["marker"]["symbol"] == ["circle", "circle", "star"]
    assert "higher is better" in figure["layout"]["yaxis"]["title"]["text"]
    ages = judging.get("/loops/flights?figure=ages").json()
    assert ages["data"][-1]["y"] == pytest.approx([0.002 * n for n in range(10)])
    assert ages["layout"]["shapes"][0]["y0"] == 0.01
    assert "loop simulate flights" in told.get("/loops/flights?figure=policies").json()["empty"]
    assert "loop staleness flights" in told.get("/loops/flights?figure=ages").json()["empty"]


def test_debt_tells_where_what_it_costs_and_what_to_do(
    judging: httpx.Client, ready: ModuleType
) -> None:
    told = _words(judging.get("/debt"))
    assert "2 findings count and weigh 10" in told
    assert "1 is accepted" in told
    for said in ("No owner. Costs Calls. What to do Name.", "The new feed comes in spring."):
        assert said in told
    assert told.index("no owner") < told.index("untested step")
    assert (
        "untested step" not in _words(judging.get("/debt?severity=high")).partition("Findings")[2]
    )
    of_flights = _words(judging.get("/debt?subject=flights")).partition("Findings")[2]
    assert ready.EVIL not in of_flights.partition("Accepted")[0]
    figure = judging.get("/debt?figure=trend").json()
    lines = {one["name"]: one["y"] for one in figure["data"]}
    assert lines == {"weight": [13, 10], "open": [3, 2], "accepted": [0, 1]}


# ---------------------------------------------------------------- laws of the parts


@given(st.text(max_size=60), st.text(max_size=20))
def test_whatever_a_record_opens_leads_to_a_path_of_ours_or_nowhere(text: str, of: str) -> None:
    for one in opens.opens([text, f"run:{text}", f"gate:{text}", f"evidence:{text}"], of):
        assert one.href is None or re.match(r"/(?![/\\])[^\s\\]*\Z", one.href)


def test_a_list_of_records_becomes_a_table_and_anything_else_does_not() -> None:
    found = evidenced._table([{"a": 1, "b": None}, {"a": 2, "c": "x"}])
    assert found is not None
    assert found[0] == ["a", "b", "c"]
    wide = evidenced._table([{f"c{n:02d}": n for n in range(30)} | {"name": "x"}])
    assert wide is not None
    assert (len(wide[0]), wide[0][:2]) == (12, ["name", "c00"])
    inner = evidenced._table([{"gain": {"low": 1, "high": 2}, "of": ["x", "y"]}])
    assert inner is not None
    assert inner[0] == ["of", "gain low", "gain high"]
    assert inner[1] == [{"gain low": 1, "gain high": 2, "of": "x, y"}]
    for odd in ([], [1], [{"a": [{}]}], [{"a": {"b": {}}}], {"a": 1}, "text", [{"a": 1}, 2]):
        assert evidenced._table(odd) is None


def test_a_version_that_went_back_belongs_to_no_later_training() -> None:
    def made(number: int, kind: str, subject: str) -> Decision:
        return Decision(
            id=str(number), at=0.0, made=0.0, kind=kind, subject=subject, reason="So.", by="l"
        )

    told = [
        made(1, "wait", "loop:l"),
        made(2, "retrain", "loop:l"),
        made(3, "promote", "m/1"),
        made(4, "retrain", "loop:l"),
        made(5, "canary", "version:2"),
        made(6, "roll_back", "m/1"),
        made(7, "reject", "m/2"),
        made(8, "retrain", "loop:l"),
    ]
    found = renewals.renewals(told[::-1], "m")
    assert [(r.version, r.met, r.ended and r.ended.kind) for r in found] == [
        ("", False, None),
        ("m/2", True, "reject"),
        ("m/1", False, "promote"),
    ]
    assert renewals.renewals([], "m") == []


def test_every_wish_of_a_policy_has_words() -> None:
    assert set(policies._WISH) == {"check", "retrain", "note"}
