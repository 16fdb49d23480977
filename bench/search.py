"""How long a search takes: stores of 5,000 runs, of 10,000 x 1,000 metrics, of 1,000,000 runs.

    python bench/search.py [--million] [--only 5000,wide,million] [--mlflow PYTHON] [--keep FOLDER]

Beside it stands bare SQLite, asked the same on the same file with no Mainspring around it, and
MLflow on the same runs, where an interpreter that has it is named.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

if sys.argv[1:2] != ["--inside-mlflow"]:  # that interpreter has no Mainspring
    import httpx

    from mainspring.ground.settings import Settings
    from mainspring.ground.version import __version__
    from mainspring.web.app import build_app
    from mainspring.web.server import bind, serve
    from mainspring.workspace.opening import Workspace, open_workspace
    from mainspring.workspace.views.searching import run_page

BEST = {"filter": "metrics.auc > 0.9 and params.C != '1'", "order": "-metrics.auc", "limit": 20}
COLUMNS = {"columns": "metrics.auc,params.C"}
NEWEST = {"limit": 50}
#: name -> runs, params, metrics of each
SHAPES = {"5000": (5_000, 20, 20), "wide": (10_000, 20, 1_000), "million": (1_000_000, 4, 3)}
QUESTIONS = {
    "5000": {
        "20 best, filter by metric and param": BEST,
        "the same, two columns": {**BEST, **COLUMNS},
        "filter that nothing meets": {**BEST, "filter": "metrics.auc > 0.9 and params.C = 'no'"},
        "filter by a metric, newest first": {**BEST, "order": ""},
        "newest 50, every column": NEWEST,
    },
    "wide": {
        "first page: newest 50, every column": NEWEST,
        "newest 50, two columns": {**NEWEST, **COLUMNS},
        "20 best, two columns": {**BEST, **COLUMNS},
    },
    "million": {
        "20 best, filter by metric and param": BEST,
        "newest 20 that meet it": {**BEST, "order": ""},
        "one in a million by a param": {"filter": "params.seed = 123456", "limit": 20},
        "few in a million by a metric": {"filter": "metrics.auc > 0.99999", "limit": 20},
        "by a param as a number": {"order": "params.seed", "limit": 20},
        "worst of one experiment": {"experiment": "exp3", "order": "metrics.auc", "limit": 20},
        "within the last day, best": {
            "filter": "started > 999913600", "order": "-metrics.auc", "limit": 20
        },
        "newest 50, every column": NEWEST,
    },
}  # fmt: skip
BARE_BEST = """
    SELECT r.id FROM metrics m JOIN runs r ON r.id = m.run
    JOIN params p ON p.run = m.run AND p.key = 'C'
    WHERE m.key = 'auc' AND m.value > 0.9 AND p.value != '1'
      AND NOT EXISTS (SELECT 1 FROM deleted_runs d WHERE d.run = m.run)
    ORDER BY m.value DESC LIMIT 20
"""


def fill(home: Path, runs: int, params: int, metrics: int) -> None:
    """Write runs straight into the tables of a new home, its indexes made afterwards."""
    open_workspace(Settings(root=str(home.parent), home=str(home))).close()
    db = sqlite3.connect(home / "mainspring.db", isolation_level=None)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000;")
    later = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('runs', 'params', 'metrics')"
    ).fetchall()
    for name, _ in later:
        db.execute(f"DROP INDEX {name}")
    rng = random.Random(1)
    db.execute("BEGIN")
    ids = [f"run_{number:08d}" for number in range(runs)]
    db.executemany(
        "INSERT INTO runs (id, experiment, name, status, started, ended) VALUES (?,?,?,?,?,?)",
        (
            (run, f"exp{n % 50}", f"name-{n % 97}", "finished", 1e9 - (runs - n) * 60, 1e9)
            for n, run in enumerate(ids)
        ),
    )
    db.executemany("INSERT INTO params VALUES (?,?,?)", _params(ids, params, rng))
    db.executemany(
        "INSERT INTO metrics (run, key, step, time, value) VALUES (?,?,?,?,?)",
        _metrics(ids, metrics, rng),
    )
    db.execute("COMMIT")
    for _, sql in later:
        db.execute(sql)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _params(ids: list[str], count: int, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    for number, run in enumerate(ids):
        yield run, "C", str(rng.choice([1, 2, 5, 10]))
        yield run, "seed", str(number)
        for other in range(count - 2):
            yield run, f"p{other:02d}", f"value {rng.randrange(10)}"


def _metrics(ids: list[str], count: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    for run in ids:
        yield run, "auc", 0, 1e9, rng.random()
        for other in range(count - 1):
            yield run, f"m{other:03d}", 0, 1e9, rng.random()


def timed(work: Callable[[], object], most_s: float = 8.0) -> tuple[float, float]:
    """Return the medians of CPU and wall in milliseconds, of up to 40 times."""
    work()
    cpu, wall = [], []
    end = time.perf_counter() + most_s
    while len(wall) < 40 and (len(wall) < 3 or time.perf_counter() < end):
        before, begun = time.process_time(), time.perf_counter()
        work()
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - before)
    return median(cpu) * 1e3, median(wall) * 1e3


def bare(home: Path) -> Callable[[], object]:
    """Return the first question as one would ask SQLite for it, with nothing around it."""
    db = sqlite3.connect(f"file:{home}/mainspring.db?mode=ro", uri=True)

    def ask() -> object:
        ids = [row[0] for row in db.execute(BARE_BEST)]
        marks = ",".join("?" * len(ids))
        found = [db.execute(f"SELECT * FROM runs WHERE id IN ({marks})", ids).fetchall()]
        for table in ("params", "metrics", "tags"):
            rows = db.execute(f"SELECT run, key, value FROM {table} WHERE run IN ({marks})", ids)
            found.append(rows.fetchall())
        return found

    return ask


def measure(name: str, folder: Path, mlflow: str | None) -> None:
    """Print what every question to one store takes."""
    home = folder / name / "home"
    runs, params, metrics = SHAPES[name]
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        fill(home, runs, params, metrics)
        print(f"  (written in {time.perf_counter() - begun:.0f} s)")
    size = (home / "mainspring.db").stat().st_size / 1e6
    print(f"{runs:,} runs x {params} params x {metrics:,} metrics, {size:,.0f} MB")
    ws = open_workspace(Settings(root=str(folder), home=str(home)))
    try:
        for label, asked in QUESTIONS[name].items():
            cpu, wall = timed(lambda asked=asked: run_page(ws, **asked))  # type: ignore[misc]
            over = http(ws, asked) if name != "million" else ""
            print(f"  {label:<38}{cpu:9.2f} ms CPU {wall:9.2f} ms wall{over}")
    finally:
        ws.close()
    cpu, wall = timed(bare(home))
    print(f"  {'bare SQLite, the first question':<38}{cpu:9.2f} ms CPU {wall:9.2f} ms wall")
    if mlflow is not None and name != "million":
        told = subprocess.run(
            [mlflow, __file__, "--inside-mlflow", str(folder / name), str(runs), str(params),
             str(min(metrics, 20))],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(told.stdout.splitlines()[-1])
        what = f"MLflow {found['version']}, 20 metrics each"
        print(f"  {what:<38}{found['cpu']:9.2f} ms CPU {found['wall']:9.2f} ms wall")


def http(ws: Workspace, asked: dict[str, object]) -> str:
    """Return what the question takes over HTTP, client and server in this process."""
    stop, ready = threading.Event(), threading.Event()
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    app = build_app(ws, frozenset({"127.0.0.1", "localhost"}))
    thread = threading.Thread(target=serve, args=(app, listening, ready.set, stop), daemon=True)
    thread.start()
    ready.wait(10)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def ask() -> None:
            reply = client.get("/api/v1/runs", params={k: v for k, v in asked.items() if v})
            if reply.status_code != 200:
                raise SystemExit(reply.text)

        cpu, wall = timed(ask)
    stop.set()
    thread.join(10)
    listening.close()
    return f"   HTTP {cpu:8.2f} CPU {wall:8.2f} wall"


def inside_mlflow(folder: Path, runs: int, params: int, metrics: int) -> None:
    """Write the runs into MLflow's own tables, ask it, and print what that took as JSON."""
    import mlflow
    from mlflow.tracking import MlflowClient

    file = folder / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{file}")
    experiment = int(client.create_experiment(f"bench-{time.monotonic_ns()}"))
    db = sqlite3.connect(file)
    rng = random.Random(1)
    ids = [f"{number:032x}" for number in range(experiment << 40, (experiment << 40) + runs)]
    db.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time,"
        " lifecycle_stage, artifact_uri, experiment_id)"
        " VALUES (?, 'n', 'LOCAL', 'u', 'FINISHED', ?, ?, 'active', '/tmp', ?)",
        ((run, n, n + 1, experiment) for n, run in enumerate(ids)),
    )
    db.executemany(
        "INSERT INTO params (run_uuid, key, value) VALUES (?,?,?)", _params(ids, params, rng)
    )
    for table in ("metrics", "latest_metrics"):
        db.executemany(
            f"INSERT INTO {table} (run_uuid, key, step, timestamp, value, is_nan)"
            " VALUES (?,?,?,?,?,0)",
            _metrics(ids, metrics, random.Random(1)),
        )
    db.commit()
    db.close()

    def ask() -> object:
        return client.search_runs(
            [str(experiment)],
            "metrics.auc > 0.9 and params.C != '1'",
            max_results=20,
            order_by=["metrics.auc DESC"],
        )

    cpu, wall = timed(ask)
    print(json.dumps({"version": mlflow.__version__, "cpu": cpu, "wall": wall}))


def main() -> int:
    """Measure the stores that were asked for."""
    if sys.argv[1:2] == ["--inside-mlflow"]:
        folder, *numbers = sys.argv[2:]
        inside_mlflow(Path(folder), *map(int, numbers))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--only", help="names parted by commas: 5000, wide, million")
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter that has MLflow")
    parser.add_argument("--keep", type=Path, help="a folder for the stores, used again")
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else ["5000", "wide"]
    names += ["million"] if asked.million and "million" not in names else []
    print(
        f"search: medians, mainspring {__version__}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}"
    )
    with tempfile.TemporaryDirectory() as name:
        for one in names:
            measure(one, asked.keep or Path(name), asked.mlflow)
    return 0


if __name__ == "__main__":
    sys.exit(main())
