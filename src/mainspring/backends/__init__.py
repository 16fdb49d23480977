"""What stands behind the ports: databases, object stores and executors.

Only ``workspace`` imports from here. Read first: ``sql/store.py``, ``objects/local.py``,
``executors/local.py``.
"""
