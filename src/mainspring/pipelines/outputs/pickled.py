"""The last resort for a value of no other form: pickle, for the home that wrote it alone.

Reading a pickle runs what it says, so a pickle is read only if this home wrote it itself as what
a step of its own returned. Each is signed with a key that never leaves the home. What says so is
an object of its own:

    {"format", "workspace", "content", "type", "step", "python", "mac"}

where ``mac`` is HMAC-SHA256 over all the rest. So a pickle that came with an archive, was
uploaded, or lies under a signature copied from another one is refused before a byte of it is
read; and an archive taken to another home brings pickles that nobody there can open: the steps
that made them run anew.
"""

from __future__ import annotations

import contextlib
import hmac
import importlib.util
import io
import os
import pickle
import pickletools
import platform
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import DamagedError, PermissionDeniedError, ProjectError
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.ports import Objects
from mainspring.pipelines.outputs.forms import Stored

KEY = "pickle.key"  #: the file of a home that holds the key
NAME = "pickle"
_FORMAT = 1
_PROTOCOL = 5  # settled, or another Python would write other bytes


class PickledWarning(UserWarning):
    """A step returned what could only be kept by pickle; it names the step and what is better."""


class Seal:
    """The key of one home, and what it is known by; read when it is first needed."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        #: Says which home it is without saying the key.
        self.workspace = sha256(b"mainspring workspace\0" + key)[:16]

    def mac(self, told: dict[str, Any]) -> str:
        """Return the signature of everything a manifest says but its signature."""
        said = {name: value for name, value in told.items() if name != "mac"}
        # The first words keep this key's signatures from meaning anything elsewhere.
        return hmac.digest(self._key, b"mainspring pickle\0" + canonical(said), "sha256").hex()


_home: list[Path] = []
_seal: list[Seal] = []


def install(home: Path) -> None:
    """Say in which home steps run: it may read its own pickles and write more."""
    if _home != [home]:
        _home[:] = [home]
        _seal.clear()


def leave() -> None:
    """Stand in no home any more: nothing can be kept by pickle, and no pickle is read."""
    _home.clear()
    _seal.clear()


@contextlib.contextmanager
def within(home: Path | None) -> Iterator[None]:
    """Stand in a home for a while; without one, with a key that is gone afterwards."""
    before = (_home[:], _seal[:])
    _home[:] = [] if home is None else [home]
    _seal[:] = [Seal(secrets.token_bytes(32))] if home is None else []
    try:
        yield
    finally:
        _home[:], _seal[:] = before


def possible() -> bool:
    """Return whether this process stands in a home and may keep pickles at all."""
    return bool(_home or _seal)


def usable(mark: str, home: Path | None) -> bool:
    """Return whether what bears this mark is of this home, and can be read in it."""
    if home is None or not (home / KEY).exists():
        return False
    return hmac.compare_digest(Seal(read_key(home)).workspace, mark)


def encode(value: Any, objects: Objects, words: str, reason: str = "") -> Stored:
    """Keep a value by pickle, signed, and warn of it.

    ``words`` begins what is said, such as ``"Step train returned what cannot be kept"``;
    ``reason`` tells why no typed form took it.

    Raises:
        ProjectError: if it cannot be pickled, or what was pickled cannot be read again.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        data = _settled(value)
    except Exception as error:
        first = str(error).partition("\n")[0][:200]
        raise ProjectError(
            f"{words}: a {kind} cannot be kept, not even by pickle: {first}.",
            hint=_better(value),
        ) from error
    seal = _own()
    told = {
        "format": _FORMAT,
        "workspace": seal.workspace,
        "content": objects.put(data),
        "type": kind,
        "python": platform.python_version(),
    }
    digest = objects.put(canonical({**told, "mac": seal.mac(told)}))
    because = f" ({reason.rstrip('.')})" if reason else ""
    step = words.replace(" what cannot be kept", "")
    warnings.warn(
        f"{step} a {kind}, which was kept by pickle{because}: it can be read in this home alone,"
        f" and not by another version of what it is made of. {_better(value)}",
        PickledWarning,
        stacklevel=2,
    )
    return Stored(
        digest=digest, type=f"{NAME}@{seal.workspace}", blobs=[digest, str(told["content"])]
    )


def decode(digest: str, objects: Objects) -> Any:
    """Return a value that this home pickled.

    Raises:
        PermissionDeniedError: if it bears no valid signature of this home; nothing of it is read.
        ProjectError: if it cannot be read any more.
    """
    told = _manifest(digest, objects)
    if not possible():
        raise PermissionDeniedError(
            "A pickle is read in the home that wrote it, and this process stands in none.",
            hint="Let the step run in its home, or return a typed form.",
        )
    seal = _own()
    if told["workspace"] != seal.workspace:
        raise PermissionDeniedError(
            f"This {told['type']} was pickled in another home ({told['workspace']}, this is"
            f" {seal.workspace}), and a pickle from elsewhere is never read.",
            hint="Run the step again that made it, or let it return a typed form.",
        )
    if not hmac.compare_digest(seal.mac(told), str(told["mac"])):
        raise PermissionDeniedError(
            f"The pickle {str(told['content'])[:12]} bears a signature that is not this home's,"
            " and is not read.",
            hint="Somebody may have put it there: see mainspring audit.",
        )
    data = objects.get(str(told["content"]))  # by digest: these are the bytes that were signed
    try:
        return pickle.loads(data)  # noqa: S301, TID251  written and signed by this very home
    except Exception as error:
        raise ProjectError(
            f"A {told['type']} that was pickled by Python {told['python']} cannot be read by"
            f" {platform.python_version()}: {type(error).__name__}: {error}",
            hint="Run the step again that made it, or let it return a typed form.",
        ) from error


def _settled(value: Any) -> bytes:
    """Return a value pickled such that the same value gives the same bytes where that can be.

    Pickle remembers by identity which parts it met before, so one text that is two objects is
    written otherwise than one that is one. What was read back has settled: it is written a
    second time. It also shows at once, in the step that made it, that it can be read at all.
    """
    back = pickle.loads(_dumped(value))  # noqa: S301, TID251  our own bytes of a moment ago
    return pickletools.optimize(_dumped(back))


def _dumped(value: Any) -> bytes:
    held = io.BytesIO()
    pickle.Pickler(held, _PROTOCOL).dump(value)
    return held.getvalue()


def _manifest(digest: str, objects: Objects) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(objects.get(digest), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"The object {digest} is no pickle of ours: {error}") from error
    if told.get("format") != _FORMAT or not {"workspace", "content", "type", "python", "mac"} <= {
        *told
    }:
        raise DamagedError(f"The object {digest} is no pickle of ours.")
    return told


def _own() -> Seal:
    if not _seal:
        _seal.append(Seal(read_key(_home[0])))
    return _seal[0]


def read_key(home: Path) -> bytes:
    """Return the key of a home, made on first need and readable by its owner alone."""
    file = home / KEY
    if not file.exists():
        mine = file.with_name(f"{KEY}.{secrets.token_hex(8)}")
        number = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as to:
            to.write(secrets.token_bytes(32))
            to.flush()
            os.fsync(to.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(mine, file)  # whole or not at all; the first of several wins
        mine.unlink()
    key = file.read_bytes()
    if len(key) != 32:
        raise DamagedError(
            f"{file} does not hold a key.",
            hint="Remove it: what steps pickled so far is then made anew.",
        )
    return key


def _better(value: Any) -> str:
    """Return which typed form would be better, in a sentence."""
    kind = type(value)
    bases = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if "torch" in bases:
        return "Better: return its state_dict as a dict of arrays, or a file written by torch."
    if "sklearn" in bases:
        return "Better: scikit-learn's own estimators, or what ms.Model(...).fit returns."
    if "pandas" in bases:
        there = importlib.util.find_spec("pyarrow") is not None
        better = "a frame whose columns have one type each" if there else "a frame of polars"
        return f"Better: {'' if there else 'install pyarrow, or return '}{better}."
    if kind.__module__ == "numpy":
        return "Better: an array of numbers or text, or a list."
    if kind.__module__.partition(".")[0] not in ("builtins", "collections"):
        return f"Better: make {kind.__name__} a dataclass or a msgspec Struct."
    return "Better: a frame, an array, a file, plain data, or a dataclass."
