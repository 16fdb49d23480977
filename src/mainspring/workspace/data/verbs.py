"""``ms.data``: a version of a dataset as a value, in a pipeline's body and in a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.ground.errors import ProjectError
from mainspring.pipelines import context
from mainspring.pipelines.data import naming
from mainspring.pipelines.data.asked import Data, frame_of
from mainspring.pipelines.declare import TRACER


def data(reference: str, *, frame: bool = False) -> Any:
    """Return a version of a dataset, such as ``ms.data("flights@7")``: a Path, read-only.

    In a pipeline's body it is an argument for a step, which is given the Path of the folder or
    file as it lies in the home, or with ``frame=True`` the rows of its tables. Which version
    ``flights`` or ``flights@latest`` is, is settled when the run is planned, and once for the
    whole run; the run and the step's key hold the digest. In a script it is that Path at once,
    and the run under way, if there is one, notes that it read it. What is read is verified.

    Within a step only a version that cannot change may be named, by number or digest.

    Raises:
        BadInputError: if the reference cannot be read.
        NotFoundError: if there is no such version.
        ProjectError: if a step asks for whichever version is the newest.
    """
    wanted = naming.parse(reference)
    if TRACER.get() is not None:
        return Data(reference, frame)
    step = context.current()
    if step is not None and wanted.newest:
        raise ProjectError(
            f"Step {step.step} asks for the newest version of {wanted.name}, so that what it"
            " returns would not depend on its arguments alone.",
            hint=f'Give it to the step: {step.step}(ms.data("{reference}")), or name a version.',
        )
    place = _placed(reference)
    return frame_of(place) if frame else place


def _placed(reference: str) -> Path:
    """Put a version into its place, and let the run under way note it."""
    import msgspec

    from mainspring.experiments.datasets import Dataset, Use
    from mainspring.ground.permissions import Permission
    from mainspring.ground.settings import load
    from mainspring.pipelines.data import versions
    from mainspring.workspace.data import trees
    from mainspring.workspace.data.pinning import SOURCE_TYPE
    from mainspring.workspace.opening import open_workspace
    from mainspring.workspace.tracking.joining import tracked

    ws = open_workspace(load(), create=False)
    try:
        version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, reference))
        place = trees.tree(ws, version)
    finally:
        ws.close()
    run = tracked()
    if run is not None:
        read = Dataset(
            name=version.name,
            digest=version.digest,
            source_type=SOURCE_TYPE,
            source=version.reference,
        )
        run.log_extra("dataset", msgspec.to_builtins(Use(dataset=read)))
    return place


def add_data(name: str, frame: Any, *, message: str = "", home: str | Path | None = None) -> Any:
    """Keep a table as the next version of a dataset, and return that version.

    ``frame`` is a frame of polars (a lazy one is streamed) or pandas, a table of pyarrow, or rows
    as dicts; it is kept as Parquet. What the newest version holds already makes no new one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     add_data("features", [{"x": 1}, {"x": 2}], home=folder).reference
    'features@1'

    Raises:
        BadInputError: if it is no table, or the name cannot be one.
        NotExactError: if it could not come back as it is.
    """
    from mainspring.ground.settings import load
    from mainspring.workspace.data import tables
    from mainspring.workspace.opening import open_workspace

    ws = open_workspace(load({"home": None if home is None else str(home)}))
    try:
        return tables.add_frame(ws, name, frame, message=message)
    finally:
        ws.close()
