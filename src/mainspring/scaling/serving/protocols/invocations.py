"""``POST /invocations``: what MLflow's clients and SageMaker's containers speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.scaling.serving import answers, requests
from mainspring.scaling.serving.protocols.calls import Call, Reply, champion

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp


async def invocations(app: EndpointApp, call: Call) -> Reply:
    """Answer rows in one of MLflow's forms."""
    body = await app.asked_by(call)
    now = app.generations.current
    variant = champion(app.name, now)
    kind = call.headers.get(b"content-type", b"").decode("latin-1")
    asked = requests.read_invocation(body, kind, variant.served.signature)
    done = await app.predict(now, variant, asked, call)
    return answers.invocation(now, done.answer, done.ids)


WHOLE = {("POST", "/invocations"): invocations}
