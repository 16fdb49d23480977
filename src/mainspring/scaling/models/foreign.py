"""Read a model directory that MLflow's clients wrote: what it takes, in which form it is kept.

Its ``MLmodel`` file is YAML of another's making: it is read as plain data, with a budget, and
nothing that it names is imported or loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.objects import Column, Signature
from mainspring.ground.ports import Objects
from mainspring.scaling.models.features import Word
from mainspring.scaling.models.package import Manifest, verified

MOST_BYTES = 4 << 20  #: of an MLmodel file
_TYPES: dict[str, Word] = {
    **dict.fromkeys(("double", "float"), "float"),
    **dict.fromkeys(("integer", "long"), "int"),
    "string": "str",
    "boolean": "bool",
}
#: The signature of a version of which nothing is known but its files.
UNKNOWN = Signature(columns=[], kind="regression", target="")


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """What an ``MLmodel`` file says of the files beside it."""

    flavor: str  #: the one of those we know best: sklearn, xgboost, ...; empty if there is none
    options: dict[str, Any] = {}  #: of that flavor
    columns: list[Column] = []
    tensor: bool = False  #: the inputs are one matrix without names; ``columns`` are x0, x1, ...
    target: str = ""  #: the name of the output, where it has one
    example: str | None = None  #: path of the input example
    ours: bool = False  #: a package of ours, which somebody logged
    types: dict[str, str] = {}  #: MLflow's own word for the type of each column
    output: str = ""  #: and for the type of its one output
    pyfunc: bool = False  #: MLflow's clients can load it by its ``python_function`` flavor
    python: str | None = None  #: the Python it was made with, such as 3.11
    mlflow: str | None = None  #: the release of MLflow that wrote it


def read_signature(files: Mapping[str, str], objects: Objects) -> Signature:
    """Return what can be read of a directory's signature; UNKNOWN if that is nothing."""
    if "MLmodel" not in files:
        return UNKNOWN
    try:
        found = read(Manifest(format=1, files=dict(files)), objects)
    except MainspringError:
        return UNKNOWN  # whoever wants to judge or serve it is told then what is wrong
    return msgspec.structs.replace(UNKNOWN, columns=found.columns, target=found.target)


def pickled(manifest: Manifest) -> list[str]:
    """Return the files of a package that hold pickled code, by how they are called."""
    return [
        path
        for path in manifest.files
        if path.endswith((".pkl", ".pickle", ".cloudpickle", ".joblib", ".pth", ".pt"))
    ]


def read(manifest: Manifest, objects: Objects) -> Directory:
    """Return what the ``MLmodel`` file of a package says.

    Raises:
        BadInputError: if there is none or it cannot be read.
    """
    document = _document(manifest, objects)
    flavors = document.get("flavors")
    if not isinstance(flavors, dict):
        raise BadInputError("The MLmodel file names no flavors.", field="MLmodel")
    known = [name for name in ("sklearn", *flavors) if name in flavors]
    told = [name for name in known if name != "python_function"]
    flavor = told[0] if told else ("python_function" if known else "")
    options = flavors.get(flavor) or {}
    columns, tensor = _columns(document.get("signature"))
    return Directory(
        flavor=str(flavor),
        options=options if isinstance(options, dict) else {},
        columns=columns,
        tensor=tensor,
        target=_target(document.get("signature")),
        example=_example(document.get("saved_input_example_info")),
        ours="mainspring" in flavors,
        types=_types(document.get("signature")),
        output=_output(document.get("signature")),
        pyfunc="python_function" in flavors,
        python=_python(flavors.get("python_function")),
        mlflow=_word(document.get("mlflow_version")),
    )


def _document(manifest: Manifest, objects: Objects) -> dict[str, Any]:
    import yaml

    if "MLmodel" not in manifest.files:
        raise BadInputError(
            "The version has no MLmodel file, so nobody can say how to load it.", field="MLmodel"
        )
    digest = manifest.files["MLmodel"]
    if objects.size(digest) > MOST_BYTES:
        raise BadInputError("The MLmodel file is larger than 4 MB.", field="MLmodel")
    text = verified(digest, objects).decode("utf-8", "replace")
    if "&" in text and "*" in text:
        text = _without_anchors(text)
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(
            f"The MLmodel file cannot be read: {str(error)[:200]}", field="MLmodel"
        ) from error
    if not isinstance(found, dict):
        raise BadInputError("The MLmodel file holds no mapping.", field="MLmodel")
    return found


def _without_anchors(text: str) -> str:
    """Return the text, unless it says one thing many times over by reference.

    Raises:
        BadInputError: if it does: a few such lines unfold to gigabytes.
    """
    import yaml

    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise BadInputError("The MLmodel file uses YAML references.", field="MLmodel")
    return text


def _columns(signature: Any) -> tuple[list[Column], bool]:
    inputs = _schema(signature, "inputs")
    if len(inputs) == 1 and inputs[0].get("type") == "tensor":
        shape = (inputs[0].get("tensor-spec") or {}).get("shape")
        if inputs[0].get("name") or not isinstance(shape, list) or len(shape) != 2:
            return [], False
        width = shape[1]
        if not isinstance(width, int) or not 0 < width <= 100_000:
            return [], False
        return [Column(name=f"x{n}", type="float") for n in range(width)], True
    found = []
    for one in inputs:
        name, kind = one.get("name"), _TYPES.get(str(one.get("type")))
        if not isinstance(name, str) or kind is None:
            return [], False
        required = one.get("required", not one.get("optional", False))
        found.append(Column(name=name, type=kind, nullable=kind == "float" or not required))
    return found, False


def _target(signature: Any) -> str:
    outputs = _schema(signature, "outputs")
    name = outputs[0].get("name") if len(outputs) == 1 else None
    return name if isinstance(name, str) else ""


def _types(signature: Any) -> dict[str, str]:
    several = _schema(signature, "inputs")
    return {str(one["name"]): str(one.get("type")) for one in several if one.get("name")}


def _output(signature: Any) -> str:
    outputs = _schema(signature, "outputs")
    return str(outputs[0].get("type", "")) if len(outputs) == 1 else ""


def _python(options: Any) -> str | None:
    told = _word(options.get("python_version")) if isinstance(options, dict) else None
    return None if told is None else ".".join(told.split(".")[:2])


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _schema(signature: Any, side: str) -> list[dict[str, Any]]:
    text = signature.get(side) if isinstance(signature, dict) else None
    if not isinstance(text, str):
        return []
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _example(info: Any) -> str | None:
    path = info.get("artifact_path") if isinstance(info, dict) else None
    return path if isinstance(path, str) else None
