"""Show all worlds to one detector and print what it paged on, as JSON.

Run by ``bench/monitoring_quality.py``: ``python task.py DETECTOR ROWS CLEAN SHIFTED``. A detector
is a module beside this file with ``VERSION`` and ``start(reference)``, whose result is called
with one window after the other and answers whether it pages somebody.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def main(name: str, rows: str, clean: str, shifted: str) -> None:
    """Show the worlds and print."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).parent))
    out, sys.stdout = sys.stdout, sys.stderr  # detectors talk
    import worlds

    detector = importlib.import_module(name)
    started = time.process_time()
    paged: dict[str, list[bool]] = {}
    judged = 0
    for world in (*worlds.CLEAN, *worlds.HARMFUL, *worlds.HARMLESS):
        count = int(clean) if world in worlds.CLEAN else int(shifted)
        pages: Any = detector.start(worlds.reference())
        if world not in worlds.CLEAN:
            # A shift comes after windows that were as ever, and what a detector learns of them.
            for calm in worlds.windows(worlds.CLEAN[0], int(rows), 3):
                pages(calm)
                judged += 1
        paged[world] = [bool(pages(one)) for one in worlds.windows(world, int(rows), count)]
        judged += count
    spent = (time.process_time() - started) / judged * 1000
    told = {"version": detector.VERSION, "paged": paged, "cpu_ms_a_window": spent}
    print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
