"""``POST /predict``: our own form, with ids of the caller's own, a version, and explanations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.protocols.calls import (
    Call,
    Reply,
    alone,
    champion,
    check_ids,
    packed,
    variant_named,
)
from mainspring.scaling.serving.requests import Asked, Scalar, by_name, decoded

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp


class _Predict(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[dict[str, Scalar]] | None = None
    columns: dict[str, list[Scalar]] | None = None
    ids: list[str] | None = None
    sticky: str | None = None
    version: int | str | None = None
    explain: bool = False


_predict: Callable[[bytes | memoryview], _Predict] = msgspec.json.Decoder(_Predict).decode


async def predict(app: EndpointApp, call: Call) -> Reply:
    """Answer rows by name."""
    sent = decoded(_predict, await app.asked_by(call))
    now = app.generations.current
    if sent.version is None:
        variant = champion(app.name, now)
    else:
        variant = variant_named(app.name, now, str(sent.version))
        now = alone(now, variant)
    if (sent.rows is None) is (sent.columns is None):
        raise BadInputError("Wanted rows or columns, one of them.", field="rows")
    columns = by_name(sent.rows) if sent.rows is not None else sent.columns or {}
    if sent.ids is not None:
        check_ids(sent.ids, "ids")
    asked = Asked(columns, ids=sent.ids, sticky=sent.sticky)
    if sent.explain:
        app.explainer.check(asked.rows)
    done = await app.predict(now, variant, asked, call)
    told = await app.explained(now, variant, done) if sent.explain else None
    return packed(answers.invocation(now, done.answer, done.ids, told), call)


WHOLE = {("POST", "/predict"): predict}
