"""Monitors of models that answer elsewhere: create, feed, judge; and two tables compared."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking, call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from mainspring.workspace.feeding.comparing import Comparison

Monitor = Annotated[str, Parameter(help="The monitor's name.")]
_COLUMNS = Group("Columns", help="Guessed by usual names where left out, and said.", sort_key=50)
_WINDOWS = Group("Windows", help="Kept as they were where left out.", sort_key=51)


@Parameter(name="*", group=_COLUMNS)
@dataclass(frozen=True)
class Named:
    """Which column of the rows is what."""

    id_column: Annotated[str | None, Parameter(help="Your own prediction ids.")] = None
    time_column: Annotated[str | None, Parameter(help="Event time.")] = None
    score_column: Annotated[
        str | None, Parameter(help="The score; several, parted by commas: one a class.")
    ] = None
    prediction_column: Annotated[
        str | None, Parameter(help="The class answered, where there is no score.")
    ] = None
    label_column: Annotated[str | None, Parameter(help="The truth, where known.")] = None
    version_column: Annotated[str | None, Parameter(help="Which version answered.")] = None


@Parameter(name="*", group=_WINDOWS)
@dataclass(frozen=True)
class Cut:
    """How rows are cut into windows."""

    window: Annotated[
        str | None, Parameter(help="Such as 1d or 6h; or batch: each batch is a window.")
    ] = None
    window_rows: Annotated[
        int | None, Parameter(help="Cut by so many rows, in the order of event time.")
    ] = None
    grace: Annotated[str | None, Parameter(help="Rows may come so late.")] = None
    label_delay: Annotated[
        str | None, Parameter(help="Labels are mature so long after a window.")
    ] = None
    min_rows: Annotated[int | None, Parameter(help="Fewer rows are not judged.")] = None
    alpha: Annotated[float | None, Parameter(help="Chance of a false alarm in one window.")] = None


ALL = Named()
USUAL = Cut()


def create(
    name: Monitor,
    /,
    *,
    baseline: Annotated[
        str | None,
        Parameter(help="A file of rows with predictions, or MODEL/VERSION of ours."),
    ] = None,
    model: Annotated[str | None, Parameter(help="The model's; default: the monitor's.")] = None,
    version: Annotated[
        str | None, Parameter(help="What rows call the version that the baseline is of.")
    ] = None,
    kind: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        Parameter(help="Found from labels and predictions where left out."),
    ] = None,
    positive: Annotated[str | None, Parameter(help="The class that is scored.")] = None,
    columns: Named = ALL,
    windows: Cut = USUAL,
    options: Everywhere = HERE,
) -> None:
    """Watch a model that answers elsewhere. Its predictions are fed: mainspring monitor feed.

    Called again, it gives the monitor a newer baseline or other windows.
    """
    given: dict[str, Any] = {"model": model, "version": version, **vars(windows), **vars(columns)}
    with asking(options, create=True) as house:
        file = None if baseline is None else Path(baseline).expanduser()
        if file is None or (not file.exists() and _is_reference(baseline or "")):
            found = house.call("feeds.create", name=name, baseline=baseline, **given)
        else:
            given |= {"kind": kind, "positive": positive, "file": str(baseline)[-300:]}
            with bytes_bar(options, [file]) as tell:
                found = send_file(house, "feeds.baseline", file, tell, name=name, **given)

    def draw(out: Console) -> None:
        for line in found["said"]:
            out.print(render.plain(f"  {line}"))
        inputs = f"{len(found['inputs'])} inputs"
        out.print(
            render.plain(
                f"{name} watches {found['model']} ({found['kind']}, {inputs}), compared with"
                f" {found['model']}/{found['version']}: {found['rows']:,} rows."
            )
        )
        if found["metrics"]:
            out.print(render.plain(f"At that time: {render.figures(found['metrics'])}"))
        out.print(render.plain(f"Feed it: mainspring monitor feed {name} FILE"))

    render.answer(options, found, draw)


def feed(
    endpoint: Monitor,
    files: Annotated[list[Path], Parameter(help="CSV, JSON lines or Parquet, with predictions.")],
    /,
    *,
    batch: Annotated[
        str | None, Parameter(help="Your own name of the rows; default: their content.")
    ] = None,
    judge: Annotated[
        bool, Parameter(negative=(), help="Judge what is over now, and show it.")
    ] = False,
    columns: Named = ALL,
    options: Everywhere = HERE,
) -> None:
    """Give a monitor predictions that were made elsewhere. All rows of a file are kept, or none.

    The same file again, or the same batch, changes nothing.
    """
    if batch is not None and len(files) > 1:
        raise BadInputError("A batch is one file.", field="batch", hint="Leave out --batch.")
    files = [file.expanduser() for file in files]
    told, judged = [], []
    with asking(options) as house:
        with bytes_bar(options, files) as tell:
            for file in files:
                name = batch or _name_of(file, columns)
                given = {"endpoint": endpoint, "batch": name, "file": str(file)[-300:]}
                told.append(send_file(house, "feeds.send", file, tell, **given, **vars(columns)))
        if judge:
            judged = judged_of(house, endpoint, None)

    def draw(out: Console) -> None:
        for file, fed in zip(files, told, strict=True):
            _draw_fed(out, file, fed)
        if judge:
            draw_windows(out, endpoint, judged)

    document: Any = told if not judge else {"fed": told, "judged": judged}
    render.answer(options, document, draw)


def judge(
    endpoint: Monitor,
    /,
    *,
    window: Annotated[str | None, Parameter(help="Judge this one once more.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Judge what is over now, without waiting for the engine; or one window once more."""
    with asking(options) as house:
        judged = judged_of(house, endpoint, window)
    render.answer(options, judged, lambda out: draw_windows(out, endpoint, judged))


def remove(name: Monitor, /, *, options: Everywhere = HERE) -> None:
    """Watch a model elsewhere no more. Its rows, windows and labels are kept."""
    done = call(options, "feeds.remove", name=name)
    render.said(options, done, f"{name} is not watched any more.")


def run(
    *,
    baseline: Annotated[str, Parameter(help="A file of rows, or MODEL/VERSION of ours.")],
    current: Annotated[Path, Parameter(help="The file of rows to judge.")],
    kind: Annotated[
        Literal["binary", "multiclass", "regression"] | None, Parameter(help="Found if left out.")
    ] = None,
    positive: Annotated[str | None, Parameter(help="The class that is scored.")] = None,
    min_rows: Annotated[int, Parameter(help="Fewer rows are not judged.")] = 200,
    alpha: Annotated[float, Parameter(help="Chance of a false alarm.")] = 0.001,
    columns: Named = ALL,
    options: Everywhere = HERE,
) -> int:
    """Judge one table against another. Exit code 0: quiet, 1: alarm, 2: they cannot be judged.

    Drift and quality of every column; with predictions the score's too, and with labels the
    performance. Nothing is kept.
    """
    from mainspring.ground.objects import MonitorPolicy
    from mainspring.web.api.feeds import WithColumns, columns_of
    from mainspring.workspace.feeding import comparing

    if not 0 < alpha <= 1:
        raise BadInputError(f"alpha must be above 0 and at most 1, found {alpha}.", field="alpha")
    named = columns_of(WithColumns(**vars(columns)))
    file = Path(baseline).expanduser()
    if not file.exists() and _is_reference(baseline):
        base = _of_version(options, baseline)
    else:
        base = comparing.against(file, named, kind=kind, positive=positive)
    policy = MonitorPolicy(min_rows=min_rows, alpha=alpha)
    found = comparing.compare(current.expanduser(), base, policy, named)
    import msgspec

    render.answer(options, msgspec.to_builtins(found), lambda out: _draw_compared(out, found))
    return 0 if found.quiet else 1


# ---------------------------------------------------------------- parts


def send_file(
    house: Local | Remote, name: str, file: Path, tell: Callable[[int], None], /, **fields: Any
) -> Any:
    """Ask for an operation whose body is a file, here or there."""
    import msgspec

    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="file")
    given = {key: value for key, value in fields.items() if value is not None}
    if isinstance(house, Remote):
        return house.send(name, file, tell, **given)
    from mainspring.web.api import find

    wanted = find(name)
    answer = wanted.run(house.workspace, wanted.read(given), file)
    tell(file.stat().st_size)
    return msgspec.json.decode(msgspec.json.encode(answer))


def _name_of(file: Path, columns: Named) -> str:
    """Return the name of a file's rows: their content, and how they are read."""
    import hashlib

    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="file")
    digest = hashlib.sha256(repr(columns).encode())
    with file.open("rb") as handle:
        while part := handle.read(1 << 20):
            digest.update(part)
    return f"sha256:{digest.hexdigest()[:32]}"


def judged_of(house: Local | Remote, endpoint: str, window: str | None) -> list[dict[str, Any]]:
    """Judge what is over now, or one window once more, and return what was judged."""
    import msgspec

    task = None
    if window is not None:
        task = house.call("feeds.judge", endpoint=endpoint, window=window)["task"]
    if isinstance(house, Remote):  # the engine of that server is at it
        found = house.call("monitor.windows", endpoint=endpoint, limit=10)
        return [one for one in found if window in (None, one["id"])]
    from mainspring.ground.permissions import Permission
    from mainspring.monitoring import windows
    from mainspring.workspace.catching_up import catch_up

    judged = catch_up(house.workspace, endpoint, task)
    if window is not None:
        judged = [house.workspace.read(Permission.READ, lambda tx: windows.get(tx, window))]
    return [msgspec.to_builtins(one) for one in judged]


def _is_reference(text: str) -> bool:
    return ("@" in text or "/" in text) and "." not in text.rpartition("/")[2]


def _of_version(options: Everywhere, reference: str) -> Any:
    from mainspring.ground.permissions import Permission
    from mainspring.readiness import registry
    from mainspring.scaling.models import package
    from mainspring.workspace.feeding.comparing import Against

    with asking(options) as house:
        if isinstance(house, Remote):
            raise BadInputError(
                "A version's baseline is read in the home, not over --url.", field="url"
            )
        ws = house.workspace
        version = ws.read(Permission.READ, lambda tx: registry.resolve(tx, reference))
        return Against(
            signature=version.signature,
            profile=package.profile(version.package, ws.objects),
            reference=package.reference(version.package, ws.objects),
        )


@contextmanager
def bytes_bar(options: Everywhere, files: list[Path]) -> Iterator[Callable[[int], None]]:
    """Have a progress bar over the bytes of files, one after another; none off a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    out = render.console(stderr=True)
    off = options.json or not out.is_terminal
    total = sum(file.stat().st_size for file in files if file.is_file())
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=out, transient=True, disable=off) as bar:
        task = bar.add_task("rows", total=total)
        done, last = 0, 0

        def tell(at: int) -> None:
            nonlocal done, last
            done += at - last if at >= last else at  # a smaller figure: the next file began
            last = at
            bar.update(task, completed=done)

        yield tell


def _draw_fed(out: Console, file: Path, fed: dict[str, Any]) -> None:
    if fed["again"]:
        out.print(render.plain(f"{file} was fed before; nothing is doubled."))
        return
    for line in fed["said"]:
        out.print(render.plain(f"  {line}"))
    reach = f"{render.when(fed['first'])} to {render.when(fed['last'])}"
    out.print(render.plain(f"{fed['rows']:,} rows are kept, of {reach}."))
    notes = {
        "labels": "{n:,} labels came with them.",
        "late": "{n:,} came after their window had been judged: they are in no window.",
        "ahead": "{n:,} bear a time that is still to come.",
        "doubled": "{n:,} have an id that stood before: the first of each counts.",
    }
    for key, text in notes.items():
        if fed[key]:
            out.print(render.plain(text.format(n=fed[key])))


def draw_windows(out: Console, endpoint: str, found: list[dict[str, Any]]) -> None:
    """Print judged windows as people read them."""
    rows = [
        (
            one["id"],
            render.when(one["end"]),
            one["rows"],
            one["version"],
            ", ".join(_alarming(one)) or ("quiet" if _was_judged(one) else "not judged"),
        )
        for one in found
    ]
    columns = ("WINDOW", "UNTIL (UTC)", "ROWS>", "VERSION>", "VERDICT")
    render.table(out, columns, rows, f"No window of {endpoint} is over that was not judged.")
    for one in found:
        for told in one["found"]:
            if told["monitor"] == "traffic" and told["verdict"] != "quiet":
                out.print(render.plain(f"{one['id']}, {told['subject']}: {told['why']}"))


def _alarming(window: dict[str, Any]) -> list[str]:
    rows = [row["column"] for row in window["drift"] if row["verdict"] == "alarm"]
    rows += [row["column"] for row in window["quality"] if row["verdict"] == "alarm"]
    rows += [one["subject"] for one in window["found"] if one["verdict"] == "alarm"]
    if (window["performance"] or {}).get("verdict") == "alarm":
        rows.append("loss")
    return [f"alarm: {', '.join(dict.fromkeys(rows))}"] if rows else []


def _was_judged(window: dict[str, Any]) -> bool:
    return not any(
        one["subject"] == "window" and one["verdict"] == "not judged" for one in window["found"]
    )


def _draw_compared(out: Console, found: Comparison) -> None:
    for line in found.said:
        out.print(render.plain(f"  {line}"))
    rows = [
        (
            row["column"],
            row.get("distance"),
            row.get("radius"),
            row.get("smallest"),
            row["verdict"],
        )
        for row in found.window.drift
    ]
    columns = ("COLUMN", "DISTANCE>", "BY CHANCE>", "COULD SEE>", "VERDICT")
    render.table(out, columns, rows, "No column could be compared.")
    for alarm in found.alarms:
        out.print(render.plain(f"{alarm.kind}: {alarm.reason}"))
    out.print(
        render.plain(
            f"{found.verdict}: {found.rows:,} rows against {found.baseline_rows:,},"
            f" {found.labelled:,} with labels."
        )
    )
