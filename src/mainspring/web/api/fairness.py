"""Bias and attributions of a version; age and training-serving skew of an endpoint."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.objects import Facet, Finding
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import (
    ColumnName,
    EndpointName,
    ModelName,
    Number,
    OfVersion,
    Request,
    Rows,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.fairness import AgeReport, Attribution, SkewReport


class BiasReport(Request, frozen=True, kw_only=True):
    """Which version, and whose treatment to compare; without a facet those its loop declares."""

    model: ModelName
    number: Number
    facets: Annotated[list[Facet], Meta(max_length=20)] = []


class OfAge(Request, frozen=True, kw_only=True):
    """Which endpoint."""

    endpoint: EndpointName


class OfSkew(Request, frozen=True, kw_only=True):
    """Which endpoint; and the source rows to compare with, if not the training path."""

    endpoint: EndpointName
    source: Rows | None = None
    key: ColumnName | None = None


@operation(
    "bias.report",
    "POST",
    "/api/v1/models/{model}/versions/{number}/bias",
    Permission.READ,
    example={"model": "flights", "number": 1, "facets": [{"column": "carrier"}]},
)
def bias(ws: Workspace, request: BiasReport) -> list[Finding]:
    """Measure the bias of a version on the rows it was measured on, before it meets traffic.

    Clarify's pre-training and post-training figures of each facet, with their intervals.
    """
    from mainspring.workspace.views import fairness

    return fairness.bias_report(ws, request.model, request.number, request.facets)


@operation(
    "attribution.report",
    "GET",
    "/api/v1/models/{model}/versions/{number}/attribution",
    Permission.READ,
)
def attribution(ws: Workspace, request: OfVersion) -> Attribution:
    """Show what a version listens to: the share of its response that each column carries.

    It was measured when the version was trained, and is kept in its package.
    """
    from mainspring.workspace.views import fairness

    return fairness.attribution(ws, request.model, request.number)


@operation("age.report", "GET", "/api/v1/monitor/{endpoint}/age", Permission.READ)
def age(ws: Workspace, request: OfAge) -> AgeReport:
    """Show how old an endpoint's champion is, and the curve by which models here grow stale."""
    from mainspring.workspace.views import fairness

    return fairness.age_report(ws, request.endpoint)


@operation("skew.report", "POST", "/api/v1/monitor/{endpoint}/skew", Permission.READ)
def skew(ws: Workspace, request: OfSkew) -> SkewReport:
    """Compare the newest captured rows with the training path, or with the rows of a source.

    Without a source they are scored and their features computed by both paths, value by value.
    """
    from mainspring.workspace.views import fairness

    return fairness.skew_report(ws, request.endpoint, request.source, request.key)
