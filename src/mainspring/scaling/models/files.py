"""The small files of a package that more than one reader knows."""

from __future__ import annotations

import msgspec

from mainspring.ground.contracts import Checked, Contract

CONTRACT = "contract.json"


class ContractFile(msgspec.Struct, frozen=True, kw_only=True):
    """``contract.json``: what the model's rows must be, and how its training rows were."""

    contract: Contract
    training: Checked


class FeatureFile(msgspec.Struct, frozen=True, kw_only=True):
    """``features.json``: the expressions, None where the raw columns are the features."""

    expressions: dict[str, str] | None
