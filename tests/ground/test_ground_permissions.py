"""A few roles, one table, denied by default."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mainspring.ground.errors import PermissionDeniedError
from mainspring.ground.permissions import (
    ALLOWED,
    Permission,
    Principal,
    Role,
    authorise,
    owner,
    service,
)

ORDER = [Role.VIEWER, Role.CONTRIBUTOR, Role.APPROVER, Role.ADMIN]


def test_each_role_may_what_the_one_before_it_may() -> None:
    for less, more in pairwise(ORDER):
        assert ALLOWED[less] < ALLOWED[more]


def test_every_permission_is_held_by_somebody_and_work_by_no_person() -> None:
    assert set().union(*ALLOWED.values()) == set(Permission)
    assert all(Permission.WORK not in ALLOWED[role] for role in ORDER)
    assert Permission.ADMIN not in ALLOWED[Role.SERVICE]
    assert Permission.PROMOTE not in ALLOWED[Role.CONTRIBUTOR]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", list(Permission))
def test_the_table_decides(role: Role, permission: Permission) -> None:
    who = Principal(name="ann", role=role)
    if permission in ALLOWED[role]:
        authorise(who, permission)
        return
    with pytest.raises(
        PermissionDeniedError, match=f"ann \\({role}\\) may not {permission}"
    ) as caught:
        authorise(who, permission)
    assert "role" in str(caught.value.hint)


def test_a_trigger_asks_for_a_new_version_and_for_nothing_else() -> None:
    assert ALLOWED[Role.TRIGGER] == {Permission.RETRAIN}
    assert Permission.RETRAIN not in ALLOWED[Role.VIEWER]
    assert Permission.RETRAIN in ALLOWED[Role.CONTRIBUTOR]


def test_the_hint_names_the_least_role_that_is_enough() -> None:
    with pytest.raises(PermissionDeniedError, match="role approver"):
        authorise(Principal(name="x", role=Role.VIEWER), Permission.PROMOTE)


def test_the_owner_is_admin_and_services_are_named_as_such() -> None:
    assert owner().role is Role.ADMIN
    assert service("engine") == Principal(name="service:engine", role=Role.SERVICE)
