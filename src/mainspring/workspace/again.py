"""Make a run again from its record alone: the commit, the patch, the command, and compare.

1. Read what the run kept of itself (``experiments/capture``).
2. Clone the repository into a temporary folder, check the commit out, apply the patch.
3. Start the same command there, in the environment that mattered, as a new run.
4. Compare params, metrics, artifacts and packages of the two, and give a verdict.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainspring.experiments.capture import facts, source
from mainspring.experiments.capture.packages import versions
from mainspring.ground import environment
from mainspring.ground.settings import Settings

Verdict = Literal["same", "differs", "cannot"]

GIT_S = 600.0  #: a clone from far away takes its time
#: What the run's own record is kept under; it differs from one run to the next.
_OURS = "mainspring/"
_SYSTEM = "system/"
_SCRIPTS = ("script", "module", "code")


class CannotError(Exception):
    """A run cannot be made again; the text says why."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run: its record, its files by digest, and what it kept of itself."""

    run: dict[str, Any]  #: as the operation ``runs.get`` gives it
    artifacts: dict[str, str]  #: path -> digest
    source: facts.SourceFile | None
    ran_on: facts.EnvironmentFile | None
    patch: bytes = b""

    @property
    def id(self) -> str:
        """Return the run's id."""
        return str(self.run["id"])


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started, and where."""

    command: list[str]
    folder: str
    environ: dict[str, str]
    notes: list[str]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of both runs; None where one of them lacks it."""

    key: str
    was: Any
    now: Any
    same: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a run again."""

    run: str
    again: str | None
    verdict: Verdict
    why: str
    params: list[Pair] = []
    metrics: list[Pair] = []
    artifacts: list[Pair] = []
    packages: list[str] = []  #: what differs, in words
    notes: list[str] = []


# ---------------------------------------------------------------- preparing


def prepare(
    past: Past, settings: Settings, place: Path, *, linked: Sequence[str] = ()
) -> Prepared:
    """Make the working tree of a run again below ``place`` and say what to start in it.

    ``linked`` are files or folders that git does not have, such as data: they are linked from
    where the run found them.

    Raises:
        CannotError: saying why.
    """
    told = _startable(past)
    started, state = told.source, told.git
    if started is None or state is None:  # _startable has refused; this is for the types
        raise CannotError("the run kept neither its command nor its code")
    notes = [f"not in the patch: {one.path} ({one.why})" for one in state.left_out]
    root = Path(state.root)
    checkout = place / (root.name or "checkout")
    _check_out(state.root, state.commit, state.remote, checkout)
    if past.patch:
        _git(checkout, "apply", "--binary", "--whitespace=nowarn", stdin=past.patch)
    for one in linked:
        _link(root, checkout, one)
    folder = _moved(started.folder, root, checkout)
    if folder == started.folder:
        notes.append(f"it ran outside of its repository, and does again, in {folder}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    _check_entry(started.entry, root, checkout)
    command = [sys.executable, *(_word(one, root, checkout) for one in started.command[1:])]
    environ, hidden = _environ(past.id, started.environment, settings, root, checkout)
    notes += [f"{name} was not kept, since it looks like a secret" for name in hidden]
    return Prepared(command=command, folder=folder, environ=environ, notes=notes)


def _startable(past: Past) -> facts.SourceFile:
    """Return what the run kept of its start, if that is enough to start it again."""
    if past.run.get("pipeline"):
        name = str(past.run["pipeline"]).rpartition(":")[2]
        raise CannotError(
            f"it is a pipeline's run; run its steps afresh: mainspring run {name} --from STEP"
        )
    told = past.source
    if told is None:
        raise CannotError(
            "its command was not recorded (capture was off, or an MLflow client logged it)"
        )
    if told.source is None:
        raise CannotError(f"its command was not recorded: {told.not_captured.get('command', '')}")
    if told.source.how not in _SCRIPTS:
        where = {"notebook": "a notebook", "stdin": "a pipe"}.get(
            told.source.how, "an interactive session"
        )
        parent = past.run.get("parent")
        instead = f"; make its parent again: mainspring again {parent}" if parent else ""
        raise CannotError(f"it ran in {where}, which has no command to start again{instead}")
    if told.git is None:
        raise CannotError(f"its code is not known: {told.not_captured.get('git', 'no git')}")
    secret = [word for word in told.source.command if source.HIDDEN in word]
    if secret:
        raise CannotError(f"its command held a secret, which was not kept: {secret[0]}")
    return told


def _check_out(root: str, commit: str | None, remote: str | None, target: Path) -> None:
    if shutil.which("git") is None:
        raise CannotError("git is not installed")
    if commit is None:  # nothing was committed yet: the patch holds everything
        _git(target.parent, "init", "--quiet", target.name)
        return
    near = [Path(root), Path.cwd()]
    found = next((one for one in near if _has_commit(one, commit)), None)
    origin = os.fspath(found) if found is not None else remote
    if origin is None:
        raise CannotError(f"commit {commit[:12]} is neither in {root} nor here, and had no remote")
    # Shared: the objects stay where they are, and a commit that no branch has is found too.
    words = ["--shared"] if found is not None else []
    try:
        _git(target.parent, "clone", "--quiet", "--no-checkout", *words, origin, target.name)
        _git(target, "checkout", "--quiet", "--detach", commit)
    except CannotError as error:
        raise CannotError(f"commit {commit[:12]} cannot be checked out: {error}") from error


def _has_commit(folder: Path, commit: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        _git(folder, "cat-file", "-e", f"{commit}^{{commit}}")
    except CannotError:
        return False
    return True


def _git(folder: Path, *words: str, stdin: bytes = b"") -> None:
    # Hooks of the user's own template have no business in a temporary checkout.
    told = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", os.fspath(folder), *words]
    kept = {key: value for key, value in os.environ.items() if key not in _MEANT_FOR_OTHERS}
    try:
        done = subprocess.run(  # noqa: S603  a fixed program, words never a shell's
            told, input=stdin, capture_output=True, timeout=GIT_S, check=False,
            env={**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CannotError(f"git {words[0]} took longer than {GIT_S:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise CannotError(f"git {words[0]}: {lines[0].removeprefix('fatal: ')}")


_MEANT_FOR_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


def _link(root: Path, checkout: Path, name: str) -> None:
    path = Path(name)
    inside = path.relative_to(root) if path.is_absolute() and path.is_relative_to(root) else path
    origin, target = root / inside, checkout / inside
    if inside.is_absolute() or ".." in inside.parts:
        raise CannotError(f"{name} is not below {root}, so it needs no link")
    if not origin.exists():
        raise CannotError(f"there is no {origin} to link")
    if target.exists():
        raise CannotError(f"{inside} is in the commit already")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(origin)


def _check_entry(entry: str | None, root: Path, checkout: Path) -> None:
    if entry is None or not Path(entry).is_relative_to(root):
        return
    there = checkout / Path(entry).relative_to(root)
    if not there.exists() and not Path(entry).exists():
        raise CannotError(f"its script {entry} is neither in the commit nor in the patch")


def _moved(folder: str, root: Path, checkout: Path) -> str:
    """Return where a path of the repository is in the checkout; any other as it is."""
    path = Path(folder)
    return os.fspath(checkout / path.relative_to(root)) if path.is_relative_to(root) else folder


def _word(word: str, root: Path, checkout: Path) -> str:
    """Return a word of the command; what is in the checkout is meant there.

    What is not, such as an environment inside the project, stays where it is.
    """
    if not os.path.isabs(word):  # noqa: PTH117  a word that need not be a path
        return word
    moved = _moved(word, root, checkout)
    return moved if Path(moved).exists() else word


def _environ(
    run: str, recorded: Mapping[str, str], settings: Settings, root: Path, checkout: Path
) -> tuple[dict[str, str], list[str]]:
    """Return the environment of the command, and which names of it were not kept."""
    now = dict(os.environ)
    for name in [*source.mattering(now), *(one for one in now if one.startswith("MAINSPRING_"))]:
        if recorded.get(name) != source.HIDDEN:
            del now[name]
    hidden = [name for name, value in recorded.items() if value == source.HIDDEN]
    now |= {name: value for name, value in recorded.items() if value != source.HIDDEN}
    path = [_word(one, root, checkout) for one in now.get("PYTHONPATH", "").split(os.pathsep)]
    path = [*_editable(root, checkout), *(one for one in path if one)]
    if path:
        now["PYTHONPATH"] = os.pathsep.join(path)
    now["MAINSPRING_AGAIN"] = run
    now["MAINSPRING_HOME"] = settings.home
    for name in ("url", "token", "database", "objects"):
        value = getattr(settings, name)
        if value:
            now[f"MAINSPRING_{name.upper()}"] = value
    return now, hidden


def _editable(root: Path, checkout: Path) -> list[str]:
    """Return where packages of the repository that are installed for editing now are.

    Put first on the path they hide the ones that are installed, which are of the working tree.
    """
    found = []
    for project in environment.editable():
        if project.is_relative_to(root):
            there = checkout / project.relative_to(root)
            found += [os.fspath(one) for one in (there / "src", there) if one.is_dir()]
    return found


# ---------------------------------------------------------------- comparing


def compare(past: Past, now: Past, *, tolerance: float, notes: Sequence[str]) -> Comparison:
    """Compare a run with the one it was made again as.

    Metrics are the same if they differ by at most ``tolerance``, relative to the larger; NaN is
    the same as NaN. Load, and what a run keeps of itself, are left out.
    """
    params = _pairs(past.run["params"], now.run["params"])
    metrics = _pairs(
        _own(past.run["metrics"], _SYSTEM), _own(now.run["metrics"], _SYSTEM), tolerance
    )
    files = _pairs(_own(past.artifacts, _OURS), _own(now.artifacts, _OURS))
    parts = {"param": params, "metric": metrics, "artifact": files}
    wrong = [
        f"{sum(not one.same for one in pairs)} of {len(pairs)} {name}s"
        for name, pairs in parts.items()
        if not all(one.same for one in pairs)
    ]
    if past.run["status"] != now.run["status"]:
        wrong.insert(0, f"it {past.run['status']} then and {now.run['status']} now")
    counts = ", ".join(f"{len(pairs)} {name}s" for name, pairs in parts.items())
    return Comparison(
        run=past.id,
        again=now.id,
        verdict="differs" if wrong else "same",
        why=f"differs in {', '.join(wrong)}" if wrong else f"{counts} are the same",
        params=params,
        metrics=metrics,
        artifacts=files,
        packages=_packages(past, now),
        notes=list(notes),
    )


def cannot(run: str, why: str, notes: Sequence[str] = ()) -> Comparison:
    """Return the verdict on a run that cannot be made again."""
    return Comparison(run=run, again=None, verdict="cannot", why=why, notes=list(notes))


def chosen(past: Past, made: Sequence[Mapping[str, Any]]) -> str:
    """Return which of the runs that the command made is the one made again.

    Raises:
        CannotError: if it made none, or none in the same place.
    """
    if not made:
        raise CannotError("the command ended and made no run")
    nth = past.run["tags"].get("mainspring.nth")
    found = [one for one in made if one["tags"].get("mainspring.nth") == nth]
    if len(found) != 1:
        found = [one for one in found or made if one["name"] == past.run["name"]]
    if len(found) != 1 and len(made) == 1:
        found = list(made)
    if len(found) != 1:
        raise CannotError(f"the command made {len(made)} runs, and none is clearly this one")
    return str(found[0]["id"])


def _pairs(
    was: Mapping[str, Any], now: Mapping[str, Any], tolerance: float | None = None
) -> list[Pair]:
    return [
        Pair(key=key, was=was.get(key), now=now.get(key), same=_same(key, was, now, tolerance))
        for key in sorted({*was, *now})
    ]


def _same(
    key: str, was: Mapping[str, Any], now: Mapping[str, Any], tolerance: float | None
) -> bool:
    if key not in was or key not in now:
        return False
    a, b = was[key], now[key]
    # NaN crosses JSON as null or by its name, and is then equal to itself.
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    if tolerance is None or not numbers:
        return bool(a == b)
    return math.isclose(a, b, rel_tol=tolerance) or (math.isnan(a) and math.isnan(b))


def _own(values: Mapping[str, Any], ours: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith(ours)}


def _packages(past: Past, now: Past) -> list[str]:
    before, after = _installed(past), _installed(now)
    if before is None or after is None:
        return ["not known of both"]
    return environment.differences(before, after)


def _installed(one: Past) -> dict[str, str] | None:
    if one.ran_on is None or one.ran_on.packages is None:
        return None
    found = one.ran_on.packages
    return {**versions(found.installed), "python": found.python}
