"""Arrays of numpy and sparse matrices of scipy, bit by bit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import DamagedError, NotExactError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines.outputs.forms import Bytes, Stored


def is_array(value: Any) -> bool:
    """Return whether a value is a numpy array; does not import numpy."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def write_array(value: Any) -> bytes:
    """Return an array in numpy's own form.

    Raises:
        NotExactError: for an array of Python objects.
    """
    import numpy as np

    if value.dtype.hasobject:
        raise NotExactError("an array of objects cannot be kept.", hint="Return a list.")
    held = io.BytesIO()
    np.save(held, np.asarray(value, order="C"), allow_pickle=False)
    return held.getvalue()


def read_array(data: bytes) -> Any:
    """Return the array that bytes in numpy's own form hold."""
    import numpy as np

    return np.load(io.BytesIO(data), allow_pickle=False)


ARRAY = Bytes("array", is_array, write_array, read_array)

#: The arrays that a matrix of each form is made of, in the order its constructor takes them.
_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "coords"),
    "dia": ("data", "offsets"),
}
#: Forms made for building: they are kept as another and given back as they were.
_KEPT_AS = {"lil": "csr", "dok": "coo"}


class Sparse:
    """A sparse matrix or array of scipy: its form, its shape, and each array as an object."""

    name = "sparse"

    def takes(self, value: Any) -> bool:
        """Return whether the value is one; does not import scipy."""
        kind = type(value)
        return kind.__module__.startswith("scipy.sparse") and getattr(value, "format", None) in (
            *_PARTS,
            *_KEPT_AS,
        )

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the parts, and a manifest that names them."""
        import numpy as np

        form = _KEPT_AS.get(value.format, value.format)
        flat = value.asformat(form)
        parts = {
            name: objects.put(write_array(np.asarray(getattr(flat, name))))
            for name in _PARTS[form]
        }
        manifest = {
            "class": type(value).__name__,
            "form": form,
            "shape": [int(one) for one in value.shape],
            "parts": parts,
        }
        digest = objects.put(canonical(manifest))
        return Stored(digest=digest, type=self.name, blobs=[digest, *parts.values()])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002  Form's
        """Return the matrix in the form and of the class it had."""
        from scipy import sparse

        told = msgspec.json.decode(objects.get(digest))
        name, form = str(told["class"]), str(told["form"])
        kind, _, rest = name.partition("_")
        if form not in _PARTS or rest not in ("array", "matrix") or not hasattr(sparse, name):
            raise DamagedError(f"The object {digest} names no sparse matrix.")
        parts = [read_array(objects.get(str(told["parts"][one]))) for one in _PARTS[form]]
        given = (parts[0], tuple(parts[1])) if form == "coo" else tuple(parts)
        made = getattr(sparse, f"{form}_{rest}")(given, shape=tuple(told["shape"]))
        return made if kind == form else made.asformat(kind)
