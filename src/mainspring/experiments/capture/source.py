"""Know what was started: command line, folder, script, seed, and the environment that matters."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

HIDDEN = "***"  #: stands for what was left out because it looks like a secret

#: How a process was started. Only the first three can be started again from their command.
How = Literal["script", "module", "code", "notebook", "interactive", "stdin"]
AGAIN: frozenset[How] = frozenset({"script", "module", "code"})

#: Names whose values change what a computation gives, or where it ran.
_MATTERS = re.compile(
    r"PYTHON(HASHSEED|PATH|OPTIMIZE|WARNINGS|UTF8)|(\w+_)?SEED|TZ|LANG|LC_\w+"
    r"|(OMP|MKL|OPENBLAS|NUMEXPR|VECLIB|POLARS|NUMBA|BLIS)_\w+"
    r"|CUDA_VISIBLE_DEVICES|CUBLAS_WORKSPACE_CONFIG|CUDA_LAUNCH_BLOCKING|NVIDIA_VISIBLE_DEVICES"
    r"|TF_\w+|XLA_\w+|JAX_\w+|TORCH_\w+|PYTORCH_\w+|KERAS_\w+|HF_(HOME|HUB_OFFLINE)"
    r"|(WORLD_SIZE|LOCAL_RANK|RANK|MASTER_ADDR|MASTER_PORT)"
    r"|SLURM_(JOB_ID|JOB_NAME|NTASKS|PROCID)|CONDA_DEFAULT_ENV|VIRTUAL_ENV|CI|GITHUB_SHA"
)
_SECRET_NAME = re.compile(
    r"(^|[_\-.])((api|access|private|secret|signing|encryption)[_\-.]?key|key$|token|secret|auth"
    r"|passw(or)?d|passphrase|pwd|credentials?|cookie)($|[_\-.\d])",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"(?<![A-Za-z0-9])(sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|A[KS]IA[A-Z0-9]{16}|xox[abeprs]-[\w-]{10,}|hf_[A-Za-z0-9]{20,}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----)"
)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How the process of a run was started."""

    how: How
    command: list[str]  #: as typed, the interpreter first; secrets are shown as ***
    folder: str  #: the working folder
    entry: str | None  #: the script, whole path
    environment: dict[str, str]  #: of the names that matter; secrets are shown as ***
    user: str

    @property
    def line(self) -> str:
        """Return the command as a shell would take it, the interpreter by its name."""
        first, *rest = self.command or [""]
        return shlex.join([Path(first).name, *rest])


def read(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Source:
    """Return how this process was started."""
    command = list(sys.orig_argv if argv is None else argv)
    how, entry = _how(command)
    folder = Path.cwd()
    return Source(
        how=how,
        command=hide_secrets(command),
        folder=os.fspath(folder),
        entry=None if entry is None else os.fspath(folder / entry),
        environment=mattering(os.environ if environ is None else environ),
        user=_user(),
    )


def seed(params: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> str | None:
    """Return the seed of a run: its param ``seed`` (or ``random_state``), else the environment's.

    >>> seed({"trees": 3, "random_state": 7}), seed({}, {"SEED": "11"}), seed({}, {})
    ('7', '11', None)
    """
    for key in ("seed", "random_state", "random_seed"):
        if params.get(key) is not None:
            return str(params[key])
    known = os.environ if environ is None else environ
    for key in ("MAINSPRING_SEED", "SEED", "RANDOM_SEED", "PYTHONHASHSEED"):
        if known.get(key):
            return known[key]
    return None


def mattering(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that matters to a run, secrets hidden.

    >>> mattering({"OMP_NUM_THREADS": "2", "HOME": "/home/x", "TF_API_KEY": "abc"})
    {'OMP_NUM_THREADS': '2', 'TF_API_KEY': '***'}
    """
    return {
        name: HIDDEN if _SECRET_NAME.search(name) else _value(value)
        for name, value in sorted(environ.items())
        if _MATTERS.fullmatch(name)
    }


def hide_secrets(words: Sequence[str]) -> list[str]:
    """Return a command without the values that look like secrets.

    >>> hide_secrets(["train.py", "--api-key=abc", "--token", "abc", "--lr", "0.1"])
    ['train.py', '--api-key=***', '--token', '***', '--lr', '0.1']
    >>> hide_secrets(["train.py", "postgresql://me:pw@db.example/rows"])
    ['train.py', 'postgresql://***@db.example/rows']
    """
    shown: list[str] = []
    follows = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = bool(_SECRET_NAME.search(name.lstrip("-")))
        if follows and not word.startswith("-"):
            shown.append(HIDDEN)
        elif equals and secret:
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(_value(word))
        follows = word.startswith("-") and not equals and secret
    return shown


# ---------------------------------------------------------------- parts


def _value(text: str) -> str:
    text = _SECRET_VALUE.sub(HIDDEN, text)
    return re.sub(r"(?<=://)[^/@\s]+(?=@)", HIDDEN, text)


def _how(command: Sequence[str]) -> tuple[How, str | None]:
    if any(Path(word).name.startswith("ipykernel") for word in command[:4]) or _in_kernel():
        return "notebook", None
    if _in_ipython():
        return "interactive", None
    rest = list(command[1:])
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "-c", "-m"):
        # Options of the interpreter; -W and -X may have their value in the next word.
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    if not rest:
        return ("interactive" if sys.flags.interactive or _at_a_terminal() else "stdin"), None
    kinds: dict[str, How] = {"-m": "module", "-c": "code", "-": "stdin"}
    how = kinds.get(rest[0], "script")
    return how, rest[0] if how == "script" else None


def _in_kernel() -> bool:
    # That the module is there says nothing: who starts kernels imports it as well.
    module = sys.modules.get("ipykernel.kernelapp")
    return module is not None and bool(module.IPKernelApp.initialized())


def _in_ipython() -> bool:
    module = sys.modules.get("IPython.core.getipython")
    return module is not None and module.get_ipython() is not None


def _at_a_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a uid without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else ""
