"""Bring the registered models of an MLflow store: versions, tags, stages, aliases.

Numbers are kept where the model is new here: what was deleted there leaves the same holes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from mainspring.experiments import artifacts
from mainspring.experiments import logged as logged_models
from mainspring.ground.errors import GateRefusedError, MainspringError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import facts, listing, registry, removal
from mainspring.workspace import registering
from mainspring.workspace.importing.files import Unread
from mainspring.workspace.importing.found import FoundModel, FoundVersion, Store
from mainspring.workspace.importing.report import TAG, Report
from mainspring.workspace.opening import Workspace

Walk = Callable[..., Iterator[Any]]
_REASON = "Brought from MLflow."


def bring(ws: Workspace, store: Store, walk: Walk, report: Report) -> None:
    """Bring every registered model."""
    for model in store.models():
        try:
            _Model(ws, store, walk, report, model).bring()
        except MainspringError as error:
            report.problem(f"model {model.name}", str(error))


class _Model:
    def __init__(
        self, ws: Workspace, store: Store, walk: Walk, report: Report, model: FoundModel
    ) -> None:
        self._ws = ws
        self._store = store
        self._walk = walk
        self._report = report
        self._model = model
        self._from = f"{store.uri}#{model.name}"

    def bring(self) -> None:
        """Bring one model with its versions."""
        ws, model = self._ws, self._model
        facts.check_title(model.name)
        name = ws.read(Permission.READ, lambda tx: facts.find(tx, model.name))
        self._report.count("models", new=name is None)
        if name is None and not self._report.dry_run:
            name = ws.write(Permission.REGISTER, self._create)
        here = self._here(name)
        numbers: dict[int, int] = {}
        for version in model.versions:
            known = here.get(f"{self._from}/{version.number}")
            self._report.count("versions", new=known is None)
            if known is not None:
                numbers[version.number] = known
            elif not self._report.dry_run and name is not None:
                numbers[version.number] = self._version(name, version)
        if name is not None and not self._report.dry_run:
            self._aliases(name, numbers)

    def _create(self, tx: Tx) -> str:
        model = self._model
        name = facts.create(tx, model.name, model.created)
        facts.tag_model(tx, name, {**model.tags, TAG: self._from})
        if model.description:
            facts.describe_model(tx, name, model.description, model.created)
        return name

    def _here(self, name: str | None) -> dict[str, int]:
        """Return the number of each version that was brought before, by where it came from."""
        if name is None:
            return {}
        several = self._ws.read(Permission.READ, lambda tx: listing.versions(tx, name))
        return {one.facts.tags.get(TAG, ""): one.version.number for one in several}

    def _version(self, name: str, one: FoundVersion) -> int:
        ws = self._ws
        version = registering.version_of_files(
            ws,
            name,
            self._files(one),
            one.source,
            run=one.run,
            link=one.link,
            logged=one.logged,
        )
        version = msgspec.structs.replace(version, created=one.created)
        tags = {**one.tags, TAG: f"{self._from}/{one.number}"}

        def work(tx: Tx) -> int:
            newest = next(m.newest for m in registry.models(tx) if m.name == name)
            for _ in range(newest + 1, one.number):
                hole = registry.register(tx, msgspec.structs.replace(version, source="deleted"))
                removal.delete_version(tx, name, hole.number, one.created)
            kept = registry.register(tx, version, tags, one.description)
            return kept.number

        number = ws.write(Permission.REGISTER, work)
        if one.stage not in ("", "None"):
            self._try(
                f"stage {one.stage} of {name}/{number}",
                lambda tx: facts.set_stage(tx, name, number, one.stage, one.created),
            )
        if number != one.number:
            self._report.problem(
                f"version {self._model.name}/{one.number}",
                f"it is {name}/{number} here, for the model had versions before",
            )
        return number

    def _files(self, one: FoundVersion) -> dict[str, str]:
        """Return the files of a version: of its logged model or run, or from where it says."""
        logged, source = one.logged, one.source

        def look(tx: Tx) -> dict[str, str]:
            if logged is not None:
                return artifacts.digests(tx, logged, of=artifacts.MODELS)
            run, _, folder = source.removeprefix("runs:/").partition("/")
            if not source.startswith("runs:/"):
                return {}
            found = artifacts.digests(tx, run, folder)
            for model in [] if found else logged_models.of_maker(tx, run, folder):
                return artifacts.digests(tx, model, of=artifacts.MODELS)
            return found

        found = self._ws.read(Permission.READ, look)
        if found:
            return found
        for file in self._walk(one.files) if one.files else ():
            where = f"version {self._model.name}/{one.number}"
            if isinstance(file, Unread):
                self._report.problem(f"{where}, {file.path[:200]}", file.why)
                continue
            artifacts.check_path(file.path)
            self._report.add("files", 1)
            self._report.add("bytes", file.size)
            with file.open() as on_disk:
                found[file.path] = self._ws.objects.put_file(on_disk)
        if not found:
            self._report.problem(
                f"version {self._model.name}/{one.number}", f"no files of it at {source}"
            )
        return found

    def _aliases(self, name: str, numbers: dict[int, int]) -> None:
        now = self._ws.read(Permission.READ, lambda tx: registry.aliases_of(tx, name))
        for alias, there in self._model.aliases.items():
            number = numbers.get(there)
            if number is None or alias in now:
                self._report.count("aliases", new=False)
                continue
            if self._try(
                f"alias {alias} of {name}/{number}",
                lambda tx, a=alias, n=number: registry.set_alias(  # type: ignore[misc]
                    tx, name, a, n, _REASON, self._ws.clock.now()
                ),
            ):
                self._report.count("aliases", new=True)

    def _try(self, what: str, work: Callable[[Tx], Any]) -> bool:
        try:
            self._ws.write(Permission.PROMOTE, work)
        except GateRefusedError as error:
            told = f"{error.message} Judge it first: mainspring judge."
            self._report.problem(what, told)
            return False
        except MainspringError as error:
            self._report.problem(what, str(error))
            return False
        return True
