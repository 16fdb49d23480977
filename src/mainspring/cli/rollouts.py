"""Rollouts: let versions meet traffic, move their shares, end them, see how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

Endpoint = Annotated[str, Parameter(help="The endpoint's name.")]
Reason = Annotated[str, Parameter(help="Why: it is what others will read.")]
Variants = Annotated[
    str | None, Parameter(help="Versions and weights, the champion's too: 7=50,8=30,9=20.")
]


def start(
    endpoint: Endpoint,
    version: Annotated[int | None, Parameter(help="The version's number.")] = None,
    /,
    *,
    reason: Reason,
    strategy: Annotated[
        Literal["shadow", "canary", "linear", "blue_green"],
        Parameter(help="How it meets traffic."),
    ] = "canary",
    share: Annotated[float, Parameter(help="Of the rows; linear: so much more each time.")] = 0.2,
    steps: Annotated[
        str, Parameter(help="Of a canary: share:period:rows:labels, such as 5%:1h:500,20%:1h.")
    ] = "",
    every: Annotated[str | None, Parameter(help="Of a linear one: between two steps.")] = None,
    bake: Annotated[str, Parameter(help="How long the last share is kept at the least.")] = "0s",
    variants: Variants = None,
    sticky_key: Annotated[
        str | None, Parameter(help="An input: rows with the same value are answered alike.")
    ] = None,
    ends: Annotated[
        Literal["hand", "proven", "baked"],
        Parameter(help="What promotes: a person, the proof, or the end of the baking."),
    ] = "hand",
    alpha: Annotated[float, Parameter(help="Chance of a false proof.")] = 0.05,
    min_period: Annotated[str, Parameter(help="Nothing is proven before.")] = "0s",
    max_period: Annotated[str, Parameter(help="What is not decided by then ends.")] = "28d",
    guard: Annotated[bool, Parameter(help="The guard rails that need no labels.")] = True,
    max_shift: Annotated[
        float | None, Parameter(help="Mean score difference that may be, 0 to 1.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Let a version, or several by weight, meet an endpoint's traffic beside its champion."""
    begun = call(
        options,
        "rollouts.start",
        endpoint=endpoint,
        version=version,
        reason=reason,
        strategy=strategy,
        share=share,
        steps=steps,
        every=every,
        bake=bake,
        variants=_variants(variants),
        sticky=sticky_key,
        ends=ends,
        alpha=alpha,
        min_period=min_period,
        max_period=max_period,
        guard=guard,
        max_shift=max_shift,
    )
    who = _answering(begun)
    render.said(options, begun, f"{begun['id']} runs on {endpoint}: {who}.")


def show(
    endpoint: Endpoint,
    rollout: Annotated[str | None, Parameter(help="Its id; default: the newest.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show how a rollout stands: agreement, score differences, latencies, rails, evidence."""
    found = call(options, "rollouts.show", endpoint=endpoint, rollout=rollout)

    def draw(out: Console) -> None:
        if found is None:
            out.print(f"Nothing ever rolled out on {endpoint}.")
            return
        one = found["rollout"]
        out.print(render.plain(f"{one['id']} ({one['state']}): {found['words']}"))
        if found["next"]:
            out.print(render.plain(f"Next: {found['next']}"))
        out.print()
        sides = [
            (
                side["version"],
                side["requests"],
                side["failed"],
                _share(side["agreement"]),
                "" if side["difference"] is None else f"{side['difference']:.3f}",
                _both(side["p50_ms"], side["other_p50_ms"]),
                _both(side["p99_ms"], side["other_p99_ms"]),
            )
            for side in found["sides"]
        ]
        columns = ("VERSION", "REQUESTS>", "FAILED>", "AGREE>", "APART>", "P50 MS>", "P99 MS>")
        render.table(out, columns, sides, "No request was counted yet.")
        for side in found["sides"]:
            out.print()
            rails = [
                (rail["name"], f"{rail['bad']:g} of {rail['of']:,}", f"{rail['budget']:.3g}",
                 f"{rail['wealth']:.3g} of {rail['needed']:.3g}")
                for rail in side["rails"]
            ]  # fmt: skip
            render.table(
                out, (f"RAIL ({side['version']})", "BAD>", "MAY>", "EVIDENCE>"), rows=rails
            )
        out.print()
        _draw_tests(out, found["tests"])

    render.answer(options, found, draw)


def _draw_tests(out: Console, tests: dict[str, Any]) -> None:
    if "comparisons" in tests:
        rows = [
            (f"{one['better']} better than {one['worse']}",
             f"{one['wealth']:.3g} of {one['needed']:.3g}", "shown" if one["shown"] else "")
            for one in tests["comparisons"]
        ]  # fmt: skip
        losses = [
            (number, one["rows"], "" if one["mean"] is None else f"{one['mean']:.4f}")
            for number, one in tests["losses"].items()
        ]
        render.table(out, ("VERSION", "LABELS>", "MEAN LOSS>"), losses)
        out.print()
        render.table(out, ("COMPARISON", "EVIDENCE>", ""), rows)
        return
    told = (
        f"{tests['rows']:,} labelled rows scored by both, loss {tests['difference']:+.4f} lower."
        f" Better: {tests['better_peak']:.3g} of {tests['needed']:.3g};"
        f" worse: {tests['worse_peak']:.3g} of {tests['harm_needed']:.3g}."
    )
    out.print(render.plain(told))


def set_(
    endpoint: Endpoint,
    /,
    *,
    reason: Reason,
    share: Annotated[float | None, Parameter(help="Of the rows, 0 to 1.")] = None,
    variants: Variants = None,
    options: Everywhere = HERE,
) -> None:
    """Set the share, or the weights, of what rolls out now. Its steps are over then."""
    after = call(
        options,
        "rollouts.change",
        endpoint=endpoint,
        reason=reason,
        share=share,
        variants=_variants(variants),
    )
    render.said(options, after, f"{after['id']} on {endpoint}: {_answering(after)}.")


def end(
    endpoint: Endpoint,
    /,
    *,
    reason: Reason,
    promote: Annotated[
        int | None, Parameter(help="The version that becomes champion; default: none does.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """End what rolls out: the champion stays, or a version of it is promoted."""
    over = call(options, "rollouts.end", endpoint=endpoint, reason=reason, promote=promote)
    stays = over["champion"] if promote is None else promote
    told = f"{over['id']} ended: {over['model']}/{stays} answers every row."
    render.said(options, over, told)


def listed(
    endpoint: Annotated[str | None, Parameter(help="Of one endpoint.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """List rollouts, newest first."""
    found = call(options, "rollouts.list", endpoint=endpoint)

    def draw(out: Console) -> None:
        rows = [
            (
                one["id"],
                one["endpoint"],
                one["purpose"] if one["purpose"] == "watch" else one["strategy"],
                _answering(one) if one["state"] == "running" else f"version {one['challenger']}",
                one["state"],
                one["by"] or "the loop",
                render.when(one["started"]),
            )
            for one in found
        ]
        columns = ("ROLLOUT", "ENDPOINT", "HOW", "WHO", "STATE", "BY", "BEGAN (UTC)")
        render.table(out, columns, rows, "Nothing rolled out yet: mainspring rollout start")

    render.answer(options, found, draw)


def _answering(one: dict[str, Any]) -> str:
    if one["arms"]:
        whole = sum(arm["weight"] for arm in one["arms"])
        parts = [f"{arm['version']} {arm['weight'] / whole:.0%}" for arm in one["arms"]]
        return f"versions {', '.join(parts)}"
    if one["share"] <= 0:
        return f"version {one['challenger']} answers nobody"
    return f"version {one['challenger']} answers {one['share']:.1%} of the rows"


def _variants(text: str | None) -> list[dict[str, Any]] | None:
    if text is None:
        return None
    found = []
    for part in text.split(","):
        number, mark, weight = part.strip().partition("=")
        try:
            if not mark:
                raise ValueError(part)
            found.append({"version": int(number), "weight": float(weight)})
        except ValueError as error:
            raise BadInputError(
                f"Variants are written VERSION=WEIGHT, found {part!r}.",
                field="variants",
                hint="For example 7=50,8=30,9=20.",
            ) from error
    return found


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _both(mine: float | None, theirs: float | None) -> str:
    return "" if mine is None else f"{mine:.3g} / {theirs or 0:.3g}"
