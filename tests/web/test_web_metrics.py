"""What monitors found leaves: as series by API, to Prometheus, and on a Grafana dashboard."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import mainspring as ms
from mainspring.ground.errors import NotFoundError
from mainspring.ground.exposition import gauge, read, sample, text_of
from mainspring.ground.monitors import Finding, Window
from mainspring.ground.objects import Routing
from mainspring.ground.permissions import Permission, owner, service
from mainspring.monitoring import windows
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.capture import CaptureWriter
from mainspring.scaling.serving.exposing import exposition
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.router import Generation, Variant
from mainspring.web import watched
from mainspring.web.dashboard import expressions, grafana
from mainspring.workspace.opening import Workspace
from mainspring.workspace.processes import write_json
from serving_in_a_thread import listening

NOW = 1_700_000_000.0
HOUR = 3600.0


def window(number: int, *found: Finding, **more: Any) -> Window:
    start = NOW + 100 + number * HOUR
    return Window(
        id=f"flights:{int(start)}", endpoint="flights", start=start, end=start + HOUR, rows=500,
        **{
            "version": 2,
            "drift": [
                {"column": "distance", "distance": 0.1 * number, "radius": 0.02, "line": 0.05,
                 "smallest": 0.04, "rows": 500, "verdict": "alarm" if number else "quiet"}
            ],
            "traffic": {"rows": 500, "rows_per_s": 0.14},
            "found": list(found),
            **more,
        },
    )  # fmt: skip


def keep(house: Workspace, *kept: Window) -> None:
    engine = house.acting_as(service("engine"))
    for one in kept:
        engine.write(Permission.WORK, lambda tx, one=one: windows.save(tx, one))


BIAS = Finding(
    monitor="bias", subject="sex/DPPL", value=0.12, low=0.08, high=0.2, line=0.1, rows=480,
    baseline=0.01, verdict="alarm",
)  # fmt: skip
NONE = Finding(
    monitor="estimate", subject="auc", value=None, verdict="not judged", why="One class only."
)
PERFORMANCE = {
    "loss": {"estimate": 0.2, "low": 0.18, "high": 0.22}, "line": 0.21, "baseline_loss": 0.19,
    "verdict": "quiet", "rows": 480, "metrics": {"auc": {"estimate": 0.7, "n": 480}},
}  # fmt: skip


@pytest.fixture
def judged(house: Workspace) -> Workspace:
    keep(
        house,
        window(0, performance=PERFORMANCE, labelled=480),
        window(1, BIAS, NONE),
        window(2, BIAS),
    )
    return house


@pytest.fixture
def endpoint(house: Workspace, tmp_path: Path) -> Iterator[Counts]:
    """A process of the endpoint that only counts."""
    routing = Routing(endpoint="flights", model="flights", champion=2, champion_package="")
    app = EndpointApp(
        "flights",
        lambda: routing,
        lambda digest: pytest.fail(digest),
        CaptureWriter(tmp_path / "captures"),
        lambda scope: owner(),
        house.settings,
    )
    app.generations.current = Generation(1, routing, Variant(2, object()), None)
    counts = app.counts
    counts.answers = {200: 7, 500: 1}
    counts.of(2).rows = 9
    counts.of(2).latency.add(0.002)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition(app).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with listening(HTTPServer(("127.0.0.1", 0), Handler)) as server:
        file = house.home / "run" / "endpoints" / "flights.json"
        write_json(file, {"name": "flights", "pid": 1, "port": server.server_port})
        yield counts
    app.close()


# ---------------------------------------------------------------- series


def test_everything_a_monitor_computed_is_a_series_oldest_first(
    judged: Workspace, web: httpx.Client
) -> None:
    found = web.get("/api/v1/monitor/flights/series").json()
    by = {(one["monitor"], one["subject"]): one["points"] for one in found}
    drift = by["drift", "distance"][-3:]
    assert [point["value"] for point in drift] == [0.0, 0.1, 0.2]
    assert [point["verdict"] for point in drift] == ["quiet", "alarm", "alarm"]
    assert (drift[0]["radius"], drift[0]["smallest"], drift[0]["line"]) == (0.02, 0.04, 0.05)
    [auc] = [point for point in by["performance", "auc"] if point["start"] > NOW]
    assert (auc["value"], auc["rows"]) == (0.7, 480)
    assert len(by["bias", "sex/DPPL"]) == 2
    [none] = by["estimate", "auc"]
    assert (none["value"], none["why"]) == (None, "One class only.")
    assert by["traffic", "rows_per_s"][-1]["value"] == 0.14


def test_series_are_chosen_by_monitor_subject_and_time(
    judged: Workspace, web: httpx.Client
) -> None:
    def ask(**query: Any) -> list[tuple[str, str, int]]:
        found = web.get("/api/v1/monitor/flights/series", params=query).json()
        return [(one["monitor"], one["subject"], len(one["points"])) for one in found]

    assert ask(monitor="bias") == [("bias", "sex/DPPL", 2)]
    assert ask(subject="distance", since="90m") == [("drift", "distance", 2)]
    assert ask(subject="distance", since=str(NOW + 100 + 2.5 * HOUR), limit=50) == [
        ("drift", "distance", 1)
    ]
    assert ask(monitor="nothing") == []
    answer = web.get("/api/v1/monitor/flights/series", params={"since": "soon"})
    assert (answer.status_code, answer.json()["field"]) == (400, "since")
    assert web.get("/api/v1/monitor/nobody/series").status_code == 404


def test_series_are_a_table_in_python_of_the_home_and_of_a_server(
    judged: Workspace, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(judged.home))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    here = ms.series("flights", monitor="bias")
    assert here["value"].to_list() == [0.12, 0.12]
    assert here["low"].to_list() == [0.08, 0.08]
    assert ms.series("flights", monitor="nothing").columns == here.columns
    assert ms.series("flights", monitor="estimate")["why"].to_list() == ["One class only."]
    monkeypatch.setenv("MAINSPRING_URL", url)
    assert ms.series("flights", monitor="bias").equals(here)
    with pytest.raises(NotFoundError):
        ms.series("nobody")


# ---------------------------------------------------------------- prometheus

_LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*"'
_SAMPLE = re.compile(
    rf"(?P<name>[a-zA-Z_:][\w:]*)(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})? (?P<value>\S+)"
)


def parsed(text: str) -> dict[str, dict[str, float]]:
    """Read the text format as strictly as Prometheus does: metric -> labels -> value."""
    assert text.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    family = ""
    told: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in kinds, f"{family} stands twice"
            kinds[family] = kind
        elif line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in kinds
            assert name not in told
            told.add(name)
        else:
            one = _SAMPLE.fullmatch(line)
            assert one, line
            name = one["name"]
            assert kinds[family] in ("counter", "gauge", "histogram")
            ends = ("_bucket", "_sum", "_count") if kinds[family] == "histogram" else ("",)
            assert name in {family + end for end in ends}, f"{name} stands below {family}"
            labels = one["labels"] or ""
            assert labels not in found.setdefault(name, {}), f"{line} stands twice"
            found[name][labels] = float(one["value"])
    assert told == set(kinds), f"without HELP: {set(kinds) - told}"
    return found


def test_prometheus_gets_the_newest_figure_of_each_series(
    judged: Workspace, web: httpx.Client, endpoint: Counts
) -> None:
    found = parsed(web.get("/metrics").text)
    bias = 'endpoint="flights",monitor="bias",subject="sex/DPPL",version="2"'
    assert found["mainspring_monitor_value"][bias] == 0.12
    assert found["mainspring_monitor_low"][bias] == 0.08
    assert found["mainspring_monitor_high"][bias] == 0.2
    assert found["mainspring_monitor_line"][bias] == 0.1
    assert found["mainspring_monitor_baseline"][bias] == 0.01
    assert found["mainspring_monitor_verdict"][bias] == 2
    drift = 'endpoint="flights",monitor="drift",subject="distance",version="2"'
    assert found["mainspring_monitor_value"][drift] == 0.2
    # Labels come late: the performance is of an older window.
    auc = 'endpoint="flights",monitor="performance",subject="auc",version="2"'
    assert found["mainspring_monitor_value"][auc] == 0.7
    none = 'endpoint="flights",monitor="estimate",subject="auc",version="2"'
    assert none not in found["mainspring_monitor_value"]
    assert found["mainspring_monitor_verdict"][none] == -2
    ends = found["mainspring_monitor_window_end_seconds"]
    assert ends['endpoint="flights",monitor="drift"'] == NOW + 100 + 3 * HOUR
    assert ends['endpoint="flights",monitor="performance"'] < NOW + 100 + 3 * HOUR
    assert found["mainspring_window_rows"]['endpoint="flights"'] == 500
    assert found["mainspring_alarms_open_by_kind"] == {'endpoint="flights",kind="drift"': 1}


MINE = 'endpoint="flights",version="2",variant="champion"'


def test_what_an_endpoint_counts_itself_stands_on_the_same_page(
    web: httpx.Client, endpoint: Counts
) -> None:
    found = parsed(web.get("/metrics").text)
    assert found["mainspring_endpoint_up"] == {'endpoint="flights"': 1}
    assert found["mainspring_requests_total"]['endpoint="flights",status="500"'] == 1
    assert found["mainspring_rows_total"][MINE] == 9
    assert any('le="+Inf"' in key for key in found["mainspring_latency_seconds_bucket"])


def test_an_endpoint_that_is_away_is_told_as_such(web: httpx.Client) -> None:
    found = parsed(web.get("/metrics").text)
    assert found["mainspring_endpoint_up"] == {'endpoint="flights"': 0}


def test_a_thousand_columns_are_told_within_bounds_and_the_worst_first(
    house: Workspace, web: httpx.Client
) -> None:
    columns = [
        {"column": f"c{n}", "distance": n / 1000, "line": 0.05, "rows": 500,
         "verdict": "alarm" if n == 500 else "quiet"}
        for n in range(1000)
    ]  # fmt: skip
    keep(house, window(3, BIAS, drift=columns))
    found = parsed(web.get("/metrics").text)
    values = found["mainspring_monitor_value"]
    assert len(values) == watched.MOST_SERIES
    left = found["mainspring_monitor_series_left_out"]['endpoint="flights"']
    assert left > 700
    told = {re.search(r'subject="([^"]*)"', labels)[1] for labels in values}
    assert {"c500", "c999", "sex/DPPL", "rows"} <= told
    assert "c1" not in told


def test_names_that_need_care_are_written_as_prometheus_reads_them(
    house: Workspace, web: httpx.Client
) -> None:
    odd = ['a"b', "a\\b", "a\nb", "ü☃", "x" * 500 + "1", "x" * 500 + "2"]
    row = {"distance": 0.1, "rows": 5, "verdict": "quiet"}
    keep(house, window(3, drift=[{"column": name, **row} for name in odd]))
    found = parsed(web.get("/metrics").text)["mainspring_monitor_value"]
    assert 'endpoint="flights",monitor="drift",subject="a\\"b",version="2"' in found
    assert 'endpoint="flights",monitor="drift",subject="a\\nb",version="2"' in found
    assert sum("xxx" in labels for labels in found) == 2


def test_a_window_without_a_version_and_numbers_that_are_none_are_told_as_they_are() -> None:
    assert sample("m", {}, math.nan) == "m NaN"
    assert sample("m", {}, math.inf) == "m +Inf"
    assert sample("m", {}, -math.inf) == "m -Inf"
    assert sample("m", {"a": "b"}, 0.1) == 'm{a="b"} 0.1'


def test_families_of_one_name_from_two_processes_stand_together() -> None:
    first = gauge("m", "Told.", [({"endpoint": "a"}, 1)])
    [second] = read(
        '# HELP m Told.\n# TYPE m gauge\nm{endpoint="b"} 2\nnonsense\nother{x="y"} 1\n'
    )
    assert parsed(text_of([first, second])) == {"m": {'endpoint="a"': 1, 'endpoint="b"': 2}}


# ---------------------------------------------------------------- grafana


def test_every_query_of_the_dashboard_is_of_a_metric_that_is_exposed(
    judged: Workspace, web: httpx.Client, endpoint: Counts
) -> None:
    board = web.get("/api/v1/dashboards/grafana").json()
    scraped = parsed(web.get("/metrics").text)
    asked = expressions(board)
    assert len(asked) > 25
    for query in asked:
        names = set(re.findall(r"mainspring_\w+", query))
        assert names, query
        for name in names:
            assert name in scraped, f"{name} of {query} is not exposed"
            used = set(re.findall(rf"{name}\{{([^}}]*)\}}", query))
            for label in re.findall(r"(\w+)=~?", " ".join(used)):
                assert any(f'{label}="' in labels for labels in scraped[name]), (name, label)
        for label in re.findall(r"by \(([^)]*)\)", query):
            for one in label.split(","):
                [name] = names
                assert any(f'{one.strip()}="' in labels for labels in scraped[name]), query


def test_the_dashboard_is_one_that_grafana_takes_in(web: httpx.Client) -> None:
    board = web.get("/api/v1/dashboards/grafana", params={"endpoint": "flights"}).json()
    assert board["schemaVersion"] == 42
    assert json.loads(json.dumps(board)) == grafana("flights")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert board["templating"]["list"][1]["current"]["value"] == ["flights"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["expr"].count("(") == target["expr"].count(")")
    words = " ".join(panel["title"].lower() for panel in board["panels"])
    for word in ("rows", "latency", "errors", "drift", "performance", "label coverage", "bias",
                 "alarms", "version", "slices"):  # fmt: skip
        assert word in words
