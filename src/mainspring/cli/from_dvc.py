"""Bring what DVC keeps into versions of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.data import here, progress_bar
from mainspring.cli.options import HERE, Everywhere


def import_dvc(
    path: Annotated[Path, Parameter(help="A folder of a repository of DVC.")] = Path(),
    /,
    *,
    remote: Annotated[
        str | None, Parameter(help="Only look there: a folder, s3://bucket/prefix, or its name.")
    ] = None,
    history: Annotated[
        bool, Parameter(negative=(), help="A version of each commit, in their order.")
    ] = False,
    only: Annotated[str, Parameter(help="Paths that fit this pattern: data/*.")] = "*",
    options: Everywhere = HERE,
) -> int:
    """Make versions of the files and folders that DVC keeps; DVC itself is not needed.

    Reads .dvc files, dvc.lock, the cache and remotes that are folders or S3, in the layouts of
    DVC 3 and of those before, and checks every md5. Exit code 1 if bytes of some commit were
    nowhere to be found.
    """
    import msgspec

    from mainspring.workspace.from_dvc import bringing

    with here(options, "import-dvc", create=True) as ws, progress_bar(options) as tell:
        found = bringing.bring(ws, path, remote=remote, history=history, only=only, tell=tell)
    lines = [
        f"{one.version}: {one.path}{f' of {one.commit[:8]}' if one.commit else ''}"
        f" ({one.files:,} file{'s' * (one.files != 1)}, {render.size(one.bytes)})"
        f"{'' if one.new else ', there already'}"
        for one in found.brought
    ]
    lines += [f"not brought: {one.path} of {one.commit[:8]}: {one.why}" for one in found.missing]
    render.said(options, msgspec.to_builtins(found), *lines)
    return 1 if found.missing else 0
