"""Be an engine that is killed, several times over: ROOT HOME KILLS. Prints how each ended.

Each engine is forked from this warm process before it has a thread, and works until there is
nothing left to do.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from homes import InProcess

from mainspring.engine import tasks
from mainspring.ground import killpoints
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import open_workspace


def work(root: str, home: str, kill: str) -> None:
    killpoints.here.__self__.__init__(kill or None)  # type: ignore[attr-defined]
    ws = open_workspace(Settings(root=root, home=home, lease_s=0.5))
    ws._started.append(InProcess())
    engine = make_engine(ws, "worker", workers=1)
    while True:
        if engine.step_once():
            continue
        open_work = ws.read(Permission.READ, lambda tx: tasks.unsettled(tx, ws.clock.now()))
        if not open_work:
            break
        time.sleep(0.02)  # what a dead one held is free when its lease is over
    ws.close()


codes = []
for wanted in json.loads(sys.argv[3]):
    pid = os.fork()
    if not pid:
        work(*sys.argv[1:3], wanted)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.stdout.write(json.dumps(codes))
