"""Encryption of the few values that must not lie in a database as they are."""

from mainspring.backends.sealing.ring import KEY_BYTES, Ring, is_sealed, key_id, key_of

__all__ = ["KEY_BYTES", "Ring", "is_sealed", "key_id", "key_of"]
