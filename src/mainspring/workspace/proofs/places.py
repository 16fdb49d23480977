"""Make a clean place in which a pipeline's run can be made again: its code, its data.

1. The commit is checked out and the patch applied; or the project's own files are written as
   they were. Both come out of the home's objects and the repository, nothing of the project's
   present folder.
2. Data that neither has, such as what git ignores, is linked from where the run found it, or
   from the project as it is now; what changed since is named, and what is nowhere, though a step
   opened it or the code names it, is refused before anything runs.
3. Packages that were installed for editing are made again beside it, where they differ by now.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mainspring.experiments.capture import source
from mainspring.ground.ports import Objects
from mainspring.workspace import checkouts
from mainspring.workspace.brought import Package, Sources
from mainspring.workspace.captured import ProjectFile
from mainspring.workspace.checkouts import CannotError
from mainspring.workspace.proofs import mentions

#: What decides how times and texts are read and written.
_OF_WORDS = re.compile(r"TZ|LANG|LC_\w+")
#: Variables that say where something is or who runs it; sets of text are in one order anyway.
_OF_PLACES = (
    *("PYTHONPATH", "PYTHONHASHSEED", "PYTHONWARNINGS", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV"),
    *("LC_CTYPE", "CI", "GITHUB_SHA", "HF_HOME", "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_PROCID"),
)
_MOST = 200  # files and folders that were not kept
_TOLD = 5  # of those that are missing


def make(
    told: ProjectFile,
    patch: bytes,
    place: Path,
    objects: Objects,
    began: float,
    home: Path,
    here: Path,
    reads: Mapping[str, str] | None = None,
) -> tuple[Path, list[str]]:
    """Make the project again below a new folder; return its root there, and what to know.

    ``began`` is when the run began: linked data that is newer is named. ``here`` is the project
    as it is now: data is taken from it where the run's own folder is not there, as elsewhere.
    ``reads`` are the files that steps of the run opened and had not said, with the step.

    Raises:
        CannotError: if the code cannot be had.
    """
    place.mkdir(mode=0o700, parents=True)
    whole, root = _code(told, patch, place, objects)
    depth = 0 if told.git is None else len(Path(told.folder).parts)
    here = here.parents[depth - 1] if 0 < depth <= len(here.parents) else here
    was = Path(told.root if told.git is None else told.git.root)
    linked = _linked(told, was, whole, began, home, here, reads or {})
    return root, [*linked, *_variables(told, place)]


def _variables(told: ProjectFile, place: Path) -> list[str]:
    """Let the zone and the language be those of the run; say what else is not as it was."""
    now = source.mattering(os.environ)
    kept = {name: value for name, value in told.environment.items() if _OF_WORDS.fullmatch(name)}
    checkouts.say_variables(place, kept)
    names = sorted({*told.environment, *now} - {*kept, *_OF_PLACES})
    pairs = [(name, told.environment.get(name), now.get(name)) for name in names]
    return [
        f"the variable {name} was {_or_none(was)} and is {_or_none(is_)}"
        for name, was, is_ in pairs
        if was != is_ and source.HIDDEN not in (was, is_)
    ]


def _or_none(value: str | None) -> str:
    return "not set" if value is None else repr(value[:60])


def bring(packages: Mapping[str, Package], place: Path, objects: Objects) -> None:
    """Make packages that were installed for editing again, to be imported in this place alone.

    What their installations said of them lies beside, so that their versions are known.

    Raises:
        CannotError: if the code of one cannot be had.
    """
    above = place / "packages"
    above.mkdir()
    paths = []
    for name, one in packages.items():
        if one.sources is None:
            continue
        folder = above / f"of-{name}"
        folder.mkdir()
        patch = objects.get(one.patch) if one.patch else b""
        try:
            whole, _ = _code(one.sources, patch, folder, objects)
        except CannotError as error:
            raise CannotError(f"package {name}: {error}") from error
        for part, digest in one.compiled.items():
            to = whole / part
            to.parent.mkdir(parents=True, exist_ok=True)
            objects.fetch(digest, to)
            to.chmod(0o755)
        paths += [os.fspath(whole / path) for path in one.paths]
        info = above / f"{name.replace('-', '_')}-{one.version}.dist-info"
        info.mkdir()
        for file, text in one.texts.items():
            (info / file).write_text(text, "utf-8")
    checkouts.say_paths(place, [*paths, os.fspath(above)])


def _code(told: Sources, patch: bytes, place: Path, objects: Objects) -> tuple[Path, Path]:
    """Make a working tree again below a folder; return its top and the project's folder in it."""
    if told.git is None:
        root = place / (Path(told.root).name or "project")
        for path, digest in told.files.items():
            to = root / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if not objects.has(digest):
                raise CannotError(f"{path} is not kept any more")
            to.write_bytes(objects.get(digest))
            to.chmod(0o755 if path in told.programs else 0o644)
        if not told.files:
            raise CannotError("no file of its project was kept")
        return root, root
    state = told.git
    whole = place / (Path(state.root).name or "checkout")
    checkouts.check_out(state.root, state.commit, state.remote, whole)
    if patch:
        checkouts.git(whole, "apply", "--binary", "--whitespace=nowarn", stdin=patch)
    root = whole / told.folder
    if not root.is_dir():
        raise CannotError(f"its folder {told.folder} is neither in the commit nor in the patch")
    return whole, root


def _linked(
    told: ProjectFile,
    was: Path,
    now: Path,
    began: float,
    home: Path,
    here: Path,
    reads: Mapping[str, str],
) -> list[str]:
    """Link what was not kept, and say what of it is gone or newer than the run.

    ``reads`` are files that steps of the run had opened, with the step that did.

    Raises:
        CannotError: if a step had opened, or the code names, something that is nowhere, before
            anything runs.
    """
    left = [*told.left_out, *(told.git.left_out if told.git else [])]
    why = {**dict.fromkeys(told.ignored, "git ignores it"), **{one.path: one.why for one in left}}
    notes: list[str] = []
    missing: list[str] = []
    for path, reason in list(why.items())[:_MOST]:
        target = now / path
        if os.path.lexists(target) or _holds(was / path, home) or not _is_below(target, now):
            continue
        base = next((one for one in (was, here) if (one / path).exists()), None)
        if base is None:
            where = mentions.of(now / told.folder, path)
            where = f"{where} names it" if where else _reader(told, path, reads)
            note = f"{path} was not kept ({reason}), and is not in {was}"
            notes.append(note)
            missing += [f"{path} ({reason}; {where})"] if where else []
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(base / path)
        changed = _changed(told, path, base, began, exact=base == was)
        notes.append(f"{path} was not kept ({reason}): it is linked from {base}{changed}")
    outside = [one for one in reads if one.startswith("/")]
    missing += [f"{one} (step {reads[one]} read it)" for one in outside if not Path(one).exists()]
    there = [one for one in outside if Path(one).exists()]
    notes += [f"{one} is none of the project's: step {reads[one]} reads it there" for one in there]
    if missing:
        more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        raise CannotError(
            f"what it reads was not kept and is not in {was} any more: "
            f"{', '.join(missing[:_TOLD])}{more}. Put it into {here} and ask again; and where the"
            " run was made: mainspring data add PATH, so that the next run keeps it. (If it only"
            " writes there, an empty folder will do.)"
        )
    return notes


def _reader(told: ProjectFile, path: str, reads: Mapping[str, str]) -> str | None:
    """Return who opened a file of this path, or below it, when the run was made."""
    for name, step in reads.items():
        whole = (PurePosixPath(told.folder if told.git else "") / name).as_posix()
        if whole == path.rstrip("/") or whole.startswith(f"{path.rstrip('/')}/"):
            return f"step {step} read {name}"
    return None


def _changed(told: ProjectFile, path: str, base: Path, began: float, *, exact: bool) -> str:
    """Return what changed in linked data since the run, in words; "" if nothing is known to."""
    inside = path.rstrip("/")
    known = {
        name: one
        for name, one in told.seen.items()
        if name == inside or name.startswith(f"{inside}/")
    }
    if not known:
        newer = exact and (base / path).stat().st_mtime > began
        return ", where it was changed since" if newer else ""
    found = []
    for name, (size, changed) in known.items():
        try:
            now = (base / name).stat()
        except OSError:
            found.append(f"{name} is gone")
            continue
        if now.st_size != size:
            found.append(f"{name} had {size:,} bytes and has {now.st_size:,}")
        elif exact and now.st_mtime_ns != changed:
            found.append(f"{name} was written again")
    if not found:
        return "" if exact else ", with files of the same sizes"
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f", where it was changed since: {', '.join(found[:3])}{more}"


def _holds(origin: Path, home: Path) -> bool:
    return home.resolve().is_relative_to(origin.resolve())


def _is_below(target: Path, root: Path) -> bool:
    return ".." not in target.relative_to(root).parts
