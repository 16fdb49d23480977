"""Records are worked out before threads meet them."""

import subprocess
import sys

from mainspring.ground import structs
from mainspring.ground.objects import LoopSpec

RACE = """
import sys, threading, msgspec
from mainspring.ground import structs
sys.setswitchinterval(1e-6)
fields = [(f"f{k}", "list[dict[str, int | None]]", []) for k in range(20)]
kinds = [
    msgspec.defstruct(f"Kind{n}", fields, module="mainspring.made")
    for n in range(100)
]
structs.prepare()
gate = threading.Barrier(4)
def meet():
    for kind in kinds:
        gate.wait()
        msgspec.json.decode(b'{"f3": [{"a": 1}], "f19": []}', type=kind)
threads = [threading.Thread(target=meet) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_threads_that_meet_a_record_together_all_live() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RACE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_preparing_twice_is_as_good_as_once() -> None:
    structs.prepare()
    known = set(structs._known)
    structs.prepare()
    assert LoopSpec in known
    assert structs._known == known
