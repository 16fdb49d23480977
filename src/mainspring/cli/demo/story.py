"""What happens in the demo, in order. Nothing is scripted but when we press a button.

1. A real server is started; its engine trains the first version from January and February.
2. March to December are replayed as HTTP requests, labels by prediction id, on a turned clock.
   Beside the traffic:
3. The pipeline is run again (every step reused), then with one param changed.
4. The engine is killed (SIGKILL) in the middle of its work.
5. A slow candidate is registered: the gate measures it and refuses.
6. A sabotaged candidate is let into a canary by an override; the canary must find it out.
7. What was served is compared with what the first version would have said.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mainspring.cli.demo.results import compare
from mainspring.cli.demo.server import PATIENCE_S, Server
from mainspring.cli.demo.show import Show
from mainspring.cli.demo.traffic import DAY_S, Replay, Sent, Wire, flights
from mainspring.ground.errors import UnavailableError

LOOP = "flights"
#: Midnight of 1 March 2013 in New York.
MARCH = 1_362_114_000
#: An override that came to nothing, as the loop was about to do something else, is made again.
AGAIN_S = 5.0
#: How far into the replay (in days) each interference comes.
AGAIN_ON, KILL_ON, SLOW_ON, SABOTAGE_ON = 1, 60, 75, 110


class Story:
    """Plays the demo against a real server and counts what happened."""

    def __init__(self, home: Path, *, port: int, days: int | None, show: Show) -> None:
        self._server = Server(home, port)
        self._show = show
        self._days = days
        self._begun = time.monotonic()
        self._told: set[str] = set()
        self._decisions: list[dict[str, Any]] = []
        self._known = self._later = pl.DataFrame()
        self._measured: dict[str, Any] = {}
        self._interference: list[threading.Thread] = []
        self._trouble: list[BaseException] = []

    @property
    def url(self) -> str:
        """Return where the pages are."""
        return self._server.url

    def prepare(self, *, clean: bool) -> None:
        """Write the project and cut the year: what is known, what will be served."""
        rows = flights()
        self._known = rows.filter(pl.col("scheduled_at") < MARCH).drop("label_at")
        later = rows.filter(pl.col("scheduled_at") >= MARCH)
        if self._days is not None:
            later = later.filter(pl.col("scheduled_at") < MARCH + self._days * DAY_S)
        self._later = later
        self._server.prepare(self._known, clean=clean)

    @contextlib.contextmanager
    def server(self) -> Iterator[None]:
        """Have the server up; it leaves no process behind."""
        self._show.say("starting web, engine and supervisor")
        try:
            self._server.start()
            self._show.say(f"the pages are at {self._server.url}")
            yield
        finally:
            self._server.stop()

    def wait(self) -> None:
        """Keep the pages up until Ctrl-C."""
        self._server.wait()

    def run(self) -> dict[str, Any]:
        """Play every act and return what was measured."""
        first_answer_s = self._first_version()
        inputs = [c["name"] for c in self._version(1)["signature"]["columns"]]
        replay = Replay(self._later, inputs, self._server.url, LOOP, self._on_day)
        self._show.begin(int((self._later["scheduled_at"][-1] - MARCH) // DAY_S) + 1)
        sent = replay.run(self._endpoint_url())
        for thread in self._interference:
            thread.join(PATIENCE_S)
        self._show.end()
        if self._trouble:
            raise self._trouble[0]
        self._news()
        return self._result(sent, first_answer_s)

    # ------------------------------------------------------------ acts

    def _first_version(self) -> float:
        """Wait until version 1 is trained, judged, promoted and answers; return how long it took.

        The time is from the promotion to the first answer of the endpoint's own process.
        """
        self._show.say("training the first version on January and February")
        end = time.monotonic() + PATIENCE_S
        while not self._declared():  # up reads the project beside starting its processes
            self._expect_before(end, "the loop to be declared")
        while self._status()["champion"] is None:
            self._news()
            self._expect_before(end, "the first version")
        promoted = time.monotonic()
        while not self._endpoint_url(wanted=False):
            self._expect_before(end, "the endpoint")
        url = self._endpoint_url()
        while Wire(url).get("/v2/health/ready")[0] != 200:
            self._expect_before(end, "the first answer")
        took = time.monotonic() - promoted
        self._news()
        self._show.say(f"version 1 serves, {took:.1f} s after it was promoted")
        return took

    def _again(self) -> None:
        """Run the pipeline again, then with one param changed."""
        same = self._ended(self._start("the same pipeline again"))
        reused = [s for s in same["steps"] if s["state"] == "reused"]
        why = next((s["why"] for s in reused), "")
        self._measured |= {"reused_steps": len(reused), "why_reused": why}
        self._show.say(f"{len(reused)} of {len(same['steps'])} steps reused: {why}")
        other = self._ended(self._start("with 41 trees instead of 40", trees=41))
        ran = [f"{s['step']} ({s['why']})" for s in other["steps"] if s["state"] == "done"]
        self._show.say(f"ran again: {'; '.join(ran)}")

    def _too_slow(self) -> None:
        """Register a candidate that takes too long for one row; see the gate refuse it."""
        run = self._ended(self._start("slow on purpose", slow=True, register=True))
        number = self._version_of(run["run"]["id"])
        found = self._until_judged(number, time.monotonic() + PATIENCE_S)
        refused = [c for c in found["checks"] if not c["passed"]]
        self._measured["slow_refused"] = any(c["name"] == "latency" for c in refused)
        told = "; ".join(f"{c['name']}: {c['found']}, wanted {c['wanted']}" for c in refused)
        self._show.say(f"the gate on version {number}: {told or 'passed'}")

    def _on_day(self, sent: Sent) -> None:
        number = int((sent.now - MARCH) // DAY_S) + 1
        self._show.day(number, sent.rows, sent.failed)
        self._news()
        acts = {
            AGAIN_ON: self._again,
            KILL_ON: self._kill_engine,
            SLOW_ON: self._too_slow,
            SABOTAGE_ON: self._sabotage,
        }
        if number in acts:
            self._interfere(acts[number])

    def _kill_engine(self) -> None:
        """Kill the engine at work, and see another take over."""
        pid = self._server.kill_engine()
        self._show.say(f"killed the engine (process {pid}) with SIGKILL")
        end = time.monotonic() + PATIENCE_S
        while self._server.engine_pid() in (None, pid):
            self._expect_before(end, "another engine")
        now = self._server.engine_pid()
        self._measured["kills_survived"] = 1
        self._show.say(f"process {now} goes on where it was")

    def _sabotage(self) -> None:
        """Register a candidate with shuffled labels and let it into a canary by an override."""
        run = self._ended(self._start("with shuffled labels", shuffle=True, register=True))
        bad = self._version_of(run["run"]["id"])
        end = time.monotonic() + PATIENCE_S
        self._until_judged(bad, end)
        path = f"/api/v1/models/{LOOP}/versions/{bad}/override"
        reason = "The demo's sabotage: will the canary find it out?"
        again = 0.0
        while not self._was_in_rollout(bad):
            if self._status()["phase"] == "idle" and time.monotonic() >= again:
                # Refused where the loop has begun something since it was asked.
                code, _ = self._server.tell(path, {"reason": reason}, raw=True)
                again = time.monotonic() + (AGAIN_S if code == 200 else 0.0)
            self._expect_before(end, "a quiet moment for the sabotage")

    # ------------------------------------------------------------ asking

    def _interfere(self, act: Any) -> None:
        """Do an act beside the replay, so that traffic goes on meanwhile."""

        def guarded() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001  told at the end of the replay
                self._trouble.append(error)

        thread = threading.Thread(target=guarded, name=act.__name__)
        thread.start()
        self._interference.append(thread)

    def _start(self, told: str, *, register: bool = False, **params: Any) -> str:
        body: dict[str, Any] = {"pipeline": LOOP, "params": params}
        if register:
            body["register"] = LOOP
        run = self._server.tell("/api/v1/pipelines/run", body)["run"]
        self._show.say(f"run {run[-6:]}: {told}")
        return str(run)

    def _ended(self, run: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while True:
            found: dict[str, Any] = self._server.ask(f"/api/v1/runs/{run}")
            if found["run"]["status"] != "running":
                return found
            self._expect_before(end, f"run {run}")

    def _version_of(self, run: str) -> int:
        end = time.monotonic() + PATIENCE_S
        while True:
            made = self._server.ask(f"/api/v1/runs/{run}")["versions"]
            if made:
                return int(made[0].partition("/")[2])
            self._expect_before(end, f"the version of run {run}")

    def _version(self, number: int) -> dict[str, Any]:
        found = self._server.ask(f"/api/v1/models/{LOOP}/versions/{number}")
        return dict(found.get("version", found))

    def _until_judged(self, number: int, end: float) -> dict[str, Any]:
        while True:
            found = self._server.ask(f"/api/v1/models/{LOOP}/versions/{number}")
            if found.get("gates"):
                return dict(found["gates"][0])
            self._expect_before(end, f"the gate on version {number}")

    def _was_in_rollout(self, number: int) -> bool:
        """Return whether an overridden version is in its canary, or has been and went back."""
        if self._status()["candidate"] == number:
            return True
        let_in = {d["subject"] for d in self._decisions if d["kind"] == "override"}
        return any(d["kind"] == "roll_back" and d["subject"] in let_in for d in self._decisions)

    def _declared(self) -> bool:
        return bool(self._server.ask(f"/api/v1/loops/{LOOP}", raw=True)[0] == 200)

    def _status(self) -> dict[str, Any]:
        return dict(self._server.ask(f"/api/v1/loops/{LOOP}"))

    def _endpoint_url(self, *, wanted: bool = True) -> str:
        found = self._server.ask(f"/api/v1/endpoints/{LOOP}")
        if found["url"] is None and wanted:
            raise UnavailableError(f"The endpoint {LOOP} is {found['state']}.")
        return str(found["url"] or "")

    def _news(self) -> None:
        """Show the decisions that were made since the last look."""
        page = self._server.ask(f"/api/v1/decisions?loop={LOOP}&limit=50")
        for decision in reversed(page["decisions"]):
            if decision["id"] not in self._told:
                self._told.add(decision["id"])
                self._decisions.append(decision)
                if decision["kind"] not in ("dismiss", "wait"):
                    self._show.decided(decision)

    def _expect_before(self, end: float, what: str) -> None:
        if time.monotonic() > end:
            raise UnavailableError(
                f"The demo waited {PATIENCE_S} s for {what} in vain.",
                hint=f"Logs: mainspring logs --process engine --home {self._server.home}",
            )
        time.sleep(0.05)

    # ------------------------------------------------------------ the sum

    def _result(self, sent: Sent, first_answer_s: float) -> dict[str, Any]:
        kinds = [d["kind"] for d in self._decisions]
        return {
            "wall_s": round(time.monotonic() - self._begun, 1),
            "first_answer_s": round(first_answer_s, 2),
            "calls": sent.calls,
            "requests": sent.rows,
            "failed": sent.failed,
            "failures": sent.failures[:10],
            "labels": sent.labels,
            "rows_by_version": sent.versions,
            "retrains": kinds.count("retrain") - 1,  # the first training renews nothing
            "causes": self._causes(),
            "promoted": kinds.count("promote") - 1,
            "rolled_back": kinds.count("roll_back"),
            "refused_by_gate": self._refused(),
            "kills_survived": 0,
            "reused_steps": 0,
            "slow_refused": False,
            **self._measured,
            **self._compared(sent),
            "decisions": self._decisions,
        }

    def _refused(self) -> int:
        """Return how many versions the gate judged and did not pass."""
        verdicts = self._server.ask(f"/api/v1/models/{LOOP}")["verdicts"]
        return sum(not passed for passed in verdicts.values())

    def _causes(self) -> list[str]:
        """Return what asked for each retrained version: an alarm's kind, regret, a schedule."""
        found = []
        for row in self._server.ask(f"/api/v1/models/{LOOP}")["versions"]:
            kind, _, what = (row.get("cause") or "").partition(":")
            if kind == "alarm":
                alarm = self._server.ask(f"/api/v1/alarms/{what}")
                found.append(f"{alarm['kind']} of {alarm['subject']}")
            elif kind not in ("run", "first"):
                found.append(kind)
        return found

    def _compared(self, sent: Sent) -> dict[str, Any]:
        """Score the same rows with version 1 and compare; failed calls have no score."""
        if sent.failed:
            told = "; ".join(sent.failures[:3])
            raise UnavailableError(f"{sent.failed} of {sent.calls} calls failed: {told}")
        from mainspring.scaling.models.load import load

        with self._server.workspace() as ws:
            first = load(self._version(1)["package"], ws.objects)
        static = first.score(self._later.select([c.name for c in first.signature.columns]))
        return compare(
            self._later["scheduled_at"].to_numpy().astype(np.float64),
            self._later["late"].to_numpy().astype(np.float64),
            static.reshape(-1),
            np.concatenate(sent.scores),
        )
