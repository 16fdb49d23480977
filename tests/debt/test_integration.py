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


@pytest.mark.parametrize("manifest", [None, "requirements.txt", "pyproject.toml"])
@pytest.mark.parametrize("tests", [False, True])
def test_gitlab_runs_what_github_runs_so_that_running_one_shows_both(
    manifest: str | None, tests: bool
) -> None:
    """tests/cli/test_integration_commands.py runs GitHub's, command by command."""
    asked = {"manifest": manifest, "tests": tests, "base": "trunk"}
    told = yaml.safe_load(integration.text(wanted("github", **asked)))
    github = [one["run"] for one in told["jobs"]["report"]["steps"] if "run" in one]
    gitlab = yaml.safe_load(integration.text(wanted("gitlab", **asked)))["mainspring"]["script"]
    # What each needs of its own: GitLab's image has no git and its job no other branch; GitHub
    # shows the report at two places, where GitLab keeps it as an artifact.
    assert gitlab[:2] == [
        "apt-get update -qq && apt-get install -y -qq git",
        "git fetch -q origin +refs/heads/trunk:refs/remotes/origin/trunk",
    ]
    summary, comment = github[-2:]
    assert summary.endswith('cat report.md >> "$GITHUB_STEP_SUMMARY"')
    assert gitlab[2:] == github[:-2]
    after = yaml.safe_load(integration.text(wanted("gitlab", **asked)))["mainspring"]
    assert after["after_script"] == [f"test ! -f report.md || {comment}"]


def test_changes_and_merge_queues_are_reported_on_and_what_says_so_runs_whatever_failed() -> None:
    told = yaml.safe_load(integration.text(wanted("github")))
    assert set(told[True]) == {"pull_request", "push", "merge_group"}
    summary, comment = told["jobs"]["report"]["steps"][-2:]
    assert summary["if"] == "always()"
    assert comment["if"] == "always() && hashFiles('report.md') != ''"
    assert comment["env"] == {"GH_TOKEN": "${{ github.token }}"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "a b"), ("pipeline", "x; rm -rf /"), ("base", "$(id)"), ("base", "")],
)
def test_a_name_that_a_shell_would_read_is_refused(field: str, value: str) -> None:
    asked = {"service": "github", "pipeline": "train", "model": "flights", field: value}
    with pytest.raises(BadInputError) as caught:
        integration.text(integration.Wanted(**asked))
    assert caught.value.field == field
