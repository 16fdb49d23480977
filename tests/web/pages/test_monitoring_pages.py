"""The pages of monitoring over HTTP: what they say of windows, alarms and causes."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import httpx
import pytest

from mainspring.cli.start import main
from mainspring.ground.permissions import Permission
from mainspring.monitoring import alarms
from mainspring.web.pages.alarms import grouped
from mainspring.web.pages.headers import POLICY
from mainspring.workspace.opening import Workspace

PATHS = (
    "/monitoring",
    "/endpoints/loans",
    "/endpoints/loans/drift",
    "/endpoints/loans/performance",
    "/endpoints/loans/bias",
    "/endpoints/empty/drift",
    "/endpoints/empty/performance",
    "/endpoints/empty/bias",
    "/alarms",
    "/alarms?state=ended&kind=drift",
    "/alarms?state=ok",
    "/alarms?state=insufficient&endpoint=loans",
)


def _open(ws: Workspace, kind: str, subject: str | None = None) -> str:
    every = ws.read(Permission.READ, lambda tx: alarms.open_alarms(tx, "loans"))
    return next(a.id for a in every if a.kind == kind and subject in (None, a.subject))


def _words(answer: httpx.Response) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.text).split()))


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_html_under_the_strict_policy(watching: httpx.Client, path: str) -> None:
    answer = watching.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert not re.search(r"<style|\sstyle=|<img src=x", answer.text)
    assert not any(re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL))
    assert "://" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))


@pytest.mark.parametrize("path", PATHS)
def test_what_did_not_change_is_not_sent_again(watching: httpx.Client, path: str) -> None:
    asked = path + ("&" if "?" in path else "?") + "part=main"
    first = watching.get(asked)
    assert "data-part=" in first.text
    again = watching.get(asked, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_board_tells_every_endpoint_and_the_worst_comes_first(watching: httpx.Client) -> None:
    told = _words(watching.get("/monitoring"))
    assert told.index("loans") < told.index("calm")
    assert "column off" in told or "columns off" in told
    assert "mature until" in told
    assert "91.4 %" in told
    assert "no row yet" in told  # of the endpoint that was never asked


def test_the_drift_page_begins_with_the_column_that_is_furthest_off(
    watching: httpx.Client,
) -> None:
    told = _words(watching.get("/endpoints/loans/drift"))
    assert "Smallest shift this window could have seen" in told
    assert "Begins to matter" in told
    figure = watching.get("/endpoints/loans/drift?figure=distances").json()
    assert figure["layout"]["yaxis"]["title"]["text"] in (
        "distance of amount",
        "distance of score",
    )
    assert figure["layout"]["shapes"]  # the window that is looked at


def test_a_window_and_a_column_are_chosen_by_the_address(
    watching: httpx.Client, watched: ModuleType
) -> None:
    window = f"loans:{int(watched.START)}"
    asked = f"/endpoints/loans/drift?window={quote(window)}&column=age"
    told = _words(watching.get(asked))
    assert "5 Jan 2026, 00:00 to 6 Jan 2026, 00:00, 700 rows, v1" in told
    figure = watching.get(asked + "&figure=distribution").json()
    assert next(one["name"] for one in figure["data"]) == "at training"
    for bars in figure["data"]:
        assert sum(bars["y"]) == pytest.approx(1.0)


def test_columns_are_found_by_name(watching: httpx.Client) -> None:
    page = watching.get("/endpoints/loans/drift?find=AGE").text
    strip = page[page.index('id="heat-scroll"') :]
    picks = re.findall(r'class="pick"[^>]*>([^<]*)<', strip)
    assert picks == ["age"]
    assert "No column has" in watching.get("/endpoints/loans/drift?find=nothing").text


def test_a_window_whose_rows_are_gone_says_so_instead_of_a_figure(
    watching: httpx.Client, watched_home: Workspace
) -> None:
    kept = sorted(watched_home.captures("calm").iterdir())
    aside = [(one, one.read_bytes()) for one in kept if one.name.startswith("s0003")]
    for one, _ in aside:
        one.unlink()
    try:
        window = f"calm:{(1_767_571_200 + 3 * 86_400)}"
        asked = f"/endpoints/calm/drift?window={quote(window)}&column=age&figure=distribution"
        assert "not kept any more" in watching.get(asked).json()["empty"]
    finally:
        for one, data in aside:
            one.write_bytes(data)


def test_performance_says_until_when_labels_are_mature(watching: httpx.Client) -> None:
    told = _words(watching.get("/endpoints/loans/performance"))
    assert "Labels are mature until 13 Jan 2026 2 windows after it wait" in told
    assert "The next is judged at 17 Jan 2026" in told
    assert told.index("region = <img") < told.index("Estimated without labels")
    figure = watching.get("/endpoints/loans/performance?figure=metric&metric=loss").json()
    names = [one.get("name") for one in figure["data"]]
    assert names[0] == "labels not mature"
    assert len(figure["data"][0]["x"]) == 2
    assert {"v1, measured", "estimated without labels", "at training", "begins to matter"} <= set(
        names
    )
    dashed = next(o for o in figure["data"] if o.get("name") == "estimated without labels")
    assert dashed["line"]["dash"] == "dash"


def test_reliability_is_drawn_beside_what_was_said(watching: httpx.Client) -> None:
    figure = watching.get("/endpoints/loans/performance?figure=reliability").json()
    assert [one["name"] for one in figure["data"]] == ["as said", "came"]
    assert figure["data"][1]["x"][0] == pytest.approx(0.05)


def test_bias_is_told_by_facet_with_its_range(watching: httpx.Client) -> None:
    told = _words(watching.get("/endpoints/loans/bias"))
    assert "region = south alarm 2 of 2 figures lie outside of what is allowed." in told
    assert "-0.1 to 0.1" in told
    figure = watching.get("/endpoints/loans/bias?figure=history&metric=DI").json()
    assert figure["layout"]["yaxis"]["title"]["text"] == "DI, region = south"
    assert len(figure["data"][1]["x"]) == 10


def test_where_nothing_was_judged_every_page_says_so(watching: httpx.Client) -> None:
    assert "No window has been judged yet." in watching.get("/endpoints/empty/drift").text
    assert "No window has mature labels yet." in watching.get("/endpoints/empty/performance").text
    assert "No facet is declared." in watching.get("/endpoints/empty/bias").text
    for path, figure in (
        ("drift", "distribution"),
        ("performance", "metric"),
        ("bias", "history"),
    ):
        found = watching.get(f"/endpoints/empty/{path}?figure={figure}").json()
        assert found["empty"]


def test_alarms_of_one_cause_are_folded_and_filtered(watching: httpx.Client) -> None:
    page = watching.get("/alarms?endpoint=loans")
    told = _words(page)
    assert "inputs moved" in told  # the headline of their cause
    assert "drift of amount" in told
    assert page.text.count('<li class="card"') < told.count("in alarm")
    only = _words(watching.get("/alarms?kind=bias&endpoint=loans"))
    assert "bias of region = south" in only
    assert "drift of amount" not in only
    assert "Nothing is in alarm." in _words(watching.get("/alarms?endpoint=calm"))
    assert "drift of age" in _words(watching.get("/alarms?state=ok&endpoint=calm"))
    assert "No alarm has ended." in watching.get("/alarms?state=ended").text


def test_alarms_of_one_window_are_told_together(watched_home: Workspace) -> None:
    every = watched_home.read(Permission.READ, lambda tx: alarms.list_alarms(tx))
    groups = grouped(every)
    assert sum(len(one.members) for one in groups) == len(every)
    assert len(groups) < len(every)


def test_the_cause_page_ranks_columns_and_says_since_when(
    watching: httpx.Client, watched_home: Workspace, watched: ModuleType
) -> None:
    alarm = _open(watched_home, "drift", "amount")
    page = watching.get(f"/alarms/{alarm}")
    told = _words(page)
    assert "drift of amount open" in told
    assert "Off since 10 Jan 2026" in told  # the window from which on it drifts
    ranked = page.text[page.text.index('class="ranked"') :]
    assert ranked.count("<svg viewBox") >= 3
    assert "Estimated without labels" in told
    assert "v1 answered 100 % of the rows as champion" in told
    assert "Those that stick out most of 700 rows" in told
    figure = watching.get(f"/alarms/{alarm}?figure=series").json()
    assert len(figure["data"][0]["x"]) == watched.WINDOWS


def test_a_cause_page_of_another_kind_shows_its_own_series(
    watching: httpx.Client, watched_home: Workspace
) -> None:
    alarm = _open(watched_home, "performance")
    told = _words(watching.get(f"/alarms/{alarm}"))
    assert "Measured on labels" in told
    assert "Mean loss on 90 rows." in told  # the slice that is worst
    figure = watching.get(f"/alarms/{alarm}?figure=series").json()
    assert len(figure["data"][1]["x"]) == 8


@pytest.mark.parametrize(
    "path",
    ["/alarms/alarm_of_nobody", "/endpoints/nobody/drift", "/endpoints/loans/drift?figure=x"],
)
def test_what_is_not_there_is_not_found(watching: httpx.Client, path: str) -> None:
    assert watching.get(path).status_code == 404


def test_a_window_that_is_not_there_falls_back_to_the_newest(watching: httpx.Client) -> None:
    told = _words(watching.get("/endpoints/loans/drift?window=gone"))
    assert "14 Jan 2026, 00:00 to 15 Jan 2026, 00:00" in told


# ---------------------------------------------------------------- reports of windows


@pytest.mark.parametrize("far", [False, True])
def test_a_window_is_reported_by_the_command_on_the_home_and_over_http(
    watched_home: Workspace,
    watched_url: str,
    watched: ModuleType,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    far: bool,
) -> None:
    where = ["--url", watched_url] if far else ["--home", str(watched_home.home)]
    files = ["--out", str(tmp_path / "w.html"), "--markdown", str(tmp_path / "w.md")]
    window = ["--window", f"loans:{int(watched.START)}"]
    assert main(["monitor", "report", "loans", *where, *files, *window]) == 0
    told = capfd.readouterr().out
    assert "None of 5 columns differs" in told
    text = (tmp_path / "w.md").read_text("utf-8")
    assert "loans, 5 Jan 2026, 00:00 to 6 Jan 2026, 00:00" in text
    assert "region = south/DPPL" in text  # what the other monitors found stands in it
    assert "<img" not in text
    assert (tmp_path / "w.html").read_text("utf-8").count("<details") == 5
    assert main(["monitor", "report", "loans", *where, "--json"]) == 0
    newest = json.loads(capfd.readouterr().out)
    assert newest["verdict"] == "alarm"
    assert newest["columns"][0]["distribution"] is not None
    assert main(["monitor", "report", "loans", *where, "--window", "gone"]) != 0
    assert "There is no window 'gone'." in capfd.readouterr().err
    assert main(["monitor", "report", "calm", *where, *window]) != 0
    assert "of endpoint 'calm'" in capfd.readouterr().err
    assert main(["monitor", "report", "empty", *where]) != 0
    assert "No window of endpoint 'empty' has been judged yet." in capfd.readouterr().err


# ---------------------------------------------------------------- what may be settled


def _posted(url: str, path: str, token: str | None = None, **fields: str) -> httpx.Response:
    """Send a form as a browser does from a page of ours."""
    cookies = {} if token is None else {"mainspring_token": token}
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": url}
    with httpx.Client(trust_env=False, timeout=60, cookies=cookies) as client:
        return client.post(url + path, data=fields, headers=headers)


def test_an_alarm_is_acknowledged_by_its_group_and_says_who_has_seen_it(
    home: Workspace, site: str, watched: ModuleType
) -> None:
    watched.furnish(home)
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        before = client.get("/alarms?endpoint=loans").text
        group = re.search(r'name="what" value="(group_[0-9a-z]+)"', before)
        assert group is not None
        fields = {"what": group[1], "reason": f"A new price list. {watched.EVIL}", "for": "2h"}
        assert _posted(site, "/alarms/acknowledge", **fields).status_code == 303
        after = client.get("/alarms?endpoint=loans")
        assert "Seen by" in after.text
        assert "A new price list. <img" in _words(after)
        assert f'value="{group[1]}"' not in after.text
        alarm = _open(home, "drift", "amount")
        assert "Seen by" in client.get(f"/alarms/{alarm}").text


def test_maintenance_is_declared_and_ended(
    home: Workspace, site: str, watched: ModuleType
) -> None:
    watched.furnish(home)
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        fields = {"endpoint": "loans", "for": "2h", "reason": "The warehouse moves."}
        assert _posted(site, "/alarms/maintenance", **fields).status_code == 303
        page = client.get("/alarms")
        assert "The warehouse moves." in page.text
        quiet = re.search(r'name="quiet" value="(quiet_[0-9a-zA-Z]+)"', page.text)
        assert quiet is not None
        assert _posted(site, "/alarms/maintenance/end", quiet=quiet[1]).status_code == 303
        assert "The warehouse moves." not in client.get("/alarms").text


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("/alarms/maintenance", {"for": "", "reason": "x"}, "for"),
        ("/alarms/maintenance", {"for": "soon", "reason": "x"}, "for"),
        ("/alarms/maintenance", {"for": "1h", "reason": " "}, "reason"),
        ("/alarms/acknowledge", {"what": "alarm_of_nobody", "reason": "x"}, "alarm"),
    ],
)
def test_what_a_form_of_alarms_lacks_is_said(
    site: str, path: str, fields: dict[str, str], field: str
) -> None:
    answer = _posted(site, path, **fields)
    assert answer.status_code in (400, 404)
    assert answer.json()["field"] == field


def test_who_may_only_look_sees_no_form_and_is_refused(
    home: Workspace, site: str, watched: ModuleType
) -> None:
    from mainspring.web.api import call

    watched.furnish(home)
    token = call(home, "tokens.create", name="eve", role="viewer")["token"]
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        client.cookies.set("mainspring_token", token)
        page = client.get("/alarms", headers={"Accept": "text/html"})
        assert "inputs moved" in page.text
        assert '<form method="post" action="/alarms' not in page.text
    fields = {"for": "1h", "reason": "Quiet, please."}
    assert _posted(site, "/alarms/maintenance", token, **fields).status_code == 403
