"""Write answers in the form each protocol expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mainspring.ground.errors import (
    BadInputError,
    DeadlineError,
    MainspringError,
    OverloadedError,
    TooLargeError,
)
from mainspring.ground.version import __version__
from mainspring.scaling.serving.requests import Asked
from mainspring.scaling.serving.router import Answer, Generation, Variant


class Reply(NamedTuple):
    """An answer: status, content type, body, and headers of its own."""

    status: int
    kind: bytes
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


JSON = b"application/json"
OUTPUTS = ("prediction", "scores", "prediction_id", "version")
_OIP_TYPES = {"float": "FP64", "int": "INT64", "str": "BYTES", "bool": "BOOL"}
_encode = msgspec.json.Encoder().encode


def as_json(value: Any, status: int = 200) -> Reply:
    """Return any JSON-like value as an answer."""
    return Reply(status, JSON, _encode(value))


def refusal(error: MainspringError, *, oip: bool) -> Reply:
    """Return an error as an answer; the Open Inference Protocol wants the text in ``error``."""
    told = error.as_dict()
    if oip:
        told = {**told, "error": str(error), "code": error.code}
    return as_json(told, error.status)


def refused(error: MainspringError, path: str) -> Reply:
    """Return an error as the answer to a path, with the headers that go with it."""
    found = refusal(error, oip=path.startswith("/v2"))
    more: list[tuple[bytes, bytes]] = []
    if isinstance(error, OverloadedError):
        more.append((b"retry-after", str(error.retry_after_s).encode()))
    if isinstance(error, TooLargeError | DeadlineError):
        # Closed, or the rest of the body would still be read, to be thrown away.
        more.append((b"connection", b"close"))
    return found._replace(headers=more)


def health(word: str, *, yes: bool) -> Reply:
    """Return whether something is as ``word`` says: 200, or 503."""
    return as_json({word: yes}, 200 if yes else 503)


def server(name: str) -> Reply:
    """Return what serves here."""
    return as_json({"name": f"mainspring/{name}", "version": __version__, "extensions": []})


def model(now: Generation, variant: Variant) -> Reply:
    """Return what a version takes and gives, as tensors."""
    signature = variant.served.signature
    both = [v.number for v in (now.champion, now.challenger) if v is not None]
    wide = len(signature.classes) if signature.kind == "multiclass" else 1
    prediction = "FP64" if signature.kind == "regression" else "BYTES"
    outputs = [
        {"name": "prediction", "datatype": prediction, "shape": [-1]},
        {"name": "scores", "datatype": "FP64", "shape": [-1, wide]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        {"name": "version", "datatype": "INT64", "shape": [-1]},
    ]
    return as_json(
        {
            "name": now.routing.model,
            "versions": [str(number) for number in both],
            "platform": f"mainspring_{variant.served.form}",
            "inputs": [
                {
                    "name": column.name,
                    "datatype": _OIP_TYPES[column.type],
                    "shape": [-1],
                    "parameters": {"nullable": column.nullable},
                }
                for column in signature.columns
            ],
            "outputs": outputs,
            "parameters": {"kind": signature.kind, "classes": signature.classes},
        }
    )


def invocation(now: Generation, answer: Answer, ids: list[str]) -> Reply:
    """Return predictions as MLflow's clients read them, and more.

    ``predictions`` are classes or values, ``scores`` the probability of the positive class, one
    probability a class, or the value. ``versions`` says who answered each row; ``model_version``
    names the one who answered them all, or is a list where several did.
    """
    versions = answer.versions.tolist()
    one = len(set(versions)) <= 1
    scores = answer.scores
    return as_json(
        {
            "predictions": answer.labels,
            "scores": (scores[:, 0] if scores.shape[1] == 1 else scores).tolist(),
            "prediction_ids": ids,
            "versions": versions,
            "model_version": f"{now.routing.model}/{versions[0]}"
            if one and versions
            else [f"{now.routing.model}/{number}" for number in versions],
        }
    )


def check_outputs(wanted: tuple[str, ...]) -> None:
    """Refuse an output that is not given.

    Raises:
        BadInputError: naming it.
    """
    for name in wanted:
        if name not in OUTPUTS:
            raise BadInputError(
                f"There is no output {name[:80]!r}; there are {', '.join(OUTPUTS)}.", field=name
            )


def inference(
    now: Generation, variant: Variant, answer: Answer, ids: list[str], asked: Asked
) -> Reply:
    """Return predictions as tensors of the Open Inference Protocol."""
    rows, wide = answer.scores.shape
    regression = variant.served.signature.kind == "regression"
    labels = answer.labels if regression else [_word(label) for label in answer.labels]
    tensors = {
        "prediction": ("FP64" if regression else "BYTES", [rows], labels),
        "scores": ("FP64", [rows, wide], answer.scores.ravel().tolist()),
        "prediction_id": ("BYTES", [rows], ids),
        "version": ("INT64", [rows], answer.versions.tolist()),
    }
    told: dict[str, Any] = {
        "model_name": now.routing.model,
        "model_version": str(variant.number),
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape, "data": data}
            for name, (kind, shape, data) in tensors.items()
            if not asked.outputs or name in asked.outputs
        ],
    }
    if asked.id is not None:
        told["id"] = asked.id
    return as_json(told)


def _word(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
