"""Make a run again from its record alone: the commit, the patch, the command, and compare.

1. Read what the run kept of itself (``experiments/capture``).
2. Clone the repository into a temporary folder, check the commit out, apply the patch.
3. Start the same command there, in the environment that mattered, as a new run.
4. Compare the two (:mod:`verdicts`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mainspring.experiments.capture import facts, source
from mainspring.experiments.datasets import Use
from mainspring.experiments.sources import describe
from mainspring.ground import environment
from mainspring.ground.settings import Settings
from mainspring.workspace import checkouts
from mainspring.workspace.checkouts import CannotError as CannotError

_SCRIPTS = ("script", "module", "code")


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run: its record, its files by digest, and what it kept of itself."""

    run: dict[str, Any]  #: as the operation ``runs.get`` gives it
    artifacts: dict[str, str]  #: path -> digest
    source: facts.SourceFile | None
    ran_on: facts.EnvironmentFile | None
    patch: bytes = b""
    inputs: list[Use] = []  #: the data it read

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
    checkouts.check_out(state.root, state.commit, state.remote, checkout)
    if past.patch:
        checkouts.git(checkout, "apply", "--binary", "--whitespace=nowarn", stdin=past.patch)
    for one in linked:
        checkouts.link(root, checkout, one)
    notes += _link_inputs(past.inputs, root, checkout)
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


def _link_inputs(inputs: Sequence[Use], root: Path, checkout: Path) -> list[str]:
    """Link the data that the run noted and git does not have, if it is still what it was."""
    notes = []
    for path, digest in _local(inputs).items():
        if not path.is_relative_to(root) or (checkout / path.relative_to(root)).exists():
            continue
        if not path.exists():
            notes.append(f"its data {path} is gone")
        elif describe(path).digest != digest:
            notes.append(f"its data {path} is not what it was, and was not linked")
        else:
            checkouts.link(root, checkout, os.fspath(path))
    return notes


def _local(inputs: Sequence[Use]) -> dict[Path, str]:
    """Return the files and folders that a run noted as its data, with their digests."""
    found = {}
    for one in inputs:
        if one.dataset.source_type == "local":
            told = _json(one.dataset.source)
            uri = told.get("uri") if isinstance(told, dict) else None
            if isinstance(uri, str) and os.path.isabs(uri):  # noqa: PTH117  a text so far
                found[Path(uri)] = one.dataset.digest
    return found


def _json(text: str) -> Any:
    """Return what JSON says, or nothing if it is none: other clients note data as well."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


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
