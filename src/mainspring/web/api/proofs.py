"""Proofs of a version: the project's tests, a scan, a reproduction, its parts, advisories."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.gates import Accepted
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, ModelName, Number, OfVersion, Request, RunId
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

Digests = Annotated[
    dict[str, str],
    Meta(max_length=10_000, description="module:function to the digest of its code."),
]
Digest = Annotated[str, Meta(max_length=64, description="A sha256, in hexadecimal.")]


class TestsRan(Request, frozen=True, kw_only=True):
    """What a run of the project's tests said, and on which code."""

    junit: Annotated[
        str,
        Meta(
            max_length=8 << 20,
            description="The report, as JUnit XML.",
            examples=["<testsuite tests='1'><testcase name='test_load' time='0.1'/></testsuite>"],
        ),
    ]
    exit_code: Annotated[int, Meta(ge=-255, le=255, description="pytest's.")] = 0
    changed: Annotated[bool, Meta(description="The code was not the same before and after.")] = (
        False
    )
    pipelines: Digests
    steps: Digests
    lines: Annotated[
        dict[str, tuple[int, int]],
        Meta(max_length=10_000, description="Step to the lines that ran and those that can run."),
    ] = {}
    environment: Digest = ""


_CODE = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"


@operation(
    "proofs.tests",
    "POST",
    "/api/v1/proofs/tests",
    Permission.RUN,
    example={
        "junit": "<testsuite tests='1'><testcase name='test_load' time='0.1'/></testsuite>",
        "exit_code": 0,
        "changed": False,
        "pipelines": {"project:train": _CODE},
        "steps": {"project:load": _CODE},
        "lines": {"project:load": [4, 5]},
        "environment": _CODE,
    },
)
def keep_tests(ws: Workspace, request: TestsRan) -> list[Evidence]:
    """Keep what a run of the project's tests said, as evidence on each of its pipelines.

    The report is read here: how many tests passed is never taken on trust.
    """
    from mainspring.workspace.proofs import suites

    return suites.keep(
        ws,
        junit=request.junit,
        exit_code=request.exit_code,
        changed=request.changed,
        pipelines=request.pipelines,
        steps=request.steps,
        lines=request.lines,
        environment=request.environment,
    )


@operation(
    "proofs.scan",
    "POST",
    "/api/v1/models/{model}/versions/{number}/scan",
    Permission.RUN,
    example={"model": "flights", "number": 7},
)
def scan(ws: Workspace, request: OfVersion) -> Evidence:
    """Look through a version's files for what could do harm; nothing of them is loaded."""
    from mainspring.workspace.proofs import scanning

    return scanning.scan(ws, request.model, request.number, permission=Permission.RUN)


class MakeAgain(Request, frozen=True, kw_only=True):
    """Which version to make again, how often, and how far metrics may be apart."""

    model: ModelName
    number: Number
    runs: Annotated[int, Meta(ge=1, le=20, description="How often to run it.")] = 1
    tolerance: Annotated[
        float, Meta(ge=0, lt=1, description="Relative difference up to which numbers are equal.")
    ] = 0.01
    here: Annotated[bool, Meta(description="Take what is installed, and say how it differs.")] = (
        False
    )
    rebuild: Annotated[
        bool, Meta(description="Build the environment even if the same is installed.")
    ] = False


class RemakeRun(Request, frozen=True, kw_only=True):
    """Which run to make again, how often, and how far numbers may be apart."""

    run: RunId
    runs: Annotated[int, Meta(ge=1, le=20, description="How often to run it.")] = 1
    tolerance: Annotated[
        float, Meta(ge=0, lt=1, description="Relative difference up to which numbers are equal.")
    ] = 0.01
    here: Annotated[bool, Meta(description="Take what is installed, and say how it differs.")] = (
        False
    )
    rebuild: Annotated[
        bool, Meta(description="Build the environment even if the same is installed.")
    ] = False


class OfReproduction(Request, frozen=True, kw_only=True):
    """Which reproduction."""

    task: Annotated[str, Meta(min_length=1, max_length=128, description="As it was answered.")]


class Reproducing(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is with making a version again."""

    task: str
    state: str
    runs: list[str] = []  #: those that make it again
    error: str = ""  #: why it could not be prepared or compared
    evidence: Evidence | None = None  #: what came of it, once they are compared


@operation(
    "proofs.reproduce",
    "POST",
    "/api/v1/models/{model}/versions/{number}/reproduce",
    Permission.RUN,
    example={
        "model": "flights",
        "number": 7,
        "runs": 3,
        "tolerance": 0.01,
        "here": False,
        "rebuild": False,
    },
)
def reproduce(ws: Workspace, request: MakeAgain) -> Reproducing:
    """Run what made a version again in a clean place, with nothing reused, and compare.

    As making its run again (``proofs.remake``), and the evidence is on the version as well.
    """
    from mainspring.workspace.proofs import remaking

    wanted = remaking.Wanted(
        run="",
        model=request.model,
        number=request.number,
        count=request.runs,
        tolerance=request.tolerance,
        here=request.here,
        rebuild=request.rebuild,
    )
    return Reproducing(task=remaking.ask(ws, wanted).task, state="waiting")


@operation(
    "proofs.remake",
    "POST",
    "/api/v1/runs/{run}/reproduce",
    Permission.RUN,
    example={"run": "run_01j9", "runs": 2, "tolerance": 0.01, "here": False, "rebuild": False},
)
def remake(ws: Workspace, request: RemakeRun) -> Reproducing:
    """Make a pipeline's run again in a clean place, with nothing reused, and compare.

    Its code is made again from what the run kept, its environment from its lock. An engine does
    it; what came of it is evidence on the run, and on the version that it made.
    """
    from mainspring.workspace.proofs import remaking

    wanted = remaking.Wanted(
        run=request.run,
        count=request.runs,
        tolerance=request.tolerance,
        here=request.here,
        rebuild=request.rebuild,
    )
    return Reproducing(task=remaking.ask(ws, wanted).task, state="waiting")


@operation("proofs.reproduction", "GET", "/api/v1/reproductions/{task}", Permission.READ)
def reproduction(ws: Workspace, request: OfReproduction) -> Reproducing:
    """Show how far it is with making a version again, and what came of it."""
    from mainspring.workspace.proofs import reproducing

    task, runs, found = reproducing.reproduction(ws, request.task)
    stopped = bool(task.result and task.result.get("cancelled"))
    return Reproducing(
        task=request.task,
        state="cancelled" if stopped else task.state,
        runs=runs,
        evidence=found,
        error=task.error or "",
    )


@operation(
    "proofs.cancel",
    "POST",
    "/api/v1/reproductions/{task}/cancel",
    Permission.RUN,
    example={"task": "again_01j9"},
)
def cancel(ws: Workspace, request: OfReproduction) -> Done:
    """Stop making a run again; nothing is said of whether it gives the same."""
    from mainspring.workspace.proofs import reproducing

    reproducing.cancel(ws, request.task)
    return Done()


class WrittenSbom(msgspec.Struct, frozen=True, kw_only=True):
    """A version's parts, and the evidence that they were written down."""

    document: dict[str, Any]  #: CycloneDX 1.6
    evidence: Evidence


class AuditPackages(Request, frozen=True, kw_only=True):
    """Which version's packages to match against which advisories."""

    model: ModelName
    number: Number
    file: Annotated[
        str, Meta(min_length=64, max_length=64, description="Digest of an object: OSV records.")
    ]
    least: Annotated[
        Literal["low", "moderate", "high", "critical"],
        Meta(description="What is less grave does not count."),
    ] = "high"
    accepted: Annotated[
        dict[str, Accepted], Meta(max_length=10_000, description="Advisories by id.")
    ] = {}


@operation(
    "proofs.sbom",
    "POST",
    "/api/v1/models/{model}/versions/{number}/sbom",
    Permission.RUN,
    example={"model": "flights", "number": 7},
)
def write_sbom(ws: Workspace, request: OfVersion) -> WrittenSbom:
    """Write down what a version is made of: packages, files, data, as CycloneDX 1.6."""
    from mainspring.workspace.proofs import parts

    found, made = parts.write_sbom(ws, request.model, request.number)
    return WrittenSbom(document=found, evidence=made)


@operation(
    "proofs.audit",
    "POST",
    "/api/v1/models/{model}/versions/{number}/audit",
    Permission.RUN,
    example={
        "model": "flights",
        "number": 7,
        "file": _CODE,
        "least": "high",
        "accepted": {"GHSA-1": {"reason": "We never parse XML.", "until": 1_801_353_600.0}},
    },
)
def audit(ws: Workspace, request: AuditPackages) -> Evidence:
    """Match the packages a version was made with against advisories; nothing is asked outside."""
    from mainspring.workspace.proofs import parts

    return parts.audit(
        ws,
        request.model,
        request.number,
        request.file,
        least=request.least,
        accepted=request.accepted,
    )
