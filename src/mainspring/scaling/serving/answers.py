"""Write answers in the form each protocol expects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from csv import writer
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from mainspring.ground.errors import (
    BadInputError,
    DeadlineError,
    MainspringError,
    OverloadedError,
    TooLargeError,
)
from mainspring.ground.version import __version__
from mainspring.scaling.serving.metrics import VersionCounts
from mainspring.scaling.serving.requests import LINES, MediaTypeError, NotAcceptableError
from mainspring.scaling.serving.router import Answer, Generation, Variant
from mainspring.scaling.serving.tensors import Tensor


class Reply(NamedTuple):
    """An answer: status, content type, body, and headers of its own."""

    status: int
    kind: bytes
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


JSON = b"application/json"
#: In which form the predictions of ``/invocations`` are given.
Form = Literal["json", "lines", "csv"]
#: What of the Open Inference Protocol is spoken beyond its core.
EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics")
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
    if path == "/invocations":
        found = _as_mlflow(error, found)
    more: list[tuple[bytes, bytes]] = []
    if isinstance(error, OverloadedError):
        more.append((b"retry-after", str(error.retry_after_s).encode()))
    if isinstance(error, TooLargeError | DeadlineError):
        # Closed, or the rest of the body would still be read, to be thrown away.
        more.append((b"connection", b"close"))
    return found._replace(headers=more)


def _as_mlflow(error: MainspringError, reply: Reply) -> Reply:
    """Return a refusal with what MLflow's scoring server has in its place."""
    if error.status == 400:
        return as_json({**error.as_dict(), "error_code": "BAD_REQUEST"}, 400)
    if isinstance(error, MediaTypeError):
        return Reply(error.status, b"text/plain; charset=utf-8", str(error).encode())
    return reply


def health(word: str, *, yes: bool) -> Reply:
    """Return whether something is as ``word`` says: 200, or 503."""
    return as_json({word: yes}, 200 if yes else 503)


def server(name: str) -> dict[str, Any]:
    """Return what serves here."""
    return {"name": name, "version": __version__, "extensions": list(EXTENSIONS)}


def model(name: str, now: Generation, variant: Variant) -> dict[str, Any]:
    """Return what a version takes and gives, as tensors; ``name`` is what it was asked by."""
    signature = variant.served.signature
    both = [v.number for v in now.loaded]
    wide = len(signature.classes) if signature.kind == "multiclass" else 1
    prediction = "FP64" if signature.kind == "regression" else "BYTES"
    outputs = [
        {"name": "prediction", "datatype": prediction, "shape": [-1]},
        {"name": "scores", "datatype": "FP64", "shape": [-1, wide]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        {"name": "version", "datatype": "INT64", "shape": [-1]},
    ]
    return {
        "name": name,
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


def invocation(
    now: Generation,
    answer: Answer,
    ids: list[str],
    explanations: list[dict[str, Any]] | None = None,
) -> Reply:
    """Return predictions as MLflow's clients read them, and more.

    ``predictions`` are classes or values, ``scores`` the probability of the positive class, one
    probability a class, or the value. ``versions`` says who answered each row; ``model_version``
    names the one who answered them all, or is a list where several did.
    """
    versions = answer.versions.tolist()
    one = len(set(versions)) <= 1
    scores = answer.scores
    told = {
        "predictions": answer.labels,
        "scores": (scores[:, 0] if scores.shape[1] == 1 else scores).tolist(),
        "prediction_ids": ids,
        "versions": versions,
        "model_version": f"{now.routing.model}/{versions[0]}"
        if one and versions
        else [f"{now.routing.model}/{number}" for number in versions],
    }
    if explanations is not None:
        told["explanations"] = explanations
    return as_json(told)


def csv(answer: Answer) -> Reply:
    """Return predictions as a CSV without a header, one a line."""
    text = io.StringIO()
    writer(text, lineterminator="\n").writerows([_word(label)] for label in answer.labels)
    return Reply(200, b"text/csv; charset=utf-8", text.getvalue().encode())


def version() -> Reply:
    """Return the release that serves here, as a line of text."""
    return Reply(200, b"text/plain; charset=utf-8", __version__.encode())


def lines(answer: Answer, ids: list[str]) -> Reply:
    """Return predictions as lines of JSON, one a row: ``prediction``, ``score``, its id."""
    scores = answer.scores
    plain = (scores[:, 0] if scores.shape[1] == 1 else scores).tolist()
    body = b"".join(
        _encode({"prediction": label, "score": score, "prediction_id": name}) + b"\n"
        for label, score, name in zip(answer.labels, plain, ids, strict=True)
    )
    return Reply(200, LINES[0].encode(), body)


def form_wanted(accept: bytes | None) -> Form:
    """Return the form in which a caller wants its answer; JSON for whatever allows it.

    Raises:
        NotAcceptableError: if it accepts none of them.
    """
    if accept is None or accept in (b"*/*", JSON):
        return "json"
    for one in accept.decode("latin-1").split(","):
        kind = one.partition(";")[0].strip().lower()
        if kind in ("application/json", "application/*", "*/*", ""):
            return "json"
        if kind in ("text/csv", "text/*"):
            return "csv"
        if kind in LINES:
            return "lines"
    raise NotAcceptableError(
        f"Answers are given as application/json, {LINES[0]} or text/csv, not as"
        f" {accept[:80].decode('latin-1')!r}.",
        field="Accept",
    )


def statistics(name: str, number: int, counts: VersionCounts) -> dict[str, Any]:
    """Return what a version did since its process began, as the statistics extension has it."""
    spent, scored = counts.latency.total_s, sum(counts.latency.counts)

    def of(count: int, seconds: float) -> dict[str, int]:
        return {"count": count, "ns": round(seconds * 1e9)}

    return {
        "name": name,
        "version": str(number),
        "inference_count": counts.scored,
        "execution_count": scored,
        "inference_stats": {
            "success": of(scored, spent),
            "fail": of(counts.errors, 0.0),
            "compute_infer": of(scored, spent),
        },
    }


def check_outputs(wanted: Sequence[str]) -> None:
    """Refuse an output that is not given.

    Raises:
        BadInputError: naming it.
    """
    for name in wanted:
        if name not in OUTPUTS:
            raise BadInputError(
                f"There is no output {name[:80]!r}; there are {', '.join(OUTPUTS)}.", field=name
            )


def outputs(
    variant: Variant, answer: Answer, ids: list[str], wanted: Sequence[str]
) -> list[Tensor]:
    """Return predictions as tensors of the Open Inference Protocol, the wanted ones or all."""
    rows, wide = answer.scores.shape
    if variant.served.signature.kind == "regression":
        prediction = Tensor("prediction", "FP64", (rows,), np.asarray(answer.labels, np.float64))
    else:
        prediction = Tensor("prediction", "BYTES", (rows,), [_word(one) for one in answer.labels])
    every = [
        prediction,
        Tensor("scores", "FP64", (rows, wide), answer.scores.ravel()),
        Tensor("prediction_id", "BYTES", (rows,), ids),
        Tensor("version", "INT64", (rows,), answer.versions),
    ]
    return [one for one in every if not wanted or one.name in wanted]


def _word(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
