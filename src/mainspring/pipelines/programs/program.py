"""What the kinds of programs share: how they are found, called, and given a folder."""

from __future__ import annotations

import atexit
import inspect
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.identity import sha256
from mainspring.pipelines.context import current
from mainspring.pipelines.declare import Step
from mainspring.pipelines.options import settle

#: Never part of a program: what tools leave behind, and environments.
LEFT = {"__pycache__", "node_modules", "mlruns", "mlartifacts", "venv", "env"}
MOST_BYTES, MOST_FILES = 1 << 30, 20_000


class Recipe:
    """What a program step calls: it stands where a function stands in other steps.

    A kind of program says in ``code`` what it is made of, and does its work in ``work``.
    """

    word = "program"  #: what messages call it

    def __init__(self, signature: inspect.Signature, files: Sequence[str] = ()) -> None:
        frame = _caller()
        self.__module__ = str(frame.get("__name__", "__main__"))
        self.__name__ = self.__qualname__ = self.word.replace(" ", "_")
        self.__signature__ = signature
        file = frame.get("__file__")
        self.folder = Path(file).resolve().parent if file else Path.cwd()
        if isinstance(files, str):
            raise BadInputError(f"files is a list of names, found {files!r}.", field="files")
        self.files = tuple(files)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work in a folder of its own."""
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        return self.work(bound.arguments, working_folder())

    def __repr__(self) -> str:
        return f"<{self.word} {self.__name__}>"

    def code_parts(self) -> dict[str, str]:
        """Return what the program is made of, part by part, as ``code_digest`` does."""
        parts = {**self.code(), **{f"file {name}": d for name, d in self._digests().items()}}
        return dict(sorted(parts.items()))

    def code(self) -> Mapping[str, str]:
        """Return the parts that are this kind's own."""
        raise NotImplementedError

    def work(self, arguments: Mapping[str, Any], folder: Path) -> Any:
        """Run the program in ``folder`` and return what it made."""
        raise NotImplementedError

    def declared(self) -> dict[str, Path]:
        """Return the declared files by name, from the folder of the module that declares it.

        Raises:
            ProjectError: if one is not there, or not in that folder.
        """
        return files_of(self.folder, self.files, self.word)

    def _digests(self) -> dict[str, str]:
        return {name: digest_of(path) for name, path in self.declared().items()}


class Program(Step[..., Any]):
    """A step that is another program. It is called by the name it has in its module."""

    def __init__(self, recipe: Recipe, options: Mapping[str, Any]) -> None:
        super().__init__(recipe, settle(options))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; while a pipeline is traced, wire it in instead."""
        self.know_name()
        return super().__call__(*args, **kwargs)

    def know_name(self) -> None:
        """Take the name of the variable it is kept in, by which other processes find it."""
        recipe = self.function
        module = sys.modules.get(recipe.__module__)
        for name, value in vars(module).items() if module else ():
            if value is self:
                recipe.__name__ = recipe.__qualname__ = self.name = name
                self.__name__ = self.__qualname__ = name
                return


def working_folder() -> Path:
    """Return a new folder: the step's own, else one that lasts as long as this process."""
    context = current()
    if context is not None and context.folder is not None:
        return Path(tempfile.mkdtemp(prefix="program-", dir=context.folder))
    folder = Path(tempfile.mkdtemp(prefix="mainspring-program-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def files_of(folder: Path, patterns: Sequence[str], word: str) -> dict[str, Path]:
    """Return files by their names within a folder; a pattern may be a folder or have a ``*``.

    Raises:
        ProjectError: if a pattern finds nothing, leads out of the folder, or finds too much.
    """
    found: dict[str, Path] = {}
    size = 0
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern.strip("./"):
            raise ProjectError(
                f"{pattern!r} is not in the folder of the module.",
                field="files",
                hint="Name files from the folder of the module that declares them.",
            )
        whole = (folder / pattern).is_dir()
        here = (folder / pattern).rglob("*") if whole else folder.glob(pattern)
        fresh = {p.relative_to(folder).as_posix(): p for p in sorted(here) if _counts(p, folder)}
        if not fresh:
            raise ProjectError(f"A {word} needs {folder / pattern}, which is not there.")
        found |= fresh
        size += sum(path.stat().st_size for path in fresh.values())
        if len(found) > MOST_FILES or size > MOST_BYTES:
            raise ProjectError(
                f"{pattern} of a {word} is more than {MOST_FILES:,} files or"
                f" {MOST_BYTES >> 20:,} MB.",
                field="files",
                hint="Give data as an input of the step.",
            )
    return found


def copied(files: Mapping[str, Path], folder: Path) -> None:
    """Put copies of files into a folder, by their names."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def digest_of(path: Path) -> str:
    """Return the digest of a file's bytes, and of whether it can be executed."""
    can = "x" if path.stat().st_mode & 0o100 else "-"
    return sha256(can.encode() + path.read_bytes())


def check_text(value: object, field: str, what: str) -> str:
    """Return a text that says something.

    Raises:
        BadInputError: if it is none, is blank, or has a NUL.
    """
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        raise BadInputError(f"{what} must be text, found {value!r:.80}.", field=field)
    return value


def _counts(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") or part in LEFT for part in parts)
    return path.is_file() and not hidden


def _caller() -> dict[str, Any]:
    """Return the names of the module that declares a program: the first that is not ours."""
    frame = sys._getframe(1)  # noqa: SLF001  there is no other way to know who calls
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(
        "mainspring."
    ):
        frame = frame.f_back
    return frame.f_globals
