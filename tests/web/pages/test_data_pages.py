"""The pages of data over HTTP: datasets, versions, what differs; what is hostile stays text."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.web.pages.bars import histogram
from mainspring.web.pages.headers import POLICY

PATHS = ("/data", "/data/flights", "/data/flights?version=1", "/data/flights/diff?from=1&to=2")


def _words(answer: httpx.Response) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.text).split()))


@pytest.fixture
def client(data_url: str) -> httpx.Client:
    headers = {"Accept": "text/html,application/xhtml+xml"}
    return httpx.Client(base_url=data_url, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_html_under_the_strict_policy(client: httpx.Client, path: str) -> None:
    with client:
        answer = client.get(path)
        again = client.get(path + ("&" if "?" in path else "?") + "part=main")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert not re.search(r"<style|\sstyle=|<img src=x", answer.text)
    links = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert [one for one in links if not re.match(r"(/(?![/\\])|#)", one)] == []
    assert "data-part=" in again.text


def test_the_pages_say_what_is_kept_and_what_differs(client: httpx.Client) -> None:
    with client:
        listed = _words(client.get("/data"))
        version = client.get("/data/flights?version=1")
        diff = client.get("/data/flights/diff")
        missing = client.get("/data/nothing")
        wrong = client.get("/data/flights?version=9")
    assert "features" in listed
    assert "flights 2 2," in listed
    assert "April <img src=x onerror=alert(1)>" in _words(version)
    assert "300 rows" in _words(version)
    assert version.text.count('<svg class="bars"') == 1
    told = _words(diff)
    assert "flights@1 and flights@2" in told
    assert "300 -> 200 rows (-100)" in told
    assert "README, now README.md" in told
    assert diff.text.count('<svg class="bars"') == 2
    assert (missing.status_code, wrong.status_code) == (404, 400)


def test_bars_hold_the_rows_of_their_bins() -> None:
    drawn = str(histogram(0.0, 24.0, [12.0], [12, 24]))
    assert [float(one) for one in re.findall(r"v-([0-9.]+)h", drawn)] == [13.5] * 12 + [27.0] * 12
    spike = str(histogram(0.0, 24.0, [0.0, 1e-9], [1, 1, 0]))
    assert re.findall(r"v-([0-9.]+)h", spike)[:2] == ["27.00", "0.00"]


numbers = st.floats(-1e6, 1e6, width=32)


@given(numbers, numbers, st.lists(numbers, max_size=6, unique=True), st.data())
def test_bars_stay_within_their_picture(
    low: float, high: float, edges: list[float], data: st.DataObject
) -> None:
    edges = sorted(edges)
    some = st.lists(st.integers(0, 1_000), min_size=len(edges) + 1, max_size=len(edges) + 1)
    drawn = histogram(low, high, edges, data.draw(some))
    if low >= high:
        assert drawn is None
    if drawn is not None:
        tall = [abs(float(one)) for one in re.findall(r" 28v(-?[0-9.]+)h", str(drawn))]
        assert len(tall) == 24
        assert 0 < max(tall) <= 27.01
