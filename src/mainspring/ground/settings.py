"""Settings: defaults, then mainspring.toml, then the environment, then the command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError

FILE = "mainspring.toml"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Field names are the keys of mainspring.toml."""

    root: str  #: folder of the project: the nearest above with mainspring.toml
    home: str  #: where everything is kept; default .mainspring in the project
    url: str | None = None  #: a server to talk to instead of the home
    token: str | None = None  #: what we show that server
    host: str = "127.0.0.1"  #: address that `up` listens on; beyond loopback only with tokens
    port: int = 8750  #: where `up` answers; 0 takes a free one
    hosts: list[str] = []  #: other names callers use, such as a proxy's; "a,b" in the environment
    database: str | None = None  #: sqlite:///... or postgresql://...; default in the home
    objects: str | None = None  #: folder or s3://bucket/prefix; default in the home
    workers: int = 2  #: tasks the engine works on at once
    slots: int = 2  #: runs of the queue that one worker works on at once
    lease_s: float = 10.0  #: a dead worker's task is taken over after this long
    capture: bool = True  #: a run keeps its commit, changes, packages, machine and load
    capture_budget_mb: int = 1024  #: per endpoint; the oldest sealed segments go first
    log_level: str = "info"  #: from where on our processes log; debug adds every HTTP request
    log_days: float = 14.0  #: lines of logs are kept for so long
    log_mb: int = 256  #: all logs together; the oldest go first
    webhook_hosts: list[
        str
    ] = []  #: hosts of this network that webhooks may go to, such as "ci:8080"
    max_body_mb: int = 32  #: largest body of a request
    max_depth: int = 64  #: of nested JSON
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

    def take(pairs: Mapping[str, Any], name: Callable[[str], str]) -> None:
        for key, value in pairs.items():
            values[key], source[key] = value, name(key)

    environ = os.environ if environ is None else environ
    take(_read(root / FILE), lambda _: str(root / FILE))
    known = Settings.__struct_fields__
    set_there = {key: environ.get(f"MAINSPRING_{key.upper()}") for key in known}
    take({k: v for k, v in set_there.items() if v}, lambda key: f"MAINSPRING_{key.upper()}")
    given = {k: v for k, v in (given or {}).items() if v is not None}
    take(given, lambda key: f"--{key.replace('_', '-')}")
    for key in values.keys() - set(known):
        raise BadInputError(
            f"{source[key]} has an unknown key {key!r}.",
            field=key,
            hint=f"Known keys: {', '.join(known)}.",
        )
    for key in ("hosts", "webhook_hosts"):
        if isinstance(values.get(key), str):
            values[key] = [name.strip() for name in values[key].split(",") if name.strip()]
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
