from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from mainspring.ground.errors import MainspringError, NotFoundError
from mainspring.ground.identity import sha256
from mainspring.ground.permissions import Principal, owner
from mainspring.pipelines import child, project, runs
from mainspring.pipelines.code import graph_code
from mainspring.pipelines.graph import Graph
from mainspring.pipelines.tables import METADATA
from mainspring.pipelines.tracing import trace


class MemoryTx:
    """A transaction on an SQLite database in memory."""

    dialect = "sqlite"

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @property
    def who(self) -> Principal:
        return owner()

    def all(self, statement: Any, values: Any = None) -> Sequence[Any]:
        return list(self.connection.execute(statement, values).all())

    def one(self, statement: Any, values: Any = None) -> Any | None:
        return self.connection.execute(statement, values).first()

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Any = None,
    ) -> int:
        if rows is None:
            return int(self.connection.execute(statement, values).rowcount)
        return int(self.connection.execute(statement, list(rows)).rowcount)

    def audit(
        self, action: str, subject: str, detail: Mapping[str, Any], reason: str = ""
    ) -> None:
        pass

    def now(self) -> float:
        return 0.0

    def lease_now(self) -> float:
        return 0.0


class MemoryObjects:
    """Objects in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[sha256(data)] = data
        return sha256(data)

    def put_file(self, path: Path) -> str:
        return self.put(path.read_bytes())

    def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise NotFoundError(f"There is no object {digest}.")
        return self.kept[digest]

    def fetch(self, digest: str, target: Path) -> None:
        target.write_bytes(self.get(digest))

    def has(self, digest: str) -> bool:
        return digest in self.kept

    def size(self, digest: str) -> int:
        return len(self.get(digest))


class Place:
    """A project's folder and all that is needed to run its pipelines, in this process."""

    def __init__(self, root: Path, tx: MemoryTx) -> None:
        self.root, self.tx, self.objects = root, tx, MemoryObjects()
        self.env: Mapping[str, str] = {"python": "3.11", "polars": "2.0"}
        self.count = 0

    def write(self, text: str, file: str = "project.py") -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "from mainspring.pipelines.declare import pipeline, step\n" if "@" in text else ""
        path.write_text(head + textwrap.dedent(text))

    def edit(self, old: str, new: str, file: str = "project.py") -> None:
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))

    def load(self, target: str = "main") -> Any:
        return project.load(self.root, target)

    def trace(self, target: str = "main", **params: Any) -> Graph:
        return trace(self.load(target), params)

    def plan(self, target: str = "main", fresh: Sequence[str] = (), **params: Any) -> str:
        loaded = self.load(target)
        graph = trace(loaded, params)
        self.count += 1
        run = f"run_{self.count}"
        runs.plan(self.tx, run, graph, graph_code(loaded, graph), self.env, fresh=fresh)
        return run

    def step(self, run: str, name: str) -> runs.StepPlan:
        """Do what the engine would do for one step."""
        plan = runs.prepare(self.tx, run, name, self.objects.has)
        if plan.reused:
            runs.reused(self.tx, plan, 1.0)
            return plan
        runs.started(self.tx, plan, 1.0)
        payload = {
            "root": str(self.root),
            "target": plan.target,
            "step": name,
            "run": run,
            "pipeline": "main",
            "args": plan.args,
            "code": plan.code,
        }
        try:
            out = child.execute(payload, self.objects)
        except MainspringError as error:
            runs.failed(self.tx, run, name, error.message, 2.0, trace=getattr(error, "trace", ""))
            return plan
        output = runs.Output(
            digest=out["output"],
            type=out["output_type"],
            blobs=out["blobs"],
            metrics=out["metrics"],
        )
        runs.finished(self.tx, plan, output, 2.0)
        return plan

    def run(
        self, target: str = "main", fresh: Sequence[str] = (), **params: Any
    ) -> dict[str, str]:
        """Run a pipeline to its end; return why each step did what it did, by "state: why"."""
        run = self.plan(target, fresh, **params)
        for record in runs.steps_of(self.tx, run):
            if runs.get(self.tx, run, record.step).state == "waiting":
                self.step(run, record.step)
        found = runs.steps_of(self.tx, run)
        self.errors = {one.step: one.error + one.trace for one in found if one.error}
        return {one.step: f"{one.state}: {one.why}" for one in found}

    def value(self, name: str, run: str | None = None) -> Any:
        from mainspring.pipelines.outputs import decode

        found = runs.output_of(self.tx, run or f"run_{self.count}", name)
        return decode(*found, self.objects, self.root / "out")


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def tx() -> Iterator[MemoryTx]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield MemoryTx(connection)
    engine.dispose()


@pytest.fixture
def place(tmp_path: Path, tx: MemoryTx) -> Iterator[Place]:
    root = tmp_path / "user"
    root.mkdir()
    yield Place(root, tx)
    project.close()
    assert str(root) not in sys.path
    shutil.rmtree(root)


@pytest.fixture
def states() -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda told: {step: text.partition(":")[0] for step, text in told.items()}
