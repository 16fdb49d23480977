"""The board and the page of endpoints as they serve: live, hostile names, every state said."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mainspring.ground.permissions import Permission, service
from mainspring.scaling.serving import endpoints
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
    served.count(home, now)
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
