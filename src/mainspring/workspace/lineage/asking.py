"""Ask where a thing came from and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.experiments import artifacts, datasets
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Rollout
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.walking import Near, walk
from mainspring.monitoring import windows
from mainspring.pipelines import lineage as steps
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.data import versions as data
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.lineage.edges import Edges, dataset
from mainspring.workspace.lineage.shapes import KINDS, Leads, Lineage
from mainspring.workspace.lineage.telling import things_of
from mainspring.workspace.tracking.catching_up import caught_up

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace
    from mainspring.workspace.views.predictions import PredictionStory

Direction = Literal["up", "down", "both"]
MOST, MOST_ASKED = 500, 5000
DEPTH, MOST_DEPTH = 12, 100


class Known:
    """What is not in the tables, or asked for more than once, of one question."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self.predictions: dict[str, PredictionStory] = {}
        self._rollouts: list[Rollout] | None = None
        self._models: dict[str, str] = {}

    def look_up(self, prediction: str, models: dict[str, str]) -> None:
        """Find a prediction in the captures and the logs, before the store is asked.

        Raises:
            NotFoundError: if nothing has its id.
        """
        from mainspring.workspace.views.predictions import prediction_story

        self.predictions[prediction] = prediction_story(self._ws, prediction)
        self._models = models

    def answered(self, prediction: str) -> str | None:
        """Return the version that answered a prediction, as model/number."""
        story = self.predictions.get(prediction)
        if story is None:
            return None
        model = self._models.get(story.endpoint)
        if story.version is not None and model is not None:
            return f"{model}/{story.version}"
        noted = next((one.version for one in story.notes if one.version), None)
        if noted is None or model is None:
            return None
        number = noted.rpartition("/")[2]
        return f"{model}/{number}" if number.isdecimal() else None

    def artifact(self, tx: Tx, ref: str) -> str | None:
        """Return the digest of what a run logged under a path."""
        run, _, path = ref.partition("/")
        folder, _, name = path.rpartition("/")
        return artifacts.digests(tx, run, folder).get(name)

    def rollouts(self, tx: Tx, models: Sequence[str]) -> list[Rollout]:
        """Return the newest rollouts of some models."""
        if self._rollouts is None:
            self._rollouts = rollouts.newest(tx, 1000)
        return [one for one in self._rollouts if one.model in models]


def lineage_of(
    ws: Workspace,
    subject: str,
    direction: Direction = "both",
    *,
    depth: int = DEPTH,
    most: int = MOST,
    kinds: Sequence[str] = (),
) -> Lineage:
    """Return what a thing came from and what came of it.

    ``subject`` is ``kind:id``, or a version as ``name/7`` or ``name@champion``. What a run that
    was deleted did is told, as deleted. With ``kinds`` only things of those are told; all that
    lies between is walked through all the same.

    Raises:
        BadInputError: if it is of no kind that can be asked about, or a limit cannot be.
        NotFoundError: if there is no such thing.
    """
    if not 1 <= depth <= MOST_DEPTH:
        raise BadInputError(f"depth is from 1 to {MOST_DEPTH}, found {depth}.", field="depth")
    if not 1 <= most <= MOST_ASKED:
        raise BadInputError(f"most is from 1 to {MOST_ASKED}, found {most}.", field="most")
    for kind in kinds:
        if kind not in KINDS:
            raise BadInputError(
                f"There are no things of the kind {kind[:80]!r}.",
                field="kinds",
                hint=f"One of {', '.join(KINDS)}.",
            )
    known, given = Known(ws), subject
    if subject.startswith("prediction:"):
        served = ws.read(Permission.READ, endpoints.list_endpoints)
        known.look_up(subject.partition(":")[2], {one.name: one.model for one in served})

    def look(tx: Tx) -> Lineage:
        start = resolved(tx, given)
        edges = Edges(tx, known)
        depths, leads, left = {start: 0}, [], 0
        for wanted, sign, near in (("up", -1, edges.up), ("down", 1, edges.down)):
            if direction not in (wanted, "both"):
                continue
            seen: list[Leads] = []
            reached, over = walk(
                start, _neighbours(near, seen, up=sign < 0), depth=depth, most=most
            )
            left += over
            for one in reached:
                depths.setdefault(one.name, sign * one.depth)
            leads += seen
        kept = dict.fromkeys(one for one in leads if {one.up, one.down} <= depths.keys())
        things = things_of(tx, known, depths)
        renamed = {name: thing.ref for name, thing in things.items()}
        told = [
            msgspec.structs.replace(one, up=renamed[one.up], down=renamed[one.down])
            for one in kept
        ]
        order = sorted(things.values(), key=lambda one: (abs(one.depth), one.depth, one.ref))
        whole = Lineage(subject=renamed[start], things=order, leads=told, left_out=left)
        return whole.only(kinds) if kinds else whole

    return caught_up(ws).read(Permission.READ, look)


def _neighbours(
    near: Callable[[Sequence[str]], list[Leads]], seen: list[Leads], *, up: bool
) -> Near[Leads]:
    """Return what a walk asks, and write down every edge that it is told."""

    def ask(names: Sequence[str]) -> dict[str, list[tuple[str, Leads]]]:
        found: dict[str, list[tuple[str, Leads]]] = {}
        for edge in near(names):
            seen.append(edge)
            here, there = (edge.down, edge.up) if up else (edge.up, edge.down)
            found.setdefault(here, []).append((there, edge))
        return found

    return ask


# ---------------------------------------------------------------- what is asked about


def resolved(tx: Tx, text: str) -> str:
    """Return the one reference of what is asked about.

    Raises:
        BadInputError: if it is of no kind that can be asked about.
        NotFoundError: if there is no such thing.
    """
    kind, mark, rest = text.partition(":")
    if not mark and ("@" in text or "/" in text):
        kind, rest = "version", text
    if kind not in KINDS or not rest.strip():
        raise BadInputError(
            f"{text[:200]!r} is nothing whose lineage is known.",
            field="subject",
            hint=f"One of {'; '.join(KINDS.values())}.",
        )
    return f"{kind}:{_RESOLVERS[kind](tx, rest)}"


def _file(tx: Tx, path: str) -> str:
    from mainspring.experiments import lineage as known_to_runs

    uris = {known_to_runs.uri_of(one.source) for one in known_to_runs.reads_from(tx, path)} - {""}
    uris |= {one.source for one in data.added_from(tx, path)}
    exact = [one for one in uris if one == path or one.endswith(f"/{path}")]
    if len(exact) == 1:
        return exact[0]
    if exact:
        told = ", ".join(sorted(exact)[:5])
        raise BadInputError(f"{path[:200]!r} could be {told}.", field="subject")
    raise NotFoundError(
        f"No run read a file {path[:200]!r}, and no data was added from it.", field="subject"
    )


def _dataset(tx: Tx, text: str) -> str:
    name, at, which = text.rpartition("@")
    if not at:
        if datasets.by_name(tx, text):
            return text
        raise _absent("dataset", text, "mainspring dataset list")
    if which.isdecimal() and len(which) < 10:
        return dataset(name, data.get(tx, name, int(which)).digest).partition(":")[2]
    found = {
        digest for digest, _ in datasets.by_name(tx, name, None if which == "latest" else which)
    }
    if which == "latest" and found:
        found = {datasets.by_name(tx, name)[0][0]}
    if len(found) == 1:
        return f"{name}@{found.pop()}"
    if found:
        several = ", ".join(sorted(one[:12] for one in found)[:5])
        raise BadInputError(f"{text[:200]} could be {several}.", field="subject")
    raise _absent("dataset", text, f"mainspring dataset show {name}")


def _run(tx: Tx, run: str) -> str:
    return experiments.get(tx, run).id


def _step(tx: Tx, text: str) -> str:
    run, _, step = text.partition("/")
    return f"{run}/{pipelines.get(tx, run, step).step}"


def _output(tx: Tx, digest: str) -> str:
    if not steps.of_outputs(tx, [digest]):
        raise _absent("step output", digest, "mainspring show RUN")
    return digest


def _artifact(tx: Tx, text: str) -> str:
    run, _, path = text.partition("/")
    experiments.get(tx, run)
    folder, _, name = path.rpartition("/")
    if name not in artifacts.digests(tx, run, folder):
        raise _absent("artifact", text, f"mainspring show {run}")
    return text


def _model(tx: Tx, name: str) -> str:
    if not registry.versions(tx, name):
        raise _absent("model", name, "mainspring models")
    return name


def _version(tx: Tx, text: str) -> str:
    found = registry.resolve(tx, text)
    return f"{found.model}/{found.number}"


def _alias(tx: Tx, text: str) -> str:
    registry.resolve(tx, text)
    return text


def _prediction(tx: Tx, text: str) -> str:  # noqa: ARG001  it was looked up before
    return text


_RESOLVERS = {
    "file": _file,
    "dataset": _dataset,
    "run": _run,
    "step": _step,
    "output": _output,
    "artifact": _artifact,
    "model": _model,
    "version": _version,
    "alias": _alias,
    "rollout": lambda tx, text: rollouts.get(tx, text).id,
    "endpoint": lambda tx, text: endpoints.get(tx, text).name,
    "window": lambda tx, text: windows.get(tx, text).id,
    "prediction": _prediction,
}


def _absent(kind: str, text: str, see: str) -> NotFoundError:
    return NotFoundError(
        f"There is no {kind} {text[:200]!r}.", field="subject", hint=f"See: {see}"
    )


# ---------------------------------------------------------------- in Python


def lineage(
    subject: str,
    direction: Direction = "both",
    *,
    depth: int = DEPTH,
    most: int = MOST,
    kinds: Sequence[str] = (),
) -> Lineage:
    """Return where a thing came from and what came of it.

    ``subject`` is ``kind:id``, such as ``run:run_01...``, ``dataset:flights@3``,
    ``prediction:3f9a-17`` or ``endpoint:flights``; a version is also ``name/7`` or
    ``name@champion``. ``direction`` is up, down or both. ``depth`` (1 to 100) bounds how far is
    looked, ``most`` (1 to 5,000) how many things are told each way; ``left_out`` says how many
    would have come next. ``kinds`` such as ``["endpoint"]`` tells things of those alone.

    Raises:
        BadInputError: if it is of no kind that can be asked about.
        NotFoundError: if there is no such thing.

    Example::

        bad = ms.lineage("dataset:flights@3", "down")
        [one.label for one in bad.of("endpoint")]  # what serves something learnt from it
    """
    from mainspring.workspace.asking import Server
    from mainspring.workspace.found import asked_place

    with asked_place() as place:
        if isinstance(place, Server):
            query = {"subject": subject, "direction": direction, "depth": depth, "most": most}
            texts = {key: str(value) for key, value in query.items()}
            if kinds:
                texts["kinds"] = ",".join(kinds)
            return msgspec.convert(place.ask("GET", "/api/v1/lineage", query=texts), Lineage)
        return lineage_of(place, subject, direction, depth=depth, most=most, kinds=kinds)
