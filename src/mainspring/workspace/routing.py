"""Say what an endpoint must serve right now: derived from registry and rollouts, never stored."""

from __future__ import annotations

import msgspec

from mainspring.debt import consumers
from mainspring.ground.objects import DAY_S, Deprecation, RolloutPolicy, RoutedArm, Routing
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.scaling.serving.endpoints import Endpoint

#: Without a loop, the champion before scores along for so long after a promotion: both answer
#: to every row, and that costs.
WATCH_S = DAY_S


def routing(tx: Tx, endpoint: str) -> Routing:
    """Return the champion of an endpoint's model and the challenger of its running rollout.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    place = endpoints.get(tx, endpoint)
    model = place.model
    champion = registry.champion(tx, model)
    rollout = rollouts.running(tx, endpoint)
    plain = Routing(
        endpoint=endpoint,
        model=model,
        champion=champion,
        champion_package=_package(tx, model, champion),
        deprecation=_deprecation(tx, endpoint, model, champion),
        options=place.options,
    )
    if rollout is None or rollout.champion != champion:
        return plain
    policy = rollout.policy or policy_of(tx, place)
    alone = not rollout.arms
    return msgspec.structs.replace(
        plain,
        challenger=rollout.challenger if alone else None,
        challenger_package=_package(tx, model, rollout.challenger) if alone else None,
        strategy=rollout.strategy,
        share=rollout.share,
        rollout=rollout.id,
        watch=rollout.purpose == "watch",
        slowdown=policy.slowdown if policy.guard else None,
        arms=[
            RoutedArm(
                version=one.version,
                package=registry.get(tx, model, one.version).package,
                weight=one.weight,
            )
            for one in rollout.arms
        ],
        sticky=rollout.sticky,
    )


def policy_of(tx: Tx, place: Endpoint) -> RolloutPolicy:
    """Return how versions meet an endpoint's traffic: as its loop says, or as it is by default."""
    from mainspring.engine import reactor  # only in a rollout: an endpoint begins without it

    spec = None if place.loop is None else reactor.spec_or_none(tx, place.loop)
    return RolloutPolicy(watch_s=WATCH_S) if spec is None else spec.rollout


def shared_routings(tx: Tx) -> dict[str, Routing]:
    """Return what each endpoint of the shared host should serve, by name.

    A few questions for all of them, and one more for each in a rollout.
    """
    champions = registry.champion_packages(tx)
    gone = consumers.deprecated(tx)
    challenged = rollouts.endpoints_running(tx)
    found: dict[str, Routing] = {}
    for place in endpoints.list_endpoints(tx):
        if place.kind != "served" or place.options.place != "shared":
            continue
        if place.name in challenged:
            found[place.name] = routing(tx, place.name)
            continue
        champion, package = champions.get(place.model, (None, None))
        about = {f"endpoint:{place.name}", f"model:{place.model}", f"{place.model}/{champion}"}
        found[place.name] = Routing(
            endpoint=place.name,
            model=place.model,
            champion=champion,
            champion_package=package,
            deprecation=next((one for one in gone if one.subject in about), None),
            options=place.options,
        )
    return found


def _deprecation(tx: Tx, endpoint: str, model: str, champion: int | None) -> Deprecation | None:
    """Return what goes away first of the endpoint, its model, and the version that answers."""
    subjects = [f"endpoint:{endpoint}", f"model:{model}", f"{model}/{champion}"]
    return next(iter(consumers.deprecated(tx, subjects)), None)


def _package(tx: Tx, model: str, number: int | None) -> str | None:
    return None if number is None else registry.get(tx, model, number).package
