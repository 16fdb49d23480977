"""Write the file by which GitHub or GitLab runs a project's checks at every change."""

from __future__ import annotations

import re
from typing import Literal

from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record
from mainspring.ground.version import __version__

Service = Literal["github", "gitlab"]
#: Where each service looks for it.
PLACES: dict[Service, str] = {
    "github": ".github/workflows/mainspring.yml",
    "gitlab": ".gitlab-ci.yml",
}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/\-]{0,127}")

_HEAD = """# Written by mainspring ci init {service}.
# Smoke run, both sides of the change, the gate; exit code by the gate. It is yours to change.
"""

_GITHUB = """name: mainspring
on:
  pull_request:
    branches: [{base}]
  push:
    branches: [{base}]
  merge_group:
permissions:
  contents: read
  pull-requests: write
concurrency:
  group: mainspring-${{{{ github.ref }}}}
  cancel-in-progress: true
jobs:
  report:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
          cache: pip
          cache-dependency-path: "{manifest}"
      - run: python -m pip install {install}
      - run: mainspring config check
{tests}      - run: >-
          mainspring ci report {pipeline} --model {model} --base origin/{base}
          --markdown report.md --junit gate.xml
      - if: always()
        uses: actions/upload-artifact@v4
        with:
          name: mainspring
          path: |
            report.md
            gate.xml
      - if: always()
        run: test ! -f report.md || cat report.md >> "$GITHUB_STEP_SUMMARY"
      # One comment, which the next report replaces. From a fork the token may only read: then the
      # summary has it alone, which is said and fails nothing.
      - if: always() && hashFiles('report.md') != ''
        run: mainspring ci comment report.md
        env:
          GH_TOKEN: ${{{{ github.token }}}}
"""

_GITLAB = """stages: [report]
mainspring:
  stage: report
  image: python:{python}-slim-bookworm
  variables:
    GIT_DEPTH: "0"
    PIP_CACHE_DIR: "$CI_PROJECT_DIR/.cache/pip"
  cache:
    paths: [.cache/pip]
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == "{base}"
  script:
    - apt-get update -qq && apt-get install -y -qq git
    - git fetch -q origin +refs/heads/{base}:refs/remotes/origin/{base}
    - python -m pip install {install}
    - mainspring config check
{tests}    - >-
      mainspring ci report {pipeline} --model {model} --base origin/{base}
      --markdown report.md --junit gate.xml
  after_script:
    # Where the project has a GITLAB_TOKEN (api scope): one comment, which the next replaces.
    - test ! -f report.md || mainspring ci comment report.md
  artifacts:
    when: always
    paths: [report.md]
    reports:
      junit: gate.xml
"""


class Wanted(Record, frozen=True, kw_only=True):
    """What a project's checks are."""

    service: Service
    pipeline: str
    model: str
    base: str = "main"  #: the branch that changes are compared with
    python: str = "3.11"
    manifest: str | None = None  #: the file that says what to install; None: Mainspring alone
    tests: bool = False  #: whether the project has a folder of tests


def text(wanted: Wanted) -> str:
    """Return the file.

    Raises:
        BadInputError: for a name that a command could not be written with.
    """
    for field in ("pipeline", "model", "base"):
        value = getattr(wanted, field)
        if _PLAIN.fullmatch(value) is None:
            raise BadInputError(
                f"{field} is {value[:80]!r}; letters, digits and ._:/- are taken.", field=field
            )
    github = wanted.service == "github"
    indent = "      - run: " if github else "    - "
    manifest = wanted.manifest
    named = {
        None: f"mainspring=={__version__}",
        "pyproject.toml": ".",
    }.get(manifest, f"--requirement {manifest}")
    form = _HEAD + (_GITHUB if github else _GITLAB)
    return form.format(
        service=wanted.service,
        pipeline=wanted.pipeline,
        model=wanted.model,
        base=wanted.base,
        python=wanted.python,
        install=named,
        manifest=manifest or PLACES["github"],
        tests=f"{indent}mainspring test tests\n" if wanted.tests else "",
    )
