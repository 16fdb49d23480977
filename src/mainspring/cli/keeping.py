"""What is kept: delete, restore, retention, and the space reclaimed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking, call
from mainspring.cli.runs import full_id
from mainspring.ground.durations import seconds, spoken
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.workspace.keeping.collecting import Tell

Yes = Annotated[bool, Parameter(name="--yes", negative=(), help="Do it without asking.")]
Why = Annotated[str | None, Parameter(help="Why, for the audit log.")]
Dry = Annotated[bool, Parameter(negative=(), help="Change nothing, only say what would be done.")]


def delete(
    *runs: Annotated[str, Parameter(help="Ids of runs, or their first characters.")],
    filter: Annotated[  # noqa: A002  the word of the language
        str | None, Parameter(help="Also every run that meets it, such as 'metrics.auc < 0.6'.")
    ] = None,
    children: Annotated[
        bool, Parameter(negative=(), help="Also delete the runs below them.")
    ] = False,
    reason: Why = None,
    yes: Yes = False,
    options: Everywhere = HERE,
) -> None:
    """Delete runs, so that they can be restored until gc takes them out."""
    if not runs and not filter:
        raise BadInputError("Name the runs to delete, or give a --filter.", field="runs")
    with asking(options) as house:
        ids = [full_id(house, run) for run in runs]
        asked = {"runs": ids or None, "filter": filter, "children": children, "reason": reason}
        if not yes:
            found = house.call("runs.delete", **asked, dry_run=True)
            number = len(found["deleted"])
            _confirm(f"Delete {number} run{'' if number == 1 else 's'}?", options)
        done = house.call("runs.delete", **asked)
    kept = [f"{one['run']} stays: {one['reason']}" for one in done["kept"]]
    if kept and not done["deleted"]:
        raise ConflictError("; ".join(kept[:5]), field="runs")
    told = [f"{run} is deleted" for run in done["deleted"][:20]]
    more = len(done["deleted"]) - len(told)
    lines = [*told, *([f"and {more} more"] if more else []), *kept]
    render.said(options, done, *(lines or ["No run meets the filter; none is deleted."]))


def _gone(house: Local | Remote, run: str) -> str:
    """Return the id of a deleted run; of one that is not deleted, so that it can be said."""
    try:
        return full_id(house, run, deleted=True)
    except NotFoundError:
        return full_id(house, run)


def restore(
    *runs: Annotated[str, Parameter(help="Ids of runs, or their first characters.")],
    options: Everywhere = HERE,
) -> None:
    """Restore deleted runs."""
    if not runs:
        raise BadInputError("Name the runs to restore.", field="runs")
    with asking(options) as house:
        ids = [_gone(house, run) for run in runs]
        done = house.call("runs.restore", runs=ids)
    lines = [f"{run} is there again" for run in done["restored"]]
    render.said(options, done, *(lines or ["None of them was deleted."]))


def experiments(
    *,
    deleted: Annotated[
        bool, Parameter(negative=(), help="Those that are deleted, which can be restored.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """List experiments, newest first."""
    found = call(options, "experiments.list", deleted=deleted or None)

    def draw(out: Console) -> None:
        rows = [(one["name"], one["id"], render.when(one["created"])) for one in found]
        render.table(out, ("EXPERIMENT", "ID>", "CREATED (UTC)"), rows, "No experiments.")

    render.answer(options, found, draw)


def delete_experiment(
    name: Annotated[str, Parameter(help="The experiment's name.")],
    /,
    *,
    reason: Why = None,
    yes: Yes = False,
    options: Everywhere = HERE,
) -> None:
    """Delete an experiment with its runs, so that they can be restored."""
    if not yes:
        _confirm(f"Delete the experiment {name} with all its runs?", options)
    done = call(options, "experiments.delete", name=name, reason=reason)
    render.said(options, done, f"{name} is deleted")


def rename_experiment(
    name: Annotated[str, Parameter(help="The experiment's name.")],
    to: Annotated[str, Parameter(help="What it shall be called.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Give an experiment another name; its runs follow."""
    done = call(options, "experiments.rename", name=name, to=to)
    render.said(options, done, f"{name} is called {to} now")


def restore_experiment(
    name: Annotated[str, Parameter(help="The experiment's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Restore a deleted experiment with the runs that were deleted with it."""
    done = call(options, "experiments.restore", name=name)
    render.said(options, done, f"{name} is there again")


def retention_set(
    experiment: Annotated[str, Parameter(help="The experiment's name.")],
    /,
    *,
    keep: Annotated[str, Parameter(help="How long a run is kept after its end, such as 90d.")],
    keep_best: Annotated[
        str | None,
        Parameter(help="COUNT:metrics.KEY stay whatever their age; add :lowest for losses."),
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Keep the runs of an experiment for so long, and the best of them for ever."""
    done = call(
        options,
        "retention.set",
        experiment=experiment,
        keep_s=seconds(keep, "keep"),
        keep_best=keep_best,
    )
    render.said(options, done, _policy(done))


def retention_list(*, options: Everywhere = HERE) -> None:
    """List what is set; runs of other experiments are kept for ever."""
    found = call(options, "retention.list")
    lines = [_policy(one) for one in found]
    render.said(options, found, *(lines or ["Nothing is set: every run is kept for ever."]))


def retention_remove(
    experiment: Annotated[str, Parameter(help="The experiment's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Keep the runs of an experiment for ever again."""
    done = call(options, "retention.remove", experiment=experiment)
    render.said(options, done, f"The runs of {experiment} are kept for ever")


def gc(
    *,
    dry_run: Dry = False,
    older_than: Annotated[
        str, Parameter(help="How long ago a run must have been deleted to go for good.")
    ] = "7d",
    options: Everywhere = HERE,
) -> None:
    """Take out what was deleted, and reclaim the space of what nothing needs.

    Objects put within the last day stay: somebody may be about to rely on them.
    """
    grace = seconds(older_than, "older_than")
    with asking(options) as house:
        if isinstance(house, Local):
            import msgspec

            from mainspring.workspace.keeping.collecting import collect

            with progress(shown=not options.json) as tell:
                done = msgspec.to_builtins(
                    collect(house.workspace, older_than_s=grace, dry_run=dry_run, tell=tell)
                )
        else:
            done = house.call("system.gc", older_than_s=grace, dry_run=dry_run or None)
    render.said(options, done, *_collected(done))


@contextlib.contextmanager
def progress(*, shown: bool) -> Iterator[Tell]:
    """Draw a bar on the terminal while something long is done."""
    if not shown:
        yield lambda _what, _at, _of: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    out = render.console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda what, at, of: bar.update(
            task, description=what, completed=at, total=of or None
        )


def _collected(done: dict[str, Any]) -> list[str]:
    would = "would be " if done["dry_run"] else ""
    before, after = done["before"], done["after"]
    freed = before["size"] - after["size"]
    count = before["objects"] - after["objects"]
    lines = []
    if done["aged"]:
        lines.append(f"{done['aged']} runs {would}deleted by retention; they can be restored")
    lines.append(f"{len(done['purged'])} runs {would}gone for good")
    lines += [f"experiment {name} {would}gone for good" for name in done["experiments"]]
    lines += [f"{one['run']} stays: {one['reason']}" for one in done["kept"][:20]]
    lines.append(
        f"{count} objects {would}reclaimed: {render.size(before['size'])} before,"
        f" {render.size(after['size'])} after, {render.size(freed)} less"
    )
    if done["environments"]:
        freed = render.size(done["environments_size"])
        lines.append(f"{done['environments']} unused environments {would}deleted, {freed}")
    if done["code_texts"]:
        lines.append(f"{done['code_texts']} texts of code that no step is of {would}deleted")
    if done["young"]:
        lines.append(f"{done['young']} objects that nothing names yet are too young to go")
    return lines


def _policy(one: dict[str, Any]) -> str:
    said = f"Runs of {one['experiment']} are kept for {spoken(one['keep_s'])}"
    best = one["best"]
    if best is None:
        return said
    which = "lowest" if best["lowest"] else "highest"
    return f"{said}, the {best['count']} with the {which} {best['metric']} for ever"


def _confirm(question: str, options: Everywhere) -> None:
    if options.json or not sys.stdin.isatty():
        raise BadInputError(
            f"{question} Nobody is here to be asked.", field="yes", hint="Add --yes."
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BadInputError("Nothing was done.", field="yes")
