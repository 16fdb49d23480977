"""The store on SQLite and on PostgreSQL: one set of promises, two databases.

Read first: :mod:`store` (the verbs), :mod:`groups` (how concurrent writers share one
fsync), then :mod:`sqlite` or :mod:`postgres`.
"""

from mainspring.backends.sql.opening import Guard, Step, open_store
from mainspring.backends.sql.store import SqlStore

__all__ = ["Guard", "SqlStore", "Step", "open_store"]
