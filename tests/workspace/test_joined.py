"""What the workers of one endpoint tell, joined into one account."""

from mainspring.ground.exposition import text_of
from mainspring.scaling.serving.metrics import Counts, Gauge, prometheus
from mainspring.workspace import joined


def counted(took: list[float], status: int = 200) -> Counts:
    counts = Counts()
    counts.answers = {status: len(took)}
    for seconds in took:
        counts.latency.add(seconds)
        counts.of(2).latency.add(seconds)
        counts.of(2).requests += 1
    return counts


def told(counts: Counts, **more: object) -> dict[str, object]:
    return {
        "requests": sum(counts.answers.values()),
        "latency": counts.latency.counts,
        "p50_ms": counts.latency.quantile_ms(0.5),
        "p99_ms": counts.latency.quantile_ms(0.99),
        "answers": {str(k): n for k, n in counts.answers.items()},
        "versions": {"2": counts.of(2).as_dict()},
        **more,
    }


def test_counts_are_added_and_quantiles_are_those_of_all_requests() -> None:
    quick, slow = counted([0.001] * 90), counted([1.0] * 10, status=503)
    whole = counted([0.001] * 90 + [1.0] * 10)
    one = told(quick, started=20.0, champion=2, trouble="", ready=True, worker={"pid": 1})
    two = told(slow, started=10.0, champion=2, trouble="full", ready=False, worker={"pid": 2})
    found = joined.statuses([one, two])
    assert found["requests"] == 100
    assert found["answers"] == {"200": 90, "503": 10}
    assert (found["p50_ms"], found["p99_ms"]) == (
        whole.latency.quantile_ms(0.5),
        whole.latency.quantile_ms(0.99),
    )
    assert found["versions"]["2"] == whole.of(2).as_dict()
    assert (found["started"], found["champion"], found["ready"]) == (10.0, 2, True)
    assert found["trouble"] == "full"
    assert "worker" not in found
    assert "started" not in joined.lasting(one)


def test_metrics_of_two_workers_are_those_of_one_that_did_it_all() -> None:
    gauges = {"ready": Gauge("Ready.", [({}, True)])}
    texts = [prometheus("a", counted([0.001, 2.0][: n + 1]), gauges) for n in range(2)]
    whole = prometheus("a", counted([0.001, 0.001, 2.0]), gauges)
    assert text_of(joined.metrics(texts)) == whole
    assert text_of(joined.metrics([whole])) == whole
