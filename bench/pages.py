"""How long the pages of runs take on a home of 10,000 runs with 1,000 metrics each.

    python bench/pages.py [--runs N] [--metrics N] [--home FOLDER]

``--home`` keeps the home, or takes one that ``bench/search.py --keep`` has kept. It prints the
best of three walls of each page, as a browser on the same machine waits for it, and what is sent.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent))
from search import fill

from mainspring.ground.settings import load
from mainspring.ground.version import __version__
from mainspring.web.app import build_app
from mainspring.web.server import bind, serve
from mainspring.workspace.opening import open_workspace


def main() -> None:
    """Fill the home if it is empty, then ask for each page."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--runs", type=int, default=10_000)
    reader.add_argument("--metrics", type=int, default=1_000)
    reader.add_argument("--home", type=Path)
    asked = reader.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = asked.home or Path(place) / "home"
        if not (home / "mainspring.db").exists():
            fill(home, asked.runs, 20, asked.metrics)
        print(f"pages: best of three walls, mainspring {__version__}, {os.cpu_count()} cores")
        measure(home)


def measure(home: Path) -> None:
    """Serve the home and ask for the pages."""
    ws = open_workspace(load({"home": str(home)}, start=home.parent, environ={}))
    listening, stop, ready = bind("127.0.0.1", 0), threading.Event(), threading.Event()
    server = threading.Thread(target=serve, args=(build_app(ws), listening, ready.set, stop))
    server.start()
    try:
        ready.wait(20)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
            ids = re.findall(r'name="run" value="([^"]+)"', client.get("/runs").text)
            for name, path in pages(ids).items():
                print(f"  {name:44}{timed(client, path)}")
    finally:
        stop.set()
        server.join()
        listening.close()
        ws.close()


def pages(ids: list[str]) -> dict[str, str]:
    """Return what is asked for, by what it is called."""
    some = "&".join(f"run={run}" for run in ids)
    return {
        "first page of the table": "/runs",
        "what a refresh asks for": "/runs?part=main",
        "the best by a metric": "/runs?order=-metrics.auc",
        "a filter and an order": "/runs?filter=metrics.auc+%3E+0.5&order=-metrics.auc",
        "small curves": "/runs?spark=auc",
        "one run": f"/runs/{ids[0]}",
        "its six curves": f"/runs/{ids[0]}?figure=metric",
        f"{len(ids)} runs compared": f"/compare?{some}",
        "300 runs compared": "/compare?filter=metrics.auc+is+not+null",
    }


def timed(client: httpx.Client, path: str) -> str:
    """Return the best of three walls, and how much was sent."""
    walls, size = [], 0
    for _ in range(3):
        began = time.perf_counter()
        answer = client.get(path)
        walls.append(time.perf_counter() - began)
        answer.raise_for_status()
        size = len(answer.content)
    return f"{min(walls) * 1000:8.0f} ms{size / 1000:10.0f} kB"


if __name__ == "__main__":
    main()
