"""The root of every record."""

from __future__ import annotations

import msgspec

DAY_S = 86_400.0


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The root of every record: frozen, by keyword, comparable."""
