"""Training scripts: whose pickled models may be loaded, by a person's word."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Reason, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace


class TrustScript(Request, frozen=True, kw_only=True):
    """Which script, as it is, and why what it makes may be loaded."""

    script: Annotated[
        str,
        Meta(min_length=1, max_length=500, description="Its path in the project, for the words."),
    ]
    code: Annotated[
        str,
        Meta(
            min_length=64,
            max_length=64,
            description="The digest of the script and of what it imports from the project.",
        ),
    ]
    reason: Reason


class ScriptTrusted(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of the script whose models may be loaded."""

    code: str


@operation(
    "scripts.trust",
    "POST",
    "/api/v1/scripts/trust",
    Permission.PROMOTE,
    example={"script": "train.py", "code": "0" * 64, "reason": "It is our nightly training."},
)
def trust(ws: Workspace, request: TrustScript) -> ScriptTrusted:
    """Let pickled models that this script makes be loaded in its loop's steps."""
    from mainspring.workspace.around import trusting

    return ScriptTrusted(code=trusting.trust(ws, request.script, request.code, request.reason))
