"""Say who leads to whom: for all things of a level at once, with a few queries a kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.engine import reactor
from mainspring.experiments import lineage as runs
from mainspring.experiments.lineage import uri_of
from mainspring.ground.ports import Tx
from mainspring.monitoring import windows
from mainspring.pipelines import lineage as steps
from mainspring.pipelines.data import versions as data
from mainspring.readiness import lineage as versions
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import running
from mainspring.workspace.lineage.shapes import Leads

if TYPE_CHECKING:
    from mainspring.workspace.lineage.asking import Known

_NEWEST_WINDOWS = 10
_NEWEST_VERSIONS = 50
Found = list[Leads]


def dataset(name: str, digest: str) -> str:
    """Return the reference of one version of a dataset."""
    return f"dataset:{name}@{digest}"


def _split(several: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return whole datasets by name, and versions of them by name and digest."""
    whole = [one for one in several if "@" not in one]
    exact = [one.rpartition("@") for one in several if "@" in one]
    return whole, [(name, digest) for name, _, digest in exact]


class Edges:
    """The edges next to some things, downwards and upwards.

    What is asked for at each step of a chain, the steps of a run, is read once a question.
    """

    def __init__(self, tx: Tx, known: Known) -> None:
        self._tx = tx
        self._known = known
        self._steps: dict[str, list[steps.Kin]] = {}
        self._down: dict[str, Callable[[list[str]], Found]] = {
            "file": self._files_down,
            "dataset": self._datasets_down,
            "run": self._runs_down,
            "step": self._steps_down,
            "output": self._outputs_down,
            "artifact": self._artifacts_down,
            "model": self._models_down,
            "version": self._versions_down,
            "alias": self._aliases_down,
            "rollout": self._rollouts_down,
            "endpoint": self._endpoints_down,
        }
        self._up: dict[str, Callable[[list[str]], Found]] = {
            "dataset": self._datasets_up,
            "run": self._runs_up,
            "step": self._steps_up,
            "output": self._outputs_up,
            "artifact": self._artifacts_up,
            "model": self._models_down_as_up,
            "version": self._versions_up,
            "alias": self._aliases_up,
            "rollout": self._rollouts_up,
            "endpoint": self._endpoints_up,
            "window": self._windows_up,
            "prediction": self._predictions_up,
        }

    def down(self, names: Sequence[str]) -> Found:
        """Return what came of some things, directly."""
        return self._ask(self._down, names)

    def up(self, names: Sequence[str]) -> Found:
        """Return what some things came from, directly."""
        return self._ask(self._up, names)

    def _ask(self, table: dict[str, Callable[[list[str]], Found]], names: Sequence[str]) -> Found:
        kinds: dict[str, list[str]] = defaultdict(list)
        for name in names:
            kind, _, rest = name.partition(":")
            kinds[kind].append(rest)
        return [
            edge
            for kind, several in kinds.items()
            if kind in table
            for edge in table[kind](several)
        ]

    def _steps_of(self, ids: Sequence[str]) -> list[steps.Kin]:
        """Return the steps of runs, in an order in which they may run."""
        new = [one for one in dict.fromkeys(ids) if one not in self._steps]
        self._steps |= {one: [] for one in new}
        for step in steps.of_runs(self._tx, new):
            self._steps[step.run].append(step)
        return [step for one in dict.fromkeys(ids) for step in self._steps[one]]

    # ------------------------------------------------------------ data

    def _files_down(self, paths: list[str]) -> Found:
        logged = [
            Leads(up=f"file:{path}", down=dataset(one.name, one.digest), how="logged as")
            for path in paths
            for one in runs.reads_from(self._tx, path)
        ]
        added = [
            Leads(up=f"file:{path}", down=dataset(one.name, one.digest), how="added as")
            for path in paths
            for one in data.added_from(self._tx, path)
            if one.source == path
        ]
        return [*logged, *added]

    def _datasets_down(self, several: list[str]) -> Found:
        whole, exact = _split(several)
        found = [
            Leads(up=f"dataset:{name}", down=dataset(name, digest), how="version")
            for name, digest in runs.digests_of(self._tx, whole)
        ]
        for one in runs.reads_of_versions(self._tx, exact):
            read = f"read as {one.context}" if one.context else "read by"
            ref = dataset(one.name, one.digest)
            found.append(Leads(up=ref, down=f"run:{one.run}", how=read))
        return found

    def _datasets_up(self, several: list[str]) -> Found:
        wanted = set(several)
        whole, exact = _split(several)
        found = [
            Leads(up=dataset(name, digest), down=f"dataset:{name}", how="version")
            for name, digest in runs.digests_of(self._tx, whole)
        ]
        for name, digest, source in runs.sources_of(self._tx, exact):
            if uri := uri_of(source):
                down = dataset(name, digest)
                found.append(Leads(up=f"file:{uri}", down=down, how="logged as"))
        for version in data.by_digest(self._tx, [digest for _, digest in exact]):
            if f"{version.name}@{version.digest}" in wanted and version.source:
                ref = dataset(version.name, version.digest)
                found.append(Leads(up=f"file:{version.source}", down=ref, how="added as"))
        return found

    # ------------------------------------------------------------ runs and steps

    def _runs_down(self, ids: list[str]) -> Found:
        found = []
        outputs: dict[str, set[str]] = defaultdict(set)
        for one in self._steps_of(ids):
            if one.output is not None:
                outputs[one.run].add(one.output)
            if not one.inputs:
                ref = f"step:{one.run}/{one.step}"
                found.append(Leads(up=f"run:{one.run}", down=ref, how="step"))
        for version in versions.of_runs(self._tx, ids):
            if version.package not in outputs[version.run or ""]:
                ref = f"version:{version.name}"
                found.append(Leads(up=f"run:{version.run}", down=ref, how="registered as"))
        for child, parent in runs.children(self._tx, ids):
            found.append(Leads(up=f"run:{parent}", down=f"run:{child}", how="began"))
        for reader, _, maker in runs.model_readers(self._tx, ids):
            found.append(Leads(up=f"run:{maker}", down=f"run:{reader}", how="its model read by"))
        return found

    def _runs_up(self, ids: list[str]) -> Found:
        found = []
        for one in runs.reads_of(self._tx, ids):
            read = f"read as {one.context}" if one.context else "read by"
            ref = dataset(one.name, one.digest)
            found.append(Leads(up=ref, down=f"run:{one.run}", how=read))
        for child, parent in runs.parents(self._tx, ids):
            found.append(Leads(up=f"run:{parent}", down=f"run:{child}", how="began"))
        for reader, _, maker in runs.models_read(self._tx, ids):
            found.append(Leads(up=f"run:{maker}", down=f"run:{reader}", how="its model read by"))
        watched = {one.name: one.spec.endpoint for one in reactor.loop_rows(self._tx)}
        for run, told in runs.tags_of(self._tx, ids, ["loop", running.CAPTURED]).items():
            endpoint = watched.get(told.get("loop", ""))
            if endpoint and running.CAPTURED in told:
                up = f"endpoint:{endpoint}"
                found.append(Leads(up=up, down=f"run:{run}", how="its traffic learnt by"))
        return found

    def _steps_down(self, several: list[str]) -> Found:
        wanted = set(several)
        ids = list(dict.fromkeys(one.partition("/")[0] for one in several))
        mine = self._steps_of(ids)
        gave = {
            (one.run, one.output): one
            for one in mine
            if one.output and f"{one.run}/{one.step}" in wanted
        }
        found = []
        for one in mine:
            for digest in one.inputs:
                giver = gave.get((one.run, digest))
                if giver is not None:
                    found.append(_step_to(giver, one, "taken by"))
        computed = [one for one in gave.values() if one.reused_from is None and one.output]
        again = steps.of_outputs(self._tx, [one.output for one in computed if one.output])
        origin = {(one.run, one.output): one for one in computed}
        for one in again:
            giver = origin.get((one.reused_from or "", one.output))
            if giver is not None:
                found.append(_step_to(giver, one, "reused by"))
        for version in versions.of_runs(self._tx, ids):
            giver = gave.get((version.run or "", version.package))
            if giver is not None:
                up = f"step:{giver.run}/{giver.step}"
                found.append(Leads(up=up, down=f"version:{version.name}", how="registered as"))
        return found

    def _steps_up(self, several: list[str]) -> Found:
        wanted = set(several)
        ids = list(dict.fromkeys(one.partition("/")[0] for one in several))
        mine = self._steps_of(ids)
        gave = {(one.run, one.output): one for one in mine if one.output}
        found, reused = [], []
        for one in mine:
            if f"{one.run}/{one.step}" not in wanted:
                continue
            ref = f"step:{one.run}/{one.step}"
            for digest in sorted(one.inputs):
                giver = gave.get((one.run, digest))
                if giver is not None:
                    found.append(_step_to(giver, one, "taken by"))
            if not one.inputs:
                found.append(Leads(up=f"run:{one.run}", down=ref, how="step"))
            if one.reused_from is not None and one.output is not None:
                reused.append(one)
        makers = steps.of_outputs(self._tx, [one.output for one in reused if one.output])
        origin = {(one.run, one.output): one for one in makers}
        for one in reused:
            maker = origin.get((one.reused_from or "", one.output))
            if maker is not None:
                found.append(_step_to(maker, one, "reused by"))
        return found

    def _outputs_up(self, digests: list[str]) -> Found:
        return [
            Leads(up=f"step:{one.run}/{one.step}", down=f"output:{one.output}", how="gave")
            for one in steps.of_outputs(self._tx, digests)
            if one.reused_from is None
        ]

    def _outputs_down(self, digests: list[str]) -> Found:
        givers = steps.of_outputs(self._tx, digests)
        told = self._steps_down([f"{one.run}/{one.step}" for one in givers])
        gave = {f"step:{one.run}/{one.step}": f"output:{one.output}" for one in givers}
        return [
            msgspec.structs.replace(edge, up=gave[edge.up])
            for edge in told
            if edge.how != "reused by"
        ]

    def _artifacts_up(self, several: list[str]) -> Found:
        return [
            Leads(up=f"run:{one.partition('/')[0]}", down=f"artifact:{one}", how="logged")
            for one in several
        ]

    def _artifacts_down(self, several: list[str]) -> Found:
        """A version whose files a run logged under this path."""
        digests = {one: self._known.artifact(self._tx, one) for one in several}
        ids = list({one.partition("/")[0] for one in several})
        made = versions.of_runs(self._tx, ids)
        return [
            Leads(up=f"artifact:{one}", down=f"version:{version.name}", how="registered as")
            for one, digest in digests.items()
            for version in made
            if digest is not None and version.package == digest
        ]

    # ------------------------------------------------------------ models and serving

    def _models_down(self, names: list[str]) -> Found:
        return [
            Leads(up=f"model:{name}", down=f"version:{one.name}", how="version")
            for name in names
            for one in versions.newest(self._tx, name, _NEWEST_VERSIONS)
        ]

    def _models_down_as_up(self, names: list[str]) -> Found:
        return [
            Leads(up=edge.down, down=edge.up, how=edge.how) for edge in self._models_down(names)
        ]

    def _versions_down(self, several: list[str]) -> Found:
        wanted = set(several)
        models = list({one.rpartition("/")[0] for one in several})
        found = []
        for model, alias, number in versions.named_by(self._tx, models):
            if f"{model}/{number}" in wanted:
                up, down = f"version:{model}/{number}", f"alias:{model}@{alias}"
                found.append(Leads(up=up, down=down, how="named"))
        for one in self._known.rollouts(self._tx, models):
            ref = f"{one.model}/{one.challenger}"
            if ref in wanted:
                how = f"{one.strategy} ({one.state})"
                found.append(Leads(up=f"version:{ref}", down=f"rollout:{one.id}", how=how))
        return found

    def _versions_up(self, several: list[str]) -> Found:
        pairs = [(one.rpartition("/")[0], int(one.rpartition("/")[2])) for one in several]
        made = versions.named(self._tx, pairs)
        ids = list(dict.fromkeys(one.run for one in made if one.run))
        gave = {(one.run, one.output): one for one in self._steps_of(ids) if one.output}
        found = []
        for version in made:
            if version.run is None:
                continue
            giver = gave.get((version.run, version.package))
            up = f"run:{version.run}" if giver is None else f"step:{giver.run}/{giver.step}"
            found.append(Leads(up=up, down=f"version:{version.name}", how="registered as"))
        return found

    def _aliases_down(self, several: list[str]) -> Found:
        found = []
        for one in several:
            model, _, alias = one.rpartition("@")
            if alias == registry.CHAMPION:
                for endpoint in endpoints.of_model(self._tx, model):
                    down = f"endpoint:{endpoint.name}"
                    found.append(Leads(up=f"alias:{one}", down=down, how="served by"))
        return found

    def _aliases_up(self, several: list[str]) -> Found:
        models = list({one.rpartition("@")[0] for one in several})
        return [
            Leads(up=f"version:{model}/{number}", down=f"alias:{model}@{alias}", how="named")
            for model, alias, number in versions.named_by(self._tx, models)
            if f"{model}@{alias}" in several
        ]

    def _rollouts_down(self, ids: list[str]) -> Found:
        return [
            Leads(up=f"rollout:{one.id}", down=f"endpoint:{one.endpoint}", how="on")
            for one in (rollouts.get(self._tx, name) for name in ids)
        ]

    def _rollouts_up(self, ids: list[str]) -> Found:
        return [
            Leads(
                up=f"version:{one.model}/{one.challenger}",
                down=f"rollout:{one.id}",
                how=f"{one.strategy} ({one.state})",
            )
            for one in (rollouts.get(self._tx, name) for name in ids)
        ]

    def _endpoints_down(self, names: list[str]) -> Found:
        found = [
            Leads(up=f"endpoint:{name}", down=f"window:{one.id}", how="watched in")
            for name in names
            for one in windows.list_windows(self._tx, name, limit=_NEWEST_WINDOWS)
        ]
        learn = {
            one.name: one.spec.endpoint
            for one in reactor.loop_rows(self._tx)
            if one.spec.endpoint in names
        }
        several = runs.tagged(self._tx, "loop", list(learn)) if learn else []
        told = runs.tags_of(self._tx, [run for run, _ in several], [running.CAPTURED])
        for run, loop in several:
            if run in told:
                up = f"endpoint:{learn[loop]}"
                found.append(Leads(up=up, down=f"run:{run}", how="its traffic learnt by"))
        return found

    def _endpoints_up(self, names: list[str]) -> Found:
        found = []
        served = {one.name: one.model for one in endpoints.list_endpoints(self._tx)}
        for name in names:
            if name in served:
                up = f"alias:{served[name]}@{registry.CHAMPION}"
                found.append(Leads(up=up, down=f"endpoint:{name}", how="served by"))
            running_ = rollouts.running(self._tx, name)
            if running_ is not None:
                up = f"rollout:{running_.id}"
                found.append(Leads(up=up, down=f"endpoint:{name}", how="on"))
        return found

    def _windows_up(self, ids: list[str]) -> Found:
        found = []
        served = {one.name: one.model for one in endpoints.list_endpoints(self._tx)}
        for one in (windows.get(self._tx, name) for name in ids):
            model = served.get(one.endpoint)
            if model is not None and one.version is not None:
                up = f"version:{model}/{one.version}"
                found.append(Leads(up=up, down=f"window:{one.id}", how="answered in"))
        return found

    def _predictions_up(self, ids: list[str]) -> Found:
        found = []
        for one in ids:
            version = self._known.answered(one)
            if version is not None:
                up = f"version:{version}"
                found.append(Leads(up=up, down=f"prediction:{one}", how="answered"))
        return found


def _step_to(giver: steps.Kin, taker: steps.Kin, how: str) -> Leads:
    return Leads(
        up=f"step:{giver.run}/{giver.step}", down=f"step:{taker.run}/{taker.step}", how=how
    )
