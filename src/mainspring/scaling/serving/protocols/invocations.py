"""``POST /invocations``: what MLflow's clients and SageMaker's containers speak."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.scaling.serving import answers, requests
from mainspring.scaling.serving.protocols import sagemaker
from mainspring.scaling.serving.protocols.calls import (
    Call,
    Reply,
    alone,
    champion,
    packed,
    variant_named,
)

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp


async def invocations(app: EndpointApp, call: Call) -> Reply:
    """Answer rows in one of MLflow's forms."""
    body = await app.asked_by(call)
    headers, now = call.headers, app.generations.current
    by_aws, wanted = sagemaker.is_asked(headers), sagemaker.NOTHING
    if by_aws:
        wanted = sagemaker.read(headers, (app.name, now.routing.model))
    if wanted.version is None:
        variant = champion(app.name, now)
    else:
        variant = variant_named(app.name, now, wanted.version)
        now = alone(now, variant)
    form = answers.form_wanted(headers.get(b"accept"))
    kind = headers.get(b"content-type", b"").decode("latin-1")
    asked = requests.read_invocation(body, kind, variant.served.signature)
    if wanted.inference_id is not None:
        asked = replace(asked, ids=sagemaker.ids_of(wanted.inference_id, asked.rows))
    if wanted.explain:
        app.explainer.check(asked.rows)
    done = await app.predict(now, variant, asked, call)
    told = await app.explained(now, variant, done) if wanted.explain else None
    if form == "csv":
        reply = answers.csv(done.answer)
    elif form == "lines":
        reply = answers.lines(done.answer, done.ids)
    else:
        reply = answers.invocation(now, done.answer, done.ids, told)
    if by_aws:
        who = ",".join(map(str, sorted(set(done.answer.versions.tolist()))))
        more = [*wanted.headers, (sagemaker.VARIANT, who.encode())]
        reply = reply._replace(headers=[*reply.headers, *more])
    return packed(reply, call)


async def version(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say which release serves here."""
    return answers.version()


WHOLE = {("POST", "/invocations"): invocations, ("GET", "/version"): version}
