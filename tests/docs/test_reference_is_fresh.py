"""What ``make docs`` would write is what is there, and the lists in the documents are whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

import mainspring
from mainspring.ground.objects import (
    Gate,
    MonitorPolicy,
    RetrainingPolicy,
    RolloutPolicy,
)

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"


def test_the_reference_is_fresh() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [one for group in project["optional-dependencies"].values() for one in group]
    text = (DECISIONS / "002-dependencies.md").read_text("utf-8")
    for wanted in [*project["dependencies"], *extras]:
        name = re.split(r"[\[<>=;~! ]", wanted)[0]
        assert re.search(rf"\b{re.escape(name)}\b", text), f"002 does not say why {name}"


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = sorted(int(page.name[:3]) for page in DECISIONS.glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_has_its_three_parts(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.name[:3]} ")
    for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
        assert part in text, f"{page.name} lacks {part}"


def test_names_shown_of_the_package_are_public() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for name in set(re.findall(r"\bms\.([A-Za-z]\w*)", page.read_text("utf-8"))):
            assert name in mainspring._PUBLIC, f"{page.name} shows ms.{name}"


def test_policy_figures_in_the_documents_are_the_defaults() -> None:
    """The figures that docs/why names; if a default changes, the text must follow."""
    monitor, retraining, rollout = MonitorPolicy(), RetrainingPolicy(), RolloutPolicy()
    day = 86_400
    assert (monitor.alpha, monitor.material, monitor.material_score) == (0.001, 0.05, 0.03)
    assert (monitor.relevant, monitor.label_delay_s) == (0.01, 3 * day)
    assert (retraining.on_drift, retraining.on_performance) == ("check", "retrain")
    assert (retraining.check_every_s, retraining.max_age_s) == (7 * day, None)
    assert (retraining.cost, rollout.watch_s, rollout.alpha) == (0.0, 14 * day, 0.05)
    assert Gate().needs_card
    assert "quality" not in msgspec.structs.asdict(retraining)
