"""Change what a model depends on, on purpose and on a copy: is it noticed, and told?

Three changes that upstream makes without a word: the column that the model listens to most is
gone, comes as text, or is empty. The rows are those that the version was measured on; they are
judged by the same code that judges windows of traffic, and an alarm must be raised. That alarms
reach people is tried by a message over every channel.
"""

from __future__ import annotations

import polars as pl

from mainspring.ground.errors import ConflictError, MainspringError, PermissionDeniedError
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.monitoring import channels
from mainspring.monitoring.judge import judge_inputs
from mainspring.scaling.models import package
from mainspring.workspace.alarming import verbs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import subject as s


def drill(ws: Workspace, subject: s.Subject) -> Evidence:
    """Make the changes, judge them, tell a test over the channels, and keep what came of it.

    Raises:
        ConflictError: if there are no rows to change, or no channel to tell over.
    """
    told = [c.name for c in ws.read(Permission.READ, channels.every) if c.active]
    if not told:
        raise ConflictError(
            "There is no channel, so nobody would be told of a change.",
            hint="Add one: mainspring channels add",
        )
    rows = package.reference(subject.champion.package, ws.objects)
    if rows is None or rows.height < subject.policy.min_rows:
        raise ConflictError(
            f"{_name(subject)} keeps fewer than {subject.policy.min_rows} rows that it was"
            " measured on, too few for its monitor to judge."
        )
    baseline = package.profile(subject.champion.package, ws.objects)
    column = max(baseline.columns, key=lambda one: (one.share, one.name)).name
    changes = {
        "is gone": rows.drop(column),
        "comes as text": rows.with_columns(pl.lit("n/a, see note").alias(column)),
        "is empty": rows.with_columns(pl.lit(None, dtype=rows[column].dtype).alias(column)),
    }
    seen = {words: _noticed(ws, subject, frame, column) for words, frame in changes.items()}
    sent = {name: _sent(ws, name) for name in told}
    unseen = [words for words, alarm in seen.items() if not alarm]
    unsent = [name for name, error in sent.items() if error]
    return s.keep(
        ws,
        "dependency_drill",
        f"model:{subject.model}",
        passed=not unseen and not unsent,
        found=_words(column, unseen, unsent, told),
        detail={"column": column, "alarms": seen, "channels": sent, "rows": rows.height},
        opens=[f"/models/{subject.model}", *(f"/endpoints/{n}" for n in subject.endpoints)],
    )


def _noticed(ws: Workspace, subject: s.Subject, rows: pl.DataFrame, column: str) -> str:
    """Return the alarm that a window of such rows would raise about the column; blank for none."""
    times = pl.int_range(rows.height, eager=True).cast(pl.Float64)
    frame = rows.drop("_y", "_time", strict=False).with_columns(
        _id=pl.int_range(rows.height, eager=True).cast(pl.String),
        _time=times,
        _received=times,
        _version=pl.lit(subject.champion.number, dtype=pl.Int64),
        _other_version=pl.lit(None, dtype=pl.Int64),
        _other_score=pl.lit(None, dtype=rows["_score"].dtype),
    )
    _, alarms = judge_inputs(
        frame,
        package.profile(subject.champion.package, ws.objects),
        subject.champion.signature,
        subject.policy,
        (0.0, float(rows.height)),
        subject.model,
        subject.champion.number,
    )
    about = [one for one in alarms if one.subject == column]
    return about[0].reason if about else ""


def _sent(ws: Workspace, name: str) -> str:
    """Tell a test over a channel; return what went wrong, blank if nothing did."""
    try:
        verbs.test_channel(ws, name)
    except PermissionDeniedError:  # says nothing of the channel
        raise
    except MainspringError as error:
        return str(error)
    return ""


def _words(column: str, unseen: list[str], unsent: list[str], told: list[str]) -> str:
    found = []
    if unseen:
        found.append(f"Nothing notices that {column} {' or '.join(unseen)}.")
    else:
        found.append(f"An alarm is raised if {column} is gone, comes as text or is empty.")
    if unsent:
        found.append(f"Nothing gets through over {', '.join(unsent)}.")
    else:
        found.append(f"A message went over {', '.join(told)}.")
    return " ".join(found)


def _name(subject: s.Subject) -> str:
    return f"{subject.model}/{subject.champion.number}"
