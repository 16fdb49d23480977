"""Write models that are no estimators as directories: a predictor of your own, an ONNX file.

Such a directory is MLflow's, with an ``MLmodel`` file; it is registered like one that a client
logged, and becomes ready to be served when it is judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.scaling.models.apart import environments

MOST_BYTES = 2 << 30  #: of one file
_TYPES = {"float": "double", "int": "long", "str": "string", "bool": "boolean"}


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Files by path that make a model; what ``run.log_model`` takes beside estimators."""

    files: dict[str, bytes]
    flavor: str


def Predictor(  # noqa: N802
    entry: str | Path,
    *,
    files: Sequence[str | Path] = (),
    requirements: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> Directory:
    r"""Return a class of your own as a model: any code that answers rows.

    Args:
        entry: the file and the class in it, such as ``"predict.py:Odds"``. The class has
            ``predict(frame)``, which gives one answer a row: a number, a class, a probability
            of the second class, or one probability a class. If it has ``load(folder)``, that is
            called once with the folder of its files.
        files: further files and folders it needs, kept by their names.
        requirements: what its environment must have, such as ``["lifelines==0.30.0"]``; none
            means the Python of Mainspring. The frame is of polars where the environment has it,
            else of pandas, else a dict of lists.
        columns: what it takes: float, int, str or bool by name; left out, the rows that it is
            judged on say so, without their target.

    Its code runs in a process of its own, and only after a person trusted it:
    ``mainspring models trust NAME/1 --reason WHY``.

    Raises:
        NotFoundError: if a file is not there.
        BadInputError: if the entry names no file and class, or a requirement cannot be read.

    Example:
        >>> import mainspring as ms, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "predict.py"
        >>> _ = file.write_text("class Twice:\n  def predict(self, frame): return frame['a'] * 2")
        >>> sorted(ms.Predictor(f"{file}:Twice").files)
        ['MLmodel', 'predict.py']
    """
    place, _, name = str(entry).rpartition(":")
    if not place.endswith(".py") or not name.isidentifier():
        raise BadInputError(
            f"A predictor is named FILE.py:CLASS, found {str(entry)[:100]!r}.", field="entry"
        )
    kept = {Path(place).name: _read(Path(place))}
    for one in files:
        kept |= folder(Path(one)) if Path(one).is_dir() else {Path(one).name: _read(Path(one))}
    lines = environments.requirements("\n".join(requirements))
    if lines:
        kept["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
    options = {"entry": f"{Path(place).name}:{name}"}
    kept["MLmodel"] = mlmodel("predictor", options, columns)
    return Directory(files=kept, flavor="predictor")


def OnnxModel(file: str | Path) -> Directory:  # noqa: N802
    """Return an ONNX file as a model; what it takes is read from the file.

    Its inputs are either one matrix of numbers of shape (rows, columns), or one input a column of
    shape (rows, 1) or (rows,). Its last output is the answer: one number a row, or one
    probability a class.

    Raises:
        NotFoundError: if the file is not there.
    """
    data = _read(Path(file))
    told = mlmodel("onnx", {"data": "model.onnx"}, None)
    return Directory(files={"model.onnx": data, "MLmodel": told}, flavor="onnx")


def folder(place: Path) -> dict[str, bytes]:
    """Return the files of a folder by path, such as a model directory that MLflow wrote.

    Raises:
        NotFoundError: if there is no such folder.
    """
    if not place.is_dir():
        raise NotFoundError(f"There is no folder {place}.", field="path")
    found = {}
    for file in sorted(place.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            found[PurePosixPath(file.relative_to(place)).as_posix()] = _read(file)
    return found


def at(place: str) -> Directory:
    """Return the model that a path names: FILE.onnx, FILE.py:CLASS, or a directory of MLflow.

    Raises:
        NotFoundError, BadInputError: if there is none, or it is none of these.
    """
    if place.endswith(".onnx"):
        return OnnxModel(place)
    if ".py:" in place:
        return Predictor(place)
    found = folder(Path(place))
    if "MLmodel" not in found:
        raise BadInputError(
            f"{place} has no MLmodel file.",
            field="path",
            hint="Give FILE.onnx, FILE.py:CLASS, or a model directory that MLflow wrote.",
        )
    return Directory(files=found, flavor="mlflow")


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadInputError(f"{file} is larger than 2 GB.", field="path")
        return file.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFoundError(f"There is no file {file}.", field="path") from error


def mlmodel(
    flavor: str, options: Mapping[str, object], columns: Mapping[str, str] | None
) -> bytes:
    """Return an MLmodel file of one flavor; JSON is YAML too.

    Raises:
        BadInputError: if a column's type is none of ours.
    """
    told: dict[str, object] = {"flavors": {flavor: dict(options)}}
    if columns is not None:
        unknown = sorted(set(columns.values()) - set(_TYPES))
        if unknown:
            raise BadInputError(
                f"A column is float, int, str or bool, found {unknown[0]!r}.", field="columns"
            )
        inputs = [{"name": name, "type": _TYPES[word]} for name, word in columns.items()]
        told["signature"] = {"inputs": json.dumps(inputs)}
    return json.dumps(told, indent=2).encode()
