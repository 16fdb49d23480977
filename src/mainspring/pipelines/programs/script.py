"""Training scripts in SageMaker's manner as steps: hyperparameters as words, folders by variable.

The folders and variables are those of the SageMaker Training Toolkit, under a folder of the
step's own: a script that asks its environment runs unchanged. For one that writes ``/opt/ml`` out
that folder is bound there, in a name space of the script's own.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from mainspring.ground.errors import BadInputError, ProjectError, StepFailedError
from mainspring.ground.identity import key_of
from mainspring.pipelines.context import current
from mainspring.pipelines.options import Given
from mainspring.pipelines.plain import is_simple
from mainspring.pipelines.programs import following, launching, mounting, placing
from mainspring.pipelines.programs.program import Program, Recipe, check_text, copied, files_of
from mainspring.pipelines.ranks import rank, world_size

OUTPUTS = ("model", "data")
OPT_ML = Path("/opt/ml")
#: Files in which the path may be written out.
_TEXTS = {".py", ".sh", ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt"}
_UNBOUND = (
    "Have it ask SM_MODEL_DIR, SM_CHANNEL_... and the like; or run the engine as root, or on a"
    " Linux that lets users have name spaces: sysctl user.max_user_namespaces,"
    " kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns."
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,254}")


def script(
    entry_point: str,
    *,
    source_dir: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("model",),
    metrics: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[Given],
) -> Program:
    r"""Make a training script a step, run as SageMaker's containers run it.

    In a pipeline it is called with ``channels`` and, if wanted, ``hyperparameters``, which win
    over those declared here: ``train(channels={"train": rows}, hyperparameters={"trees": 50})``.
    Each channel's value is put as a file (a frame as Parquet, unless the name of the channel
    has an ending, such as ``train.csv``; a folder as it is) into a folder that
    ``SM_CHANNEL_TRAIN`` names.
    Hyperparameters come as ``--name value``, as ``SM_HP_NAME`` and in
    ``input/config/hyperparameters.json``. What the script leaves in ``SM_MODEL_DIR`` is what
    the step returns, as a folder; ``outputs=("model", "data")`` returns a dict of both that and
    ``SM_OUTPUT_DATA_DIR``. A text in ``output/failure`` is the error of a script that fails. What
    it leaves in ``SM_CHECKPOINT_DIR`` is kept while it runs, and there again at the next attempt.
    If a file of the script, a hyperparameter or a variable says ``/opt/ml``, all of this is there
    for the script alone.

    ``metrics`` are regular expressions by metric name, with one group: what each finds in a
    line of the log is logged. ``source_dir`` is copied with the script (else the script goes
    alone), and all of its files are the code in the key of the result. It is run by
    the Python of the step's environment; ``variables`` adds to what it finds there.

    Raises:
        BadInputError, ProjectError: naming what cannot be.
    """
    recipe = ScriptRecipe(
        entry_point, source_dir, hyperparameters or {}, outputs, metrics or {}, variables or {}
    )
    return Program(recipe, options)


class ScriptRecipe(Recipe):
    """A script, and what it is given each time."""

    word = "script"

    def __init__(
        self,
        entry_point: str,
        source_dir: str | None,
        hyperparameters: Mapping[str, Any],
        outputs: Sequence[str],
        metrics: Mapping[str, str],
        variables: Mapping[str, str],
    ) -> None:
        self.entry_point = check_text(entry_point, "entry_point", "A script")
        if not self.entry_point.endswith((".py", ".sh")):
            raise BadInputError(
                f"A script is a .py or .sh file, found {entry_point!r}.", field="entry_point"
            )
        self.source_dir = source_dir
        self.hyperparameters = _hyperparameters(hyperparameters)
        if isinstance(outputs, str) or not set(outputs) <= set(OUTPUTS):
            raise BadInputError(
                f"outputs is a list of {' and '.join(OUTPUTS)}, found {outputs!r}.",
                field="outputs",
            )
        self.outputs = tuple(outputs)
        self.metrics = {name: _pattern(name, text) for name, text in metrics.items()}
        self.variables = {n: check_text(text, "variables", n) for n, text in variables.items()}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        taken = [inspect.Parameter(name, kind, default={})
                 for name in ("channels", "hyperparameters")]  # fmt: skip
        super().__init__(inspect.Signature(taken))

    def declared(self) -> dict[str, Path]:
        """Return the script and the files beside it, by name within the code's folder.

        Raises:
            ProjectError: if the script is not there.
        """
        folder = self.folder / (self.source_dir or "")
        if not (folder / self.entry_point).is_file():
            raise ProjectError(f"There is no script {folder / self.entry_point}.")
        if self.source_dir is None:
            return files_of(folder, [self.entry_point], self.word)
        return files_of(folder, ["**/*"], self.word)

    def code(self) -> Mapping[str, str]:
        """Return what is said of the script, as parts of the key; its files are parts too."""
        texts = {name: pattern.pattern for name, pattern in self.metrics.items()}
        said = [self.entry_point, self.outputs, texts, self.variables]
        parts = {"script options": key_of("script", said)}
        return parts | {
            f"constant hyperparameter {name}": _text(value)
            for name, value in self.hyperparameters.items()
        }

    def work(self, arguments: Mapping[str, Any], folder: Path) -> Any:
        """Lay out the folders, run the script, and return what it left."""
        given = {**self.hyperparameters, **_hyperparameters(arguments["hyperparameters"])}
        place = Place(folder / "opt" / "ml")
        copied(self.declared(), place.code)
        channels = _channels(place, arguments["channels"])
        place.describe(given, channels)
        self._run(place, given, channels)
        made = {"model": place.model, "data": place.data}
        if "model" in self.outputs and rank() == 0 and not any(place.model.iterdir()):
            raise StepFailedError(
                f"{self.entry_point} ended well and left nothing in SM_MODEL_DIR.",
                hint="Save the model there, or say outputs=('data',) or outputs=().",
            )
        kept = {name: made[name] for name in self.outputs}
        return next(iter(kept.values())) if len(kept) == 1 else kept or None

    def _run(self, place: Place, given: Mapping[str, Any], channels: Sequence[str]) -> None:
        """Run the script to its end; keep its checkpoints meanwhile."""
        words = to_words(given)
        literal = self._says_opt_ml(place, given)
        seen = Place(OPT_ML, make=False) if literal else place
        env = {**os.environ, **found_by(seen, given, channels, words, self.entry_point)}
        env |= {"PYTHONUNBUFFERED": "1", **self.variables}
        command = [*self._interpreter(seen), *words]
        if literal:
            view = place.root.with_name("view")
            view.mkdir()
            command = mounting.command_in(place.root, view, command)
        heard = self._heard if self.metrics else None
        with following.followed(place.checkpoints) as kept:
            code, last = launching.ended(command, place.code, env, self.entry_point, heard)
            if code > 0:
                kept.closed()
        if literal and code and any(line.startswith(mounting.CANNOT) for line in last):
            raise StepFailedError(
                f"{self.entry_point} says /opt/ml, which cannot be put there for it: {last[-1]}.",
                hint=_UNBOUND,
            )
        if code:
            raise launching.failed(self.entry_point, code, last, place.failure())

    def _says_opt_ml(self, place: Place, given: Mapping[str, Any]) -> bool:
        """Return whether the script, or what it is given, writes the path out."""
        said = [*self.variables.values(), *map(str, given.values())]
        return any(str(OPT_ML) in text for text in said) or any(
            str(OPT_ML).encode() in file.read_bytes()
            for file in place.code.rglob("*")
            if file.suffix in _TEXTS and file.is_file()
        )

    def _interpreter(self, place: Place) -> list[str]:
        file = str(place.code / self.entry_point)
        if self.entry_point.endswith(".py"):
            return [sys.executable, file]
        return [shutil.which("bash") or "/bin/sh", file]

    def _heard(self, line: str) -> None:
        """Log what the metrics' patterns find in a line."""
        context = current()
        for name, pattern in self.metrics.items():
            for found in pattern.finditer(line):
                try:
                    value = float(found[1])
                except (ValueError, TypeError):
                    continue  # the pattern met other words
                if context is not None:
                    context.log({name: value}, None)


class Place:
    """The folders of ``/opt/ml``; without ``make`` only as somebody else sees them."""

    def __init__(self, root: Path, *, make: bool = True) -> None:
        self.root = root
        self.code, self.model = root / "code", root / "model"
        self.input, self.config = root / "input", root / "input" / "config"
        self.channels = root / "input" / "data"
        self.output, self.data = root / "output", root / "output" / "data"
        self.intermediate = root / "output" / "intermediate"
        self.checkpoints = root / "checkpoints"
        for folder in (self.code, self.model, self.config, self.channels, self.data,
                       self.intermediate, self.checkpoints):  # fmt: skip
            if make:
                folder.mkdir(parents=True)

    def describe(self, hyperparameters: Mapping[str, Any], channels: Sequence[str]) -> None:
        """Write the three files of ``input/config``."""
        texts = {name: _text(value) for name, value in hyperparameters.items()}
        self._write("hyperparameters", texts)
        self._write("inputdataconfig", dict.fromkeys(channels, _CHANNEL))
        self._write("resourceconfig", resource_config())

    def failure(self) -> str:
        """Return what the script wrote of its own failure."""
        file = self.output / "failure"
        return file.read_text("utf-8", "replace")[:100_000] if file.is_file() else ""

    def _write(self, name: str, value: Any) -> None:
        (self.config / f"{name}.json").write_text(json.dumps(value), "utf-8")


_CHANNEL = {
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}


def resource_config() -> dict[str, Any]:
    """Return who works on the step, in SageMaker's words: a host is one of its workers."""
    hosts = [f"algo-{number + 1}" for number in range(world_size())]
    return {
        "current_host": hosts[rank()],
        "current_instance_type": "local",
        "current_group_name": "homogeneousCluster",
        "hosts": sorted(hosts),
        "network_interface_name": "lo",
    }


def found_by(
    place: Place,
    hyperparameters: Mapping[str, Any],
    channels: Sequence[str],
    words: Sequence[str],
    entry_point: str,
) -> dict[str, str]:
    """Return the variables a script of SageMaker's finds, all of them text."""
    resources = resource_config()
    folders = {name: str(place.channels / name) for name in channels}
    said: dict[str, Any] = {
        "hosts": resources["hosts"],
        "network_interface_name": resources["network_interface_name"],
        "hps": dict(hyperparameters),
        "user_entry_point": entry_point,
        "framework_params": {},
        "resource_config": resources,
        "input_data_config": dict.fromkeys(channels, _CHANNEL),
        "output_data_dir": str(place.data),
        "channels": sorted(channels),
        "current_host": resources["current_host"],
        "current_instance_type": resources["current_instance_type"],
        "module_name": Path(entry_point).stem,
        "log_level": 20,
        "input_dir": str(place.input),
        "input_config_dir": str(place.config),
        "output_dir": str(place.output),
        "output_intermediate_dir": str(place.intermediate),
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "model_dir": str(place.model),
        "module_dir": str(place.code),
        "user_args": list(words),
    }
    training = {
        "channel_input_dirs": folders,
        "current_host": said["current_host"],
        "hosts": said["hosts"],
        "hyperparameters": said["hps"],
        "input_config_dir": said["input_config_dir"],
        "input_data_config": said["input_data_config"],
        "input_dir": said["input_dir"],
        "is_master": rank() == 0,
        "job_name": "mainspring",
        "log_level": 20,
        "master_hostname": "algo-1",
        **{name: said[name] for name in (
            "model_dir", "module_dir", "module_name", "network_interface_name", "num_cpus",
            "num_gpus", "output_data_dir", "output_dir", "output_intermediate_dir",
            "resource_config", "user_entry_point")},
    }  # fmt: skip
    out = {f"SM_{name.upper()}": _json(value) for name, value in said.items()}
    out |= {f"SM_CHANNEL_{name.upper()}": path for name, path in folders.items()}
    out |= {f"SM_HP_{name.upper()}": _json(value) for name, value in hyperparameters.items()}
    out["SM_CHECKPOINT_DIR"] = str(place.checkpoints)  # the toolkit has no variable for it
    return out | {"SM_TRAINING_ENV": _json(training), "TRAINING_JOB_NAME": "mainspring"}


def to_words(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return hyperparameters as words of a command, by name.

    >>> to_words({"trees": 10, "C": 0.5, "bootstrap": True})
    ['-C', '0.5', '--bootstrap', 'True', '--trees', '10']
    """
    out: list[str] = []
    for name in sorted(hyperparameters):
        value = hyperparameters[name]
        if isinstance(value, Mapping):
            value = ",".join(f"{key}={value[key]}" for key in sorted(value))
        out += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else str(value)]
    return out


def _channels(place: Place, given: object) -> list[str]:
    """Put the value of each channel into its folder; return the channels' names."""
    if not isinstance(given, Mapping):
        raise BadInputError(
            f"channels is a dict by name, found {type(given).__name__}.", field="channels"
        )
    names = []
    for told, value in given.items():
        name, _, ending = str(told).partition(".")
        if not _NAME.fullmatch(name):
            raise BadInputError(f"{told!r} is no name of a channel.", field="channels")
        names.append(name)
        folder = place.channels / name
        if isinstance(value, Path) and value.is_dir():
            placing.put(value, folder, f"channel {name}")
            continue
        file = f"{name}.{ending}" if ending else placing.named(name, value)
        placing.put(value, folder / file, f"channel {name}")
    return names


def _hyperparameters(given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise BadInputError(
            f"hyperparameters is a dict by name, found {type(given).__name__}.",
            field="hyperparameters",
        )
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadInputError(
                f"{name!r} is no name of a hyperparameter.", field="hyperparameters"
            )
        if not is_simple(value):
            raise BadInputError(
                f"Hyperparameter {name} is a {type(value).__name__}; it must be plain data.",
                field="hyperparameters",
            )
    return dict(given)


def _pattern(name: str, text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text)
    except re.error as error:
        raise BadInputError(
            f"metrics[{name!r}] is no pattern: {error}.", field="metrics"
        ) from error
    if found.groups != 1:
        raise BadInputError(
            f"metrics[{name!r}] must have one group, the value; it has {found.groups}.",
            field="metrics",
            hint="Such as r'auc=([0-9.]+)'.",
        )
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _json(value: Any) -> str:
    """Return a value as SageMaker's toolkit puts it into a variable."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
