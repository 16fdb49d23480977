"""A version is asked over HTTP, in a process of its own, and refused by what that shows."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

import msgspec
from judged import House, failed, world

from mainspring.ground.limits import LoadLimits
from mainspring.readiness.declaring import Gate
from mainspring.workspace.measuring import load_test
from mainspring.workspace.measuring.alone import most_memory_mb

QUICK = {"requests": 20, "rounds": 2, "connections": 2}


def test_a_version_that_is_too_slow_too_large_and_too_late_is_refused(house: House) -> None:
    number = house.register(world(300, 1))
    tight = {"max_p99_ms": 1e-6, "max_memory_mb": 1, "max_cold_start_s": 1e-6, "least_rps": 1e9}
    checks = house.judge(
        number,
        world(300, 2),
        Gate(needs_card=False, max_latency_ms=60_000.0, load={**QUICK, **tight}),
    )
    assert failed(checks) == ["load"]
    for word in ("p99", "memory", "cold start", "answers a second, fewer than"):
        assert word in checks["load"].found
    found = checks["load"].evidence
    assert found["errors"] == 0
    assert found["form"] == "onnx"
    assert len(found["rounds"]) == 2
    assert found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    kept = house.evidence(number, "load")
    assert kept is not None
    assert kept.passed is False
    assert kept.opens[0].startswith("gate:")
    assert kept.detail["limits"]["max_memory_mb"] == 1


def test_a_package_that_cannot_be_served_says_so(house: House) -> None:
    example = world(3, 1).select("a", "b")
    found = load_test.measure(
        "0" * 64, house.ws.settings.objects_url, example, LoadLimits(requests=2, rounds=1)
    )
    assert found.why
    assert found.p99_ms is None


def test_rows_that_are_none_cannot_be_asked_about(house: House) -> None:
    found = load_test.measure(
        "0" * 64, house.ws.settings.objects_url, world(0, 1).select("a"), LoadLimits()
    )
    assert found.why == "the package keeps no rows to ask about"


def test_the_process_answers_only_who_started_it_and_ends_with_its_input(
    house: House, tmp_path: Path
) -> None:
    from mainspring.ground.permissions import Permission
    from mainspring.readiness import registry

    number = house.register(world(300, 1))
    version = house.ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", number))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mainspring.workspace.measuring.alone", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        order = ("a secret", version.package, house.ws.settings.objects_url)
        process.stdin.write(msgspec.json.encode(order).decode() + "\n")
        process.stdin.flush()
        port, _ = msgspec.json.decode(process.stdout.readline())
        body = b'{"dataframe_records": [{"a": 1.0, "b": 0.0}]}'
        for word, status in (("another", 401), ("a secret", 200)):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            link.request(
                "POST",
                "/invocations",
                body,
                {"Content-Type": "application/json", "Authorization": f"Bearer {word}"},
            )
            assert link.getresponse().status == status
            link.close()
        process.stdin.close()
        assert msgspec.json.decode(process.stdout.readline()) > 10  # MB
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_process_knows_the_most_that_it_held() -> None:
    held = most_memory_mb()
    assert held is not None
    assert held > 10
