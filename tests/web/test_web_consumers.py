"""What goes away is told over HTTP wherever it is shown, and debt is asked for there as well."""

from __future__ import annotations

from collections.abc import Callable

import httpx

HTML = {"Accept": "text/html"}
GONE = {"subject": "flights/2", "until": 4e9, "reason": "Version 3 <is> better."}


def test_what_goes_away_is_shown_wherever_it_is_shown(web: httpx.Client) -> None:
    assert web.post("/api/v1/deprecations", json=GONE).status_code == 200
    whole = {"subject": "model:flights", "until": 4.1e9, "reason": "All of it."}
    told = web.post("/api/v1/deprecations", json=whole).json()
    assert "endpoint:flights" in told["dependents"]
    model = web.get("/api/v1/models/flights").json()
    assert [one["subject"] for one in model["deprecations"]] == ["flights/2", "model:flights"]
    assert (
        web.get("/api/v1/models/flights/versions/2").json()["deprecation"]["subject"]
        == "flights/2"
    )
    assert (
        web.get("/api/v1/models/flights/versions/1").json()["deprecation"]["reason"]
        == "All of it."
    )
    page = web.get("/models/flights?version=2", headers=HTML).text
    assert "model:flights goes away" in page
    assert "flights/2 goes away" in page
    assert "Version 3 &lt;is&gt; better." in page
    assert "model:flights goes away" in web.get("/endpoints/flights", headers=HTML).text
    board = web.get("/api/v1/endpoints/flights").json()
    assert board["routing"]["deprecation"]["until"] == 4.1e9
    assert web.post("/api/v1/deprecations/withdraw", json={"subject": "flights/2"}).is_success
    assert "flights/2 goes away" not in web.get("/models/flights?version=2", headers=HTML).text


def test_debt_is_scanned_listed_and_accepted_by_role(
    web: httpx.Client, as_token: Callable[..., httpx.Client]
) -> None:
    told = web.post("/api/v1/debt/scan", json={"budget": "0"}).json()
    assert web.get("/api/v1/debt").json()["open"] == told["open"]
    assert len(web.get("/api/v1/debt/trend").json()) == 1
    consumer = {"endpoint": "flights", "name": "billing", "owner": "payments"}
    assert web.post("/api/v1/consumers", json=consumer).is_success
    viewer, contributor = as_token("viewer"), as_token("contributor")
    assert viewer.post("/api/v1/debt/scan", json={}).status_code == 403
    assert viewer.get("/api/v1/dependents", params={"subject": "model:flights"}).is_success
    asked = {"finding": "debt_x", "until": 4e9, "reason": "r"}
    assert contributor.post("/api/v1/debt/accept", json=asked).status_code == 403
    assert contributor.post("/api/v1/deprecations", json=GONE).status_code == 403
    assert contributor.delete("/api/v1/consumers/flights/billing").is_success
