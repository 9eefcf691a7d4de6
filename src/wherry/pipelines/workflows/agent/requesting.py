"""The http template: a request is made; the result is what comes back.

Source: argoproj/argo-workflows v4, ``workflow/executor/agent.go`` (executeHTTPTemplate).
"""

import base64
import http.client
import os
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.pipelines.staging import agent
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.redirecting import Redirections

_USUAL_SECONDS: Final = 30
_SUCCESSES: Final = range(200, 300)
_METHOD: Final = "GET"
_SCHEMES: Final = ("http://", "https://")


class _Answer(urllib.request.HTTPErrorProcessor):
    """Hands on answers as they are: that one tells of a failure is for the condition to judge."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        """Return the answer; redirections are followed."""
        if response.status in (301, 302, 303, 307, 308):
            followed: http.client.HTTPResponse = super().http_response(request, response)
            return followed
        return response

    https_response = http_response


def run(told: Mapping[str, Any], _: Sequence[str]) -> Mapping[str, Any]:
    """Make the request; return its answer.

    Raises:
        AgentError: there is no answer, or it is not as it should be.
    """
    method, url = told.get("method") or _METHOD, str(told["url"])
    if not url.lower().startswith(_SCHEMES):
        raise AgentError(f"http.url {url[:200]!r}: want http:// or https://")
    headers = [
        (name, os.environ.get(value) if secret else value)
        for name, value, secret in told["headers"]
    ]
    body = (
        base64.b64decode(told["bytes"])
        if told.get("bytes")
        else str(told.get("body") or "").encode()
    )
    request = urllib.request.Request(url, data=body or None, method=method)  # noqa: S310 - see above
    for name, value in headers:
        request.add_header(name, str(value or ""))
    try:
        with _opener(told).open(request, timeout=told.get("timeout") or _USUAL_SECONDS) as answer:
            read = answer.read(agent.LARGEST + 1)
            status, got, missing = answer.status, answer.headers, answer.length
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise AgentError(f"{method} {url}: {error}") from error
    if len(read) > agent.LARGEST:
        raise AgentError(f"{method} {url}: the answer has more than {agent.LARGEST} bytes")
    if missing:
        raise AgentError(f"{method} {url}: the answer ended {missing} bytes too early")
    text = read.decode(errors="replace")
    asked = {
        "method": method,
        "url": url,
        "body": told.get("body") or "",
        "headers": _grouped(headers),
    }
    answered = {"statusCode": status, "body": text, "headers": _grouped(got.items())}
    _check(str(told.get("success") or ""), {"request": asked, "response": answered})
    return {"parameters": {}, "result": text}


def _opener(told: Mapping[str, Any]) -> urllib.request.OpenerDirector:
    tls = ssl.create_default_context()
    if told.get("insecure"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(
        _Answer, Redirections, urllib.request.HTTPSHandler(context=tls)
    )


def _grouped(headers: Any) -> dict[str, list[str]]:
    """Return headers as Go has them: lists, by names such as ``Content-Type``."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault("-".join(each.capitalize() for each in name.split("-")), []).append(value)
    return found


def _check(condition: str, env: Mapping[str, Any]) -> None:
    if not condition:
        status = env["response"]["statusCode"]
        if status not in _SUCCESSES:
            raise AgentError(f"received non-2xx response code: {status}")
        return
    from wherry.pipelines.workflows.expr import program  # noqa: PLC0415 - has packages of its own
    from wherry.pipelines.workflows.expr.errors import ExprError  # noqa: PLC0415 - likewise

    try:
        held = program.holds(condition, env)
    except ExprError as error:
        raise AgentError(f"successCondition: {error}") from error
    if not held:
        raise AgentError(f"successCondition {condition!r} evaluated false")
