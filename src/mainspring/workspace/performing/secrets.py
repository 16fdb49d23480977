"""Find what a step's ``secrets=`` stand for: in the engine's environment, else in the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.secrecy import hide
from mainspring.pipelines import secrets
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


def resolved(ws: Workspace, step: str, names: Sequence[str]) -> dict[str, str]:
    """Return the values of a step's secrets; from now on none of them passes into our logs.

    Raises:
        BadInputError: naming those that are nowhere, or that cannot be kept out of logs.
        SecretKeyError: if the key that sealed one is not here.
    """
    if not names:
        return {}
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    asked = [name for name in names if name not in found]
    for name, kept in ws.read(Permission.WORK, lambda tx: secrets.values(tx, asked)).items():
        found[name] = sealed.unseal(ws, "secret", name, kept) or ""
    missing = [name for name in names if name not in found]
    if missing:
        raise BadInputError(
            f"Step {step} needs the secret {', '.join(missing)}, which is neither in the engine's"
            " environment nor kept.",
            field="secrets",
            hint=f"Keep it with: mainspring secret set {missing[0]}",
        )
    for name in names:
        hide(secrets.check_value(name, found[name]))
    return {name: found[name] for name in names}
