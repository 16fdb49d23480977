"""A booster's trees as plain records, read from the library's own dump of them.

What cannot be said in them (categories, linear leaves, objectives with a link of their own) is
refused by its name; such a booster is scored by its library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from mainspring.ground.errors import BadInputError
from mainspring.scaling.models.boosted import Boosted

Link = Literal["", "sigmoid", "softmax", "exp"]


class Split(NamedTuple):
    """One inner node: ``x[column] < limit`` (or <=) goes to ``left``, else to ``right``."""

    column: int
    limit: float
    left: int
    right: int
    gap_left: bool  #: a missing value goes left


@dataclass
class Tree:
    """One tree: its nodes by number, 0 the root; a leaf is its value."""

    output: int  #: to which class's sum its leaves are added
    nodes: dict[int, Split | float] = field(default_factory=dict)


@dataclass
class Trees:
    """A whole booster: sums of leaves, plus ``start``, through ``link``."""

    trees: list[Tree]
    start: list[float]  #: one number an output
    link: Link
    equal: bool  #: a value equal to the limit goes left
    double: bool  #: limits are double precision
    slope: float = 1.0  #: what the sums are multiplied by before the link


def of(model: Boosted) -> Trees:
    """Return the trees of a booster.

    Raises:
        BadInputError: naming what cannot be told as plain trees.
    """
    if model.facts.missing is not None:
        raise _refused(f"the number {model.facts.missing:g} that means missing")
    return _xgboost(model) if model.facts.library == "xgboost" else _lightgbm(model)


def _refused(what: str) -> BadInputError:
    return BadInputError(f"There is no way to convert {what}.", field="model")


# ---------------------------------------------------------------- XGBoost

_XGBOOST_LINKS: dict[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    **dict.fromkeys(
        ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror"),
        "",
    ),
}


def _xgboost(model: Boosted) -> Trees:
    learner = msgspec.json.decode(model.booster.save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if objective not in _XGBOOST_LINKS:
        raise _refused(f"the objective {objective}")
    link = _XGBOOST_LINKS[objective]
    boosting = learner["gradient_booster"]
    if boosting["name"] not in ("gbtree", "dart"):
        raise _refused(f"the booster {boosting['name']}")
    weights = boosting.get("weight_drop")
    held = boosting.get("gbtree", boosting)["model"]
    outputs = max(model.facts.classes if model.facts.kind == "multiclass" else 1, 1)
    trees = [
        _xgboost_tree(tree, int(place), 1.0 if weights is None else float(weights[number]))
        for number, (tree, place) in enumerate(zip(held["trees"], held["tree_info"], strict=True))
    ]
    start = _start(learner["learner_model_param"]["base_score"], outputs, link)
    return Trees(trees, start, link, equal=False, double=False)


def _xgboost_tree(tree: dict[str, Any], output: int, weight: float) -> Tree:
    if any(tree.get("split_type", ())):
        raise _refused("splits by category")
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise _refused("leaves of several values")
    out = Tree(output)
    rows = zip(
        tree["left_children"],
        tree["right_children"],
        tree["split_indices"],
        tree["split_conditions"],
        tree["default_left"],
        strict=True,
    )
    for number, (left, right, column, limit, gap) in enumerate(rows):
        leaf = left < 0
        out.nodes[number] = (
            limit * weight if leaf else Split(column, limit, left, right, bool(gap))
        )
    return out


def _start(text: str, outputs: int, link: Link) -> list[float]:
    """Return where the sums begin: one number, or in newer releases a list, before the link."""
    found = msgspec.json.decode(text)
    told = [float(one) for one in (found if isinstance(found, list) else [found])]
    several = told * outputs if len(told) == 1 else told
    if link == "sigmoid":
        return [float(np.log(one / (1.0 - one))) for one in several]
    return [float(np.log(one)) for one in several] if link == "exp" else several


# ---------------------------------------------------------------- LightGBM

_LIGHTGBM_LINKS: dict[str, Link] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
        "",
    ),
}


def _lightgbm(model: Boosted) -> Trees:
    told = model.booster.dump_model()
    name, *options = told["objective"].split()
    if name not in _LIGHTGBM_LINKS or "sqrt" in options:
        raise _refused(f"the objective {told['objective']}")
    if told["average_output"]:
        raise _refused("trees that are averaged")
    outputs = int(told["num_tree_per_iteration"])
    trees = [
        _lightgbm_tree(one["tree_structure"], one["tree_index"] % outputs)
        for one in told["tree_info"]
    ]
    slope = next((float(one[8:]) for one in options if one.startswith("sigmoid:")), 1.0)
    link = _LIGHTGBM_LINKS[name]
    return Trees(trees, [0.0] * outputs, link, equal=True, double=True, slope=slope)


def _lightgbm_tree(root: dict[str, Any], output: int) -> Tree:
    out = Tree(output)
    for number, node, (left, right) in _numbered(root):
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise _refused("leaves that are linear")
            out.nodes[number] = float(node["leaf_value"])
            continue
        kind, limit = node["missing_type"], node["threshold"]
        if node["decision_type"] != "<=":
            raise _refused("splits by category")
        if kind == "Zero":
            raise _refused("zeros that mean missing")
        # Where no value was missing in training, a missing one is read as 0.
        gap = bool(node["default_left"]) if kind == "NaN" else limit >= 0.0
        out.nodes[number] = Split(node["split_feature"], float(limit), left, right, gap)
    return out


def _numbered(
    root: dict[str, Any],
) -> Iterator[tuple[int, dict[str, Any], tuple[int, int]]]:
    """Yield every node with its number and its children's, without calling itself."""
    waiting, given = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "left_child" not in node:
            yield number, node, (-1, -1)
            continue
        left, right, given = given, given + 1, given + 2
        waiting += [(left, node["left_child"]), (right, node["right_child"])]
        yield number, node, (left, right)
