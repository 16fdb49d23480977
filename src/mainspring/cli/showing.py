"""Show one run as people read it: what it was made of, what it logged, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli import halts, render
from mainspring.cli.displays import took
from mainspring.experiments.reserved import GROUP, USER

if TYPE_CHECKING:
    from rich.console import Console

_MOST = 40  #: rows of one table
_MOST_FAILED = 10  #: steps whose failure is shown; a map may fail a thousand times
_SYSTEM, _OURS = "system/", "mainspring."
#: Tags that are shown as facts, and under which words.
_FACTS = {
    GROUP: "group",
    USER: "by",
    "mainspring.source": "command",
    "mainspring.notebook": "notebook",
    "mainspring.git.branch": "branch",
    "mainspring.seed": "seed",
    "mainspring.python": "python",
    "mainspring.host": "host",
    "mainspring.gpu": "gpu",
    "mainspring.again": "made again from",
    "mainspring.reproduces": "makes again",
    "mainspring.reproduced": "reproduced",
    "mainspring.error": "error",
    "mainspring.not_captured": "not captured",
}


def draw(out: Console, about: dict[str, Any]) -> None:
    """Print a run with all that belongs to it."""
    run = about["run"]
    render.table(out, ("", ""), _facts(about))
    _table(out, ("PARAM", "VALUE"), sorted(run["params"].items()))
    own = [one for one in about["metrics"] if not one["key"].startswith(_SYSTEM)]
    _metrics(out, "METRIC", own)
    _metrics(out, "LOAD", [one for one in about["metrics"] if one not in own])
    tags = [(k, v) for k, v in sorted(run["tags"].items()) if not k.startswith(_OURS)]
    _table(out, ("TAG", "VALUE"), tags)
    _table(
        out,
        ("INPUT", "CONTEXT", "DIGEST"),
        [
            (one["dataset"]["name"], one["context"], one["dataset"]["digest"][:12])
            for one in about["inputs"]
        ],
    )
    _table(
        out,
        ("MODEL", "NAME", "TYPE"),
        [(one["id"], one["name"], one["type"]) for one in about["models"]],
    )
    _table(
        out,
        ("ARTIFACT", "SIZE>"),
        [(one["path"], render.size(one["size"])) for one in about["artifacts"]],
        about["artifact_count"],
    )
    _table(
        out,
        ("CHILD", "STATUS", "NAME", "METRICS"),
        [(one["id"], halts.word(one), one["name"], _figures(one)) for one in about["children"]],
        about["child_count"],
    )
    _steps(out, about["steps"], about.get("states") or {})
    if about["steps"] and (how := go_on(run)):
        out.print(how, soft_wrap=True)
    for note in about["notes"]:
        out.print(render.plain(f"\nnot taken: {note}"))


def failure(step: dict[str, Any]) -> str:
    """Return the user's own lines, then what went in."""
    parts = (step["trace"].rstrip(), step["error"])
    return render.plain("\n".join(part for part in parts if part))


def go_on(run: dict[str, Any]) -> str:
    """Return how a run that broke goes on; nothing for one that did not."""
    if run["status"] not in ("failed", "cancelled"):
        return ""
    newer = " --code now" if run["status"] == "failed" else ""  # who mends a step changes it
    return f"go on from there: mainspring resume {run['id']}{newer}"


def _facts(about: dict[str, Any]) -> list[tuple[str, Any]]:
    run, tags = about["run"], about["run"]["tags"]
    commit = tags.get("mainspring.git.commit", "")
    if tags.get("mainspring.git.dirty") == "true":  # without a commit the repository is new
        commit = f"{commit or 'none yet'} with uncommitted changes"
    pairs = [
        ("run", run["id"]),
        ("name", run["name"]),
        ("experiment", run["experiment"]),
        ("status", halts.word(run)),
        *halts.facts(run),
        ("pipeline", run["pipeline"]),
        ("parent", run["parent"]),
        ("started", f"{render.when(run['started'])} UTC"),
        ("took", render.took(run["started"], run["ended"])),
        ("cause", run["cause"]),
        ("commit", commit),
        *((words, tags.get(tag)) for tag, words in _FACTS.items()),
        *(("version", name) for name in about["versions"]),
    ]
    return [(name, value) for name, value in pairs if value not in (None, "")]


def _metrics(out: Console, heading: str, several: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["key"],
            one["last"],
            _at(one["low"], one["low_step"]),
            _at(one["high"], one["high_step"]),
            one["points"],
        )
        for one in several
    ]
    _table(out, (heading, "LAST>", "LOWEST>", "HIGHEST>", "POINTS>"), rows)


def _at(value: float | None, step: int | None) -> str:
    return "" if value is None else f"{render.plain(value)} at {step}"


def _figures(run: dict[str, Any]) -> str:
    own = {key: value for key, value in run["metrics"].items() if not key.startswith(_SYSTEM)}
    return render.figures(own)


def _steps(out: Console, steps: list[dict[str, Any]], states: dict[str, int]) -> None:
    # What decides or waits has no process whose time was taken.
    seconds = {s["step"]: s["wall_s"] or took(s) for s in steps}
    rows = [
        (s["step"], s["state"], f"{seconds[s['step']]:.2f} s", s["why"] or s["error"])
        for s in steps
    ]
    whole = sum(states.values()) or len(rows)
    _table(out, ("STEP", "STATE", "TOOK>", "WHY"), rows, whole)
    if whole > _MOST:
        out.print(", ".join(f"{count:,} {state}" for state, count in sorted(states.items())))
    failed = [step for step in steps if step["state"] == "failed"]
    for step in failed[:_MOST_FAILED]:
        out.print(f"\n{step['step']} failed:\n{failure(step)}")
    if len(failed) > _MOST_FAILED:
        out.print(f"\nand more that failed: {max(states.get('failed', 0), len(failed)):,} in all")


def _table(
    out: Console, columns: tuple[str, ...], rows: list[tuple[Any, ...]], whole: int | None = None
) -> None:
    if not rows:
        return
    out.print()
    render.table(out, columns, rows[:_MOST])
    more = (len(rows) if whole is None else whole) - _MOST
    if more > 0:
        out.print(f"and {more:,} more; all of it: --json")
