"""Proofs of a version: the project's tests, a scan, a reproduction, its parts, advisories."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import OfVersion, Request
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
