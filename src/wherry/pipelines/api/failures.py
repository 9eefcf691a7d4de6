"""How errors are told: as upstream's gateway does, by the codes of gRPC. Pure.

Source: grpc-ecosystem/grpc-gateway, ``runtime/errors.go`` (codes and HTTP statuses).
"""

from typing import Final, NamedTuple

from wherry.metadata.mlmd.failures import PreconditionError
from wherry.objects import errors
from wherry.objects.requests import Object


class Code(NamedTuple):
    """What an error is called.

    Attributes:
        number: In gRPC.
        status: In HTTP.
    """

    number: int
    status: int


_INTERNAL: Final = Code(13, 500)
_CODES: Final = (
    (PreconditionError, Code(9, 400)),
    (errors.BadRequestError, Code(3, 400)),
    (errors.InvalidError, Code(3, 400)),
    (errors.UnauthorizedError, Code(16, 401)),
    (errors.ForbiddenError, Code(7, 403)),
    (errors.NotFoundError, Code(5, 404)),
    (errors.MethodNotAllowedError, Code(12, 405)),
    (errors.AlreadyExistsError, Code(6, 409)),
    (errors.ConflictError, Code(10, 409)),
    (errors.RequestEntityTooLargeError, Code(8, 413)),
    (errors.UnsupportedMediaTypeError, Code(3, 415)),
    (errors.TooManyRequestsError, Code(8, 429)),
    (errors.ServiceUnavailableError, Code(14, 503)),
    (errors.ServerTimeoutError, Code(4, 504)),
)


def code(error: errors.ApiError) -> Code:
    """Return what an error is called."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), _INTERNAL)


def body(error: errors.ApiError) -> Object:
    """Return what is answered."""
    number = code(error).number
    detail = {
        "@type": "type.googleapis.com/google.rpc.Status",
        "code": number,
        "message": error.message,
    }
    return {"error": error.message, "code": number, "message": error.message, "details": [detail]}


def upload_body(error: errors.ApiError) -> Object:
    """Return what is answered where upstream's gateway does not: to uploads, and reads of artifacts and logs."""
    return {"error_message": error.message, "error_details": error.message}
