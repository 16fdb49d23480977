"""Pipelines that have grown: too deep, too many steps, work that nobody takes or done twice."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.facts import World
from mainspring.debt.findings import DebtFinding, finding


def jungles(world: World) -> Iterator[DebtFinding]:
    """Find pipelines that are hard to follow, and sources that are mostly glue."""
    limits = world.limits
    for one in world.pipelines:
        if one.steps > limits.steps or one.depth > limits.depth:
            yield finding(
                "pipeline_jungle",
                "medium",
                f"pipeline:{one.name}",
                "graph",
                found=f"{one.steps} steps, {one.edges} edges, {one.depth} steps in a row;"
                f" {limits.steps} steps and {limits.depth} in a row are easy to follow.",
                cost="Nobody sees what a change reaches; each step is one more that can fail.",
                todo="Join steps that always run together, or split the pipeline where one part"
                " stands alone.",
                evidence={"steps": one.steps, "edges": one.edges, "depth": one.depth},
            )
    for source in world.sources:
        outside = source.lines - source.step_lines
        share = outside / source.lines if source.lines else 0.0
        if source.steps and source.lines > limits.outside_lines and share > limits.outside:
            yield finding(
                "pipeline_jungle",
                "low",
                "project",
                "source",
                key=(source.root, "glue"),
                found=f"{outside:,} of {source.lines:,} lines of code ({share:.0%}) stand outside"
                " of steps and pipelines.",
                cost="Glue is neither tracked nor reused, and its results cannot be explained.",
                todo="Move what makes or changes data into steps.",
                evidence={"lines": source.lines, "outside": outside},
            )


def wasted(world: World) -> Iterator[DebtFinding]:
    """Find steps whose output nobody takes, and steps that are done twice."""
    for one in world.pipelines:
        subject = f"pipeline:{one.name}"
        for step in one.unused_outputs:
            yield finding(
                "unused_output",
                "low",
                subject,
                f"step {step}",
                found=f"Step {step} returns something that no other step takes, and that is not"
                " what the pipeline returns.",
                cost=f"Its share of {one.wasted_s:.2g} s a run, and the bytes of what it keeps.",
                todo="Take it out, or let it return nothing if it is there for a check alone.",
            )
        for several in one.duplicates:
            yield finding(
                "duplicate_step",
                "low",
                subject,
                f"steps {', '.join(several)}",
                found=f"{' and '.join(several)} have the same code and the same arguments.",
                cost="Two names for one result; whoever changes one forgets the other.",
                todo="Call it once, and give its result to both.",
            )
