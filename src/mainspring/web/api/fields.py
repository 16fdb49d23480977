"""The fields requests are made of, described once: names, numbers, limits, reasons."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=128)]
ModelName = Annotated[Name, Meta(description="The model's name.", examples=["flights"])]
EndpointName = Annotated[Name, Meta(description="The endpoint's name.", examples=["flights"])]
LoopName = Annotated[Name, Meta(description="The loop's name.", examples=["flights"])]
TokenName = Annotated[Name, Meta(description="The token's name.", examples=["ci"])]
ExperimentName = Annotated[Name, Meta(description="The experiment's name.")]
InExperiment = Annotated[
    str, Meta(min_length=1, max_length=500, description="Only runs of the experiment so named.")
]
RunId = Annotated[Name, Meta(description="The run's id.", examples=["run_01jz"])]
AlarmId = Annotated[Name, Meta(description="The alarm's id.")]
StepName = Annotated[Name, Meta(description="The step's name in its pipeline.")]
Number = Annotated[
    int, Meta(ge=1, le=2**31 - 1, description="The version's number.", examples=[7])
]
Ref = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A version: name/7 or name@champion.",
        examples=["flights@champion", "flights/7"],
    ),
]
Target = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A pipeline of the project, as module:function.",
        examples=["project:train"],
    ),
]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="Why: it is what others will read.",
        examples=["The holidays are over."],
    ),
]
Key = Annotated[str, Meta(min_length=1, max_length=250, description="The metric's key.")]
ColumnName = Annotated[str, Meta(min_length=1, max_length=250, description="A raw column.")]
When = Annotated[
    str,
    Meta(
        max_length=64,
        description="A time in UTC, or how long ago: 15m, 1h, 2d.",
        examples=["1h"],
    ),
]
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[
    str, Meta(max_length=4000, description="Where the page before ended; from its answer.")
]
Filter = Annotated[
    str,
    Meta(
        max_length=20_000,
        description="What must hold of a run; see reference/filters.md.",
        examples=["metrics.auc > 0.9 and params.C != '1'"],
    ),
]
OrderBy = Annotated[
    str,
    Meta(
        max_length=20_000,
        description="Names parted by commas, a minus in front for falling. Default: -started.",
        examples=["-metrics.auc,started"],
    ),
]
ColumnNames = Annotated[
    str,
    Meta(
        max_length=20_000,
        description="Only these columns, parted by commas; all of them if none is named.",
        examples=["params.C,metrics.auc"],
    ),
]
Rows = Annotated[
    list[dict[str, Any]],
    Meta(min_length=1, max_length=100_000, description="One object a row: raw column to value."),
]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of every request: a field nobody knows is refused, never overlooked."""


class Nothing(Request, frozen=True, kw_only=True):
    """A request without fields."""


class OfModel(Request, frozen=True, kw_only=True):
    """About one model."""

    model: ModelName


class OfVersion(Request, frozen=True, kw_only=True):
    """About one version."""

    model: ModelName
    number: Number


class OfEndpoint(Request, frozen=True, kw_only=True):
    """About one endpoint."""

    name: EndpointName


class OfLoop(Request, frozen=True, kw_only=True):
    """About one loop."""

    name: LoopName


class OfRun(Request, frozen=True, kw_only=True):
    """About one run."""

    run: RunId


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It is done."""

    done: bool = True
