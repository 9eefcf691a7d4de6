"""A request as HTTP has it. Pure: what is sent is decided here, sending is `http`'s."""

from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from wherry.objects import errors, requests

METHODS: dict[requests.Verb, str] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}


class HttpCall(NamedTuple):
    """What goes onto the wire; the path has the query and is percent-encoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


def encode(request: requests.Request) -> HttpCall:
    """Return the HTTP form of a request.

    Raises:
        BadRequestError: the body cannot be written as JSON.
    """
    path = quote(request.resource.path(request.namespace, request.name, request.subresource))
    if request.options:
        path = f"{path}?{urlencode(request.options)}"
    headers = {"Accept": "application/json"}
    body = None
    if request.body is not None:
        headers["Content-Type"] = (
            request.content_type if request.verb == "patch" else "application/json"
        )
        try:
            body = orjson.dumps(request.body)
        except TypeError as error:
            raise errors.BadRequestError(
                f"the object cannot be written as JSON: {error}"
            ) from error
    return HttpCall(METHODS[request.verb], path, headers, body)


def decode(body: bytes) -> Any:
    """Read an answer's JSON.

    Raises:
        InternalError: it is none, as when something other than an API server answers.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        start = body[:200].decode(errors="replace")
        raise errors.InternalError(f"the server's answer is not JSON: {start!r}") from error


def _told(answer: Any) -> str:
    """Return the message of an error as gateways to gRPC write it; empty: it is none."""
    told = answer.get("message") if isinstance(answer, dict) and "code" in answer else None
    return told if isinstance(told, str) else ""


def _shown(code: int, body: bytes) -> str:
    text = body[:500].decode(errors="replace").strip()
    return f"the server answered {code}: {text}" if text else ""


def failure(code: int, body: bytes, retry_after: str = "") -> errors.ApiError:
    """Return the error that an answer of 400 or more means.

    Args:
        code: The HTTP status.
        body: The answer; a `Status`, or whatever a proxy sent.
        retry_after: The header `Retry-After`, seconds.
    """
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = {}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": _told(status) or _shown(code, body)}
    error = errors.from_status(status, code)
    if retry_after.isdecimal():
        error.details.setdefault("retryAfterSeconds", int(retry_after))
    return error
