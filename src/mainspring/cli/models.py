"""Models: list them and their versions, move the champion alias by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

VersionRef = Annotated[str, Parameter(help="MODEL/NUMBER.")]
ModelName = Annotated[str, Parameter(help="The model's name.")]
Reason = Annotated[str, Parameter(help="Why: it is what others will read.")]


def models(
    model: Annotated[str | None, Parameter(help="Show one model's versions.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """List models, or the versions of one."""
    if model is not None and "/" in model:
        _version(model, options)
        return
    if model is not None:
        detail = call(options, "models.get", model=model)
        render.answer(options, detail, lambda out: _draw_model(out, detail))
        return
    rows = call(options, "models.list")

    def draw(out: Console) -> None:
        cells = [
            (_called(m), m["newest"] or "", m["champion"] or "none", render.when(m["created"]))
            for m in rows
        ]
        columns = ("MODEL", "VERSIONS>", "CHAMPION>", "CREATED (UTC)")
        render.table(
            out, columns, cells, "No models yet: mainspring run PIPELINE --register MODEL"
        )

    render.answer(options, rows, draw)


def _called(model: dict[str, Any]) -> str:
    name: str = model["name"]
    return f"{name} ({model['title']})" if model.get("title") else name


def _draw_model(out: Console, detail: dict[str, Any]) -> None:
    names: dict[int, list[str]] = {}
    for alias, number in detail["aliases"].items():
        names.setdefault(number, []).append(alias)
    rows = [
        (
            f"{detail['name']}/{version['number']}",
            ", ".join(names.get(version["number"], [])),
            detail["standings"].get(str(version["number"]), "not judged"),
            render.when(version["created"]),
            version["cause"] or "by hand",
            render.figures(version["metrics"]),
        )
        for version in detail["versions"]
    ]
    columns = ("VERSION", "ALIAS", "GATE", "CREATED (UTC)", "CAUSE", "METRICS")
    render.table(out, columns, rows, "No versions yet.")
    for one in detail["deprecations"]:
        out.print(render.plain(render.gone(one)), style="yellow")
    for _, line in sorted(_moves(detail), reverse=True):
        out.print(render.plain(line))


def _moves(detail: dict[str, Any]) -> list[tuple[float, str]]:
    """Return every move of aliases and stages by wall time: who moved what, when, and why."""
    found = []
    for move in detail["history"]:
        number = "nobody" if move["number"] is None else move["number"]
        was = "" if move["previous"] is None else f" (was {move['previous']})"
        made = move["made"] if move["made"] is not None else move["at"]
        told = f"{move['alias']} -> {number}{was} by {move['by']}: {move['reason']}"
        found.append((made, f"{render.when(made)}  {told}"))
    for move in detail["stages"]:
        told = f"{move['number']}: {move['previous']} -> {move['stage']} by {move['by']}"
        found.append((move["at"], f"{render.when(move['at'])}  stage of {told}"))
    return found


def _version(text: str, options: Everywhere) -> None:
    model, number = reference(text)
    detail = call(options, "models.version", model=model, number=number)

    def draw(out: Console) -> None:
        version = detail["version"]
        facts = [
            ("version", f"{model}/{number}"),
            ("aliases", ", ".join(detail["aliases"])),
            ("kind", _kind(version["signature"])),
            *([("source", version["source"])] if version["source"] else []),
            ("run", version["run"]),
            ("created", f"{render.when(version['created'])} UTC by {version['by']}"),
            ("package", version["package"]),
            *((f"metric {key}", value) for key, value in version["metrics"].items()),
            *(("card lacks", what) for what in detail["card_missing"]),
            ("gate", detail["standing"]),
            *([("GOES AWAY", render.gone(gone))] if (gone := detail["deprecation"]) else []),
            *(("OVERRIDE", f"{one['by']}: {one['reason']}") for one in detail["overrides"]),
            *((f"{one['kind']} by {one['by']}", one["reason"]) for one in detail["approvals"]),
        ]
        render.table(out, ("", ""), facts)
        for gate in detail["gates"][:1]:
            out.print()
            rows = [
                (c["name"], "ok" if c["passed"] else "bad", c["found"], c["wanted"])
                for c in gate["checks"]
            ]
            render.table(out, ("CHECK", "", "FOUND", "WANTED"), rows)

    render.answer(options, detail, draw)


def _kind(signature: dict[str, Any]) -> str:
    if not signature["target"]:  # registered by a client, and not judged yet
        return "known once it is judged: mainspring judge"
    return f"{signature['kind']} of {signature['target']}"


def promote(
    version: VersionRef,
    /,
    *,
    reason: Reason,
    watch: Annotated[
        bool, Parameter(help="Let the champion before return by itself should this one break.")
    ] = True,
    options: Everywhere = HERE,
) -> None:
    """Make a version champion by hand. Without a passed gate the store refuses."""
    model, number = reference(version)
    asked: dict[str, Any] = {"model": model, "number": number, "reason": reason}
    done = call(options, "models.promote", **asked, watch=watch)
    before = f" instead of {model}/{done['previous']}" if done["previous"] else ""
    render.said(options, done, f"{model}/{number} is champion{before}.")


def rollback(
    model: ModelName,
    /,
    *,
    reason: Reason,
    to: Annotated[
        int | None, Parameter(help="A version's number; default: the one before.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Give the champion alias back to the champion before, or to a version named.

    It says how long it took until each endpoint that is up answered with it.
    """
    done = call(options, "models.rollback", model=model, reason=reason, to=to)
    told = [f"{model}/{done['champion']} is champion again."]
    for endpoint, seconds in done["seconds"].items():
        when = "does not answer with it yet" if seconds is None else f"after {seconds:.2f} s"
        told.append(f"Endpoint {endpoint} {'' if seconds is None else 'answers with it '}{when}.")
    render.said(options, done, *told)


def override(version: VersionRef, /, *, reason: Reason, options: Everywhere = HERE) -> None:
    """Let a refused version into a canary. It can never get past one."""
    model, number = reference(version)
    done = call(options, "models.override", model=model, number=number, reason=reason)
    render.said(options, done, f"{model}/{number} may meet traffic in a canary, and no more.")


def reference(text: str) -> tuple[str, int]:
    """Return model and number of ``model/number``.

    Raises:
        BadInputError: if it is something else.
    """
    model, slash, number = text.rpartition("/")
    if not slash or not number.isascii() or not number.isdecimal():
        raise BadInputError(
            f"A version is written MODEL/NUMBER, found {text!r}.",
            field="version",
            hint="For example flights/7. See them with: mainspring models flights",
        )
    return model, int(number)
