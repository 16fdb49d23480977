"""Carry out one run in processes that are killed one after the other: ROOT HOME RUN KILLS.

Each is forked from this warm one before it has a thread. Prints how each ended, as JSON.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from homes import InProcess

from mainspring.ground import killpoints
from mainspring.ground.settings import Settings
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import open_workspace


def work(root: str, home: str, run: str, kill: str) -> None:
    killpoints.here.__self__.__init__(kill or None)  # type: ignore[attr-defined]
    ws = open_workspace(Settings(root=root, home=home, lease_s=30.0))
    ws._started.append(InProcess())
    make_engine(ws, "worker", scanning=False, workers=1).run_group(run)
    ws.close()


codes = []
for wanted in json.loads(sys.argv[4]):
    pid = os.fork()
    if not pid:
        work(*sys.argv[1:4], wanted)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.stdout.write(json.dumps(codes))
