"""Both databases keep the promises of a store."""

from __future__ import annotations

import pytest

from mainspring.backends.sql import audit, open_store
from mainspring.ground.clock import SystemClock
from mainspring.testing.store import METADATA, StorePlace, StorePromises

UNTIE = {
    "sqlite": ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"),
    "postgresql": ("DROP TRIGGER audit_no_change ON audit",),
}


class TestBothDatabases(StorePromises):
    @pytest.fixture
    def place(self, database_url: str) -> StorePlace:
        source = (
            "from mainspring.backends.sql import open_store\n"
            "from mainspring.ground.clock import SystemClock\n"
            "from mainspring.testing.store import METADATA\n"
            f"store = open_store({database_url!r}, [METADATA], SystemClock())\n"
        )
        return StorePlace(
            open=lambda: open_store(database_url, [METADATA], SystemClock()),
            source=source,
            verify=audit.verify,
            untie=UNTIE[database_url.partition(":")[0]],
        )
