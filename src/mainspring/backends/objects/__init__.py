"""The objects: bytes under the digest of their content, in a folder or in a bucket."""

from mainspring.backends.objects.opening import open_objects
from mainspring.backends.objects.records import open_records

__all__ = ["open_objects", "open_records"]
