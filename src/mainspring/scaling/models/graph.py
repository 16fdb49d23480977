"""Run a graph of models in one process: each stage adds columns, the last one answers.

A graph is a package whose members' files lie inside of it, under the digests they have in their
own: so a member is pinned, travels with the graph, and stays as long as the graph does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, Protocol

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError, MainspringError, ModelFailedError
from mainspring.ground.objects import Column, Kind, Signature
from mainspring.scaling.models.features import Features, compile_features
from mainspring.scaling.models.ours import Floats, Ours
from mainspring.scaling.models.stages import GraphSpec, Stage

FILE = "graph.json"
FOLDER = "members"
_KEPT = 512  # times of a stage that its percentiles are of
#: What a member needs to score; its baseline, its rows and its loader stay behind.
_ASIDE = (
    "profile.json",
    "facts.json",
    "example.parquet",
    "reference.parquet",
    "MLmodel",
    "lock.txt",
    "code/",
)


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """Which package a member is."""

    package: str
    signature: Signature


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``graph.json``: the stages, and which package each member is, by ``name/7``."""

    spec: GraphSpec
    members: dict[str, Pinned]
    origin: str = ""  #: digest of the package that was registered


class Member(Protocol):
    """What a graph asks of a member."""

    signature: Signature

    @property
    def inline(self) -> bool:
        """Return whether it answers without waiting for another process."""

    def score(self, rows: pl.DataFrame) -> Floats:
        """Return scores of shape (rows, k)."""


Opener = Callable[[str, Mapping[str, str], Callable[[str], bytes]], Member]


class Graph(Ours):
    """A graph of models. Safe to use from several threads if its members are."""

    no_onnx = "A graph is scored stage by stage, each member in its own form."

    def __init__(
        self,
        facts: Facts,
        files: Mapping[str, str],
        read: Callable[[str], bytes],
        members: Mapping[str, Member],
    ) -> None:
        self.facts, self.files, self.read = facts, dict(files), read
        self.columns, self._plans = _planned(facts)
        answer = self._plans[-1]
        classes = np.asarray(answer.classes, dtype=object) if answer.classes else None
        super().__init__(answer.kind, [column.name for column in self.columns], classes)
        self._members = members
        self.waits = not all(member.inline for member in members.values())
        self._times = {plan.stage.name: _Times() for plan in self._plans}

    def scores(self, features: Any) -> Floats:
        """Return scores of shape (rows, k).

        Raises:
            MainspringError: of the stage that could not be scored, which it names.
        """
        frame = pl.DataFrame(features)
        found: Floats = np.empty((frame.height, 0))
        for plan in self._plans:
            stage, start = plan.stage, perf_counter()
            with _named(stage):
                if stage.columns is not None:
                    frame = frame.with_columns(plan.features.apply(frame))
                else:
                    found = self._scored(plan, frame)
                    frame = frame.with_columns(_columns(stage, plan, found))
            self._times[stage.name].add(perf_counter() - start)
        return found

    def stages(self) -> list[dict[str, Any]]:
        """Return how often and how long each stage was asked, in order."""
        return [{"stage": name} | one.told() for name, one in self._times.items()]

    def _scored(self, plan: _Plan, frame: pl.DataFrame) -> Floats:
        stage = plan.stage
        if stage.model is not None:
            return self._members[stage.model].score(frame)
        if stage.ensemble is not None:
            several = [self._members[one].score(frame) for one in stage.ensemble]
            return _together(several, stage, plan)
        if stage.switch is not None:
            return self._switched(stage, plan, frame)
        values = plan.features.apply(frame)[stage.name].to_numpy().astype(np.float64)
        return _checked(values.reshape(-1, 1), plan.kind)

    def _switched(self, stage: Stage, plan: _Plan, frame: pl.DataFrame) -> Floats:
        told = plan.features.apply(frame)[stage.name].cast(pl.String).to_list()
        chosen = [stage.cases.get(value, stage.otherwise) for value in told]
        if None in chosen:
            row = chosen.index(None)
            raise BadInputError(
                f"row {row} has the value {str(told[row])[:80]!r}, and no case is for it.",
                field=stage.name,
            )
        out = np.empty((frame.height, plan.width))
        for member in dict.fromkeys(chosen):
            rows = np.flatnonzero([one == member for one in chosen])
            out[rows] = self._members[str(member)].score(frame[rows])
        return out


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that was checked: what it computes, and what it gives."""

    stage: Stage
    kind: Kind
    classes: list[str]
    features: Features

    @property
    def width(self) -> int:
        return len(self.classes) if self.kind == "multiclass" else 1


class _Times:
    """How long a stage took, of late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: deque[float] = deque(maxlen=_KEPT)
        self._calls = 0

    def add(self, seconds: float) -> None:
        with self._lock:
            self._last.append(seconds * 1000)
            self._calls += 1

    def told(self) -> dict[str, Any]:
        with self._lock:
            last, calls = sorted(self._last), self._calls
        if not last:
            return {"calls": 0, "p50_ms": None, "p95_ms": None}
        p50, p95 = (last[min(int(len(last) * share), len(last) - 1)] for share in (0.5, 0.95))
        return {"calls": calls, "p50_ms": round(p50, 3), "p95_ms": round(p95, 3)}


def member_files(number: int, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files of the member of this number as a graph holds them, digest by path."""
    kept = {path: one for path, one in files.items() if not path.startswith(_ASIDE)}
    return {f"{FOLDER}/{number}/{path}": one for path, one in kept.items()}


def planned(facts: Facts) -> tuple[list[Column], Kind, list[str]]:
    """Return what a graph takes, and the kind and classes of its answer.

    Raises:
        BadInputError: naming the stage and what does not fit.
    """
    columns, plans = _planned(facts)
    return columns, plans[-1].kind, plans[-1].classes


def loaded(paths: Mapping[str, str], read: Callable[[str], bytes], opened: Opener) -> Graph:
    """Return the graph of a package, its members ready to score, each once."""
    facts = msgspec.json.decode(read(FILE), type=Facts)
    made: dict[str, Member] = {}
    ready: dict[str, Member] = {}
    for number, (name, pinned) in enumerate(facts.members.items()):
        start = f"{FOLDER}/{number}/"
        own = {path[len(start) :]: one for path, one in paths.items() if path.startswith(start)}
        if pinned.package not in made:
            made[pinned.package] = opened(pinned.package, own, partial(_below, read, start))
        ready[name] = made[pinned.package]
    files = {path: one for path, one in paths.items() if path.startswith(f"{FOLDER}/")}
    return Graph(facts, files, read, ready)


def _below(read: Callable[[str], bytes], start: str, path: str) -> bytes:
    return read(f"{start}{path}")


@contextmanager
def _named(stage: Stage) -> Iterator[None]:
    """Let an error name the stage in which it happened."""
    try:
        yield
    except MainspringError as error:
        told = f"Stage {stage.name!r}: {error.message}"
        error.message, error.args = told, (told,)
        raise


def _together(several: Sequence[Floats], stage: Stage, plan: _Plan) -> Floats:
    weights = np.asarray(stage.weights or [1.0] * len(several))
    weights = weights / weights.sum()
    if stage.how == "vote":
        several = [_voted(one, plan) for one in several]
    found: Floats = np.tensordot(weights, np.stack(several), axes=1)
    return found


def _voted(scores: Floats, plan: _Plan) -> Floats:
    """Return a member's scores as its vote: 1 for the class it says."""
    if plan.kind == "binary":
        return (scores >= 0.5).astype(np.float64)
    votes: Floats = np.eye(plan.width)[scores.argmax(axis=1)]
    return votes


def _checked(scores: Floats, kind: Kind) -> Floats:
    bad = ~np.isfinite(scores)
    if kind == "binary":
        bad |= (scores < -1e-9) | (scores > 1 + 1e-9)
    if bad.any():
        row = int(bad[:, 0].argmax())
        wanted = "a probability" if kind == "binary" else "a finite number"
        raise ModelFailedError(f"row {row} gives {scores[row, 0]!r}, which is not {wanted}.")
    return np.clip(scores, 0.0, 1.0) if kind == "binary" else scores


def _columns(stage: Stage, plan: _Plan, scores: Floats) -> list[pl.Series]:
    if plan.width == 1:
        return [pl.Series(stage.name, scores[:, 0])]
    return [
        pl.Series(f"{stage.name}_{name}", scores[:, place])
        for place, name in enumerate(plan.classes)
    ]


# ---------------------------------------------------------------- planning


def _planned(facts: Facts) -> tuple[list[Column], list[_Plan]]:
    """Check every stage against the columns before it; return the raw columns and the plans."""
    raw = _raw_columns(facts)
    have = list(raw)
    plans: list[_Plan] = []
    kind: Kind = "regression"
    classes: list[str] = []
    for stage in facts.spec.stages:
        with _named(stage):
            answers = [facts.members[one].signature for one in stage.members()]
            if answers:
                kind, classes = _agreed(answers, stage)
            elif stage.score is not None and facts.spec.kind is not None:
                kind, classes = facts.spec.kind, [] if facts.spec.kind == "regression" else classes
            plan = _Plan(
                stage=stage, kind=kind, classes=list(classes), features=_compiled(stage, have)
            )
            _fits(plan)
            have += [one for one in _gives(plan) if one.name not in {old.name for old in have}]
        plans.append(plan)
    return raw, plans


def _agreed(answers: list[Signature], stage: Stage) -> tuple[Kind, list[str]]:
    first = answers[0]
    for one in answers[1:]:
        if (one.kind, one.classes) != (first.kind, first.classes):
            raise BadInputError(
                f"its models differ: {first.kind} of {first.classes or first.target} and"
                f" {one.kind} of {one.classes or one.target}.",
                field="stages",
            )
    if stage.how == "vote" and first.kind == "regression":
        raise BadInputError("a vote needs classes, and its models give values.", field="stages")
    return first.kind, first.classes


def _fits(plan: _Plan) -> None:
    if plan.stage.score is not None and plan.kind == "multiclass":
        raise BadInputError(
            "a score is one number a row, and the models before it have several classes.",
            field="stages",
        )
    if plan.stage.score is not None and plan.kind == "binary" and not plan.classes:
        raise BadInputError("no model before it says what the two classes are.", field="stages")


def _compiled(stage: Stage, have: list[Column]) -> Features:
    """Return the expressions of a stage over the columns there are."""
    told = stage.columns
    text = stage.score if stage.score is not None else stage.switch
    if text is not None:
        told = {stage.name: text}
    if told is None:
        return compile_features(None, have)
    found = compile_features(told, have)
    if stage.score is not None and found.types[stage.name] == "str":
        raise BadInputError(f"{text!r} gives text; a score is a number.", field="stages")
    return found


def _gives(plan: _Plan) -> list[Column]:
    stage = plan.stage
    if stage.columns is not None:
        return [Column(name=name, type=word) for name, word in plan.features.types.items()]
    names = [stage.name] if plan.width == 1 else [f"{stage.name}_{one}" for one in plan.classes]
    return [Column(name=name, type="float") for name in names]


def _raw_columns(facts: Facts) -> list[Column]:
    """Return the columns that a graph takes: what members want and no stage before them gives."""
    found: dict[str, Column] = {}
    given: set[str] = set()
    for stage in facts.spec.stages:
        for member in stage.members():
            signature = facts.members[member].signature
            for column in signature.columns:
                if column.name in given:
                    continue
                known = found.setdefault(column.name, column)
                if known.type != column.type:
                    raise BadInputError(
                        f"Stage {stage.name!r}: {member} takes {column.name!r} as {column.type},"
                        f" a model before it as {known.type}.",
                        field=column.name,
                    )
        given |= set(stage.columns or ()) or _names(stage, facts)
    if not found:
        raise BadInputError("No model of the graph takes a column from outside.", field="stages")
    return list(found.values())


def _names(stage: Stage, facts: Facts) -> set[str]:
    first = next(stage.members(), None)
    signature = None if first is None else facts.members[first].signature
    if signature is None or signature.kind != "multiclass":
        return {stage.name}
    return {f"{stage.name}_{one}" for one in signature.classes}
