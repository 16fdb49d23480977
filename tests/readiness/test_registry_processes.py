"""Two processes promote at once, and the history stays one unbroken line."""

import os
import subprocess
import sys
from pathlib import Path

import mainspring
from mainspring.ground.clock import SystemClock
from mainspring.readiness import gate, registry, tables

PROMOTER = """
import sys
from mainspring.backends.sql import open_store
from mainspring.ground.clock import SystemClock
from mainspring.ground.permissions import Permission, service
from mainspring.readiness import registry, tables

url, own = sys.argv[1], int(sys.argv[2])
store = open_store(url, [tables.METADATA], SystemClock(), tables.GUARDS)
print("ready", flush=True)
sys.stdin.readline()
for round_ in range(15):
    for number in (own, 3):
        store.write(
            service("engine"), Permission.WORK,
            lambda tx: registry.promote(tx, "churn", number, f"{own} in round {round_}", at=1.0),
        )
store.close()
"""


def test_promotions_of_two_processes_follow_each_other(
    reg, open_test_store, new_version, gated, database_url
):
    # Processes have the machine's own clock, and a gate must be fresh by it.
    reg = type(reg)(open_test_store([tables.METADATA], tables.GUARDS, clock=SystemClock()))
    for number in (1, 2, 3):
        reg.do(registry.register, new_version())
        reg.do(gate.store_result, gated("churn", number))
    source = str(Path(mainspring.__file__).parent.parent)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTER, database_url, str(own)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
            text=True,
        )
        for own in (1, 2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=120)
        assert racer.returncode == 0
    moves = reg.do(registry.history, "churn", "champion")
    assert [m.previous for m in moves] == [None, *(m.number for m in moves[:-1])]
    assert reg.do(registry.champion, "churn") == moves[-1].number
    assert {m.reason.partition(" ")[0] for m in moves} == {"1", "2"}
    assert len([row for row in reg.audited if row[1] == "alias.move"]) == len(moves)


def test_two_stores_on_one_database_hand_out_each_number_once(reg, new_version, open_test_store):
    other = type(reg)(open_test_store([tables.METADATA], tables.GUARDS))
    numbers = [(reg if n % 2 else other).do(registry.register, new_version()) for n in range(8)]
    assert [version.number for version in numbers] == list(range(1, 9))
