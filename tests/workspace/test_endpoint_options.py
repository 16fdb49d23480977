"""How an endpoint is served: changed by name, checked, audited, and live."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.ground.serving import EndpointLimits, Scaling
from mainspring.workspace import acts, endpoint_options
from mainspring.workspace.endpoint_options import LIMITS, RANGES, SCALING
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing


def test_every_option_has_its_range() -> None:
    assert set(RANGES) == SCALING | LIMITS | {"capture_share", "grpc"}
    assert set(EndpointOptions.__struct_fields__) == {
        "place", "scaling", "limits", "capture_share", "grpc"
    }  # fmt: skip
    usual = {
        **{name: getattr(Scaling(), name) for name in SCALING},
        **{name: getattr(EndpointLimits(), name) for name in LIMITS},
    }
    for name, value in usual.items():
        assert value is None or RANGES[name][0] <= value <= RANGES[name][1]


def test_what_is_changed_is_kept_audited_and_followed(served: Workspace) -> None:
    changes = {"fewest": 0, "most": 4, "idle_s": 60.0, "memory_mb": 500, "capture_share": 0.5}
    after = endpoint_options.configure(served, "tide", changes)
    assert (after.scaling.fewest, after.scaling.most, after.scaling.idle_s) == (0, 4, 60.0)
    assert (after.limits.memory_mb, after.limits.queue, after.capture_share) == (500, 256, 0.5)
    assert endpoint_options.look(served, "tide") == after
    assert served.read(Permission.READ, lambda tx: routing(tx, "tide")).options == after
    without = endpoint_options.configure(served, "tide", {"memory_mb": 0})
    assert without.limits.memory_mb is None
    assert without.scaling == after.scaling


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({}, None, "Nothing is to be changed"),
        ({"fewest": -1}, "fewest", "0 to 256 workers, found -1"),
        ({"most": 0}, "most", "1 to 256 workers, found 0"),
        ({"most": 10_000}, "most", "found 10000"),
        ({"fewest": 3}, "fewest", "At least 3 and at most 1 workers"),
        ({"in_flight": 0}, "in_flight", "found 0"),
        ({"in_flight": float("nan")}, "in_flight", "found nan"),
        ({"idle_s": 0.1}, "idle_s", "1 to 2.592e[+]06 s, found 0.1"),
        ({"latency_ms": -5}, "latency_ms", "or 0 for no limit, found -5"),
        ({"capture_share": 1.5}, "capture_share", "0 to 1 of the rows, found 1.5"),
        ({"grpc": -1}, "grpc", "1 to 65535 as a port, or 0 for no port, found -1"),
        ({"place": "shared", "grpc": 8751}, "grpc", "a process of their own"),
        ({"place": "cloud"}, "place", "own or shared, found 'cloud'"),
        ({"place": "shared", "most": 4}, "most", "shares a process has none"),
        ({"cores": 4}, "cores", "no option 'cores'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_and_nothing_changes(
    served: Workspace, changes: dict[str, Any], field: str | None, words: str
) -> None:
    before = endpoint_options.look(served, "tide")
    with pytest.raises(BadInputError, match=words) as refused:
        endpoint_options.configure(served, "tide", changes)
    assert refused.value.field == field
    assert endpoint_options.look(served, "tide") == before


def test_a_grpc_port_is_one_endpoints_alone(served: Workspace) -> None:
    acts.create_endpoint(served, "ebb", "tide")
    assert endpoint_options.configure(served, "tide", {"grpc": 8751}).grpc == 8751
    assert endpoint_options.configure(served, "tide", {"most": 2}).grpc == 8751
    with pytest.raises(ConflictError, match="tide has the gRPC port 8751"):
        endpoint_options.configure(served, "ebb", {"grpc": 8751})
    assert endpoint_options.configure(served, "tide", {"grpc": 0}).grpc is None
    assert endpoint_options.configure(served, "ebb", {"grpc": 8751}).grpc == 8751


def test_an_endpoint_that_is_not_there_has_no_options(served: Workspace) -> None:
    with pytest.raises(NotFoundError, match="ebb"):
        endpoint_options.configure(served, "ebb", {"most": 2})
