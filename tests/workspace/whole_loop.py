"""A small whole loop, lived through while its engine is killed again and again.

The story: a first version is trained; its concept drifts; labels tell; a second version is
trained, judged, canaried and promoted, and the first watched; a third is asked for by hand,
is sabotaged, and is rolled back by its canary. Every day of traffic waits until the day before
is settled, so that what happens depends on the rows alone: a story with a hundred kills must
end exactly as one without.

* :class:`Nursery` forks engines; :class:`Crew` keeps one alive, however often it is killed.
* :class:`Traffic` is the endpoint: it scores by the real router and writes real captures.
* :class:`Watcher` looks at the champion every few milliseconds.
* :class:`Story` feeds the days and follows the kills; ``ending`` says how it came out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from sqlalchemy import select as choose

from mainspring.engine import marks, reactor
from mainspring.engine.tables import tasks
from mainspring.ground.clock import SystemClock
from mainspring.ground.objects import LoopSpec
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.pipelines import project
from mainspring.readiness import registry
from mainspring.scaling.models.load import load
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.router import Generation, Router, Variant
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.routing import routing

HERE = Path(__file__).parent
LOOP = "tide"
DAY = 86_400.0
FIRST = 19_700.0 * DAY  #: the first day of traffic; the file's rows are of the ten days before
ROWS = 240  #: a day
TURNS_ON, SPOILS_ON, ASKED_ON, LAST = 3, 7, 9, 12  #: days of the story
LEASE_S = 1.0
PATIENCE_S = 300.0  #: for one day, with all its kills, on a machine that is busy

PROJECT = '''
"""A project whose steps leave a mark each time they run."""
import json, os, signal, time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import mainspring as ms
from mainspring.pipelines.context import current

HERE = Path(__file__).parent
FIRST, DAY, ROWS, SPOILS = {first}, 86400.0, {rows}, {spoils}


def mark(step):
    """Note that the step runs; or be killed, where somebody put a file that asks for it."""
    for wish in sorted(HERE.glob("die-*")):
        try:
            wish.unlink()
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    line = json.dumps(dict(run=current().run, step=step, at=time.time(), pid=os.getpid()))
    with (HERE / "effects").open("a") as file:
        file.write(line + chr(10))


@ms.step
def base() -> pl.DataFrame:
    mark("base")
    random = np.random.default_rng(7)
    rows = 10 * ROWS
    a, b = random.normal(size=rows), random.normal(size=rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-4 * a - b))).astype(int)
    t = FIRST - 10 * DAY + np.arange(rows) * DAY / ROWS
    return pl.DataFrame(dict(a=a, b=b, y=y, t=t))


@ms.step(cache=False)
def gather(rows: pl.DataFrame, captured: str | None) -> pl.DataFrame:
    mark("gather")
    if captured:
        rows = ms.rows(captured).select(rows.columns)
        # Learnt rows of the days before the change would only blur it.
        rows = rows.tail(2 * ROWS)
    if rows["t"].max() >= SPOILS:
        rows = rows.with_columns(y=1 - pl.col("y"))
    return rows


@ms.step
def train(rows: pl.DataFrame) -> ms.FittedModel:
    mark("train")
    time.sleep(0.01)
    cut = rows.height * 4 // 5
    model = ms.Model(LogisticRegression(), "y", "binary", columns=["a", "b"], time="t")
    return model.fit(rows.head(cut), holdout=rows.tail(rows.height - cut))


@ms.pipeline
def tide(captured: str | None = None):
    return train(gather(base(), captured))


loop = ms.Loop(
    "{loop}", pipeline=tide, target="y", kind="binary", time="t",
    # What was spoilt must pass here: it is the canary that is to find it out.
    gate=ms.Gate(tolerance=1.0, max_latency_ms=60_000.0, baselines=False),
    card=ms.Card(purpose="Tell the tide.", owner="tests", limitations="None."),
    rollout=ms.Rollout(share=0.3, watch="2d"),
    monitor=ms.Monitor(window="1d", label_delay="1d", min_rows=50),
    retraining=ms.Retraining(
        on_drift="check", on_performance="retrain", check_every="4d", cooldown="2d", holdout="1d"
    ),
)
'''


# ---------------------------------------------------------------- engines


class Nursery:
    """The warm process; ``engine`` gives a new engine's pid, ``ended`` tells who has died."""

    def __enter__(self) -> Nursery:
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_THREAD_TIMEOUT": "8"}
        env["_RJEM_MALLOC_CONF"] = "background_thread:false"
        env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
        )
        self._rest = b""
        self._said: list[dict[str, Any]] = []
        self.ended: dict[int, int] = {}
        self._hear(lambda one: "ready" in one, 120)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def engine(self, settings: Settings, kill: str, log: Path) -> int:
        order = {"settings": msgspec.to_builtins(settings), "kill": kill, "log": str(log)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._hear(lambda one: "born" in one, 120)["born"])

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in who has died by now."""
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        while select.select([number], [], [], timeout_s)[0]:
            data = os.read(number, 1 << 16)
            assert data, "the nursery died"
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                one = json.loads(line)
                if "died" in one:
                    self.ended[one["died"]] = one["status"]
                else:
                    self._said.append(one)
            timeout_s = 0.0

    def _hear(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while True:
            for one in self._said:
                if wanted(one):
                    self._said.remove(one)
                    return one
            assert time.monotonic() < end, "the nursery says nothing"
            self.listen(0.5)


NAMED = (
    *("claim.committed", "handler.before", "handler.after", "finish.before_commit", "task.ended"),
    *("react.before", "react.before_commit", "react.committed", "step.prepared", "step.started"),
    *("step.ran", "rows.kept", "train.planned", "judge.measured"),
)


class Crew:
    """Keeps one engine at work. ``random`` None: nobody is killed."""

    def __init__(self, story: Story, nursery: Nursery, chance: random.Random | None) -> None:
        self._story = story
        self._nursery = nursery
        self._chance = chance
        self.kills: dict[str, int] = {}
        self.waits: list[float] = []  #: seconds from a restart to the take-over of a held task
        self._pid = 0
        self._strike: float | None = None  # when to kill it from outside
        self._held: dict[str, int] = {}  # tasks of dead engines: id -> attempt
        self._born = 0.0
        self._spared = False  # until what died too often is done
        self._kind = ""
        self._start()

    @property
    def total(self) -> int:
        return sum(self.kills.values())

    def tend(self) -> None:
        """Kill if it is time, see who died, start another, watch held tasks change hands."""
        now = time.monotonic()
        if self._strike is not None and now >= self._strike:
            self._strike = None
            with contextlib.suppress(ProcessLookupError):  # it may have died of itself just now
                os.kill(self._pid, signal.SIGKILL)
        if self._spared and not self._story.worn():
            self._spared = False
            self._strike = now + self._chance.uniform(0.0, 0.5) if self._chance else None
        self._nursery.listen()
        if self._pid in self._nursery.ended:
            status = self._nursery.ended.pop(self._pid)
            assert status == -signal.SIGKILL, f"an engine ended with {status}: {self._log_end()}"
            self.kills[self._kind] = self.kills.get(self._kind, 0) + 1
            self._held |= self._story.leased()
            self._start()
        if self._held:
            self._watch_held()

    def stop(self) -> None:
        """Let the engine end in its own time."""
        self._strike = None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        end = time.monotonic() + 60
        while self._pid not in self._nursery.ended:
            assert time.monotonic() < end, "the engine does not end"
            self._nursery.listen(0.1)
        self._nursery.ended.pop(self._pid)

    def spare(self) -> None:
        """Kill nobody from now on; the engine that is there may carry its death in it."""
        self._chance = None
        self._strike = None
        self._spared = False

    def _start(self) -> None:
        kill, self._strike, self._kind = self._fate()
        self._pid = self._nursery.engine(self._story.settings, kill, self._story.log)
        self._born = time.monotonic()
        if self._strike is not None:
            self._strike += self._born

    def _fate(self) -> tuple[str, float | None, str]:
        """Choose how the next engine dies: at a point, from outside, or with a step's child."""
        if self._chance is None:
            return "", None, ""
        # A task has five to ten lives, and is given up then: do not spend them all on one.
        self._spared = self._story.worn()
        if self._spared:
            return "", None, "outside"
        pick = self._chance.random()
        if pick < 0.5:
            name = self._chance.choice(NAMED)
            # A point that is not passed again must not let it live for good.
            return f"{name}:{self._chance.randint(1, 4)}", self._chance.uniform(2, 4), name
        if pick < 0.7:
            return f"{self._chance.randint(1, 60)}", self._chance.uniform(2, 4), "any point"
        if pick < 0.85:
            self._story.wish_a_step_dead()
        return "", self._chance.uniform(0.05, 1.5), "outside"

    def _watch_held(self) -> None:
        leased = self._story.leased()
        now = time.monotonic()
        for task, attempt in list(self._held.items()):
            if leased.get(task) != attempt:
                del self._held[task]
                self.waits.append(now - self._born)
        assert not self._held or now - self._born < LEASE_S + 60.0, (
            f"{self._held} still belong to dead engines {now - self._born:.1f} s after a restart:"
            f" {self._log_end()}"
        )

    def _log_end(self) -> str:
        return self._story.log.read_text()[-3000:] if self._story.log.exists() else ""


# ---------------------------------------------------------------- traffic


class Traffic:
    """The endpoint, without HTTP: real router, real captures, real labels."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._writer = CaptureWriter(ws.captures(LOOP), seal_s=0.5)
        self._router = Router(Counts(), self._writer.boot)
        self._loaded: dict[str, Any] = {}
        self.rows = 0

    def send(self, day: int) -> tuple[float, int]:
        """Send a day's rows and labels; return the newest event time and label batch."""
        columns, truth, times = rows_of(day)
        now = self._ws.read(Permission.READ, lambda tx: routing(tx, LOOP))
        champion = self._variant(now.champion, now.champion_package)
        challenger = self._variant(now.challenger, now.challenger_package)
        assert champion is not None
        generation = Generation(1, now, champion, challenger)
        prepared = champion.served.check(columns)
        first = self._writer.reserve(len(times))
        answer = self._router.answer(generation, champion, prepared, first)
        assert not self._router.trouble
        batch = Batch(
            first=first,
            received=self._ws.clock.now(),
            times=times,
            columns=prepared.columns,
            types=prepared.types,
            versions=answer.versions,
            scores=answer.scores,
            other_versions=answer.other_versions,
            other_scores=answer.other_scores,
        )
        assert self._writer.append(batch)
        assert self._writer.flush()
        self.rows += len(times)
        ids = self._writer.ids(first, len(times))
        return float(times[-1]), acts.add_labels(self._ws, LOOP, ids, truth.tolist())

    def close(self) -> None:
        self._writer.close()

    def _variant(self, number: int | None, package: str | None) -> Variant | None:
        if number is None or package is None:
            return None
        if package not in self._loaded:
            self._loaded[package] = load(package, self._ws.objects)
        return Variant(number, self._loaded[package])


def rows_of(day: int) -> tuple[dict[str, Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return a day's raw columns, truth and event times; the same for the same day."""
    chance = np.random.default_rng(1000 + day)
    a, b = chance.normal(size=ROWS), chance.normal(size=ROWS)
    sign = -1 if day >= TURNS_ON else 1
    truth = (chance.random(ROWS) < 1 / (1 + np.exp(-sign * (4 * a + b)))).astype(int)
    times = FIRST + day * DAY + np.arange(ROWS) * DAY / ROWS
    return {"a": a, "b": b}, truth, times


# ---------------------------------------------------------------- watching


class Watcher:
    """Asks every few milliseconds who is champion: none before the first, then exactly one."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher")
        self.looks = 0
        self.trouble = ""

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        seen: list[int | None] = []
        while not self._over.wait(0.01):
            champions, moves = self._ws.read(Permission.READ, _who_serves)
            self.looks += 1
            if len(champions) > 1 or (seen and not champions):
                self.trouble = f"champions {champions} after {moves}"
            elif champions and (not moves or champions[0] != moves[-1]):
                self.trouble = f"champion {champions}, but its history says {moves}"
            elif moves[: len(seen)] != seen:
                self.trouble = f"history {seen} became {moves}"
            if self.trouble:
                return
            seen = moves


def _who_serves(tx: Tx) -> tuple[list[int], list[int | None]]:
    from mainspring.readiness.tables import aliases

    rows = tx.all(choose(aliases.c.number).where(aliases.c.model == LOOP))
    moves = [move.number for move in registry.history(tx, LOOP, registry.CHAMPION)]
    return [row.number for row in rows], moves


# ---------------------------------------------------------------- the story


class Story:
    """One home, its traffic and its engine, from the first version to the last day."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.root = folder / "project"
        self.root.mkdir(parents=True)
        (self.root / "mainspring.toml").write_text("")
        text = PROJECT.format(first=FIRST, rows=ROWS, spoils=FIRST + SPOILS_ON * DAY, loop=LOOP)
        (self.root / "project.py").write_text(text)
        self.log = folder / "engine.log"
        self.settings = Settings(
            root=str(self.root),
            home=str(folder / "home"),
            database=database,
            lease_s=LEASE_S,
            workers=2,
        )
        self.ws = open_workspace(self.settings, clock=SystemClock())
        self.wishes = 0
        self.wall_s = 0.0

    @contextmanager
    def opened(self) -> Iterator[Story]:
        try:
            yield self
        finally:
            self.ws.close()

    def declare(self) -> LoopSpec:
        (found,) = project.find_loops(self.root)
        spec = found if isinstance(found, LoopSpec) else found.spec
        acts.declare(self.ws, spec)
        return spec

    def live(self, nursery: Nursery, chance: random.Random | None, kills: int = 0) -> Ending:
        """Live through the story; with a ``chance``, until there were at least ``kills``."""
        began = time.monotonic()
        self.declare()
        crew = Crew(self, nursery, chance)
        with Watcher(self.ws) as watcher:
            self._until(lambda: self._champion() is not None, crew, "the first version")
            traffic = Traffic(self.ws)
            for day in range(LAST):
                if day == ASKED_ON:
                    acts.retrain(self.ws, LOOP, "Will the canary find the sabotage out?")
                    self._until(self._in_canary, crew, "the canary")
                self._live_day(traffic, day, crew)
            ending = self._ending()
            day = LAST
            while chance is not None and crew.total < kills:
                self._live_day(traffic, day, crew)
                day += 1
            crew.spare()
            self._live_day(traffic, day, crew)
            crew.stop()
            traffic.close()
        assert not watcher.trouble, watcher.trouble
        assert watcher.looks > 50
        self.wall_s = time.monotonic() - began
        return dataclasses.replace(
            ending, kills=crew.kills, waits=crew.waits, days=day + 1, rows=traffic.rows
        )

    def _live_day(self, traffic: Traffic, day: int, crew: Crew) -> None:
        newest, batch = traffic.send(day)

        def settled(tx: Tx) -> bool:
            known = marks.read(tx)
            return (
                known.get(f"watermark:{LOOP}", 0.0) >= newest
                and known.get(f"labels:{LOOP}", 0.0) >= batch
            )

        self._until(lambda: self.ws.read(Permission.READ, settled), crew, f"day {day}")

    def _until(self, wanted: Callable[[], bool], crew: Crew, what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not wanted():
            crew.tend()
            assert time.monotonic() < end, f"{what} does not settle: {self._standing()}"
            time.sleep(0.02)

    def _standing(self) -> str:
        def look(tx: Tx) -> str:
            open_ = tx.all(
                choose(tasks.c.id, tasks.c.state, tasks.c.attempt, tasks.c.error).where(
                    tasks.c.state != "done"
                )
            )
            return f"{reactor.view(tx, LOOP)} {[tuple(r) for r in open_]}"

        log = self.log.read_text()[-3000:] if self.log.exists() else ""
        return f"{self.ws.read(Permission.READ, look)} {log}"

    # ------------------------------------------------------------ asked by the crew

    def leased(self) -> dict[str, int]:
        """Return the tasks that are held by somebody, with their attempt."""
        query = choose(tasks.c.id, tasks.c.attempt).where(tasks.c.state == "leased")
        return self.ws.read(
            Permission.READ, lambda tx: {row.id: row.attempt for row in tx.all(query)}
        )

    def worn(self) -> bool:
        """Return whether some task that is not done has been begun three times already."""
        unfinished = tasks.c.state.in_(["ready", "leased"])
        query = choose(tasks.c.id).where(unfinished, tasks.c.attempt >= 3)
        return self.ws.read(Permission.READ, lambda tx: tx.one(query) is not None)

    def wish_a_step_dead(self) -> None:
        """Have the next child that runs a step killed; one at a time."""
        if self.granted() < self.wishes:
            return
        self.wishes += 1
        (self.root / f"die-{self.wishes}").touch()

    def granted(self) -> int:
        """Return how many step children were killed."""
        return self.wishes - len(list(self.root.glob("die-*")))

    def _champion(self) -> int | None:
        return self.ws.read(Permission.READ, lambda tx: registry.champion(tx, LOOP))

    def _in_canary(self) -> bool:
        running = acts.running_rollout(self.ws, LOOP)
        return running is not None and running.purpose == "challenge"

    def _ending(self) -> Ending:
        from endings import ending

        return Ending(story=self.ws.read(Permission.READ, ending))


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a story came out; ``story`` must not depend on who was killed when."""

    story: dict[str, Any]
    kills: dict[str, int] = dataclasses.field(default_factory=dict)
    waits: list[float] = dataclasses.field(default_factory=list)
    days: int = 0
    rows: int = 0
