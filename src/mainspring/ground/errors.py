"""Every error a user can meet, in one tree.

::

    MainspringError
    ├── BadInputError            400  exit 2   a value that was given cannot be used
    │   ├── TooLargeError        413           a body, a depth, a count above its budget
    │   ├── NotExactError                      a value that could not be stored exactly
    │   ├── FieldsError                        several fields are wrong, each named
    │   ├── ProjectError                       the project's own Python cannot be used as written
    │   │   └── WiringTimeoutError             a pipeline's body does not come to its end
    │   └── ContractError                      data is not what its contract says
    ├── UnauthenticatedError     401           nobody known is asking
    ├── PermissionDeniedError    403           somebody known asks for what their role may not do
    ├── NotFoundError            404  exit 2   the thing named is not there
    ├── ConflictError            409           the thing is there, but its state forbids this
    │   ├── AlreadyExistsError
    │   ├── GateRefusedError                   the champion alias needs a passed gate
    │   └── LeaseLostError                     another worker owns the task by now
    ├── OverloadedError          503           come back after retry_after_s
    │   └── TooManyRequestsError 429           one caller asks too much at a time
    ├── UnavailableError         503           a server that should answer does not
    ├── DeadlineError            504           no answer within its time
    ├── StoreError               500           a database or disk failed; nothing was acknowledged
    │   ├── StorageFullError     507           there is no room on a disk; it goes on when there is
    │   ├── DamagedError                       bytes do not have the digest they should have
    │   └── SecretKeyError                     a kept secret needs a key that is not here
    ├── StepFailedError          500           the user's own step raised; carries their traceback
    │   └── MemoryLimitError                   it used more memory than it may
    ├── ModelFailedError         500           a served model raised; carries its traceback
    └── MissingExtraError        500           an optional package is not installed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class MainspringError(Exception):
    """Something was wanted that could not be done.

    ``message`` says what was wanted and what was found, ``hint`` what to do about it.
    ``field`` names the input that was wrong, where there is one.
    """

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, Any]:
        """Return the form that crosses HTTP and ``--json``."""
        out: dict[str, Any] = {"error": self.code, "message": self.message}
        if self.field is not None:
            out["field"] = self.field
        if self.hint is not None:
            out["hint"] = self.hint
        return out


class BadInputError(MainspringError):
    """A value that was given cannot be used."""

    code = "BAD_INPUT"
    status = 400
    exit_code = 2


class TooLargeError(BadInputError):
    """A body, a depth or a count is above its budget."""

    code = "TOO_LARGE"
    status = 413


class NotExactError(BadInputError):
    """A value cannot be stored exactly, so it is refused rather than altered."""

    code = "NOT_EXACT"


class FieldsError(BadInputError):
    """Several fields are wrong. ``field`` is the first; ``problems`` has each with its message."""

    code = "BAD_FIELDS"
    MOST: ClassVar[int] = 20  #: are told; how many more there are is said

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        problems: Sequence[dict[str, str]] = (),
    ) -> None:
        super().__init__(message, field=field, hint=hint)
        self.problems = list(problems)

    @classmethod
    def of(cls, found: Sequence[BadInputError], more: int = 0) -> FieldsError:
        """Return what is wrong as one error; ``more`` is what was found beside it."""
        told = found[: cls.MOST]
        more += len(found) - len(told)
        tail = f" And {more} more." if more else ""
        problems = [{"field": one.field or "", "message": str(one)} for one in told]
        message = " ".join(map(str, told)) + tail
        return cls(message, field=found[0].field, problems=problems)

    def as_dict(self) -> dict[str, Any]:
        """Return the form that crosses HTTP and ``--json``."""
        return {**super().as_dict(), "problems": self.problems}


class ProjectError(BadInputError):
    """The project's own Python cannot be used as written. ``trace`` holds the user's frames."""

    code = "PROJECT"

    def __init__(
        self, message: str, *, field: str | None = None, hint: str | None = None, trace: str = ""
    ) -> None:
        super().__init__(message, field=field, hint=hint)
        self.trace = trace


class WiringTimeoutError(ProjectError, TimeoutError):
    """The body of a pipeline, or of a dynamic function, takes too long to wire its steps."""

    code = "WIRING_TIMEOUT"


class ContractError(BadInputError):
    """Data is not what its contract says. ``found`` holds every violation, where it is at hand."""

    code = "CONTRACT"

    def __init__(
        self, message: str, *, field: str | None = None, hint: str | None = None, found: Any = None
    ) -> None:
        super().__init__(message, field=field, hint=hint)
        self.found = found


class UnauthenticatedError(MainspringError):
    """Nobody known is asking."""

    code = "UNAUTHENTICATED"
    status = 401


class PermissionDeniedError(MainspringError):
    """The principal's role does not allow this."""

    code = "PERMISSION_DENIED"
    status = 403


class NotFoundError(MainspringError):
    """The thing named is not there. Who names it wrote it wrong: exit code 2, as bad input."""

    code = "NOT_FOUND"
    status = 404
    exit_code = 2


class ConflictError(MainspringError):
    """The thing is there, but its state forbids this."""

    code = "CONFLICT"
    status = 409


class AlreadyExistsError(ConflictError):
    """The name is taken."""

    code = "ALREADY_EXISTS"


class GateRefusedError(ConflictError):
    """The champion alias goes only to a version with a passed gate."""

    code = "GATE_REFUSED"


class LeaseLostError(ConflictError):
    """Another worker owns the task by now; this result is dropped."""

    code = "LEASE_LOST"


class OverloadedError(MainspringError):
    """There is more work than room; come back after ``retry_after_s`` seconds."""

    code = "OVERLOADED"
    status = 503

    def __init__(self, message: str, *, retry_after_s: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class TooManyRequestsError(OverloadedError):
    """One caller has more requests under way than are taken of one."""

    code = "TOO_MANY_REQUESTS"
    status = 429


class UnavailableError(MainspringError):
    """A server that should answer does not."""

    code = "UNAVAILABLE"
    status = 503


class DeadlineError(MainspringError):
    """No answer came within the time allowed."""

    code = "DEADLINE"
    status = 504


class StoreError(MainspringError):
    """The database or a disk failed; nothing was acknowledged."""

    code = "STORE"


class StorageFullError(StoreError):
    """There is no room left on a disk. What is tried again succeeds when there is."""

    status = 507
    code = "STORAGE_FULL"


class DamagedError(StoreError):
    """Stored bytes do not have the digest they should have."""

    code = "DAMAGED"


class SecretKeyError(StoreError):
    """What is kept sealed needs a key that is not here, or is no key."""

    code = "SECRET_KEY"


class StepFailedError(MainspringError):
    """The user's own step raised. ``trace`` holds the user's traceback."""

    code = "STEP_FAILED"

    def __init__(self, message: str, *, trace: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class MemoryLimitError(StepFailedError):
    """A step used more memory than its ``resources=`` allow, and was ended."""

    code = "MEMORY_LIMIT"


class ModelFailedError(MainspringError):
    """A served model raised. ``trace`` holds its traceback, for the log and not for the caller."""

    code = "MODEL_FAILED"

    def __init__(self, message: str, *, trace: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class MissingExtraError(MainspringError):
    """An optional package is not installed."""

    code = "MISSING_EXTRA"
