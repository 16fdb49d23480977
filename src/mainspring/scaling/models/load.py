"""Load a packaged model for scoring: verified bytes, the fast form first, no pickle."""

from __future__ import annotations

from mainspring.ground.ports import Objects
from mainspring.scaling.models import package
from mainspring.scaling.models.served import Form, Served, opened

__all__ = ["Form", "Served", "load"]


def load(digest: str, objects: Objects, prefer: Form = "onnx") -> Served:
    """Return a packaged model ready to score.

    The ONNX form is taken where the package holds one and ``prefer`` allows it; scikit-learn is
    then not even imported, unless rows have a missing value on which the forms differ. Every byte
    is compared with its digest first.

    Raises:
        NotFoundError, DamagedError: if an object is not there or not what it was.
        BadInputError: if it is no package, or names types that may not be loaded.
    """
    manifest = package.read_manifest(digest, objects)
    return opened(
        digest,
        manifest.files,
        lambda path: package.read_file(manifest, path, objects),
        prefer,
    )
