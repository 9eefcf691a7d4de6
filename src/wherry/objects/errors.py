"""Every error the API can answer with, as Kubernetes words it.

One class per `reason`, named for what a caller can do about it. The server raises them, the HTTP
layer prints them as `Status` objects, and the client raises the same classes again on the other
side, so that in-process and remote callers catch the same things.

Source: `k8s.io/apimachinery/pkg/api/errors` (reasons, codes and message forms).
"""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that is wrong.

    Attributes:
        field: Path as Kubernetes prints it, e.g. ``spec.containers[0].name``.
        message: What is wrong and what would be accepted.
        reason: ``FieldValueInvalid``, ``FieldValueRequired``, ``FieldValueDuplicate``,
            ``FieldValueForbidden``, ``FieldValueNotSupported``, ``FieldValueTypeInvalid`` …
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def to_dict(self) -> dict[str, str]:
        """Return the cause as it stands in a `Status`."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An answer other than success.

    Attributes:
        code: HTTP status.
        reason: Machine-readable reason of `Status`.
        message: The sentence a user reads.
        details: `Status.details` (``name``, ``group``, ``kind`` = plural resource, ``causes``, …).
    """

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}

    def to_status(self) -> dict[str, Any]:
        """Return the `Status` object (``v1``) that describes this error."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status


class BadRequestError(ApiError):
    """The request itself cannot be understood."""

    code, reason = 400, "BadRequest"


class UnauthorizedError(ApiError):
    """Nobody the server knows is asking."""

    code, reason = 401, "Unauthorized"


class ForbiddenError(ApiError):
    """The caller is known and may not."""

    code, reason = 403, "Forbidden"


class NotFoundError(ApiError):
    """There is no such object or resource."""

    code, reason = 404, "NotFound"


class MethodNotAllowedError(ApiError):
    """The resource does not support the verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptableError(ApiError):
    """None of the media types in `Accept` can be produced."""

    code, reason = 406, "NotAcceptable"


class AlreadyExistsError(ApiError):
    """An object of that name is there already."""

    code, reason = 409, "AlreadyExists"


class ConflictError(ApiError):
    """The object has changed since it was read, or a precondition fails: read again, then retry."""

    code, reason = 409, "Conflict"


class GoneError(ApiError):
    """The resource version is older than the kept history: list again."""

    code, reason = 410, "Expired"


class RequestEntityTooLargeError(ApiError):
    """The body is larger than the server takes."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaTypeError(ApiError):
    """The body's media type is not one the server reads."""

    code, reason = 415, "UnsupportedMediaType"


class InvalidError(ApiError):
    """The object is understood and breaks a rule; `details.causes` names each field."""

    code, reason = 422, "Invalid"


class TooManyRequestsError(ApiError):
    """Try again after `details.retryAfterSeconds`."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """The server failed; the log of the server has more."""

    code, reason = 500, "InternalError"


class ServiceUnavailableError(ApiError):
    """The server cannot answer now (starting, stopping, its disk is full)."""

    code, reason = 503, "ServiceUnavailable"


class ServerTimeoutError(ApiError):
    """The work took longer than the request may."""

    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {
    cls.reason: cls
    for cls in (
        BadRequestError,
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        NotAcceptableError,
        AlreadyExistsError,
        ConflictError,
        GoneError,
        RequestEntityTooLargeError,
        UnsupportedMediaTypeError,
        InvalidError,
        TooManyRequestsError,
        InternalError,
        ServiceUnavailableError,
        ServerTimeoutError,
    )
}
_BY_REASON["Gone"] = GoneError
_BY_CODE: dict[int, type[ApiError]] = {
    cls.code: cls for cls in _BY_REASON.values() if cls is not AlreadyExistsError
}


def from_status(status: dict[str, Any], code: int = 0) -> ApiError:
    """Return the error that a `Status` body describes.

    Args:
        status: The decoded body; may be anything a proxy in between has sent.
        code: The HTTP status, used where the body names neither reason nor code.

    Returns:
        An error of the class of its reason, else of its code, else `ApiError` itself.
    """
    code = int(status.get("code") or code or 500)
    cls = _BY_REASON.get(str(status.get("reason", ""))) or _BY_CODE.get(code)
    message = str(status.get("message") or f"the server answered with status {code}")
    details = status.get("details")
    return (cls or ApiError)(message, details if isinstance(details, dict) else None)


def group_resource(plural: str, group: str = "") -> str:
    """Return ``deployments.apps``, or ``pods`` for the core group."""
    return f"{plural}.{group}" if group else plural


def _details(plural: str, group: str, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return details


def not_found(plural: str, name: str, group: str = "") -> NotFoundError:
    """Return ``pods "x" not found``."""
    return NotFoundError(
        f'{group_resource(plural, group)} "{name}" not found', _details(plural, group, name)
    )


def already_exists(plural: str, name: str, group: str = "") -> AlreadyExistsError:
    """Return ``pods "x" already exists``."""
    return AlreadyExistsError(
        f'{group_resource(plural, group)} "{name}" already exists', _details(plural, group, name)
    )


def conflict(plural: str, name: str, why: str = "", group: str = "") -> ConflictError:
    """Return ``Operation cannot be fulfilled on pods "x": …``; by default: the object has changed."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    return ConflictError(
        f'Operation cannot be fulfilled on {group_resource(plural, group)} "{name}": {why}',
        _details(plural, group, name),
    )


def invalid(kind: str, name: str, causes: list[Cause], group: str = "") -> InvalidError:
    """Return ``Pod "x" is invalid: spec.x: …`` with one cause per wrong field."""
    lines = [
        f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes
    ]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    qualified = f"{kind}.{group}" if group else kind
    details = _details(kind, group, name)
    details["causes"] = [cause.to_dict() for cause in causes]
    return InvalidError(f'{qualified} "{name}" is invalid: {text}', details)


def forbidden(plural: str, name: str, why: str, group: str = "") -> ForbiddenError:
    """Return ``pods "x" is forbidden: why``."""
    qualified = group_resource(plural, group)
    subject = f'{qualified} "{name}"' if name else qualified
    return ForbiddenError(f"{subject} is forbidden: {why}", _details(plural, group, name))
