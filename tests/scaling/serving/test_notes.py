"""Predictions leave lines: the failed and slow always, a share of the others; never a value."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest

from mainspring.ground.objects import Routing
from mainspring.ground.settings import Settings
from mainspring.scaling.serving import notes
from mainspring.scaling.serving.requests import Asked

ROW = {"distance": 731.25, "hour": 18, "carrier": "B6", "weekend": False}
CANARY = {"challenger": 2, "strategy": "canary", "share": 0.5, "rollout": "r1"}

Line = tuple[str, str, dict[str, Any]]


@pytest.fixture
def said() -> list[Line]:
    return []


@pytest.fixture
def noting(stage, said: list[Line]) -> Callable[..., Any]:
    def make(share: float = 1.0, slow_ms: float = 60_000.0, **options: Any) -> Any:
        settings = Settings(
            root="", home="", max_body_mb=1, log_predictions=share, log_slow_ms=slow_ms
        )
        keep = lambda *line: said.append(line)  # noqa: E731
        return stage(say=keep, settings=settings, **options)

    return make


def test_a_prediction_is_a_line_with_its_ids_and_without_its_values(
    noting, said: list[Line]
) -> None:
    one = noting()
    answer = one.client.post(
        "/invocations",
        json={"dataframe_records": [ROW, ROW]},
        headers={"X-Request-Id": "order-17", "X-Client": "checkout"},
    )
    [(level, event, fields)] = said
    assert (level, event) == ("info", "prediction")
    assert answer.headers["x-request-id"] == fields["request"] == "order-17"
    assert fields["prediction"] == answer.json()["prediction_ids"][0]
    assert (fields["rows"], fields["version"], fields["variant"]) == (2, "1", "champion")
    assert (fields["status"], fields["endpoint"], fields["caller"]) == (200, "flights", "checkout")
    assert fields["ms"] > 0
    told = json.dumps(fields)
    assert not any(value in told for value in ("731", "B6", "carrier"))


def test_a_request_without_a_plain_id_of_its_own_gets_one(noting, said: list[Line]) -> None:
    one = noting()
    for given in (None, "", "a b", 'x"y', "ü", "x" * 129):
        headers = {} if given is None else {"X-Request-Id": given.encode()}
        found = one.client.get("/ping", headers=headers).headers.get_list("x-request-id")
        assert len(found) == 1
        assert found[0] != given
        assert found[0].isalnum()
    assert said == []  # nobody predicted


def test_a_share_of_nothing_says_nothing_of_what_went_well(noting, said: list[Line]) -> None:
    one = noting(share=0.0)
    one.predict([ROW])
    assert said == []
    assert one.client.post("/invocations", json={"instances": [{"hour": "x"}]}).status_code == 400
    [(level, event, fields)] = said
    assert (level, event, fields["status"]) == ("info", "prediction refused", 400)
    assert fields["code"]
    assert fields["field"]


def test_a_slow_prediction_is_told_as_such_whatever_the_share(noting, said: list[Line]) -> None:
    one = noting(share=0.0, slow_ms=1e-6)
    one.predict([ROW])
    [(level, event, fields)] = said
    assert (level, event, fields["status"]) == ("warning", "slow prediction", 200)
    steps = [fields[f"{step}_ms"] for step in ("check", "wait", "score", "capture")]
    assert min(steps) >= 0
    assert 0 < sum(steps) <= fields["ms"] + 0.01


def test_a_failing_model_leaves_a_trace_with_the_request_that_met_it(
    noting, said: list[Line], caplog: pytest.LogCaptureFixture
) -> None:
    one = noting(share=0.0)

    def broken(rows: Any) -> Any:
        raise RuntimeError("out of luck")

    one.app.generations.current.champion.served.score = broken
    answer = one.client.post("/invocations", json={"instances": [ROW]})
    assert answer.status_code == 500
    [(level, event, fields)] = said
    assert (level, event, fields["code"]) == ("warning", "prediction failed", "RuntimeError")
    [kept] = [record for record in caplog.records if record.exc_info]
    assert kept.request == fields["request"] == answer.headers["x-request-id"]
    assert (kept.version, kept.endpoint) == ("1", "flights")


def test_a_flood_is_bounded_and_what_was_let_go_is_counted(
    said: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = notes._Bound(3)
    monkeypatch.setattr(notes, "monotonic", lambda: 100.5)
    assert [bound.admits() for _ in range(5)] == [True, True, True, False, False]
    monkeypatch.setattr(notes, "monotonic", lambda: 101.0)
    assert bound.admits()
    assert (bound.taken(), bound.taken()) == (2, 0)


def test_the_part_of_who_answered_is_told_in_a_rollout(
    noting, said: list[Line], first: str, second: str
) -> None:
    routing = Routing(endpoint="flights", model="flights", champion=1, champion_package=first)
    one = noting(routing=routing)
    one.route(**{**CANARY, "share": 1.0, "challenger_package": second})
    one.predict([ROW])
    assert (said[-1][2]["version"], said[-1][2]["variant"]) == ("2", "challenger")
    text = one.client.get("/metrics").text
    assert 'mainspring_rows_total{endpoint="flights",version="2",variant="challenger"} 1' in text
    assert (
        'mainspring_scored_rows_total{endpoint="flights",version="1",variant="champion"} 1' in text
    )
    share = 'mainspring_variant_share{endpoint="flights",version="2",variant="challenger"} 1.0'
    assert share in text
    # Promoted: the same version counts on as another part of the traffic.
    one.route(champion=2, champion_package=second, challenger=None, challenger_package=None)
    one.predict([ROW])
    text = one.client.get("/metrics").text
    assert 'mainspring_rows_total{endpoint="flights",version="2",variant="champion"} 1' in text
    assert 'mainspring_rows_total{endpoint="flights",version="2",variant="challenger"} 1' in text
    versions = one.client.get("/status").json()["versions"]
    assert (versions["2"]["rows"], versions["2"]["variant"]) == (2, "champion")


@pytest.mark.parametrize("requests", [1, 3])
def test_every_request_of_a_batch_knows_when_it_was_scored(stage, requests: int) -> None:
    one = stage()
    now, predictor = one.app.generations.current, one.app.predictor
    asked = Asked({name: [value] for name, value in ROW.items()})
    jobs = [
        predictor._job(now, now.champion, asked, 1, {}, perf_counter()) for _ in range(requests)
    ]
    predictor._score(jobs)
    for job in jobs:
        marks = predictor._recorded(job, job.arrived).marks
        assert list(marks) == sorted(marks)
        assert marks.wait > 0
