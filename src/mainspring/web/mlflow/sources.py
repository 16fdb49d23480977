"""Find the files behind the places that clients name as the source of a version.

A place is looked up in tables and never opened: the files are objects, known by their digest.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

from mainspring.experiments import artifacts, groups, runs
from mainspring.experiments import logged as logged_models
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.ports import Tx
from mainspring.readiness import facts, registry

_LOCAL = re.compile(r"^(file:|/|\.|~|[A-Za-z]:\\)")
#: Where the packages of versions are read, below the root of all artifacts.
PACKAGES = "versions"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from: its files by path, or the version that it copies."""

    uri: str
    files: dict[str, str] = {}  #: path -> digest
    copied: str | None = None  #: digest of the package of another version
    run: str | None = None
    logged: str | None = None
    read_at: str | None = None  #: where the files can be read, if that is elsewhere


def find(tx: Tx, uri: str, run: str | None, logged: str | None) -> Source:
    """Return what a client's source names; places that are not ours have no files here.

    Raises:
        BadInputError: if it lies outside of the run or logged model it shall come from.
    """
    if len(uri) > 5000:
        raise _wrong(uri, "it is longer than 5,000 characters")
    if _LOCAL.match(uri) or not urlsplit(uri).scheme:
        return _local(uri)
    scheme, path = urlsplit(uri).scheme.lower(), _path(uri)
    if scheme == "runs":
        return _of_run(tx, uri, path, run)
    if scheme == "models":
        return _of_model(tx, uri, path, run, logged)
    if scheme == "mlflow-artifacts":
        return _of_proxy(tx, uri, path, run, logged)
    return Source(uri=uri, run=run, logged=logged)


def _local(uri: str) -> Source:
    raise BadInputError(
        f"Invalid model version source: '{uri[:200]}'. To use a local path as a model version"
        " source, the run_id request parameter has to be specified and the local path has to be"
        " contained within the artifact directory of the run specified by the run_id. This"
        " server keeps the files itself: log the model to it.",
        field="source",
    )


def _of_run(tx: Tx, uri: str, path: str, run: str | None) -> Source:
    # Servers differ in whether the run named beside it must be this one; it is kept as told.
    named, _, folder = path.partition("/")
    files = _run_files(tx, named, folder)
    for one in [] if files else logged_models.of_maker(tx, named, folder):
        # Since MLflow 3 a model that a run logs lies beside the run's files, by its name.
        return msgspec.structs.replace(_logged(tx, uri, one, "", run), run=run or named)
    return Source(uri=uri, run=run or named, files=files)


def _of_model(tx: Tx, uri: str, path: str, run: str | None, logged: str | None) -> Source:
    name, _, rest = path.partition("/")
    if not rest and "@" not in name:
        if logged and logged != name:
            raise _wrong(uri, "it is another logged model than model_id", "model_id")
        return _logged(tx, uri, name, "", run)
    title, _, alias = name.partition("@")
    model = facts.find(tx, title)
    if model is None:
        raise BadInputError(
            f"Unable to fetch model from model URI source artifact location '{uri[:200]}'.",
            field="source",
        )
    number = registry.aliases_of(tx, model).get(alias) if alias else _whole(rest)
    if number is None:
        raise _wrong(uri, "it names no version")
    version = registry.get(tx, model, number)
    return Source(
        uri=uri,
        run=run,
        logged=logged,
        copied=version.origin or version.package,
        read_at=package_uri(model, number),
    )


def _of_proxy(tx: Tx, uri: str, path: str, run: str | None, logged: str | None) -> Source:
    parts = path.split("/")
    if parts[0] == PACKAGES and len(parts) == 3 and (number := _whole(parts[2])):
        version = registry.get(tx, parts[1], number)
        return Source(uri=uri, run=run, copied=version.origin or version.package)
    if len(parts) >= 4 and parts[1] == "models" and parts[3] == "artifacts":
        if logged and logged != parts[2]:
            raise _wrong(uri, "it lies outside of the logged model", "model_id")
        return _logged(tx, uri, parts[2], "/".join(parts[4:]), run)
    if len(parts) >= 3 and parts[2] == "artifacts":
        if run != parts[1]:
            raise _wrong(uri, "it lies outside of the run's artifacts", "run_id")
        try:
            one = runs.get(tx, parts[1])
        except NotFoundError:
            raise _wrong(uri, "there is no such run", "run_id") from None
        if str(groups.by_keys(tx, [one.experiment])[one.experiment].id) != parts[0]:
            raise _wrong(uri, "that run is in another experiment", "run_id")
        return Source(uri=uri, run=run, files=_run_files(tx, parts[1], "/".join(parts[3:])))
    raise _wrong(uri, "it lies outside of every run and logged model", "run_id")


def _logged(tx: Tx, uri: str, model: str, folder: str, run: str | None) -> Source:
    try:
        one = logged_models.get(tx, model)
    except NotFoundError:
        raise _wrong(uri, "there is no such logged model", "model_id") from None
    if one.deleted is not None:
        raise _wrong(uri, "that logged model is deleted", "model_id")
    where = artifacts.check_path(folder) if folder else ""
    files = artifacts.digests(tx, model, where, of=artifacts.MODELS)
    return Source(uri=uri, run=run or one.run, logged=model, files=files)


def _run_files(tx: Tx, run: str, folder: str) -> dict[str, str]:
    return artifacts.digests(tx, run, artifacts.check_path(folder) if folder else "")


def origin(tx: Tx, uri: str) -> str:
    """Return where the files of a source are told to be: a copy's are where those copied are."""
    for _ in range(100):  # copies of copies
        title, _mark, number = uri.removeprefix("models:/").partition("/")
        model = facts.find(tx, title) if uri.startswith("models:/") and _whole(number) else None
        if model is None:
            return uri
        try:
            told = registry.get(tx, model, int(number)).source
        except NotFoundError:
            return uri
        uri = told or package_uri(model, int(number))
    return uri


def package_uri(model: str, number: int) -> str:
    """Return where the files of a version are read."""
    return f"mlflow-artifacts:/{PACKAGES}/{model}/{number}"


def _path(uri: str) -> str:
    split = urlsplit(uri)
    path = split.path
    while (plain := unquote(path)) != path:
        path = plain
    if ".." in path.split("/") or "\\" in path or "\x00" in path:
        raise _wrong(uri, "it leads out of where it begins")
    if split.netloc and split.scheme.lower() in ("runs", "models"):
        raise _wrong(uri, "it names a host", "run_id")
    return path.strip("/")


def _whole(text: str) -> int | None:
    plain = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if plain else None


def _wrong(uri: str, why: str, field: str = "source") -> BadInputError:
    return BadInputError(
        f"Invalid model version source: '{uri[:200]}'. The source must lie within what the"
        f" {field} request parameter names: {why}.",
        field=field,
    )
