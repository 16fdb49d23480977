"""The promises about bytes: what the store names is there. Whether it is whole, doctor samples."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from mainspring.experiments import tables as experiments
from mainspring.ground.errors import MainspringError
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.readiness import tables as readiness
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.index import read_index
from mainspring.workspace.opening import Workspace


def packages(ws: Workspace, tx: Tx) -> Iterator[str]:
    """Yield versions with an alias whose package, or a file of it, is not here."""
    named = {(row.model, row.number) for row in tx.all(select(readiness.aliases))}
    for model, number in sorted(named):
        version = registry.get(tx, model, number)
        if not ws.objects.has(version.package):
            yield f"The package of {model}/{number}, {version.package[:12]}, is not here."
            continue
        try:
            manifest = package.read_manifest(version.package, ws.objects)
        except MainspringError as error:
            yield f"The package of {model}/{number} cannot be read: {error}"
            continue
        for path, digest in manifest.files.items():
            if not ws.objects.has(digest):
                yield f"{path} of {model}/{number}, {digest[:12]}, is not here."


def artifacts(ws: Workspace, tx: Tx) -> Iterator[str]:
    """Yield artifacts of runs whose bytes are not here."""
    table = experiments.artifacts
    gone = select(experiments.deleted_runs.c.run)
    known: dict[str, bool] = {}
    for row in tx.all(select(table).where(table.c.run.not_in(gone))):
        if row.digest not in known:
            known[row.digest] = ws.objects.has(row.digest)
        if not known[row.digest]:
            yield f"{row.path} of run {row.run}, {row.digest[:12]}, is not here."


def captures(ws: Workspace, tx: Tx) -> Iterator[str]:
    """Yield files that the index of an endpoint's captures names and that are gone."""
    for endpoint in endpoints.list_endpoints(tx):
        folder = ws.captures(endpoint.name)
        for file in read_index(folder).files if folder.is_dir() else ():
            if not (folder / file.name).is_file():
                yield f"{file.name} of {endpoint.name} is not there ({file.rows:,} rows)."
