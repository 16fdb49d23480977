"""Write a Grafana dashboard of what /metrics tells: every query is of a metric there."""

from __future__ import annotations

from typing import Any

#: The newest form of the classic model, which every Grafana since 12.1 writes; older ones
#: read it too, as what they do not know they leave out.
SCHEMA = 42
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24  # of Grafana's grid
_MINE = 'endpoint=~"$endpoint"'


def grafana(endpoint: str | None = None) -> dict[str, Any]:
    """Return the dashboard; the endpoints shown are chosen in it, ``endpoint`` at first.

    The source of data is chosen in it too, so that it can be taken in as it is.
    """
    panels: list[dict[str, Any]] = []
    for title, rows in _ROWS.items():
        _add(panels, {"type": "row", "title": title, "collapsed": False, "panels": []}, 24, 1)
        for panel in rows:
            _add(panels, panel, panel["gridPos"]["w"], panel["gridPos"]["h"])
    return {
        "uid": "mainspring-monitoring",
        "title": "Mainspring: models in production",
        "tags": ["mainspring"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "timezone": "utc",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": _variables(endpoint)},
        "panels": panels,
    }


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Return every query of a dashboard, those of its variables included."""
    found = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    asked = [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    return [*found, *(one["query"] for one in asked)]


def _add(panels: list[dict[str, Any]], panel: dict[str, Any], width: int, height: int) -> None:
    """Put a panel to the right of the last one, or below where there is no room."""
    x = y = 0
    if panels:
        last = panels[-1]["gridPos"]
        x, y = last["x"] + last["w"], last["y"]
        if x + width > _WIDTH:
            x, y = 0, max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels)
    place = {"x": x, "y": y, "w": width, "h": height}
    panels.append({**panel, "id": len(panels) + 1, "gridPos": place})


def _variables(endpoint: str | None) -> list[dict[str, Any]]:
    every = {"text": ["All"], "value": ["$__all"]}
    query = "label_values(mainspring_monitor_series_left_out, endpoint)"
    return [
        {
            "name": "datasource",
            "type": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "current": {},
            "hide": 0,
        },
        {
            "name": "endpoint",
            "type": "query",
            "label": "Endpoint",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": "endpoints"},
            "definition": query,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "sort": 1,
            "current": {"text": [endpoint], "value": [endpoint]} if endpoint else every,
        },
    ]


def _chart(
    title: str, told: str, *queries: tuple[str, str], unit: str = "short", width: int = 8
) -> dict[str, Any]:
    """Return a chart over time: each query with the words of its legend."""
    return _panel("timeseries", title, told, queries, unit, width, {"tooltip": {"mode": "multi"}})


def _stat(title: str, told: str, query: str, legend: str, *, bad: float = 1) -> dict[str, Any]:
    """Return one big figure an endpoint; red from ``bad`` on."""
    found = _panel("stat", title, told, [(query, legend)], "short", 6, {"colorMode": "value"})
    steps = [{"color": "green", "value": None}, {"color": "red", "value": bad}]
    found["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    return found


def _panel(
    kind: str,
    title: str,
    told: str,
    queries: Any,
    unit: str,
    width: int,
    options: dict[str, Any],
) -> dict[str, Any]:
    return {
        "type": kind,
        "title": title,
        "description": told,
        "datasource": _SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": 8 if kind == "timeseries" else 4},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for number, (query, legend) in enumerate(queries)
        ],
    }


def _of(figure: str, monitors: str) -> str:
    return f'mainspring_monitor_{figure}{{{_MINE}, monitor=~"{monitors}"}}'


def _quantile(
    share: float, by: str = "endpoint", metric: str = "mainspring_latency_seconds"
) -> str:
    rate = f"rate({metric}_bucket{{{_MINE}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({by}, le) ({rate}))"


def _rate(metric: str, labels: str = _MINE) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


_ROWS: dict[str, list[dict[str, Any]]] = {
    "Now": [
        _stat("Endpoints that are away", "Their own process does not answer.",
              f"mainspring_endpoint_up{{{_MINE}}} == bool 0", "{{endpoint}}"),
        _stat("Open alarms", "Alarms that have not ended.",
              f"mainspring_alarms_open{{{_MINE}}}", "{{endpoint}}"),
        _stat("Version", "The version that answered most rows of the newest window.",
              f"mainspring_window_version{{{_MINE}}}", "{{endpoint}}", bad=1e9),
        _stat("Age of the newest window", "Hours since it ended, by event time.",
              f"(time() - mainspring_window_end_seconds{{{_MINE}}}) / 3600", "{{endpoint}}",
              bad=1e9),
    ],
    "Traffic": [
        _chart("Rows answered", "By version, a second.",
               (_rate("mainspring_rows_total"), "{{endpoint}}/{{version}}"), unit="rps"),
        _chart("Latency", "Of predictions: half, 95 and 99 of 100 are as fast.",
               (_quantile(0.5), "{{endpoint}} p50"), (_quantile(0.95), "{{endpoint}} p95"),
               (_quantile(0.99), "{{endpoint}} p99"), unit="s"),
        _chart("Errors", "Requests answered with 4xx or 5xx, a second.",
               (_rate("mainspring_requests_total", f'{_MINE}, status=~"[45].."'),
                "{{endpoint}} {{status}}"), unit="reqps"),
    ],
    "Drift": [
        _chart("Columns that drifted furthest", "Distance to the baseline, and what matters.",
               (f"topk(10, {_of('value', 'drift')})", "{{endpoint}} {{subject}}"),
               (f"max by (endpoint) ({_of('line', 'drift')})", "{{endpoint}} line"), width=12),
        _chart("Scores and joint drift", "How far answers, and columns together, moved.",
               (_of("value", "score_drift|joint"), "{{endpoint}} {{monitor}} {{subject}}"),
               width=12),
        _chart("Data quality", "Share of rows that break a check of a column; the worst ten.",
               (f"topk(10, {_of('value', 'quality')})", "{{endpoint}} {{subject}}"),
               unit="percentunit", width=12),
        _chart("Judged traffic", "What monitors of traffic found in the newest window.",
               (_of("value", "traffic"), "{{endpoint}} {{subject}}"), width=12),
    ],
    "Performance": [
        _chart("Performance with its interval", "On rows whose labels are mature.",
               (_of("value", "performance"), "{{endpoint}} {{subject}}"),
               (_of("low", "performance"), "{{endpoint}} {{subject}} low"),
               (_of("high", "performance"), "{{endpoint}} {{subject}} high"),
               (_of("baseline", "performance"), "{{endpoint}} {{subject}} at training")),
        _chart("Before labels come", "Estimates of the performance, and calibration.",
               (_of("value", "estimate|calibration|concept"),
                "{{endpoint}} {{monitor}} {{subject}}")),
        _chart("Label coverage", "Share of the newest window's rows whose truth is known.",
               (f"mainspring_window_labelled_rows{{{_MINE}}}"
                f" / mainspring_window_rows{{{_MINE}}}", "{{endpoint}}"), unit="percentunit"),
    ],
    "Bias, attributions and slices": [
        _chart("Bias", "Clarify's metrics by facet.",
               (_of("value", "bias"), "{{endpoint}} {{subject}}"), width=12),
        _chart("Attributions, skew, age, slices, custom monitors", "Their newest figures.",
               (_of("value", "attribution|skew|age|slice|custom"),
                "{{endpoint}} {{monitor}} {{subject}}"), width=12),
    ],
    "Alarms and loops": [
        _chart("Open alarms by kind", "Alarms that have not ended.",
               (f"mainspring_alarms_open_by_kind{{{_MINE}}}", "{{endpoint}} {{kind}}")),
        _chart("Verdicts", "How many series say alarm (2) or notice (1).",
               (f"count by (endpoint) (mainspring_monitor_verdict{{{_MINE}}} == 2)",
                "{{endpoint}} alarm"),
               (f"count by (endpoint) (mainspring_monitor_verdict{{{_MINE}}} == 1)",
                "{{endpoint}} notice")),
        _chart("Champion", "Number of the version that serves.",
               ("mainspring_loop_champion", "{{loop}}")),
    ],
    "Serving": [
        _chart("Latency of scoring", "95 of 100, by version and its part in the traffic.",
               (_quantile(0.95, "endpoint, version, variant"),
                "{{endpoint}}/{{version}} {{variant}}"), unit="s"),
        _chart("Failed scorings", "By version and its part in the traffic, a second.",
               (_rate("mainspring_errors_total"), "{{endpoint}}/{{version}} {{variant}}"),
               unit="reqps"),
        _chart("Share of the rows", "That each version answers.",
               (f"mainspring_variant_share{{{_MINE}}}", "{{endpoint}}/{{version}} {{variant}}"),
               unit="percentunit"),
        _chart("Queue", "Requests under way, those that wait, and what was sent away by why.",
               (f"mainspring_requests_in_flight{{{_MINE}}}", "{{endpoint}} under way"),
               (f"mainspring_queue_waiting{{{_MINE}}}", "{{endpoint}} waiting"),
               (_rate("mainspring_queue_refused_total"), "{{endpoint}} {{reason}} a second")),
        _chart("Requests scored together", "Half and 95 of 100 batches are no larger.",
               (_quantile(0.5, metric="mainspring_batch_requests"), "{{endpoint}} p50"),
               (_quantile(0.95, metric="mainspring_batch_requests"), "{{endpoint}} p95")),
        _chart("Capture", "Rows recorded, and rows lost, a second.",
               (_rate("mainspring_capture_written_rows_total"), "{{endpoint}} written"),
               (_rate("mainspring_capture_dropped_rows_total"), "{{endpoint}} lost")),
    ],
}  # fmt: skip
