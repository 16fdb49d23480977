"""Let the loop's own reactions live through a stream on a turned clock.

What decides is :func:`mainspring.loop.react`, the gate's check of candidate against champion and
the rollout's tests: the very functions that run. Only the rooms that carry out commands are made
up: to train is to grow quick trees, and it takes no time. What is known when is kept to strictly:
a label counts ``delay_s`` after its row, a window's inputs when it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring import loop
from mainspring.engine.schedules import Schedule, upcoming
from mainspring.ground import messages as m
from mainspring.ground.objects import (
    Gate,
    LoopSpec,
    Rollout,
    Strategy,
)
from mainspring.readiness.checks import champion
from mainspring.readiness.inputs import GateInputs
from mainspring.retraining import regret
from mainspring.retraining.challenge import advance, verdict
from mainspring.retraining.contenders import Contender
from mainspring.retraining.replay import Answers, Learnt, Replay, Windowed
from mainspring.workspace.replaying.noticing import Noticing

Floats = npt.NDArray[np.float64]

NAME = "simulated"
#: How often within a window newly arrived labels are looked at.
LOOKS = 16
_INPUTS, _LABELS = 0, 1
_NO_TIME = 1e-3  #: seconds: moments nearer than this are one


@dataclass
class Version:
    """A model that a simulated loop made, and the rows that it was judged by."""

    learnt: Learnt
    held: Floats  #: its losses on rows it did not learn from, none for the first version


@dataclass
class Turned:
    """One policy, and all that it has done so far."""

    replay: Replay
    contender: Contender
    noticing: Noticing
    gate: Gate
    run: Answers = field(init=False)
    versions: list[Version] = field(init=False)
    view: loop.View = field(init=False)
    rollout: Rollout | None = None

    def __post_init__(self) -> None:
        """Begin with a first version that serves."""
        self.run = self.replay.start()
        first = self.replay.at_first()
        self.versions = [Version(first, self._held_first(first))]
        begin = float(self.replay.stream.begins[self.replay.first])
        self.view = loop.View(loop=NAME, champion=1, promoted_at=begin, now=begin)
        self.spec = LoopSpec(
            name=NAME,
            model=NAME,
            pipeline=f"{NAME}:{NAME}",
            endpoint=NAME,
            target=NAME,
            kind=self.replay.stream.kind,
            gate=self.gate,
            rollout=self.contender.rollout,
            monitor=self.noticing.policy,
            retraining=self.contender.retraining,
        )
        self._queue: deque[m.AnyEvent] = deque()
        self._period = self.replay.first
        self._row = self.replay.first_row  #: the next row to be answered
        self._labelled = self.replay.first_row  #: rows whose labels were taken into account
        self._from_row = 0  #: the first row that the rollout's two versions both scored
        self._asked: float | None = None

    # ------------------------------------------------------------ time goes on

    def live(self, step: Callable[[float], None]) -> Answers:
        """Live through all served periods and return what was answered and done."""
        stream, periods = self.replay.stream, self.replay.served
        begin = float(stream.begins[self.replay.first])
        self._tell(m.LoopStarted(loop=NAME, at=begin, champion=1))
        self._asked = self._next_request(begin)
        self._due = self._windows()
        for period in periods:
            self._period = period
            begin, rows = float(stream.begins[period]), self.replay.rows(period)
            for part in range(LOOKS * self.replay.windows + 1):
                now = begin + stream.length_s * part / (LOOKS * self.replay.windows)
                last = part == LOOKS * self.replay.windows
                # Rows of the next period are not answered before it has begun.
                until = rows.stop if last else min(self.replay.rows_until(now), rows.stop)
                self._answer(period, slice(self._row, until))
                if not last:  # the last moment is the first one of the next period
                    self._moment(now)
            step((period + 1 - self.replay.first) / len(periods))
        return self.run

    def _moment(self, now: float) -> None:
        """Let everything happen that is due: labels, windows that are over, requests."""
        self._labels(now)
        while self._due and self._due[0][0] <= now + _NO_TIME:
            _, kind, window = self._due.popleft()
            self._input_window(window, now) if kind == _INPUTS else self._label_window(window, now)
        while self._asked is not None and self._asked <= now:
            asked = m.RetrainRequested(loop=NAME, at=now, by="schedule", reason="It is time.")
            self._tell(asked)
            self._asked = self._next_request(self._asked)

    def _windows(self) -> deque[tuple[float, int, Windowed]]:
        """Return all windows in the order of when they can be judged: inputs, then labels."""
        due = []
        for window in self.replay.windowed():
            due.append((window.end, _INPUTS, window))
            due.append((window.end + self.replay.delay_s, _LABELS, window))
        return deque(sorted(due))

    def _next_request(self, after: float) -> float | None:
        policy = self.contender.retraining
        if policy.schedule is None:
            return None
        cron = Schedule(name=NAME, cron=policy.schedule, tz=policy.schedule_tz)
        return upcoming(cron, after)[0]

    # ------------------------------------------------------------ traffic and what is noticed

    def _answer(self, period: int, rows: slice) -> None:
        if rows.stop <= rows.start:
            return
        base = self.replay.rows(period).start
        inside = slice(rows.start - base, rows.stop - base)
        scores, losses = self.replay.answer(self._champion.learnt, period)
        self.run.scores[rows], self.run.losses[rows] = scores[inside], losses[inside]
        if (share := self._share()) > 0 and self.rollout is not None:
            other = self.versions[self.rollout.challenger - 1].learnt
            theirs, lost = self.replay.answer(other, period)
            mine = self.replay.draws[rows] < share
            self.run.scores[rows][mine] = theirs[inside][mine]
            self.run.losses[rows][mine] = lost[inside][mine]
        self._row = rows.stop

    def _share(self) -> float:
        if self.rollout is None or self.rollout.purpose == "watch":
            return 0.0
        if self.rollout.strategy is Strategy.BLUE_GREEN:
            return 1.0
        return self.rollout.share if self.rollout.strategy is Strategy.CANARY else 0.0

    @property
    def _champion(self) -> Version:
        return self.versions[(self.view.champion or 1) - 1]

    def _input_window(self, window: Windowed, now: float) -> None:
        number = self.view.champion or 1
        found = self.noticing.drift(self._champion.learnt, number, window)
        rows = window.stop - window.start
        self._window(f"inputs-{window.number}", now, found, rows=rows)

    def _label_window(self, window: Windowed, now: float) -> None:
        number, version = self.view.champion or 1, self._champion
        found: list[tuple[str, str]] = []
        if version.learnt.end <= window.start:  # else it learnt from them
            _, losses = self.replay.answers(version.learnt, slice(window.start, window.stop))
            found = self.noticing.performance(number, window, losses, version.held)
        self._window(f"labels-{window.number}", now, found)

    def _window(self, name: str, now: float, found: list[tuple[str, str]], rows: int = 0) -> None:
        still = {(alarm.kind, alarm.subject) for alarm in self.view.alarms}
        refs = [
            m.AlarmRef(id=f"{name}:{kind}:{subject}", kind=kind, subject=subject)
            for kind, subject in found
            if (kind, subject) not in still
        ]
        for ref in refs:
            self.run.alarms[ref.kind] = self.run.alarms.get(ref.kind, 0) + 1
        self._tell(
            m.WindowClosed(
                loop=NAME,
                at=now,
                window=name,
                alarms=refs,
                rows=rows,
                labels_seen=self._labelled - self.replay.first_row,
            )
        )

    def _labels(self, now: float) -> None:
        """Let the rollout see the labels that came."""
        known = min(self.replay.known(now), self._row)
        come = slice(self._labelled, max(known, self._labelled))
        self._labelled = come.stop
        rollout = self.rollout
        if rollout is None:
            return
        both = slice(max(come.start, self._from_row), come.stop)
        if both.stop > both.start:
            sides = (rollout.champion, rollout.challenger)
            old, new = (self.replay.answers(self.versions[n - 1].learnt, both)[1] for n in sides)
            rollout = self.rollout = advance(rollout, old, new, self.contender.rollout)
        found = verdict(rollout, self.contender.rollout, now)
        if found is None:
            return
        self.rollout = None
        if rollout.purpose == "challenge":
            self._tell(
                m.Verdict(
                    loop=NAME,
                    at=now,
                    rollout=rollout.id,
                    version=rollout.challenger,
                    verdict=found.verdict,
                    reason=found.reason,
                    evidence=found.evidence,
                )
            )
        elif found.verdict == "better":
            self._tell(
                m.ChampionBroke(
                    loop=NAME,
                    at=now,
                    version=rollout.champion,
                    reason=found.reason,
                    evidence=found.evidence,
                )
            )

    # ------------------------------------------------------------ the loop and its rooms

    def _tell(self, event: m.AnyEvent) -> None:
        self._queue.append(event)
        while self._queue:
            reaction = loop.react(self._queue.popleft(), self.view, self.spec)
            self.view = reaction.view
            for command in reaction.commands:
                getattr(self, _ROOMS[type(command)])(command)

    def _answer_with(self, event: m.AnyEvent) -> None:
        self._queue.append(event)

    def _given(self, command: m.AnyCommand) -> dict[str, Any]:
        return {"loop": NAME, "at": command.at, "command": command.id}

    def measure_regret(self, command: m.MeasureRegret) -> None:
        """Compare the champion with fresh trees on the newest labelled rows."""
        self.run.checked += 1
        found = self._regret(command.at)
        self._answer_with(
            m.RegretMeasured(
                **self._given(command),
                pays=found is not None and found.pays,
                reason=found.reason if found else "There are too few labelled rows yet.",
                evidence=found.evidence if found else {},
                compared=found is not None,
            )
        )

    def _regret(self, now: float) -> regret.Regret | None:
        policy = self.contender.retraining
        split = self.replay.split(now, policy)
        if split is None or split.fresh.stop - split.fresh.start < regret.LEAST_FRESH:
            return None
        _, fresh = self.replay.answers(split.training, split.fresh)
        _, old = self.replay.answers(self._champion.learnt, split.fresh)
        times = self.replay.stream.times[split.fresh]
        return regret.compare(old, fresh, times, policy, volume=float(fresh.size))

    def train(self, command: m.Train) -> None:
        """Grow a version on what is known; a gated one leaves the newest rows to its judge."""
        policy = self.contender.retraining
        split = self.replay.split(command.at, policy)
        self.run.trained += 1
        self.run.note(self._period, command.at, "trained", command.reason)
        whole = self.replay.whole(command.at, policy)
        if split is None:
            made = Version(whole, np.empty(0))
        else:
            _, held = self.replay.answers(split.training, split.fresh)
            made = Version(split.training if self.contender.gated else whole, held)
        self.versions.append(made)
        number = len(self.versions)
        seconds = 60 * (self.contender.minutes or 0.0)
        self._answer_with(
            m.Trained(**self._given(command), run=f"run-{number}", ok=True, seconds=seconds)
        )

    def register(self, command: m.Register) -> None:
        """Give the version its number."""
        number = int(command.run.removeprefix("run-"))
        self._answer_with(m.Registered(**self._given(command), version=number))

    def judge(self, command: m.Judge) -> None:
        """Put the candidate beside the champion on rows that neither learnt from."""
        given = self._given(command)
        split = self.replay.split(command.at, self.contender.retraining)
        passed, reason = True, "It is not judged."
        if self.contender.gated and split is not None:
            sides = (self.versions[command.version - 1], self._champion)
            new, old = (self.replay.answers(side.learnt, split.fresh)[1] for side in sides)
            days = (self.replay.stream.times[split.fresh] // 86_400).astype(np.int64)
            inputs = GateInputs(
                candidate_losses=new,
                champion_losses=old,
                blocks=days,
                champion=self.view.champion,
            )
            checks = champion.check(inputs, self.gate)
            passed = all(check.passed for check in checks)
            reason = "; ".join(check.found for check in checks)
        if not passed:
            self.run.note(self._period, command.at, "refused", reason)
        self._answer_with(m.Judged(**given, version=command.version, passed=passed, reason=reason))

    def start_rollout(self, command: m.StartRollout) -> None:
        """Let the challenger meet traffic; without a gate it is called better at once."""
        if not self.contender.gated:
            self._answer_with(
                m.Verdict(
                    loop=NAME,
                    at=command.at,
                    rollout=NAME,
                    version=command.version,
                    verdict="better",
                    reason=command.reason,
                )
            )
            return
        self._from_row = self._row
        self.rollout = self._begun(command.version, command.at)

    def _begun(self, challenger: int, at: float, *, watch: bool = False) -> Rollout:
        policy = self.contender.rollout
        return Rollout(
            id=NAME,
            endpoint=NAME,
            model=NAME,
            champion=self.view.champion or 1,
            challenger=challenger,
            strategy=policy.strategy,
            share=policy.share,
            state="running",
            started=at,
            purpose="watch" if watch else "challenge",
            step=max(len(policy.steps) - 1, 0),  # a replay has no callers to be careful of
        )

    def promote(self, command: m.Promote) -> None:
        """Move the champion alias, and watch the new champion beside the old one."""
        self.run.promoted += 1
        self.run.note(self._period, command.at, "promoted", command.reason)
        previous = self.view.champion
        told: dict[str, Any] = {
            "version": command.version,
            "previous": previous,
            "reason": command.reason,
        }
        self._answer_with(m.Promoted(**self._given(command), **told))
        self.rollout = None
        if self.contender.gated and self.contender.rollout.watch_s > 0 and previous is not None:
            begun = self._begun(previous, command.at, watch=True)
            self._from_row = self._row
            self.rollout = _with_champion(begun, command.version)

    def withdraw(self, command: m.Withdraw) -> None:
        """Take a challenger back."""
        self.run.rolled_back += command.outcome == "rolled_back"
        self.run.note(self._period, command.at, command.outcome, command.reason)
        told: dict[str, Any] = {"version": command.version, "champion": self.view.champion}
        self._answer_with(m.RolledBack(**self._given(command), **told, reason=command.reason))

    def revert(self, command: m.Revert) -> None:
        """Give the alias back to the champion before."""
        self.run.rolled_back += 1
        self.run.note(self._period, command.at, "reverted", command.reason)
        self.rollout = None
        told: dict[str, Any] = {"version": command.version, "champion": command.to}
        self._answer_with(m.RolledBack(**self._given(command), **told, reason=command.reason))

    def _held_first(self, first: Learnt) -> Floats:
        """Return the losses on the newest fifth of the first rows of trees that never saw them."""
        cut = first.end - (first.end - first.start) // 5
        if not first.start + 50 <= cut < first.end:
            return np.empty(0)
        _, losses = self.replay.answers(Learnt(first.start, cut), slice(cut, first.end))
        return losses


_ROOMS: dict[type, str] = {
    m.MeasureRegret: "measure_regret",
    m.Train: "train",
    m.Register: "register",
    m.Judge: "judge",
    m.StartRollout: "start_rollout",
    m.Promote: "promote",
    m.Withdraw: "withdraw",
    m.Revert: "revert",
}


def _with_champion(rollout: Rollout, number: int) -> Rollout:
    return msgspec.structs.replace(rollout, champion=number)
