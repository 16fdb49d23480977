"""What a package that another tool wrote is served as, and whose pickled code is trusted.

Such a package stays as it came, under its own digest. What serves is made of it once: a package
of ours with the same numbers. Until a version has that form it can be kept, named and downloaded,
and neither judged nor served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import canonical, check_digest
from mainspring.ground.objects import Record, Signature, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import verdicts
from mainspring.readiness.tables import trusted_packages, version_forms


class Trust(Record, frozen=True, kw_only=True):
    """A person's word that a package's pickled code may run, and why."""

    package: str
    reason: str
    at: float
    by: str


def with_forms(tx: Tx, model: str, versions: Sequence[Version]) -> list[Version]:
    """Return versions as what they are served."""
    if all(one.source is None for one in versions):
        return list(versions)
    rows = tx.all(select(version_forms).where(version_forms.c.model == model))
    known = {row.number: row for row in rows}
    return [_as_form(one, known.get(one.number)) for one in versions]


def set_form(
    tx: Tx, version: Version, package: str, signature: Signature, metrics: Any, at: float
) -> None:
    """Keep what a version is served as; until its gate passes it may be made anew.

    Raises:
        ConflictError: if its gate passed: what was judged is what serves.
    """
    check_digest(package, "package")
    if verdicts.passed(tx, version.model, version.number):
        raise ConflictError(
            f"{version.model}/{version.number} passed its gate as it is; its form stays.",
            hint="Register it again to judge it anew.",
        )
    here = version_forms.c.model == version.model
    tx.run(delete(version_forms).where(here, version_forms.c.number == version.number))
    cells = {"model": version.model, "number": version.number, "package": package}
    told = {"signature": canonical(signature).decode(), "metrics": canonical(metrics).decode()}
    tx.run(insert(version_forms).values(**cells, **told, at=at, by=tx.who.name))
    where = f"version:{version.model}/{version.number}"
    tx.audit("version.form", where, {"package": package, "made_of": version.package})


def trust(tx: Tx, package: str, reason: str, at: float) -> bool:
    """Let the pickled code of a package run when it is converted; return whether that is new.

    Raises:
        BadInputError: if the reason is blank.
    """
    if not reason.strip():
        raise BadInputError("To trust pickled code needs a reason.", field="reason")
    if trusted(tx, package) is not None:
        return False
    values = {"package": check_digest(package, "package"), "reason": reason, "at": at}
    tx.run(insert(trusted_packages).values(**values, by=tx.who.name))
    tx.audit("package.trust", f"package:{package}", {}, reason)
    return True


def trusted(tx: Tx, package: str) -> Trust | None:
    """Return who trusts a package's pickled code and why, or None."""
    row = tx.one(select(trusted_packages).where(trusted_packages.c.package == package))
    if row is None:
        return None
    return Trust(package=row.package, reason=row.reason, at=row.at, by=row.by)


def _as_form(version: Version, row: Any | None) -> Version:
    if row is None:
        return version
    return msgspec.structs.replace(
        version,
        package=row.package,
        origin=version.package,
        signature=msgspec.json.decode(row.signature, type=Signature),
        metrics=msgspec.json.decode(row.metrics, type=dict[str, float]),
    )
