"""What pipelines look like, what never varies and what moves is read from their runs."""

from __future__ import annotations

import msgspec
from homes import work_as_engine
from owed_records import reads, run, step

from mainspring.experiments import runs
from mainspring.ground.identity import canonical, sha256
from mainspring.workspace.owed import shapes
from mainspring.workspace.owed.lineage import Lineage

NOTHING = sha256(canonical(None))


def found(ws):
    return work_as_engine(ws, lambda tx: shapes.of_runs(tx, Lineage(tx)))


def needs(*names: str) -> str:
    return msgspec.json.encode(list(names)).decode()


def test_a_graph_is_measured_and_what_nobody_takes_is_named(ws):
    def work(tx):
        run(tx, "run_1", "p:train", mainspring__result="fit")
        args = {"rows": msgspec.json.encode({"ref": "load"}).decode()}["rows"]
        rows = [
            ("load", {"output": "1" * 64}),
            ("check", {"needs": needs("load"), "output": NOTHING}),
            ("copy", {"needs": needs("load"), "output": "2" * 64, "args": args, "wall_s": 2.0}),
            ("copy_2", {"needs": needs("load"), "output": "2" * 64, "args": args, "wall_s": 3.0}),
            ("fit", {"needs": needs("load", "copy"), "output": "3" * 64}),
        ]
        for place, (name, more) in enumerate(rows):
            given = {"code": name.partition("_")[0], "position": place, **more}
            step(tx, "run_1", name, "p:train", **given)

    work_as_engine(ws, work)
    shown, varied, moved = found(ws)
    facts, names = shown["p:train"]
    assert (facts.steps, facts.edges, facts.depth) == (5, 5, 3)
    assert facts.unused_outputs == ["copy_2"]
    assert facts.duplicates == [["copy", "copy_2"]]
    assert facts.wasted_s == 3.0
    assert names == ["load", "check", "copy", "copy_2", "fit"]
    assert (varied, moved) == ([], [])


def test_params_are_told_with_the_values_they_had(ws):
    def work(tx):
        for number in range(4):
            run(tx, f"run_{number}", "p:train")
            given = {"trees": 100, "way": ["old", "new"][number % 2]}
            runs.set_params(tx, f"run_{number}", given if number else {"way": "old"})

    work_as_engine(ws, work)
    _, varied, _ = found(ws)
    told = {one.param: one for one in varied}
    assert (told["way"].runs, told["way"].values) == (4, ["new", "old"])
    assert told["trees"].values == [100, None]  # one run was given none
    assert told["trees"].function == "train"


def test_a_step_that_reads_the_world_is_found_by_its_outputs(ws):
    def work(tx):
        for number in range(3):
            name = run(tx, f"run_{number}", "p:train")
            step(tx, name, "load", "p:train", output=str(number // 2) * 64)
            step(tx, name, "fixed", "p:train", output="a" * 64, position=1)
            step(tx, name, "fit", "p:train", output=str(number) * 64, needs=needs("load"),
                 position=2)  # fmt: skip

    work_as_engine(ws, work)
    _, _, [moved] = found(ws)
    assert (moved.name, moved.reader, moved.runs, moved.contents) == (
        "what step load reads", "pipeline:p:train", 3, 2,
    )  # fmt: skip


def test_a_file_that_changed_under_one_commit_is_found_and_a_dirty_tree_says_nothing(ws):
    def work(tx):
        clean = {"mainspring__git__commit": "c1", "mainspring__git__dirty": "false"}
        for number in range(2):
            name = run(tx, f"run_{number}", **clean)
            reads(tx, name, "trips", '{"uri": "/data/trips.csv"}', digest=f"d{number}")
            other = run(tx, f"other_{number}", **{**clean, "mainspring__git__dirty": "true"})
            reads(tx, other, "open", digest=f"d{number}")
            third = run(tx, f"third_{number}")
            reads(tx, third, "unknown", digest=f"d{number}")

    work_as_engine(ws, work)
    _, _, [moved] = found(ws)
    assert (moved.name, moved.source, moved.runs, moved.contents) == (
        "dataset trips", "/data/trips.csv", 2, 2,
    )  # fmt: skip
