"""Settings: defaults, then mainspring.toml, then the environment, then the command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.ground import others
from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import meant

FILE = "mainspring.toml"
#: Names in the environment that begin as settings do and are none of them: what one process of
#: ours tells another, or a user tells a run.
NOT_SETTINGS = frozenset(
    f"MAINSPRING_{name}"
    for name in (
        "AGAIN",
        "ALARM_EVENT",
        "CHANNEL_SECRET",
        "CHANNEL_URL",
        "HAND_BACK",
        "JOIN",
        "KILL_AT",
        "LINES",
        "ML_DIR",
        "MODEL",
        "MODEL_DIR",
        "PIPELINE",
        "RECORD",
        "RUN",
        "SECRET_KEY",
        "SEED",
        "SERVE_TOKEN_FILE",
        "WEBHOOK_SECRET",
    )
)

Count = Annotated[int, Meta(ge=1)]
Length = Annotated[float, Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Field names are the keys of mainspring.toml."""

    root: str  #: folder of the project: the nearest above with mainspring.toml
    home: str  #: where everything is kept; default .mainspring in the project
    url: str | None = None  #: a server to talk to instead of the home
    token: str | None = None  #: what we show that server
    host: str = "127.0.0.1"  #: address that `up` listens on; beyond loopback only with tokens
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8750  #: where `up` answers; 0 takes a free one
    hosts: list[str] = []  #: other names callers use, such as a proxy's; "a,b" in the environment
    database: str | None = None  #: sqlite:///... or postgresql://...; default in the home
    objects: str | None = None  #: folder or s3://bucket/prefix; default in the home
    secret_key_file: str | None = (
        None  #: the keys that seal secrets; default secret.key in the home
    )
    workers: Count = 2  #: tasks the engine works on at once
    cpus: Count | None = None  #: that steps which ask for some may take together; default all
    slots: Count = 2  #: runs of the queue that one worker works on at once
    lease_s: Length = 10.0  #: a dead worker's task is taken over after this long
    wire_timeout_s: Length = 60.0  #: a pipeline's body must have wired its steps by then
    #: of what steps draw by chance: each begins from it and its own name
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    capture: bool = True  #: a run keeps its commit, changes, packages, machine and load
    capture_budget_mb: Count = 1024  #: per endpoint; the oldest sealed segments go first
    traceback: Literal["own", "all"] = "own"  #: frames of an error in the project's code
    log_level: str = "info"  #: from where on our processes log; debug adds every HTTP request
    log_days: Length = 14.0  #: lines of logs are kept for so long
    #: share of predictions that are a line each; failed and slow ones always are
    log_predictions: Annotated[float, Meta(ge=0, le=1)] = 0.01
    log_slow_ms: Length = 1000.0  #: a prediction that took longer is slow
    log_mb: Count = 256  #: all logs together; the oldest go first
    webhook_hosts: list[
        str
    ] = []  #: hosts of this network that webhooks may go to, such as "ci:8080"
    openlineage_url: str | None = (
        None  #: where events of runs go: http://marquez:5000, or file:events.ndjson
    )
    openlineage_endpoint: str | None = None  #: the path there; default api/v1/lineage
    openlineage_key: str | None = None  #: the bearer token that it asks for; or secret:NAME
    openlineage_headers: dict[str, str] = {}  #: others that it asks for; values may be secret:NAME
    openlineage_compression: Literal["gzip"] | None = None  #: of what is sent
    openlineage_namespace: str = "mainspring"  #: of our jobs, at that receiver
    openlineage_disabled: bool = False  #: nothing is told, whatever else is set
    host_models: Count = 200  #: that the shared host keeps in memory; the oldest used go first
    host_memory_mb: Count = 2048  #: that they hold together
    max_body_mb: Count = 32  #: largest body of a request
    max_depth: Count = 64  #: of nested JSON
    environments: dict[str, str] = {}  #: by name: a Python environment that models may run in
    gates: dict[str, dict[str, Any]] = {}  #: by model, for those without a loop, as ms.Gate

    @property
    def database_url(self) -> str:
        """Return where the metadata is."""
        return self.database or f"sqlite:///{Path(self.home) / 'mainspring.db'}"

    @property
    def objects_url(self) -> str:
        """Return where the objects are."""
        return self.objects or str(Path(self.home) / "objects")


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder at or above that has a mainspring.toml, else ``start``."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder
    return here


def load(
    given: Mapping[str, Any] | None = None,
    *,
    start: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force. ``given`` are values from the command line; None is unset.

    Environment names are ``MAINSPRING_`` and the field in capitals, such as MAINSPRING_HOME.

    Raises:
        BadInputError: for an unknown key or a value of the wrong type, naming where it stands.
    """
    root = find_root(start)
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    for key, value, name in _said(root, os.environ if environ is None else environ):
        values[key], source[key] = value, name
    for key, value in (given or {}).items():
        if value is not None:
            values[key], source[key] = value, f"--{key.replace('_', '-')}"
    return _made(values, source, root)


def wrong(start: Path | None = None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return everything that is wrong with a project's configuration, one sentence each.

    Unlike :func:`load`, which stops at the first, it looks at every key by itself; and it names
    variables of the environment that look like settings and are none.

    Raises:
        BadInputError: if mainspring.toml is no TOML.
    """
    root, environ = find_root(start), os.environ if environ is None else environ
    found = []
    for key, value, name in _said(root, environ):
        try:
            _made({key: value}, {key: name}, root)
        except BadInputError as error:
            found.append(f"{error.message}{f' {error.hint}' if error.hint else ''}")
    known = Settings.__struct_fields__
    for name in sorted(environ):
        key = name.removeprefix("MAINSPRING_").lower()
        if name.startswith("MAINSPRING_") and name not in NOT_SETTINGS and key not in known:
            found.append(f"The environment has {name}, which is no setting. {meant(key, known)}")
    return found


def _said(root: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and where it stands: of the file first, then of the environment."""
    for key, value in _read(root / FILE).items():
        yield key, value, str(root / FILE)
    yield from others.said(environ)  # which are honoured, and ours stand above them
    for key in Settings.__struct_fields__:
        name = f"MAINSPRING_{key.upper()}"
        if environ.get(name):
            yield key, environ[name], name


def _made(values: dict[str, Any], source: Mapping[str, str], root: Path) -> Settings:
    known = Settings.__struct_fields__
    for key in values.keys() - set(known):
        raise BadInputError(
            f"{source[key]} has an unknown key {key!r}.", field=key, hint=meant(key, known)
        )
    for key in ("hosts", "webhook_hosts"):
        if isinstance(values.get(key), str):
            values[key] = [name.strip() for name in values[key].split(",") if name.strip()]
    if isinstance(values.get("openlineage_headers"), str):
        name = source["openlineage_headers"]
        values["openlineage_headers"] = others.mapping(values["openlineage_headers"], name)
    values.setdefault("root", str(root))
    values["home"] = str((root / Path(values.get("home", ".mainspring")).expanduser()).resolve())
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        key = str(error).rpartition("$.")[2].rstrip("`")
        raise BadInputError(f"{source.get(key, key)}: {error}", field=key) from error


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} is not valid TOML: {error}", field=FILE) from error
