"""Decide where a version is scored: in this process, or in a child of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.ground.objects import EndpointLimits
from mainspring.ground.ports import Objects
from mainspring.scaling.models import load, package
from mainspring.scaling.models.apart import code, places
from mainspring.scaling.models.apart.spawned import Launch, own_path
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.scorers.isolated import Isolated

#: Loads a package with the code of this installation.
OWN_LOADER = "mainspring.scaling.models.in_child:load"


def served(
    digest: str, objects: Objects, limits: Callable[[], EndpointLimits] = EndpointLimits
) -> Scorer:
    """Return a version ready to score: here, or in children if its code is not ours.

    Raises:
        NotFoundError, DamagedError, BadInputError, UnavailableError: if it cannot be loaded.
    """
    manifest = package.read_manifest(digest, objects)
    if code.FILE not in manifest.files:
        return load.load(digest, objects)

    def read(path: str) -> bytes:
        return package.read_file(manifest, path, objects)

    facts = msgspec.json.decode(read(code.FILE), type=code.Facts)
    files = code.origin_files(manifest.files)
    launch = code.launch(facts, files, lambda path: read(f"{code.FOLDER}/{path}"))
    told = package.contract(digest, objects)
    return Isolated(
        digest,
        package.signature(digest, objects),
        facts.loader,
        launch,
        contract=None if told is None else told.contract,
        limits=limits,
    ).open()


def native_in_child(
    digest: str, objects: Objects, folder: Path, limits: Callable[[], EndpointLimits]
) -> Scorer:
    """Return a version ready to score, so that this process never imports scikit-learn.

    The ONNX form is scored here if it is all that is needed; a package without it, or whose rows
    with missing values are left to the estimator, is scored by a child, as code of users is.

    Raises:
        NotFoundError, DamagedError, BadInputError, UnavailableError: if it cannot be loaded.
    """
    manifest = package.read_manifest(digest, objects)
    if code.FILE in manifest.files:
        return served(digest, objects, limits)
    if "model.onnx" in manifest.files and package.parity(digest, objects).missing:
        return load.load(digest, objects)
    return isolated(digest, objects, folder, limits)


def isolated(
    digest: str, objects: Objects, folder: Path, limits: Callable[[], EndpointLimits]
) -> Isolated:
    """Return a version that a child scores by its estimator.

    ``folder`` holds the package's objects as the local object store lays them out.

    Raises:
        NotFoundError, DamagedError, BadInputError, UnavailableError: if it cannot be loaded.
    """
    told = package.contract(digest, objects)
    launch = Launch(
        loader=OWN_LOADER,
        told={"digest": digest, "objects": str(folder), "prefer": "native"},
        path=own_path(),
        # A graph's members may have code and environments of their own, which lie in the home.
        environment={"MAINSPRING_HOME": str(places.cache().parent)},
    )
    return Isolated(
        *(digest, package.signature(digest, objects), "native", launch),
        contract=None if told is None else told.contract,
        limits=limits,
    ).open()
