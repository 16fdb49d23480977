"""What is to be done for a step, and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.pipelines.declare import Options
from mainspring.pipelines.graph import Argument


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done for a step whose needs are met."""

    run: str
    step: str
    target: str
    key: str
    parts: dict[str, str]
    why: str  #: why it runs or is reused, in words
    args: dict[str, Argument]  #: refs replaced by {"digest", "type"}; what ``child`` takes
    inputs: dict[str, str]  #: argument -> digest
    options: Options
    code: str  #: digest of the code it was planned with; the child checks it
    declared: dict[str, str] = {}  #: files and variables it depends on; the child checks them too
    attempt: int  #: how often it was started before
    anew: bool = False  #: it runs anew in this run, whatever there is
    env: str = ""  #: digest of the environment it was planned for
    seed: int = 0  #: of the run
    output: str | None = None  #: set if a result is reused
    output_type: str | None = None
    blobs: list[str] = []  #: of a reused result: every object it needs
    reused_from: str | None = None
    metrics: list[list[Any]] = []  #: of a reused result: what the step had logged, last of each
    reads: list[str] = []  #: of a reused result: see Output

    @property
    def reused(self) -> bool:
        """Return whether there is nothing to run."""
        return self.output is not None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What a step returned, as it is kept."""

    digest: str
    type: str
    blobs: list[str] = []
    metrics: list[list[Any]] = []  #: as the child gathered them; kept for runs that reuse it
    reads: list[str] = []  #: files that the step opened and that are no part of its key
    log: str | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
