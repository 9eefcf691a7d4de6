"""Calls of the service by the process that serves gRPC: what it is asked, it asks the service."""

import http.client
import urllib.parse
from collections.abc import Iterable
from typing import Any, Final

from wherry.objects import callers
from wherry.pipelines.api.transcoding import RestCall

NAMESPACE: Final = "kubeflow-namespace"
"""By which callers of the metadata service say whose things they mean."""
_SECONDS: Final = 120.0
_PASSED: Final = frozenset(
    name.lower()
    for name in (
        *("Authorization", callers.PROOF, callers.USER, callers.GROUP, callers.USER_ID),
        NAMESPACE,
    )
)
"""By which callers say who they are; whether it is so is seen where the call is answered."""
Headers = Iterable[tuple[str, str]]


def passed(context: Any) -> list[tuple[str, str]]:
    """Return the headers by which a caller of gRPC has said who it is."""
    given = context.invocation_metadata() or ()
    return [(key, str(value)) for key, value in given if key in _PASSED]


def sent(url: str, call: RestCall, headers: Headers) -> tuple[int, bytes]:
    """Return the status and the body of the service's answer.

    Args:
        url: Of the service.
        call: What is asked.
        headers: Sent with it.

    Raises:
        OSError: the service cannot be reached.
        http.client.HTTPException: it does not speak HTTP.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.putrequest(call.http, call.target)
        for name, value in (*headers, ("Content-Length", str(len(call.body)))):
            connection.putheader(name, value)
        connection.endheaders(call.body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
