"""The file that runs a project's checks is one that the services read, and names are plain."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mainspring.debt import integration
from mainspring.ground.errors import BadInputError


def wanted(service: Any, **more: Any) -> integration.Wanted:
    return integration.Wanted(service=service, pipeline="train", model="flights", **more)


def test_github_reads_its_file() -> None:
    told = yaml.safe_load(integration.text(wanted("github", base="trunk", tests=True)))
    assert told[True]["pull_request"]["branches"] == ["trunk"]  # YAML 1.1 reads "on" as true
    steps = told["jobs"]["report"]["steps"]
    runs = [one["run"] for one in steps if "run" in one]
    assert runs[1:3] == ["mainspring config check", "mainspring test tests"]
    assert runs[3] == (
        "mainspring ci report train --model flights --base origin/trunk"
        " --markdown report.md --junit gate.xml"
    )
    assert steps[0]["with"]["fetch-depth"] == 0
    assert told["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_gitlab_reads_its_file() -> None:
    told = yaml.safe_load(integration.text(wanted("gitlab", manifest="requirements.txt")))
    job = told["mainspring"]
    assert "python -m pip install --requirement requirements.txt" in job["script"]
    assert job["script"][-1].startswith("mainspring ci report train --model flights")
    assert job["artifacts"]["reports"] == {"junit": "gate.xml"}
    assert job["variables"]["GIT_DEPTH"] == "0"


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "a b"), ("pipeline", "x; rm -rf /"), ("base", "$(id)"), ("base", "")],
)
def test_a_name_that_a_shell_would_read_is_refused(field: str, value: str) -> None:
    asked = {"service": "github", "pipeline": "train", "model": "flights", field: value}
    with pytest.raises(BadInputError) as caught:
        integration.text(integration.Wanted(**asked))
    assert caught.value.field == field
