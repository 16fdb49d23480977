"""Debt: look for it, accept it for a time, see how it goes; what each feature is worth."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.debt.ablation import Ablation
from mainspring.debt.ledger import ScanRow
from mainspring.debt.scan import Acceptance
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Limit, ModelName, Name, Reason, Ref, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.owed.scanning import Scan

DebtKind = Annotated[
    str, Meta(min_length=1, max_length=40, description="One kind.", examples=["no_owner"])
]
DebtBudget = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        description="The most that may be owed: a weight, or KIND=NUMBER, parted by commas.",
        examples=["20", "no_owner=0,prototype=0"],
    ),
]


class AskScan(Request, frozen=True, kw_only=True):
    """What to look for, and how much may be owed."""

    model: ModelName | None = None
    kind: DebtKind | None = None
    budget: DebtBudget | None = None


class OfScan(Request, frozen=True, kw_only=True):
    """Which scans: of everything, or of one model."""

    model: ModelName | None = None


class ListScans(Request, frozen=True, kw_only=True):
    """The last scans of everything, or of one model."""

    model: ModelName | None = None
    limit: Limit = 100


class AcceptDebt(Request, frozen=True, kw_only=True):
    """Which finding may stand until when, and why."""

    finding: Annotated[Name, Meta(description="The finding's id.", examples=["debt_1f2e3d4c5b6a"])]
    until: Annotated[float, Meta(description="UTC seconds: from then on it counts again.")]
    reason: Reason


class AskAblation(Request, frozen=True, kw_only=True):
    """Which version to measure."""

    ref: Ref


@operation(
    "debt.scan",
    "POST",
    "/api/v1/debt/scan",
    Permission.LOG,
    example={"model": "flights", "budget": "20"},
)
def scan_debt(ws: Workspace, request: AskScan) -> Scan:
    """Look for debt now, and write the scan into the ledger.

    The source of the home's own project, and of those that loops were declared in, is read and
    never run. A scan of one kind is not written down. ``broken`` says in which ways more is
    owed than the budget allows.
    """
    from mainspring.debt.scan import read_budget
    from mainspring.workspace.owed import scanning

    budget = None if request.budget is None else read_budget(request.budget)
    return scanning.scan(ws, model=request.model, kind=request.kind, budget=budget)


@operation("debt.list", "GET", "/api/v1/debt", Permission.READ)
def list_debt(ws: Workspace, request: OfScan) -> Scan:
    """Show what the newest scan found, as it stands now: acceptances may have ended since."""
    from mainspring.workspace.owed import scanning

    return scanning.listed(ws, request.model)


@operation("debt.trend", "GET", "/api/v1/debt/trend", Permission.READ)
def debt_trend(ws: Workspace, request: ListScans) -> list[ScanRow]:
    """List the last scans, the oldest first."""
    from mainspring.debt import ledger

    return ws.read(
        Permission.READ, lambda tx: ledger.trend(tx, request.model or "", request.limit)
    )


@operation(
    "debt.accept",
    "POST",
    "/api/v1/debt/accept",
    Permission.PROMOTE,
    example={
        "finding": "debt_1f2e3d4c5b6a",
        "until": 1_800_000_000.0,
        "reason": "The new feed comes in spring.",
    },
)
def accept_debt(ws: Workspace, request: AcceptDebt) -> Acceptance:
    """Let a finding stand until a date; then it counts again, and says that it was accepted."""
    from mainspring.debt import ledger

    now = ws.clock.now()
    return ws.write(
        Permission.PROMOTE,
        lambda tx: ledger.accept(tx, request.finding, request.until, request.reason, now),
    )


@operation(
    "debt.ablate",
    "POST",
    "/api/v1/debt/ablate",
    Permission.REGISTER,
    example={"ref": "flights@champion"},
)
def ablate_version(ws: Workspace, request: AskAblation) -> Ablation:
    """Measure what each feature of a version is worth, and keep that as evidence on it.

    Cheap challengers are trained without each feature, and without groups of correlated ones, on
    the rows the version keeps and did not learn from; gains are compared row by row, with
    intervals that hold all at once.
    """
    from mainspring.workspace.owed import scanning

    return scanning.ablate(ws, request.ref)[0]
