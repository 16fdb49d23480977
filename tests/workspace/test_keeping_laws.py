"""Laws: gc leaves exactly what can be reached, and a cell of an archive comes back as it went."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import msgspec
from homes import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Float, LargeBinary, MetaData, Table, Text

from mainspring.experiments import artifacts, runs
from mainspring.ground.clock import TurnedClock
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace.archive import contents
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.keeping.collecting import collect
from mainspring.workspace.opening import Workspace, open_workspace


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[list[int]], set[int]]:
    """Objects that each name some of those before them, and which of them rows name."""
    count = draw(st.integers(1, 12))
    edges = [
        sorted(draw(st.sets(st.integers(0, number - 1), max_size=3))) if number else []
        for number in range(count)
    ]
    return edges, draw(st.sets(st.integers(0, count - 1), max_size=4))


def reached(edges: list[list[int]], roots: set[int]) -> set[int]:
    found, todo = set(roots), list(roots)
    while todo:
        new = set(edges[todo.pop()]) - found
        found |= new
        todo += new
    return found


def home(folder: Path, name: str) -> Workspace:
    return open_workspace(
        Settings(root=str(folder), home=str(folder / name)), clock=TurnedClock(NOW)
    )


def put(ws: Workspace, edges: list[list[int]]) -> list[str]:
    digests: list[str] = []
    for number, below in enumerate(edges):
        named = {f"part{n}": digests[n] for n in below}
        digests.append(ws.objects.put(canonical({"number": number, "files": named})))
    return digests


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds(), data=st.data())
def test_gc_and_an_archive_keep_exactly_what_can_be_reached(
    tmp_path: Path, world: tuple[list[list[int]], set[int]], data: st.DataObject
) -> None:
    edges, roots = world
    folder = Path(tempfile.mkdtemp(dir=tmp_path))  # the same world may come twice
    ws = home(folder, "home")
    digests = put(ws, edges)
    one = Run(id="run_one", experiment="x", name="x", status=RunStatus.FINISHED, started=NOW,
              tags={f"t{n}": f"see {digests[n]}" for n in roots if n % 2})  # fmt: skip

    def work(tx) -> None:
        if not roots:
            return
        runs.create(tx, one)
        for n in roots:
            if not n % 2:
                artifacts.put(tx, "run_one", f"a{n}", digests[n], 1, NOW)

    ws.write(Permission.LOG, work)
    wanted = {digests[n] for n in reached(edges, roots)}
    file = folder / f"{len(list(folder.iterdir()))}.msar"
    export(ws, file)
    other = home(folder, f"{file.stem}.other")
    take_in(other, file)
    assert {kept.digest for kept in other.objects.each()} == wanted
    collect(ws)
    assert {kept.digest for kept in ws.objects.each()} == wanted
    other.close()
    ws.close()


CELLS = Table(
    "cells",
    MetaData(),
    Column("number", Float),
    Column("whole", BigInteger),
    Column("flag", Boolean),
    Column("data", LargeBinary),
    Column("text", Text),
)
KINDS = {
    "number": st.floats(),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "flag": st.booleans(),
    "data": st.binary(),
    "text": st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")),
}


@given(st.data())
def test_a_cell_comes_back_as_it_went(data: st.DataObject) -> None:
    for name, kind in KINDS.items():
        value = data.draw(st.none() | kind)
        line = msgspec.json.encode([contents.to_json(value)])
        back = contents.from_json(CELLS.c[name], msgspec.json.decode(line)[0])
        if isinstance(value, float) and math.isnan(value):
            assert math.isnan(back)
        else:
            assert back == value
            assert type(back) is type(value)
            assert repr(back) == repr(value)
