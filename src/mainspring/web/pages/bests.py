"""Which end of a metric is the good one: as its experiment declares, else as its name says."""

from __future__ import annotations

import re

import msgspec

#: The tag of an experiment that declares what counts, such as ``max auc`` or ``min loss``.
DECLARED = "mainspring.best"
_LOW = {
    "loss", "error", "err", "mse", "rmse", "mae", "mape", "rmsle", "brier", "logloss", "nll",
    "perplexity", "latency", "regret", "cost", "wer", "cer", "deviance", "ece", "seconds", "ms",
}  # fmt: skip
_HIGH = {
    "auc", "accuracy", "acc", "f1", "precision", "recall", "r2", "score", "map", "ndcg", "bleu",
    "rouge", "iou", "dice", "kappa", "mcc", "reward", "gain", "auprc", "gini", "sensitivity",
    "specificity", "likelihood",
}  # fmt: skip
_WORDS = re.compile(r"[a-z]+\d?|[a-z]+")


class Goal(msgspec.Struct, frozen=True):
    """A metric and its good end."""

    metric: str
    highest: bool


def declared(tags: dict[str, str]) -> Goal | None:
    """Return what an experiment declares to count.

    >>> declared({"mainspring.best": "min val loss"})
    Goal(metric='val loss', highest=False)
    """
    end, _, metric = tags.get(DECLARED, "").strip().partition(" ")
    if end not in ("max", "min") or not metric.strip():
        return None
    return Goal(metric.strip(), end == "max")


def highest_is_best(metric: str) -> bool | None:
    """Return whether more is better, less is better (False), or nobody can say.

    >>> highest_is_best("val/loss"), highest_is_best("test_auc"), highest_is_best("epoch")
    (False, True, None)
    """
    found = _WORDS.findall(metric.lower())
    if _LOW.intersection(found):
        return False
    return True if _HIGH.intersection(found) else None
