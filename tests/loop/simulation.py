"""Let the loop live through random histories and hold it to its promises.

One seed is one world: a store with versions, a champion and a rollout, rooms that carry out
commands (late, twice, or not at all), people who promote, override and pause, and time that
passes. Every event goes through ``loop.react``; the promises are checked after each.

    python -m tests.loop.simulation 1234            # replay one seed with a readable trace
    python -m tests.loop.simulation 0 20000         # seeds 0 to 19999; prints those that fail
"""

from __future__ import annotations

import random
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from mainspring import loop
from mainspring.ground import messages as m
from mainspring.ground.loops import Phase, View, but
from mainspring.ground.objects import DAY_S, LoopSpec, RetrainingPolicy
from mainspring.retraining import declaring

NAME = "l"
OUTCOMES = {"promoted", "rejected", "rolled_back", "dismissed"}
KINDS = ["drift", "score_drift", "joint", "performance", "concept", "slice", "quality", "rule"]
WISHES = [{}, {}, {"rule": "retrain", "slice": "note"}, {"drift:x": "note", "quality": "check"}]
#: What begins something. In a pause or a freeze none of it may be handed out.
BEGINNINGS = (m.MeasureRegret, m.Train, m.StartRollout, m.Promote)
ANSWERS = (m.RegretMeasured, m.Trained, m.Registered, m.Judged, m.Promoted, m.RolledBack)
QUIET_ROUNDS = 12
#: The loop promises the same whatever way a candidate meets traffic.
ROLLOUTS = [
    declaring.Rollout(),
    declaring.Rollout("shadow"),
    declaring.Rollout("blue_green", bake="1h"),
    declaring.Rollout("linear", share=0.25, every="1h"),
    declaring.Rollout(steps="5%:1h:100,50%:1d"),
]


class BrokenPromiseError(AssertionError):
    """The loop did what it promised never to do."""


@dataclass
class Running:
    """A challenger in traffic."""

    challenger: int
    champion: int
    command: str
    decided: bool = False
    harmed: bool = False


@dataclass
class World:
    """The store and everybody around it."""

    rng: random.Random
    trace: bool = False
    now: float = 1e9
    spec: LoopSpec = None  # type: ignore[assignment]
    view: View = field(default_factory=lambda: View(loop=NAME))
    queue: deque[m.AnyEvent] = field(default_factory=deque)
    flight: list[m.AnyCommand] = field(default_factory=list)
    runs: list[m.Train] = field(default_factory=list)
    given: dict[str, m.AnyCommand] = field(default_factory=dict)
    past: list[m.AnyEvent] = field(default_factory=list)
    champion: int | None = None
    rollout: Running | None = None
    versions: int = 0
    passed: set[int] = field(default_factory=set)
    proved: set[tuple[int, int]] = field(default_factory=set)  # (challenger, over champion)
    breakable: tuple[int, int] | None = None  # (champion, the one before it), on watch
    broke: dict[int, int] = field(default_factory=dict)  # version -> where to go back to
    told_broken: set[int] = field(default_factory=set)
    former: list[int] = field(default_factory=list)
    alarms: dict[str, str | None] = field(default_factory=dict)
    raised: int = 0
    last_train: float | None = None
    last_check: float | None = None
    well_compared: bool = True
    labels: int = 0
    labels_checked: int = 0
    trainings: int = 0
    trained_s: float = 0.0
    frozen_until: float | None = None
    paused: bool = False
    kindly: bool = False  # the quiet end: everything is answered, nothing fails

    # ------------------------------------------------------------ what happens

    def say(self, text: str) -> None:
        if self.trace:
            print(f"day {(self.now - 1e9) / DAY_S:7.2f}  {text}")

    def declare(self) -> None:
        rng = self.rng
        policy = RetrainingPolicy(
            on_drift=rng.choice(["check", "retrain", "note"]),
            on_performance=rng.choice(["check", "retrain", "retrain"]),
            on=rng.choice(WISHES),
            every_rows=rng.choice([None, None, 500]),
            every_labels=rng.choice([None, None, 400]),
            check_cooldown_s=rng.choice([0.0, 7 * DAY_S, 21 * DAY_S]),
            check_labels=rng.choice([None, 300]),
            check_every_s=rng.choice([None, 7 * DAY_S, 20 * DAY_S]),
            max_age_s=rng.choice([None, None, 60 * DAY_S]),
            cooldown_s=rng.choice([0.0, 7 * DAY_S, 14 * DAY_S]),
            budget=rng.choice([2, 50, 50]),
            budget_s=rng.choice([None, None, 300.0]),
        )
        self.spec = LoopSpec(
            name=NAME,
            model="model",
            pipeline="p:f",
            endpoint="e",
            target="y",
            kind="binary",
            retraining=policy,
            rollout=ROLLOUTS[crc32(repr(policy).encode()) % len(ROLLOUTS)],
        )
        self.emit(m.LoopStarted(loop=NAME, at=self.now, champion=self.champion))

    def emit(self, event: m.AnyEvent) -> None:
        self.queue.append(event)
        if isinstance(event, ANSWERS) and getattr(event, "command", None):
            self.past.append(event)

    def window(self) -> None:
        self.now += self.rng.choice([DAY_S, 7 * DAY_S])
        alarms = []
        for _ in range(0 if self.kindly else self.rng.choice([0, 0, 1, 1, 2])):
            self.raised += 1
            one = f"a{self.raised}"
            kind = self.rng.choice(KINDS)
            alarms.append(m.AlarmRef(id=one, kind=kind, subject="x"))
            self.alarms[one] = None
        self.labels += self.rng.choice([0, 100])
        told = {"rows": 100, "labels_seen": self.labels}
        self.emit(m.WindowClosed(loop=NAME, at=self.now, window="w", alarms=alarms, **told))

    def work(self) -> None:
        """Let some room carry out one command, or fail at it."""
        if self.runs and self.rng.random() < 0.5:
            command = self.runs.pop(0)
            ok = self.kindly or self.rng.random() < 0.85
            told = {"command": command.id, "run": "r", "ok": ok, "seconds": 60.0}
            self.emit(m.Trained(loop=NAME, at=self.now, **told))
            return
        if not self.flight:
            return
        command = self.flight.pop(self.rng.randrange(len(self.flight)))
        if not self.kindly and self.rng.random() < 0.07:
            self.fail(command, "the disk is full")
            return
        self.say(f"        room: {type(command).__name__} {command.id}")
        getattr(self, f"do_{type(command).__name__}")(command)

    def fail(self, command: m.AnyCommand, why: str) -> None:
        self.say(f"        room: {type(command).__name__} {command.id} fails: {why}")
        self.emit(m.CommandFailed(loop=NAME, at=self.now, command=command.id, error=why))

    def do_MeasureRegret(self, command: m.MeasureRegret) -> None:
        compared = self.rng.random() < 0.8
        pays = compared and not self.kindly and self.rng.random() < 0.6
        answer = {"command": command.id, "pays": pays, "reason": "measured", "compared": compared}
        self.emit(m.RegretMeasured(loop=NAME, at=self.now, **answer))

    def do_Train(self, command: m.Train) -> None:
        self.runs.append(command)

    def do_Register(self, command: m.Register) -> None:
        self.versions += 1
        answer = {"command": command.id, "version": self.versions}
        self.emit(m.Registered(loop=NAME, at=self.now, **answer))

    def do_Judge(self, command: m.Judge) -> None:
        passed = self.rng.random() < 0.75
        if passed:
            self.passed.add(command.version)
        answer = {"command": command.id, "version": command.version, "passed": passed}
        self.emit(m.Judged(loop=NAME, at=self.now, reason="judged", **answer))

    def wanted(self, command: m.AnyCommand) -> bool:
        """The fence of ``reactor.check_awaited``, in the same transaction as the effect."""
        if self.queue:
            self.flight.append(command)  # tried again once the loop knows everything
            return False
        if self.view.command != command.id:
            self.fail(command, "not wanted any more")
            return False
        return True

    def do_StartRollout(self, command: m.StartRollout) -> None:
        if not self.wanted(command):
            return
        self.hold(command.over == self.champion, "a rollout starts over another champion")
        self.hold(self.champion is not None, "a rollout starts without a champion")
        self.hold(self.rollout is None, "a rollout starts while another runs")
        self.rollout = Running(command.version, self.champion or 0, command.id)
        self.breakable = None

    def do_Promote(self, command: m.Promote) -> None:
        if not self.wanted(command):
            return
        before, version = self.champion, command.version
        self.hold(not self.paused, "5: promoted while paused")
        self.hold(command.over == before, "1: promoted over another champion")
        self.hold(version in self.passed, f"1: {version} became champion without a passed gate")
        if before is not None:
            proved = (version, before) in self.proved
            self.hold(proved, f"1: {version} was never proved better than {before}")
        self.move(version)
        self.rollout = None
        self.breakable = None if before is None else (version, before)
        answer = {"command": command.id, "version": version, "previous": before}
        self.emit(m.Promoted(loop=NAME, at=self.now, **answer))

    def do_Withdraw(self, command: m.Withdraw) -> None:
        self.rollout = None
        answer = {"command": command.id, "version": command.version, "champion": self.champion}
        self.emit(m.RolledBack(loop=NAME, at=self.now, **answer))

    def do_Revert(self, command: m.Revert) -> None:
        if not self.wanted(command):
            return
        broken = self.broke.get(command.version)
        self.hold(command.version == self.champion, "1: reverted one that does not serve")
        self.hold(broken == command.to, "1: reverted without a break, or to another version")
        self.move(command.to)
        self.rollout = None
        answer = {"command": command.id, "version": command.version, "champion": command.to}
        self.emit(m.RolledBack(loop=NAME, at=self.now, **answer))

    def move(self, version: int) -> None:
        if self.champion is not None:
            self.former.append(self.champion)
        self.champion, self.breakable = version, None
        self.broke.pop(version, None)  # chosen anew, it starts with a clean sheet
        self.told_broken.discard(version)

    def decide(self) -> None:
        """Let the rollout's labels decide it."""
        running = self.rollout
        if running is None:
            return
        if running.decided:  # a proof that waits is no shelter from the harm test
            self.harm(running)
            return
        running.decided = True
        verdict = self.rng.choice(["better", "better", "worse", "undecided"])
        if verdict == "better":
            self.proved.add((running.challenger, running.champion))
        self.emit(
            m.Verdict(
                loop=NAME,
                at=self.now,
                rollout=running.command,
                version=running.challenger,
                verdict=verdict,
                reason="decided",
            )
        )

    def harm(self, running: Running) -> None:
        if self.kindly or running.harmed or self.rng.random() < 0.7:
            return
        running.harmed = True
        told = {"rollout": running.command, "version": running.challenger, "verdict": "worse"}
        self.emit(m.Verdict(loop=NAME, at=self.now, reason="it turned", **told))

    def freeze(self) -> None:
        """Let a freeze begin, or end."""
        if self.kindly or self.frozen_until is None:
            self.frozen_until = None if self.kindly else self.now + 3 * DAY_S
            return
        self.frozen_until = None
        self.emit(m.FreezeEnded(loop=NAME, at=self.now))

    def breaks(self) -> None:
        if self.breakable is None:
            return
        version, before = self.breakable
        self.breakable = None
        self.broke[version] = before
        self.emit(m.ChampionBroke(loop=NAME, at=self.now, version=version, reason="worse"))

    def hand(self) -> None:
        """A person moves the champion: forward to a version that passed, or back."""
        forward = sorted(self.passed - {self.champion})
        back = [v for v in self.former if v != self.champion]
        if self.champion is not None and back and self.rng.random() < 0.4:
            before, to = self.champion, self.rng.choice(back)
            self.move(to)
            self.rollout = None
            told = {"version": before, "champion": to, "by": "ann", "reason": "by hand"}
            self.emit(m.RolledBack(loop=NAME, at=self.now, **told))
        elif forward:
            before, to = self.champion, self.rng.choice(forward)
            self.move(to)
            self.rollout = None
            told = {"version": to, "previous": before, "by": "ann", "reason": "by hand"}
            self.emit(m.Promoted(loop=NAME, at=self.now, **told))

    def person(self) -> None:
        who = {"loop": NAME, "at": self.now, "by": "bob", "reason": "so"}
        kind = self.rng.choice(["pause", "resume", "resume", "ask", "override", "declare"])
        if kind == "pause":
            self.emit(m.Paused(**who, withdraw=self.rng.random() < 0.4))
        elif kind == "resume":
            self.emit(m.Resumed(**who))
        elif kind == "ask":
            self.emit(m.RetrainRequested(**who, patient=self.rng.random() < 0.5))
        elif kind == "declare":
            if not self.queue:  # the spec is read when an event is handled
                self.declare()
        elif refused := sorted(set(range(1, self.versions + 1)) - self.passed):
            self.emit(m.Overridden(**who, version=self.rng.choice(refused)))

    def again(self) -> None:
        """Deliver an old answer once more."""
        if self.past:
            self.queue.append(self.rng.choice(self.past))

    # ------------------------------------------------------------ the loop, and its promises

    def hold(self, kept: bool, promise: str) -> None:
        if not kept:
            raise BrokenPromiseError(promise)

    def react(self) -> None:
        if not self.queue:
            return
        event = self.queue.popleft()
        before = self.view = but(self.view, frozen_until=self.frozen_until)
        reaction = loop.react(event, before, self.spec)
        self.view = after = reaction.view
        self.paused = after.paused
        if isinstance(event, m.RegretMeasured) and event.command == before.command:
            self.well_compared = event.compared
        if isinstance(event, m.CommandFailed) and event.command == before.command:
            self.well_compared &= before.phase is not Phase.CHECKING
        self._waits_said(event, before, reaction)
        if self.trace:
            self._tell(event, reaction)
        for command in reaction.commands:
            self._given(command, before)
        if isinstance(event, m.WindowClosed):
            known = {a.id for a in after.alarms} | {one for one, _ in reaction.ended}
            lost = [a.id for a in event.alarms if a.id not in known]
            self.hold(not lost, f"3: alarms {lost} were dropped")
        for one, outcome in reaction.ended:
            self.hold(outcome in OUTCOMES, f"3: alarm {one} ended as {outcome}")
            self.hold(self.alarms[one] is None, f"3: alarm {one} ended twice")
            self.alarms[one] = outcome
        if isinstance(event, m.ChampionBroke):
            self.told_broken.add(event.version)
        self._consistent()

    def _given(self, command: m.AnyCommand, before: View) -> None:
        self.hold(command.id not in self.given, f"command {command.id} was given twice")
        self.given[command.id] = command
        self.flight.append(command)
        name = type(command).__name__
        safe = isinstance(command, m.Withdraw | m.Revert)
        self.hold(safe or not self.view.paused, f"5: {name} while paused")
        begins = isinstance(command, BEGINNINGS)
        self.hold(not begins or self.frozen_until is None, f"5: {name} in a freeze")
        if isinstance(command, m.MeasureRegret):
            self._checked()
        if not isinstance(command, m.Train):
            return
        busy = [c.id for c in (*self.flight, *self.runs) if isinstance(c, m.Train)]
        self.hold(busy == [command.id], f"2: trainings at the same time: {busy}")
        policy = self.spec.retraining
        # What the queue still hides from the loop it cannot respect: its own view counts.
        if self.view.champion is not None and self.last_train is not None:
            gap = self.view.now - self.last_train
            self.hold(gap >= policy.cooldown_s, f"2: retrained {gap / DAY_S} days after the last")
            self.hold(self.trainings < policy.budget, "2: retrained beyond the budget")
            spent = policy.budget_s is not None and self.view.trained_s >= policy.budget_s
            self.hold(not spent, "2: retrained beyond the minutes of the budget")
        self.last_train = self.view.now
        self.trainings += 1

    def _checked(self) -> None:
        """Hold that a look at the regret comes neither too soon nor without new labels."""
        policy, last = self.spec.retraining, self.last_check
        if last is not None and self.well_compared:
            least = min(policy.check_cooldown_s, policy.check_every_s or policy.check_cooldown_s)
            rested = self.view.now - last >= least
            new = self.view.labels - self.labels_checked
            news = policy.check_labels is not None and new >= policy.check_labels
            self.hold(rested or news, "2: regret was measured again too soon")
        self.last_check, self.labels_checked = self.view.now, self.view.labels

    def _waits_said(self, event: m.AnyEvent, before: View, reaction: loop.Reaction) -> None:
        """Hold that nobody who asks is left without an answer, or with two."""
        if isinstance(event, m.RetrainRequested):
            said = [draft.kind for draft in reaction.decisions]
            moment = before.phase in (Phase.PROMOTING, Phase.WITHDRAWING, Phase.REVERTING)
            answered = {"retrain", "decline", "wait", "hold"} & set(said)
            self.hold(bool(answered) or moment, "a request got no answer")

    def _consistent(self) -> None:
        view = self.view
        for one, outcome in self.alarms.items():
            still = any(a.id == one for a in view.alarms)
            self.hold(not (still and outcome), f"3: alarm {one} ended and is still open")
        asked_again = view.phase in (Phase.WITHDRAWING, Phase.REVERTING)
        idle = view.phase is Phase.IDLE
        self.hold(idle == (view.command is None) or asked_again, "a phase without its command")
        self.hold(not idle or view.candidate is None, "idle with a candidate")
        if view.champion in self.told_broken and view.champion in self.broke:
            soon = view.phase in (Phase.PROMOTING, Phase.WITHDRAWING, Phase.REVERTING)
            self.hold(soon, f"4: {view.champion} broke and the loop is {view.phase}")
        if self.queue:
            return
        self.hold(view.champion == self.champion, f"the loop thinks {view.champion} serves")
        if idle and not self.flight:
            self.hold(self.rollout is None, "a rollout runs that the loop forgot")
        if view.phase is Phase.ROLLOUT and not self.flight:
            mine = self.rollout is not None and self.rollout.challenger == view.candidate
            self.hold(mine, "the loop waits for a rollout that does not run")
        awaited = view.command in {c.id for c in (*self.flight, *self.runs)}
        at_rest = idle or view.phase is Phase.ROLLOUT or view.paused or asked_again
        self.hold(awaited or at_rest or bool(view.held), f"{view.phase} waits for nothing")

    def _tell(self, event: m.AnyEvent, reaction: loop.Reaction) -> None:
        told = {k: getattr(event, k) for k in event.__struct_fields__ if k not in ("loop", "at")}
        told["alarms"] = [f"{a.id}:{a.kind}" for a in told.get("alarms", ())]
        shown = " ".join(f"{k}={v}" for k, v in told.items() if v not in ("", [], {}, None))
        self.say(f"{type(event).__name__} {shown}")
        for command in reaction.commands:
            self.say(f"    command {type(command).__name__} {command.id}")
        for draft in reaction.decisions:
            self.say(f"    {draft.kind} {draft.subject}: {draft.reason}")
        for one, outcome in reaction.ended:
            self.say(f"    alarm {one} ends {outcome}")
        view = reaction.view
        self.say(
            f"    -> {view.phase} champion={view.champion} candidate={view.candidate}"
            f" open={len(view.alarms)} held={len(view.held)}{' PAUSED' if view.paused else ''}"
        )

    # ------------------------------------------------------------ one history

    def live(self) -> None:
        """Live through one random history and its quiet end."""
        if self.rng.random() < 0.2:  # a model that served before the loop was declared
            self.versions = self.champion = 1
            self.passed.add(1)
        self.declare()
        chances: list[tuple[Any, float]] = [
            (self.react, 8),
            (self.work, 6),
            (self.window, 2),
            (self.decide, 2),
            (self.breaks, self.rng.choice([0.2, 2])),
            (self.hand, self.rng.choice([0, 0, 0.3, 1])),
            (self.person, self.rng.choice([0, 0.3, 1])),
            (self.freeze, self.rng.choice([0, 0, 0.3])),
            (self.again, self.rng.choice([0, 0.4])),
        ]
        acts, weights = [act for act, _ in chances], [weight for _, weight in chances]
        for act in self.rng.choices(acts, weights, k=self.rng.randrange(80, 200)):
            act()
        self.settle()

    def settle(self) -> None:
        """Let the world become quiet, and see that the loop does too."""
        self.kindly = True
        self.freeze()
        self.emit(m.FreezeEnded(loop=NAME, at=self.now))
        self.emit(m.Resumed(loop=NAME, at=self.now, by="bob", reason="all is well"))
        for _ in range(QUIET_ROUNDS):
            for _ in range(200):
                if not (self.queue or self.flight or self.runs) and (
                    self.rollout is None or self.rollout.decided
                ):
                    break
                self.react()
                self.work()
                self.decide()
            self.window()
            self.now += 7 * DAY_S
        while self.queue or self.flight or self.runs or self.view.phase is not Phase.IDLE:
            stuck = not (self.queue or self.flight or self.runs or self.rollout)
            self.hold(not stuck, f"the world is quiet and the loop is {self.view.phase}")
            self.react()
            self.work()
            self.decide()
        self.hold(not self.view.held, "the world is quiet and events are still held")
        # Without a champion nothing was alarming, and nothing can be done about it.
        open_ = [one for one, outcome in self.alarms.items() if outcome is None]
        self.hold(not open_ or self.champion is None, f"3: alarms {open_} never ended")
        self.hold(self.champion not in self.broke, f"4: {self.champion} broke and still serves")


def play(seed: int, trace: bool = False) -> None:
    """Play one seed.

    Raises:
        BrokenPromiseError: if a promise was broken; the message begins with its number.
    """
    world = World(random.Random(seed), trace=trace)
    world.live()


def failures(first: int, count: int) -> list[str]:
    """Play many seeds and return what broke: one line each."""
    broken = []
    for seed in range(first, first + count):
        try:
            play(seed)
        except BrokenPromiseError as error:
            broken.append(f"seed {seed}: {error}")
    return broken


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    if len(numbers) == 1:
        play(numbers[0], trace=True)
    else:
        lines = failures(*numbers)
        print("\n".join(lines))
        sys.exit(bool(lines))
