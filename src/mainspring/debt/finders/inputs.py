"""Inputs that are not held still: data at no version, packages at any version."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.facts import World
from mainspring.debt.findings import DebtFinding, finding


def unpinned(world: World) -> Iterator[DebtFinding]:
    """Find data that the same code read in different contents, or at no version."""
    for one in world.inputs:
        moved = one.contents > 1
        if not moved and one.pinned:
            continue
        source = f" from {one.source}" if one.source else ""
        found = (
            f"{one.runs} runs of the same code read {one.contents} different contents of"
            f" {one.name}{source}."
            if moved
            else f"{one.reader} reads {one.name}{source}, and nothing says which version of it."
        )
        yield finding(
            "unpinned_input",
            "medium",
            one.reader,
            one.name,
            key=(one.reader, one.name, one.source),
            found=found,
            cost="A result cannot be made again, and a change upstream arrives unannounced.",
            todo="Read it by digest or version, or log it as a dataset of the run"
            " (run.log_dataset), so that each version says what it learnt from.",
            evidence={"runs": one.runs, "contents": one.contents},
        )


def floating(world: World) -> Iterator[DebtFinding]:
    """Find packages that a requirements file names without an exact version, one for each file."""
    for source in world.sources:
        by_file: dict[str, list[dict[str, object]]] = {}
        for one in source.floating:
            by_file.setdefault(str(one["file"]), []).append(one)
        for file, several in by_file.items():
            names = [str(one["name"]) for one in several]
            yield finding(
                "floating_dependency",
                "low",
                "project",
                f"{file}:{several[0]['line']}",
                key=(source.root, file),
                found=f"{len(names)} packages have no exact version and there is no lock file:"
                f" {', '.join(names[:10])}{'...' if len(names) > 10 else ''}.",
                cost="The next installation may give other results, or none.",
                todo="Pin them (name==version), or keep a lock file beside.",
                evidence={"packages": names},
            )
