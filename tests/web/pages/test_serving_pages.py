"""The board and the page of endpoints as they serve: live, hostile names, every state said."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mainspring.ground.objects import Rollout
from mainspring.ground.permissions import Permission, service
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace

BOARD, PAGE = "/endpoints", "/endpoints/flights/serving"


@pytest.fixture
def told(served: ModuleType) -> dict[str, Any]:
    """What the endpoint's process says of itself; a test may change it."""
    return copy.deepcopy(served.STATUS)


@pytest.fixture
def busy(
    home: Workspace, story: ModuleType, served: ModuleType, told: dict[str, Any]
) -> Iterator[Workspace]:
    """A home with an endpoint in a canary that answers, and one that nobody asked."""
    home.store.write(service("engine"), Permission.WORK, story.furnish)
    home.store.write(
        service("engine"),
        Permission.WORK,
        lambda tx: endpoints.ensure(tx, "quiet", "none", at=0.0),
    )
    now = home.clock.now()
    served.count(home, now, rollout="rollout_6")
    served.note(home, now)
    with served.process(home, told):
        yield home


@pytest.fixture
def client(busy: Workspace, site: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as found:
        yield found


def test_without_an_endpoint_the_board_says_what_to_do(site: str) -> None:
    assert "mainspring serve MODEL" in httpx.get(site + BOARD, trust_env=False, timeout=60).text


def test_the_board_says_who_serves_how_fast_and_what_is_lost(client: httpx.Client) -> None:
    text = client.get(BOARD).text
    assert f'href="{PAGE}"' in text
    assert "canary" in text
    assert "20 %" in text  # the canary's share
    assert "1.67 %" in text  # one in sixty failed
    assert "3.33 % refused" in text
    assert "5.56 %" in text  # 100 of 1,800 rows were not captured
    assert text.count('class="spark"') == 2
    assert text.index(PAGE) < text.index("/endpoints/quiet/serving")  # what is not well first


def test_the_page_tells_each_version_its_part_and_its_figures(client: httpx.Client) -> None:
    text = client.get(PAGE).text
    for said in ("champion", "challenger", "80 %", "0.7 ms", "onnx", "sklearn", "1,700", "100"):
        assert said in text
    assert "2 waiting, 5 sent away" in text


def test_the_page_tells_how_it_batches_and_who_works(client: httpx.Client) -> None:
    text = client.get(PAGE).text
    assert "in threads" in text
    assert "0.9 ms a row alone" in text
    assert "Closed: row limit" in text
    assert "Sent away: full" in text
    assert "Sent away: lag" not in text
    assert "4711" in text
    assert "91.5 MB" in text
    assert "2 wanted, between 1 and 1" in text
    assert "1 → 2" in text


def test_the_rollout_stands_there_with_its_evidence(client: httpx.Client) -> None:
    text = client.get(PAGE).text
    assert "Version 6 answers 20.0% of the rows beside champion 5" in text
    assert "Evidence that it does harm" in text
    assert "1,834" in text  # labelled rows of both
    assert "95 %" in text  # of the rows both gave the same answer
    assert "150 of 3,000" in text  # scorings failed, and one in a hundred may
    assert text.count("broken") == 1


def test_what_did_not_go_well_stands_there_with_its_ids_and_cannot_be_markup(
    client: httpx.Client,
) -> None:
    text = client.get(PAGE).text
    assert 'href="/logs?prediction=ab-10"' in text
    assert 'href="/logs?request=bad-1"' in text
    assert "ab-7" not in text  # it went well
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_an_endpoint_that_is_down_or_was_never_asked_says_so(
    busy: Workspace, client: httpx.Client
) -> None:
    text = client.get("/endpoints/quiet/serving").text
    assert "Promote a version" in text
    assert "Every prediction went well" in text
    figure = client.get("/endpoints/quiet/serving", params={"figure": "pulse"}).json()
    assert "Nobody has asked it yet" in figure["empty"]
    assert client.get("/endpoints/nobody/serving").status_code == 404
    assert client.get("/endpoints/nobody/serving?figure=pulse").status_code == 404


def test_the_figure_has_each_version_over_the_time_asked_for(client: httpx.Client) -> None:
    found = client.get(PAGE, params={"figure": "pulse"}).json()
    assert found["options"] == {"span": "1h"}
    latency, errors, requests = found["panels"]
    assert [line["name"] for line in latency["data"]] == [
        f"v{version} {which}" for version in (5, 6) for which in ("p50", "p95", "p99")
    ]
    assert {len(line["x"]) for line in latency["data"]} == {50}
    [failed] = [line for line in errors["data"] if line["name"] == "v6 failed"]
    assert set(failed["y"]) == {5.0}
    assert {y for line in requests["data"] for y in line["y"]} == {1.0}
    day = client.get(PAGE, params={"figure": "pulse", "span": "1d"}).json()
    assert day["options"] == {"span": "1d"}
    assert sum(y for y in day["panels"][2]["data"][0]["y"]) * 1200 == pytest.approx(50 * 60)
    assert client.get(PAGE, params={"figure": "pulse", "span": "x"}).json()["options"] == {
        "span": "1h"
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_both_are_drawn_without_an_error_or_a_breach_fit_and_stay_fresh(
    opened, settle, busy: Workspace, site: str, told: dict[str, Any], scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with opened(**options) as (page, complaints):
        page.goto(site + BOARD)
        settle(page)
        expect(page.get_by_role("link", name="flights").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(site + PAGE)
        settle(page)
        expect(page.locator("#pulse svg.main-svg").first).to_be_attached()
        assert page.locator("#pulse figure").count() == 3
        before = page.locator("#capture-h").bounding_box()
        told["versions"]["6"]["rows"] = 4711
        expect(page.locator("#variants-scroll")).to_contain_text("4,711")
        assert page.locator("#capture-h").bounding_box() == before  # nothing has moved
        day = page.get_by_role("button", name="1d")
        day.focus()
        page.keyboard.press("Enter")
        expect(day).to_have_attribute("aria-pressed", "true")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("[window.breaches, window.owned]") == [[], None]
        assert complaints == []


def test_a_share_is_moved_only_after_a_person_was_asked_and_gave_a_reason(
    opened, settle, busy: Workspace, site: str
) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(site + PAGE)
        settle(page)
        move = page.get_by_role("button", name="Move the share…")
        expect(move).to_be_disabled()
        slider = page.get_by_label("Version 6 answers")
        slider.focus()
        for _ in range(15):
            page.keyboard.press("ArrowRight")
        move.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("answers 35 % of the rows instead of 20 %")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert share(busy) == 0.2
        move.click()
        dialog.get_by_role("button", name="Move the share").click()
        assert share(busy) == 0.2  # no reason was given
        dialog.get_by_label("Why").fill("The morning went well.")
        with page.expect_navigation():  # the slider says 35 already
            dialog.get_by_role("button", name="Move the share").click()
        expect(page.locator("#share-to")).to_have_text("35")
        assert share(busy) == pytest.approx(0.35)
        assert page.evaluate("[window.breaches, window.owned]") == [[], None]
        assert complaints == []


def share(ws: Workspace) -> float:
    return now(ws).share


def now(ws: Workspace) -> Rollout:
    found = ws.read(Permission.READ, lambda tx: rollouts.running(tx, "flights"))
    assert found is not None
    return found


OWN = {"Sec-Fetch-Site": "same-origin"}


def test_what_moved_meanwhile_is_not_moved_again(client: httpx.Client, busy: Workspace) -> None:
    form = {"rollout": now(busy).id, "from": "10", "share": "50", "reason": "Why not."}
    answer = client.post("/endpoints/flights/rollout/share", data=form, headers=OWN)
    assert (answer.status_code, share(busy)) == (409, 0.2)
    assert "20.000% by now" in answer.text
    other = {**form, "from": "20", "rollout": "another"}
    answer = client.post("/endpoints/flights/rollout/share", data=other, headers=OWN)
    assert (answer.status_code, share(busy)) == (409, 0.2)
    for wrong in ({"share": "x"}, {"share": "101"}, {"share": "nan"}, {"reason": " "}):
        given = {**form, "from": "20", **wrong}
        answer = client.post("/endpoints/flights/rollout/share", data=given, headers=OWN)
        assert (answer.status_code, share(busy)) == (400, 0.2), wrong
    form = {"from": "4", "reason": "Why not."}
    answer = client.post("/endpoints/flights/rollback", data=form, headers=OWN)
    assert (answer.status_code, champion(busy)) == (409, 5)
    assert client.post("/endpoints/quiet/rollout/end", data=form, headers=OWN).status_code == 404


def champion(ws: Workspace) -> int | None:
    return ws.read(Permission.READ, lambda tx: registry.champion(tx, "flights"))


def test_a_roll_back_is_asked_for_and_goes_to_the_version_before(
    opened, settle, busy: Workspace, site: str
) -> None:
    with opened(viewport={"width": 420, "height": 900}) as (page, complaints):
        page.goto(site + PAGE)
        settle(page)
        page.get_by_role("button", name="Roll back to version 3…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Version 3 answers every row instead of version 5")
        dialog.get_by_label("Why").fill("Complaints since noon.")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        dialog.get_by_role("button", name="Roll back").click()
        expect(page.locator("#variants-scroll")).to_contain_text("v3")
        assert champion(busy) == 3
        assert complaints == []


def test_who_may_only_look_is_shown_nothing_to_move_and_refused(
    busy: Workspace, client: httpx.Client
) -> None:
    token = call(busy, "tokens.create", name="looker", role="viewer")["token"]
    headers = {"Authorization": f"Bearer {token}", **OWN}
    text = client.get(PAGE, headers=headers).text
    assert "Guard rails" in text
    assert "data-dialog" not in text
    form = {"rollout": now(busy).id, "from": "20", "share": "50", "reason": "Why not."}
    for path in ("rollout/share", "rollout/end", "rollback"):
        answer = client.post(f"/endpoints/flights/{path}", data=form, headers=headers)
        assert answer.status_code == 403
    foreign = {**headers, "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/endpoints/flights/rollout/share", data=form, headers=foreign)
    assert answer.status_code == 403
    assert share(busy) == 0.2
