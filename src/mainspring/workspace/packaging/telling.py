"""The README of a build folder: what is in it, how to build it, how to run it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mainspring.ground.objects import Version
from mainspring.pipelines.packaging.containerfile import UID, is_pinned
from mainspring.pipelines.packaging.pins import HASHED
from mainspring.scaling.serving.packaged import PORT

_BUILD = """## Build it

```sh
buildah build --format docker --isolation chroot -t {tag} .
podman build --format docker -t {tag} .
docker build -t {tag} .
```

`requirements.txt` is installed from pip's index, or from `wheels/` alone where
`mainspring package --offline` has put all of it. A configuration of pip and certificates are
handed in as secrets, and are in no layer: `--secret id=pip,src=pip.conf`,
`--secret id=certificates,src=ca.crt`. {base}
"""

_MODEL = """# {name} as an image

Serves {name} (package sha256:{package})
on port {port}: the containers' contracts of SageMaker and MLflow (`/ping`, `/health`, `/version`,
`/invocations`) and the Open Inference Protocol (`/v2/...`).

{build}
## Run it

```sh
podman run --rm --read-only --memory 512m -p 127.0.0.1:{port}:{port} {tag}
curl http://127.0.0.1:{port}/ping
```

It runs as user {uid}, writes nothing, and finishes what is under way at SIGTERM.
Python {python}; {count} distributions: {why}.

| variable | says |
|---|---|
| `SAGEMAKER_BIND_TO_PORT`, `MAINSPRING_PORT` | the port; {port} |
| `MAINSPRING_HOST` | the address it listens on; all of the container |
| `MAINSPRING_MODEL_DIR` | a mounted model to serve instead of its own; `/opt/ml/model` |
| `MAINSPRING_RECORD` | `stdout`: each row and its answer as a line of JSON; `no` |
| `MAINSPRING_SERVE_TOKEN_FILE` | a file with the token that callers show (`Bearer`) |
| `MAINSPRING_LOG_PREDICTIONS`, `MAINSPRING_MAX_BODY_MB` | as the settings of these names |

No rows of the training data are in it, so answers cannot be explained. `sbom.cdx.json` says what
is in it (CycloneDX); inside it is `/opt/mainspring/sbom.cdx.json`.
"""

_PIPELINE = """# {name} as an image

Runs the pipeline `{target}` with the project's files and {count} distributions on Python {python}.

{build}
## Run it

```sh
podman run --rm --read-only --tmpfs /tmp -v {name}:{home} {tag} run -p NAME=VALUE
```

It runs as user {uid}. What runs made is kept in `{home}`, a volume. The exit code is
that of the run. Any other command of mainspring may follow the image: `{tag} runs`.

On SageMaker, `train` reads `/opt/ml/input/config/hyperparameters.json` as params and gives each
channel of `/opt/ml/input/data` to the param of its name; the model is written to `/opt/ml/model`,
why it failed to `/opt/ml/output/failure`. `serve` serves what is in `/opt/ml/model`.

`sbom.cdx.json` says what is in it (CycloneDX); inside it is `/opt/mainspring/sbom.cdx.json`.
"""


def tag_of(model: str, number: int | str) -> str:
    """Return the name that an image has if none is given.

    >>> tag_of("Flights", 7)
    'localhost/mainspring/flights:7'
    """
    return f"localhost/mainspring/{model.lower()}:{number}"


def of_model(version: Version, base: str, python: str, why: str, pinned: Mapping[str, str]) -> str:
    """Return the README of a version's build folder."""
    tag = tag_of(version.model, version.number)
    return _MODEL.format(
        name=f"{version.model}/{version.number}",
        package=version.package,
        port=PORT,
        uid=UID,
        tag=tag,
        python=python,
        why=why,
        count=len(pinned) + 1,
        build=building(tag, base),
    )


def of_pipeline(
    name: str, target: str, base: str, python: str, pinned: Mapping[str, str], home: str
) -> str:
    """Return the README of a pipeline's build folder."""
    tag = tag_of(name, "latest")
    return _PIPELINE.format(
        name=name,
        target=target,
        python=python,
        count=len(pinned) + 1,
        uid=UID,
        tag=tag,
        home=home,
        build=building(tag, base),
    )


def building(tag: str, base: str) -> str:
    """Return how an image is built, and what its base is."""
    told = f"It stands on `{base}`."
    if not is_pinned(base):
        told += (
            " **That is a name, not a digest**: another build may stand on another base."
            " Package it again with `--base NAME@sha256:DIGEST`."
        )
    return _BUILD.format(tag=tag, base=told)


_TITLE = re.compile(r'^LABEL org\.opencontainers\.image\.title="([^"]*)"$', re.MULTILINE)
_CREATED = re.compile(r'^LABEL org\.opencontainers\.image\.created="([^"]*)"$', re.MULTILINE)
_BASE = re.compile(r"^FROM (\S+) AS packages$", re.MULTILINE)
_PYTHON = re.compile(r"^# For Python (\d+\.\d+)\.$", re.MULTILINE)


def read_back(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what a build folder says of itself: title, tag, base, Python, when it was made."""
    text = files["Containerfile"].decode()

    def said(pattern: re.Pattern[str]) -> str:
        found = pattern.search(text)
        return "" if found is None else found[1]

    title, base = said(_TITLE), said(_BASE)
    name, _, number = title.partition("/")
    created = datetime.strptime(said(_CREATED), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return {
        "title": title,
        "tag": tag_of(re.sub(r"[^a-z0-9._-]+", "-", name.lower()), number or "latest"),
        "base": base,
        "pinned": is_pinned(base),
        "hashed": files["requirements.txt"].startswith(HASHED.encode()),
        "python": said(_PYTHON),
        "created": created.timestamp(),
    }
