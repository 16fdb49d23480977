"""A roll-back rehearsed under load, in real processes, on a copy of the endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.errors import ConflictError, MainspringError, NotFoundError
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, evidence, registry
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import drill, scores


def promote(ws: Workspace, number: int) -> None:
    own = ws.acting_as(service("tests"))
    at = ws.clock.now()
    own.write(Permission.WORK, lambda tx: registry.promote(tx, "tide", number, "Better.", at))


def test_a_copy_goes_back_and_forward_under_load_and_nobody_is_touched(
    served: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(served.settings.root).mkdir(exist_ok=True)
    promote(served, 2)

    def state(tx: Tx) -> tuple[Any, ...]:
        return (
            registry.history(tx, "tide"),
            decisions.list_decisions(tx),
            endpoints.list_endpoints(tx),
        )

    before = served.read(Permission.READ, state)
    found = drill.rollback(served, "tide")
    assert found.evidence.passed, found.evidence.found
    assert (found.withdrawn, found.restored, found.failed) == (2, 1, 0)
    assert found.requests > 20
    assert found.recovery_s is not None
    assert found.return_s is not None
    assert found.evidence.found.startswith("4 callers sent ")
    assert found.evidence.subject == "endpoint:tide"
    assert served.read(Permission.READ, state) == before
    assert not (served.home / "run" / "endpoints" / "tide.json").exists()
    kept: Evidence | None = served.read(
        Permission.READ, lambda tx: evidence.newest(tx, "rollback_drill", "endpoint:tide")
    )
    assert kept == found.evidence
    earned = {one.test: one for one in scores.score(served, "tide").points if one.points}
    assert earned["Infra 7"].found == found.evidence.found
    assert capfd.readouterr().err == ""


def test_what_cannot_be_rolled_back_is_not_rehearsed(served: Workspace) -> None:
    refused: list[tuple[str, int | None, type[MainspringError], str]] = [
        ("ebb", None, NotFoundError, "no endpoint 'ebb'"),
        ("tide", None, ConflictError, "no champion before tide/1"),
        ("tide", 1, ConflictError, "no champion before tide/1"),
        ("tide", 3, ConflictError, "tide/3 never passed a gate"),
        ("tide", 9, NotFoundError, "no version 9"),
    ]
    for name, to, error, words in refused:
        with pytest.raises(error, match=words):
            drill.rollback(served, name, to)
    assert served.read(Permission.READ, evidence.listing) == []
