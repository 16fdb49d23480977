"""Write a card in the shape of SageMaker Model Cards, so that it can be put there as it is.

The shape is the JSON schema of the content of a model card: lists are cut at its limits, and
what SageMaker has no place for stands under ``custom_details``.
"""

from __future__ import annotations

from typing import Any

from mainspring.debt.cards.facts import CardFacts
from mainspring.debt.cards.sections import data_told
from mainspring.ground.cards import missing, overdue
from mainspring.ground.clock import iso

_PROBLEMS = {
    "binary": "Binary Classification",
    "multiclass": "Multiclass Classification",
    "regression": "Regression",
}
_RISKS = {"": "Unknown", "low": "Low", "medium": "Medium", "high": "High"}
#: The longest lists that the schema allows.
_DATASETS, _METRICS, _PARAMS = 15, 50, 100


def content(facts: CardFacts) -> dict[str, Any]:
    """Return the content of a SageMaker model card; what is not known is left out."""
    card, version = facts.card, facts.version
    return _said(
        {
            "model_overview": {
                "model_id": f"{version.model}/{version.number}",
                "model_name": facts.title or version.model,
                "model_description": card.purpose,
                "model_version": version.number,
                "problem_type": _PROBLEMS.get(version.signature.kind, ""),
                "model_creator": version.by,
                "model_owner": card.owner,
                "model_artifact": [f"sha256:{version.package}"],
            },
            "intended_uses": {
                "purpose_of_model": card.purpose,
                "intended_uses": card.intended_use,
                "factors_affecting_model_efficiency": card.limitations,
                "risk_rating": _RISKS[card.risk],
                "explanations_for_risk_rating": card.risk_reason,
            },
            "training_details": _training(facts),
            "evaluation_details": _evaluations(facts),
            "additional_information": {
                "ethical_considerations": card.ethics,
                "caveats_and_recommendations": card.notes,
                "custom_details": _custom(facts),
            },
        }
    )


def _training(facts: CardFacts) -> dict[str, Any]:
    version = facts.version
    params = facts.run.params if facts.run else {}
    datasets = [f"{name}=sha256:{digest}" for name, digest in sorted(version.data.items())]
    return {
        "training_observations": facts.card.data or data_told(facts.profile, facts.span),
        "training_job_details": {
            "training_arn": version.run or "",
            "training_datasets": datasets[:_DATASETS],
            "user_provided_training_metrics": [
                {"name": name, "value": value}
                for name, value in sorted(version.metrics.items())[:_METRICS]
            ],
            "user_provided_hyper_parameters": [
                {"name": name, "value": str(value)}
                for name, value in sorted(params.items())[:_PARAMS]
            ],
        },
    }


def _evaluations(facts: CardFacts) -> list[dict[str, Any]]:
    found = []
    if facts.measured:
        found.append(
            {
                "name": "Held-out rows",
                "evaluation_observation": f"{facts.rows_measured:,} rows kept at training.",
                "metric_groups": [
                    {
                        "name": "Quality",
                        "metric_data": [
                            _metric(name, one["estimate"], _between(one))
                            for name, one in facts.measured.items()
                        ],
                    }
                ],
            }
        )
    if facts.slices:
        metrics = [_metric(one["name"], one["loss"], _between(one)) for one in facts.slices]
        group = {"name": "Mean bounded loss by slice", "metric_data": metrics}
        found.append({"name": "Slices", "metric_groups": [group]})
    if facts.gate is not None:
        verdict = "passed" if facts.gate.passed else "refused"
        checks = [
            {
                "name": check.name,
                "type": "boolean",
                "value": check.passed,
                "notes": f"{check.found}; wanted {check.wanted}",
            }
            for check in facts.gate.checks
        ]
        found.append(
            {
                "name": "Gate",
                "evaluation_observation": f"The gate {verdict} {iso(facts.gate.at)}.",
                "metric_groups": [{"name": "Checks", "metric_data": checks}],
            }
        )
    return found


def _metric(name: str, value: float, notes: str) -> dict[str, Any]:
    return _said({"name": name, "type": "number", "value": value, "notes": notes})


def _between(one: Any) -> str:
    if one["low"] is None or one["high"] is None:
        return ""
    return f"95 % interval {one['low']:.4g} to {one['high']:.4g}"


def _custom(facts: CardFacts) -> dict[str, str]:
    late = overdue(facts.card, facts.now)
    found = {
        f"assumption {place}": f"{one.text} (owner {one.owner}, review by {one.review_by}"
        + (", overdue)" if one in late else ")")
        for place, one in enumerate(facts.card.assumptions, 1)
    }
    if facts.packages:
        several = sorted(facts.packages.items())
        found["dependencies"] = ", ".join(f"{name}=={version}" for name, version in several)
    owed = missing(facts.version.card)
    if owed:
        found["missing"] = ", ".join(owed)
    return {**found, **facts.code_state}


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """Return what is not blank, all the way down; a False or a 0 says something."""
    found = {}
    for key, value in given.items():
        kept = _said(value) if isinstance(value, dict) else value
        if kept not in ("", None, [], {}):
            found[key] = kept
    return found
