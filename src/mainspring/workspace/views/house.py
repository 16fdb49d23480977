"""Gather what is shown of the whole house: status, engine, audit log."""

from __future__ import annotations

import json
from typing import Literal

from mainspring.backends.sql import audit
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.workspace import processes, signs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.endpoints import endpoint_boards
from mainspring.workspace.views.loops import loop_statuses
from mainspring.workspace.views.searching import run_page
from mainspring.workspace.views.shapes import AuditRow, AuditVerdict, SystemStatus


def system_status(ws: Workspace, version: str) -> SystemStatus:
    """Return loops, endpoints, open alarms and runs at a glance; ``version`` is Mainspring's."""
    newest = run_page(ws).runs
    return SystemStatus(
        version=version,
        home=str(ws.home),
        database=ws.settings.database_url.partition(":")[0].partition("+")[0],
        at=ws.clock.now(),
        loops=loop_statuses(ws),
        endpoints=endpoint_boards(ws),
        open_alarms=ws.read(Permission.READ, alarms.open_alarms),
        runs={
            "running": sum(run.status == "running" for run in newest),
            "failed": sum(run.status == "failed" for run in newest),
        },
        engine=engine_state(ws),
        troubles=engine_troubles(ws),
    )


def engine_state(ws: Workspace) -> Literal["up", "down"]:
    """Return whether the engine has shown a sign of life within the last seconds."""
    return "up" if signs.engine_lives(ws) else "down"


def engine_troubles(ws: Workspace) -> dict[str, str]:
    """Return what went wrong in the engine outside of tasks, by where; empty when all is well."""
    told = processes.read_json(ws.home / "run" / "engine.json") or {}
    return {str(where): str(trace) for where, trace in (told.get("troubles") or {}).items()}


def audit_rows(ws: Workspace, limit: int = 100) -> list[AuditRow]:
    """Return the newest rows of the audit log, newest first."""

    def work(tx: Tx) -> list[AuditRow]:
        return [
            AuditRow(
                seq=row.seq,
                at=row.at,
                who=row.who,
                action=row.action,
                subject=row.subject,
                detail=json.loads(row.detail),
                reason=row.reason,
                hash=row.hash,
            )
            for row in audit.rows(tx, limit)
        ]

    return ws.read(Permission.ADMIN, work)


def audit_verdict(ws: Workspace) -> AuditVerdict:
    """Walk the chain of the audit log and return whether it is whole."""
    report = ws.read(Permission.ADMIN, audit.verify)
    return AuditVerdict(
        rows=report.rows, ok=report.ok, first_bad=report.first_bad, reason=report.reason
    )
