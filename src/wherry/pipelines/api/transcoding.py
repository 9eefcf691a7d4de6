"""From a message to the REST call that says the same: what a gateway does, the other way round. Pure."""

import json
import urllib.parse
from typing import Any, NamedTuple

from wherry.objects.requests import Object
from wherry.pipelines.api import methods
from wherry.pipelines.api.methods import Method


class RestCall(NamedTuple):
    """A request of HTTP.

    Attributes:
        http: Its method.
        target: Path and query.
        body: What is sent; empty: nothing.
    """

    http: str
    target: str
    body: bytes


def rest_call(method: Method, request: Object) -> RestCall:
    """Return the call of a method.

    Args:
        method: Which.
        request: Its message, as JSON with the messages' own names.
    """
    rest = dict(request)
    body: Any = None
    if method.body == "*":
        body, rest = rest, {}
    elif method.body:
        body = rest.pop(method.body, {})
    fields = body if method.http == "PATCH" else {**rest, **(body if method.body == "*" else {})}
    # An empty one would be another path: it is told apart there, not by us.
    named = {name: _segment(fields.get(name, "")) for name in methods.fields(method.path)}
    query = urllib.parse.urlencode(
        [pair for name, value in rest.items() if name not in named for pair in _pairs(name, value)]
    )
    target = method.path.format(**named) + (f"?{query}" if query else "")
    return RestCall(method.http, target, b"" if body is None else json.dumps(body).encode())


def _segment(value: Any) -> str:
    return urllib.parse.quote(str(value), safe="")


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in _pairs(f"{name}.{key}", each)]
    if isinstance(value, list):
        return [(name, _text(each)) for each in value]
    return [(name, _text(value))]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
