"""The exact form of a model, whichever library it is of: which files hold it, and back again.

scikit-learn's estimators are one file of skops. Whatever else there is says so in a small file of
facts beside its own files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.scaling.models import graph, native_form, onnx_file
from mainspring.scaling.models.apart import code
from mainspring.scaling.models.apart.code import Apart
from mainspring.scaling.models.boosted import FILES, Boosted, Facts
from mainspring.scaling.models.graph import Graph
from mainspring.scaling.models.onnx_file import OnnxFile

SKOPS = "model.skops"
BOOSTER = "booster.json"


def files(estimator: Any) -> dict[str, bytes]:
    """Return the files that hold a fitted estimator, by path.

    Raises:
        BadInputError: if it cannot be kept without pickle.
    """
    if isinstance(estimator, Apart):
        kept = {f"{code.FOLDER}/{path}": estimator.read(path) for path in estimator.files}
        return {code.FILE: msgspec.json.encode(estimator.facts), **kept}
    if isinstance(estimator, Graph):
        kept = {path: estimator.read(path) for path in estimator.files}
        return kept | {graph.FILE: msgspec.json.encode(estimator.facts)}
    if isinstance(estimator, OnnxFile):
        facts = msgspec.json.encode(estimator.facts)
        return {onnx_file.FILE: estimator.data, onnx_file.FACTS: facts}
    if not isinstance(estimator, Boosted):
        return {SKOPS: native_form.dump(estimator)}
    found = {
        BOOSTER: msgspec.json.encode(estimator.facts),
        FILES[estimator.facts.library]: estimator.data,
    }
    if estimator.before is not None:
        found[SKOPS] = native_form.dump(estimator.before)
    return found


def paths(found: Mapping[str, str]) -> list[str]:
    """Return which of these paths are read when the exact form is loaded."""
    return [path for path in (SKOPS, BOOSTER, *FILES.values(), onnx_file.FILE) if path in found]


def holds(paths: Mapping[str, str]) -> bool:
    """Return whether files of these paths hold a model in its exact form."""
    return any(path in paths for path in (SKOPS, BOOSTER, code.FILE, graph.FILE, onnx_file.FACTS))


def load(
    paths: Mapping[str, str], read: Callable[[str], bytes], opened: graph.Opener | None = None
) -> Any:
    """Return the estimator that the files of a package hold; ``read`` gives a file's bytes.

    ``opened`` makes the members of a graph ready to score; without it a graph is refused.

    Raises:
        BadInputError: if it names types that may not be loaded.
    """
    if graph.FILE in paths:
        if opened is None:
            raise BadInputError("A graph stands for itself, and is no estimator.", field="model")
        return graph.loaded(paths, read, opened)
    if code.FILE in paths:
        return code.loaded(paths, read)
    if onnx_file.FACTS in paths:
        told = msgspec.json.decode(read(onnx_file.FACTS), type=onnx_file.Facts)
        return OnnxFile(told, read(onnx_file.FILE))
    if BOOSTER not in paths:
        return native_form.load(read(SKOPS))
    facts = msgspec.json.decode(read(BOOSTER), type=Facts)
    before = native_form.load(read(SKOPS)) if facts.wrapped else None
    return Boosted(facts, read(FILES[facts.library]), before)
