"""A person's word that what a script makes may be loaded, though it is pickled: once a script."""

from __future__ import annotations

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Decision
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, forms
from mainspring.workspace.opening import Workspace


def trust(ws: Workspace, script: str, code: str, reason: str) -> str:
    """Let what a script of this digest makes be loaded, and write down who said so.

    The word is for the script as it is: with another digest, or another module of the project
    that it imports, it has to be given again. Said twice it is said once.

    Raises:
        BadInputError: if the reason is blank, or the digest is none.
    """
    if not reason.strip():
        raise BadInputError("To trust a script needs a reason.", field="reason")

    def work(tx: Tx) -> None:
        now = ws.clock.now()
        if forms.trust(tx, code, reason, now):
            decisions.record(
                tx,
                Decision(
                    id=new_id("dec"),
                    at=now,
                    made=now,
                    kind="trust",
                    subject=f"script:{script}",
                    reason=reason.strip(),
                    by=tx.who.name,
                    evidence={"script": script, "code": code},
                ),
            )

    ws.write(Permission.PROMOTE, work)
    return code
