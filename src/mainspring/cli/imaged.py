"""The words of a pipeline's image: ``run``, SageMaker's ``train`` and ``serve``, and all others.

``python -m mainspring.cli.imaged train`` obeys SageMaker's contract for training: what is under
``/opt/ml/input`` comes in, a model goes to ``/opt/ml/model``, and why there is none to
``/opt/ml/output/failure``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.cli import start
from mainspring.ground.errors import BadInputError, MainspringError

ML = Path("/opt/ml")
MOST_FAILURE = 1024  #: characters of it that SageMaker shows


def main(arguments: list[str]) -> int:
    """Do what an image of a pipeline is told; return the exit code."""
    word, *rest = arguments or ["run"]
    pipeline = os.environ.get("MAINSPRING_PIPELINE", "")
    if word == "train" and not rest:
        return train(pipeline, Path(os.environ.get("MAINSPRING_ML_DIR") or ML))
    if word == "serve" and not rest:
        from mainspring.scaling.serving import packaged

        return packaged.main(["serve"])
    if word == "run" and pipeline and (not rest or rest[0].startswith("-")):
        return start.main(["run", pipeline, *rest])
    return start.main([word, *rest])


def train(pipeline: str, ml: Path) -> int:
    """Run the pipeline on what SageMaker hands in; write the model, or why there is none."""
    try:
        _check_alone(ml)
        hyper = _json(ml / "input/config/hyperparameters.json")
        channels = _channels(ml / "input/data")
        os.environ |= _variables(ml, hyper, channels)
        done = _trained(pipeline, ml, hyper, channels)
    except MainspringError as error:
        done = error.message if error.hint is None else f"{error.message}\n{error.hint}"
    # The outermost place: whatever happened is told where SageMaker looks for it.
    except Exception as error:  # noqa: BLE001
        done = f"{type(error).__name__}: {error}"
    if not done:
        return 0
    sys.stderr.write(f"error: {done}\n")
    (ml / "output").mkdir(parents=True, exist_ok=True)
    (ml / "output/failure").write_text(done[:MOST_FAILURE], "utf-8")
    return 1


def _trained(
    pipeline: str, ml: Path, hyper: Mapping[str, Any], channels: Mapping[str, Path]
) -> str:
    """Return nothing where a model was made, else why not."""
    from mainspring.cli.following import followed
    from mainspring.cli.options import HERE
    from mainspring.cli.remote import Local, settings_of
    from mainspring.cli.showing import failure
    from mainspring.workspace.packaging import folders, models

    house = Local(settings_of(HERE), create=True)
    try:
        params = _params(house.call("pipelines.list"), pipeline, hyper, channels)
        name = os.environ.get("MAINSPRING_MODEL") or pipeline.rpartition(":")[2]
        asked = {"pipeline": pipeline, "params": params, "register": name}
        run = house.call("pipelines.run", **asked)["run"]
        detail = followed(house, run, HERE)
        if detail["run"]["status"] != "finished":
            broken = [f"{s['step']} failed:\n{failure(s)}" for s in detail["steps"] if s["error"]]
            return "\n".join(broken) or f"The run is {detail['run']['status']}."
        if not detail["versions"]:
            return f"{pipeline} returns no model, so there is none to hand over."
        version = models.version_of(house.workspace, detail["versions"][-1])
        folders.spread(models.files_of(house.workspace, version), ml / "model")
    finally:
        house.close()
    return ""


def _params(
    pipelines: list[dict[str, Any]],
    pipeline: str,
    hyper: Mapping[str, Any],
    channels: Mapping[str, Path],
) -> dict[str, Any]:
    """Return what the pipeline is given: its hyperparameters, and a path for each channel."""
    found = next((one for one in pipelines if one["target"] == pipeline), None)
    if found is None:
        raise BadInputError(f"There is no pipeline {pipeline!r} in this image.", field="pipeline")
    names = [one["name"] for one in found["parameters"]]
    for channel in channels:
        if channel not in names:
            raise BadInputError(
                f"{pipeline} takes no {channel!r}, which is a channel; it takes"
                f" {', '.join(names) or 'nothing'}.",
                field=channel,
                hint="Give the channel the name of the param that is the path of its files.",
            )
    own = {key: _plain(value) for key, value in hyper.items() if not key.startswith("sagemaker_")}
    return own | {name: str(_one_file(place)) for name, place in channels.items()}


def _plain(value: Any) -> Any:
    """Return a hyperparameter: texts are in quotes where an SDK wrote them as JSON.

    >>> _plain('"adam"'), _plain("0.1"), _plain('say "hi"')
    ('adam', '0.1', 'say "hi"')
    """
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _one_file(folder: Path) -> Path:
    """Return the one file of a channel, or its folder where there are several."""
    files = [one for one in folder.iterdir() if not one.name.startswith(".")]
    return files[0] if len(files) == 1 and files[0].is_file() else folder


def _channels(folder: Path) -> dict[str, Path]:
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return {place.name: place for place in there if place.is_dir()}


def _check_alone(ml: Path) -> None:
    hosts = _json(ml / "input/config/resourceconfig.json").get("hosts", [])
    if len(hosts) > 1:
        raise BadInputError(
            f"A pipeline trains on one instance, found {len(hosts)}.", field="hosts"
        )


def _variables(ml: Path, hyper: Mapping[str, Any], channels: Mapping[str, Path]) -> dict[str, str]:
    """Return the variables that scripts for SageMaker read."""
    return {
        "SM_MODEL_DIR": str(ml / "model"),
        "SM_OUTPUT_DATA_DIR": str(ml / "output/data"),
        "SM_HPS": json.dumps(dict(hyper)),
        "SM_CHANNELS": json.dumps(list(channels)),
        "SM_HOSTS": os.environ.get("SM_HOSTS", '["algo-1"]'),
        "SM_CURRENT_HOST": os.environ.get("SM_CURRENT_HOST", "algo-1"),
        "SM_NUM_GPUS": os.environ.get("SM_NUM_GPUS", "0"),
        **{f"SM_CHANNEL_{name.upper()}": str(place) for name, place in channels.items()},
    }


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadInputError(f"{file} is no JSON: {error}", field=file.name) from error
    if not isinstance(found, dict):
        raise BadInputError(f"{file} holds no names with values.", field=file.name)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
