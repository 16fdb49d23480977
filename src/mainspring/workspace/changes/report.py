"""Report what a change does to a model: its smoke run, both sides, the champion, the gate."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.gates import Gate, GateResult
from mainspring.ground.permissions import Permission
from mainspring.ground.records import Record
from mainspring.ground.unpacking import unpack
from mainspring.readiness import declaring, registry, verdicts
from mainspring.readiness.telling import cell, table
from mainspring.scaling.models import load
from mainspring.scaling.models import package as packages
from mainspring.scaling.models.served import opened
from mainspring.scaling.serving import packaged
from mainspring.workspace import calling, engines, gates, registering
from mainspring.workspace.changes import beside, commenting, sides, telling
from mainspring.workspace.changes.sides import Side, Tell
from mainspring.workspace.views.comment import comment

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: A server's champion: what it is called, and its artifact; None where there is none.
Champion = Callable[[str], tuple[str, bytes] | None]
#: A server's gate for a model; None where nobody declared one there.
Served = Callable[[str], Gate | None]


class Wanted(Record, frozen=True, kw_only=True):
    """What is reported on."""

    root: str
    home: str
    pipeline: str
    model: str
    base: str
    params: list[str] = []  #: each as name=value
    smoke_rows: int = 200


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does, as a person reads it and as an exit code."""

    passed: bool
    headline: str
    why: str = ""  #: why it did not pass
    head: str
    base: str
    versions: dict[str, str] = {}  #: head, base and champion, those that there are
    gate: GateResult | None = None
    markdown: str


def reported(
    wanted: Wanted,
    ws: Workspace,
    champion: Champion,
    tell: Tell,
    served: Served = lambda _: None,
) -> Report:
    """Run both sides of a change and report on it; ``tell`` is told what begins.

    The gate is the server's where it has one, else the home's, else the project's.

    Raises:
        BadInputError: if the base is no commit, or there is no such pipeline.
    """
    root = Path(wanted.root)
    head, fork = sides.commit_of(root, "HEAD"), sides.fork_of(root, wanted.base)
    told = _Told(wanted, head, fork, changed=sides.is_changed(root))
    params = [word for one in wanted.params for word in ("-p", one)]
    smoke = ["--smoke", "--smoke-rows", str(wanted.smoke_rows), *params]
    tried = sides.run(root, wanted.home, head, wanted.pipeline, smoke, tell)
    told.smoke(tried)
    if tried.why:
        return told.failed("the smoke run failed", tried.why)
    full = ["--register", wanted.model, *params]
    before = Side(commit=fork, why="the change is none: both sides are one commit")
    if fork != head or told.changed:
        with sides.checked_out(root, fork) as folder:
            before = sides.run(folder, wanted.home, fork, wanted.pipeline, full, tell)
    theirs = served(wanted.model)
    if theirs is not None:
        told.lines += ["The gate is the server's.", ""]
        if theirs.approval:  # which is given where the version is promoted
            told.lines += ["An approval, which it asks for, is given there.", ""]
            theirs = msgspec.structs.replace(theirs, approval=False)
    declared = _declare(ws, wanted, theirs)
    now = sides.run(root, wanted.home, head, wanted.pipeline, full, tell)
    if now.version is None:
        why = now.why or "the pipeline returns no model"
        return told.failed("the run failed", why)
    if not declared and _declare(ws, wanted, theirs):  # there was no model before to declare it
        tell(f"{now.version}: judged by the {'project' if theirs is None else 'server'}'s gate")
        _judge_again(ws, now.version)
    tell(f"{now.version}: compared")
    return _compared(told, ws, now.version, before, champion)


def _compared(told: _Told, ws: Workspace, newest: str, before: Side, champion: Champion) -> Report:
    def look(tx: Any) -> tuple[str, GateResult | None]:
        version = registry.resolve(tx, newest)
        return version.package, verdicts.latest(tx, version.model, version.number)

    package, gate = ws.read(Permission.READ, look)
    told.versions = {"head": newest}
    others: dict[str, telling.Other] = {}
    why = {"base": before.why} if before.version is None else {}
    if before.version is not None:
        told.versions["base"] = before.version
        others[f"base ({before.version})"] = _loaded(ws, before.version)
    with _champions(ws, told.wanted.model, champion) as found:
        if found is None:
            why["champion"] = f"{told.wanted.model} has none here"
        else:
            told.versions["champion"] = found[0]
            others[f"champion ({found[0]})"] = found[1]
            if gate is not None and found[1].away:
                gate = beside.judged(ws, gate, package, found[0], found[1].served.signature)
        told.measured(f"head ({newest})", package, others, why, ws)
        told.lines += ["", beside.LIMITS] if found is not None and found[1].away else []
    model, _, number = newest.rpartition("/")
    against = before.version or "champion"
    told.lines += ["", _deeper(comment(ws, model, int(number), against))]
    if gate is None:
        return told.failed("it was not judged", "no gate judged the version")
    told.gate = gate
    if gate.passed:
        return told.done()
    broken = [check for check in gate.checks if not check.passed]
    words = "; ".join(f"{one.name}: {one.found}, wanted {one.wanted}" for one in broken)
    return told.failed("the gate refused it", words or "it waits for an approval")


class _Told:
    """A report that is being written."""

    def __init__(self, wanted: Wanted, head: str, base: str, *, changed: bool) -> None:
        self.wanted, self.head, self.base, self.changed = wanted, head, base, changed
        self.lines: list[str] = []
        self.versions: dict[str, str] = {}
        self.gate: GateResult | None = None

    def smoke(self, side: Side) -> None:
        """Tell how each step of the smoke run ended."""
        self.lines += [f"#### Smoke run on {self.wanted.smoke_rows} rows", ""]
        rows = [
            (one["step"], one["state"], f"{one['wall_s']:.2f} s", one["error"] or "")
            for one in side.steps
        ]
        if side.why and not rows:
            self.lines += [cell(side.why), ""]
            return
        self.lines += [*table(("Step", "State", "Took", ""), rows), ""]

    def measured(
        self,
        newest: str,
        package: str,
        others: Mapping[str, telling.Other],
        why: dict[str, str],
        ws: Workspace,
    ) -> None:
        """Tell the versions on the same rows."""
        self.lines += ["#### On the same rows", ""]
        own = telling.held(package, ws.objects)
        if own is None:
            self.lines += [f"{cell(newest)} kept no rows that it was measured on.", ""]
            return
        signature = packages.signature(package, ws.objects)
        found, apart = telling.scored(newest, own, signature, others)
        self.lines += telling.metrics(found)
        rows = f"{found.truth.size:,} rows that {cell(newest)}"
        said = "held out" if own.apart else "LEARNT FROM, for it held none out"
        self.lines += [f"{rows} {said}; another may know some. Intervals are of 95 %.", ""]
        missing = [f"No {cell(name)}: {cell(one)}." for name, one in {**why, **apart}.items()]
        self.lines += [" ".join(missing), ""] if missing else []
        self.lines += telling.picture(found)

    def done(self) -> Report:
        return self._report(True, "the gate passed", "")

    def failed(self, headline: str, why: str) -> Report:
        return self._report(False, headline, why)

    def _report(self, passed: bool, headline: str, why: str) -> Report:
        mark = "✅" if passed else "❌"
        dirty = " with changes that are not committed" if self.changed else ""
        beside = f"{self.head[:12]}{dirty} against {cell(self.wanted.base)} at {self.base[:12]}"
        lines = [f"## {mark} {cell(self.wanted.model)}: {headline}", "", f"{beside}.", ""]
        lines += [f"> {cell(why)}", ""] if why else []
        mark_ = commenting.mark(self.wanted.pipeline, self.wanted.model)
        text = "\n".join([*lines, *self.lines]).rstrip() + f"\n\n{mark_}\n"
        return Report(
            passed=passed,
            headline=f"{self.wanted.model}: {headline}",
            why=why,
            head=self.head,
            base=self.base,
            versions=self.versions,
            gate=self.gate,
            markdown=text,
        )


# ---------------------------------------------------------------- the gate, the champion


def _declare(ws: Workspace, wanted: Wanted, theirs: Gate | None = None) -> bool:
    """Declare the server's gate, or the project's where the home knows none; True if one is known.

    A home that a team shares keeps its own: a change cannot make its gate softer there.
    """
    try:
        known = gates.show(ws, wanted.model)
    except NotFoundError:
        return False
    gate = theirs if known.source != "loop" else None  # a loop's gate is declared with it
    if known.source == "default" and gate is None:
        gate = _projects(ws, wanted)
    if gate is not None:
        gates.declare(ws, wanted.model, gate)
    return True


def _projects(ws: Workspace, wanted: Wanted) -> Gate | None:
    """Return the gate that mainspring.toml or a loop of the project declares for the model."""
    told = ws.settings.gates.get(wanted.model)
    if told is not None:
        try:
            return declaring.Gate(**{"needs_card": False, **told})
        except TypeError as error:
            raise BadInputError(f"[gates.{wanted.model}]: {error}.", field="gates") from error
    loops = calling.child(ws, "project", {"root": wanted.root}, root=wanted.root)["loops"]
    found = next((one for one in loops if one["model"] == wanted.model), None)
    return None if found is None else msgspec.convert(found["gate"], Gate)


def _judge_again(ws: Workspace, version: str) -> None:
    model, _, number = version.rpartition("/")
    task = registering.judge_again(ws, model, int(number))
    engines.settle(ws, task)


def _loaded(ws: Workspace, reference: str) -> telling.Other:
    version = ws.read(Permission.READ, lambda tx: registry.resolve(tx, reference))
    return telling.Other(
        served=load.load(version.package, ws.objects),
        held=telling.held(version.package, ws.objects),
    )


@contextmanager
def _champions(
    ws: Workspace, model: str, champion: Champion
) -> Iterator[tuple[str, telling.Other] | None]:
    """Yield the champion ready to score: the server's, else the home's, else None."""
    told = champion(model)
    if told is None:
        number = ws.read(Permission.READ, lambda tx: registry.champion(tx, model))
        name = f"{model}/{number}"
        yield None if number is None else (name, _loaded(ws, name))
        return
    name, data = told
    with tempfile.TemporaryDirectory(prefix="mainspring-champion-") as place:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            unpack(tar, Path(place))
        held = packaged.Folder(Path(place))
        served = opened(held.packed.package, held.files, held.read)
        yield name, telling.Other(served=served, away=True)


def _deeper(markdown: str) -> str:
    """Return a comment as a part of a report: its first heading is one of three marks."""
    return markdown.replace("## ", "### ", 1)
