"""Take down what a run is made of: tags to search by, and files that hold all of it.

Nothing here raises into the user's work. What could not be had is said in the tag
``mainspring.not_captured``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mainspring.experiments.capture import git, machine, packages, source
from mainspring.experiments.reserved import USER

T = TypeVar("T")

PATCH = "mainspring/changes.patch"
SOURCE = "mainspring/source.json"
ENVIRONMENT = "mainspring/environment.json"
SCRIPT = "mainspring/script"  #: folder of the script, kept where no repository has it
NOT_CAPTURED = "mainspring.not_captured"

#: Runs that start one after the other in a process share what was read that recently.
FRESH_S = 5.0
_MAX_SCRIPT_BYTES = 1_000_000


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """``mainspring/source.json``: what was started, from which code."""

    source: source.Source | None
    git: git.GitState | None
    not_captured: dict[str, str] = {}  #: part -> why


class EnvironmentFile(msgspec.Struct, frozen=True, kw_only=True):
    """``mainspring/environment.json``: what it ran on."""

    packages: packages.Packages | None
    machine: machine.Machine | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken down of a process; it is the same for runs that start close together."""

    source: source.Source | None
    git: git.GitState | None
    patch: bytes
    packages: packages.Packages | None
    machine: machine.Machine | None
    script: bytes | None
    missing: dict[str, str]
    at: float  #: by the monotonic clock
    #: What the files hold for every run, encoded once: runs may start by the hundred.
    told: bytes = b""
    environment: bytes = b""

    def tags(self, params: Mapping[str, Any], nth: int) -> dict[str, str]:
        """Return what runs are searched by; ``nth`` run of its process it is, from 0."""
        found = {"mainspring.seed": source.seed(params), "mainspring.nth": str(nth)}
        if self.git is not None:
            found |= git_tags(self.git)
        if self.source is not None:
            found |= {"mainspring.source": self.source.line, USER: self.source.user}
        if self.packages is not None:
            found["mainspring.python"] = self.packages.python
            found["mainspring.packages"] = self.packages.digest
        if self.machine is not None:
            found["mainspring.host"] = self.machine.host
            found["mainspring.gpu"] = ", ".join(one["name"] for one in self.machine.gpus)
        missing = "; ".join(f"{part}: {why}" for part, why in self.missing.items())
        found[NOT_CAPTURED] = missing
        return {key: _kept(value) for key, value in found.items() if value}

    def files(self) -> dict[str, bytes]:
        """Return what is kept as artifacts, by path; the same bytes for every run."""
        found = {SOURCE: self.told, ENVIRONMENT: self.environment}
        if self.patch:
            found[PATCH] = self.patch
        if self.script is not None:
            found[f"{SCRIPT}/script.py"] = self.script
        return found


def git_tags(state: git.GitState) -> dict[str, str | None]:
    """Return what a run is searched by of where its code stood; None for what is not there."""
    return {
        "mainspring.git.commit": state.commit,
        "mainspring.git.branch": state.branch,
        "mainspring.git.remote": state.remote,
        "mainspring.git.dirty": "true" if state.dirty else "false",
    }


_GATHERING = threading.Lock()
_known: dict[tuple[str, ...], Facts] = {}


def fresh(folder: Path, apart: Sequence[Path] = ()) -> Facts | None:
    """Return what was gathered for this folder within the last seconds, or None."""
    found = _known.get(_key(folder, apart))
    return found if found is not None and time.monotonic() - found.at < FRESH_S else None


def gather(folder: Path, apart: Sequence[Path] = ()) -> Facts:
    """Take down everything; tens of milliseconds, most of it spent by git.

    ``apart`` are folders that are not the user's, such as the home.
    """
    with _GATHERING:  # runs that start together wait for the one that reads
        known = fresh(folder, apart)
        if known is None:
            known = _gathered(folder, apart)
            _known.clear()
            _known[_key(folder, apart)] = known
        return known


def _gathered(folder: Path, apart: Sequence[Path]) -> Facts:
    missing: dict[str, str] = {}

    def part(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except git.CannotError as error:
            missing[name] = str(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the user's work goes on
            missing[name] = f"{type(error).__name__}: {error}"
        return None

    at = time.monotonic()
    state, patch = part("git", lambda: git.read(folder, apart=apart)) or (None, b"")
    started = part("command", source.read)
    if state is not None and state.left_out:
        names = ", ".join(one.path for one in state.left_out[:5])
        more = len(state.left_out) - 5
        missing["files"] = names + (f" and {more} more" if more > 0 else "")
    script = None if state is not None else part("script", lambda: _script(started))
    installed, ran_on = part("packages", packages.read), part("machine", machine.read)
    told = SourceFile(source=started, git=state, not_captured=missing)
    return Facts(
        told=_json(told),
        environment=_json(EnvironmentFile(packages=installed, machine=ran_on)),
        source=started,
        git=state,
        patch=patch,
        packages=installed,
        machine=ran_on,
        script=script,
        missing=missing,
        at=at,
    )


def _script(started: source.Source | None) -> bytes | None:
    if started is None or started.entry is None:
        return None
    file = Path(started.entry)
    if not file.is_file() or file.stat().st_size > _MAX_SCRIPT_BYTES:
        return None
    return file.read_bytes()


def _key(folder: Path, apart: Sequence[Path]) -> tuple[str, ...]:
    return (str(folder), *map(str, apart))


def _kept(value: str) -> str:
    """Return text that a tag can hold, whatever a file name or an error put into it."""
    plain = value.replace("\x00", "?").encode("utf-8", "replace").decode()
    return plain if len(plain) <= 2000 else f"{plain[:1997]}..."


def _json(value: Any) -> bytes:
    return msgspec.json.encode(_plain(msgspec.to_builtins(value)))


def _plain(value: Any) -> Any:
    """Return a value whose texts are all UTF-8: a command line may hold any bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
