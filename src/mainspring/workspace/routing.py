"""Say what an endpoint must serve right now: derived from registry and rollouts, never stored."""

from __future__ import annotations

from mainspring.debt import consumers
from mainspring.ground.objects import Deprecation, Routing
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts


def routing(tx: Tx, endpoint: str) -> Routing:
    """Return the champion of an endpoint's model and the challenger of its running rollout.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    place = endpoints.get(tx, endpoint)
    model = place.model
    champion = registry.champion(tx, model)
    rollout = rollouts.running(tx, endpoint)
    meets = rollout is not None and rollout.champion == champion
    return Routing(
        endpoint=endpoint,
        model=model,
        champion=champion,
        champion_package=_package(tx, model, champion),
        challenger=rollout.challenger if rollout and meets else None,
        challenger_package=_package(tx, model, rollout.challenger) if rollout and meets else None,
        strategy=rollout.strategy if rollout and meets else None,
        share=rollout.share if rollout and meets else 0.0,
        rollout=rollout.id if rollout and meets else None,
        deprecation=_deprecation(tx, endpoint, model, champion),
        options=place.options,
    )


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
