"""The operations: all that can be asked of a workspace, one file a room.

They know nothing of HTTP. The web app makes routes and OpenAPI of their table, the command
line calls them in process or over HTTP, and both get the same answers and the same errors.
"""

from mainspring.web.api.operations import OPERATIONS, Operation, call, every, find, operation

__all__ = ["OPERATIONS", "Operation", "call", "every", "find", "operation"]
