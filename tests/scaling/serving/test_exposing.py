"""``/metrics`` of an endpoint: every family once, with words and kind, and buckets that rise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
_LABELS = r'\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*\}'
_SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)({_LABELS})? (-?[\d.e+-]+|NaN|[+-]Inf)")


def families(text: str) -> dict[str, tuple[str, dict[str, float]]]:
    """Read the text format, independently of what writes it: name -> kind, samples."""
    found: dict[str, tuple[str, dict[str, float]]] = {}
    helped, name = "", ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert len(line.split(" ", 3)[3]) > 10
            assert helped not in found
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == helped
            found[name] = kind, {}
        else:
            one = _SAMPLE.fullmatch(line)
            assert one, line
            kind, samples = found[name]
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert one[1] in {name + end for end in ends}, line
            assert kind != "counter" or name.endswith("_total"), name
            assert kind != "gauge" or not name.endswith("_total"), name
            key = one[1].removeprefix(name) + (one[2] or "")
            assert key not in samples, line
            samples[key] = float(one[3])
    return found


def test_every_family_is_as_prometheus_wants_it(stage: Callable[..., Any]) -> None:
    one = stage()
    for _ in range(3):
        one.predict([ROW, ROW])
    one.client.post("/invocations", json={"instances": [{"hour": "x"}]})
    found = families(one.client.get("/metrics").text)
    assert all(name.startswith("mainspring_") for name in found)
    for name, (kind, samples) in found.items():
        if kind != "histogram":
            continue
        groups: dict[str, list[float]] = {}
        for key, value in samples.items():
            if key.startswith("_bucket"):
                groups.setdefault(re.sub(r',?le="[^"]*"', "", key[7:]), []).append(value)
        for labels, buckets in groups.items():
            assert buckets == sorted(buckets), name
            assert buckets[-1] == samples[f"_count{labels}"], name
    assert found["mainspring_requests_total"][1]['{endpoint="flights",status="200"}'] == 3
    assert found["mainspring_requests_in_flight"][1] == {'{endpoint="flights"}': 1}  # this one
    reasons = {
        re.search('reason="(.*?)"', key)[1] for key in found["mainspring_queue_refused_total"][1]
    }
    assert reasons == {"lag", "hung", "deadline", "full", "client"}
    assert found["mainspring_capture_written_rows_total"][0] == "counter"
    lone = found["mainspring_batch_lone_total"][1]['{endpoint="flights"}']
    together = found["mainspring_batch_requests"][1]['_count{endpoint="flights"}']
    assert lone + together == 3


def test_batches_are_counted_by_their_size_and_what_they_held(stage: Callable[..., Any]) -> None:
    one = stage()
    batcher = one.app.predictor.batcher
    for size in (1, 2, 3, 5, 5000):
        batcher._note([None] * size)
    sizes = families(one.client.get("/metrics").text)["mainspring_batch_requests"][1]
    at = lambda le: sizes[f'_bucket{{endpoint="flights",le="{le}"}}']  # noqa: E731
    assert [at(le) for le in ("1", "3", "7", "4095", "+Inf")] == [1, 3, 4, 4, 5]
    assert sizes['_sum{endpoint="flights"}'] == 5011
