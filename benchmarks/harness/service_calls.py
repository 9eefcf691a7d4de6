"""Calls of the pipelines service, by the way through the API server, one after the other or many at once."""

import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any, Final

from harness import control_plane
from harness.control_plane import ControlPlane

_PREFIX: Final = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy/apis/v2beta1"
_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.05


class Caller:
    """A client with a connection of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        """Connect: what is measured are calls, not handshakes."""
        context = control_plane.admin_context(plane.directory / "pki")
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", plane.port, context=context, timeout=_SECONDS
        )
        self._connection.connect()

    def call(self, method: str, path: str, body: object = None) -> tuple[float, dict[str, Any]]:
        """Return how many seconds a call took, and its answer.

        Raises:
            RuntimeError: it was refused; the message has the answer.
        """
        data = None if body is None else json.dumps(body)
        started = time.perf_counter()
        self._connection.request(
            method, f"{_PREFIX}{path}", data, {"Content-Type": "application/json"}
        )
        response = self._connection.getresponse()
        answer = response.read()
        seconds = time.perf_counter() - started
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:400]!r}")
        return seconds, json.loads(answer)


def wait_until_served(plane: ControlPlane) -> None:
    """Wait until the service answers.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            Caller(plane).call("GET", "/healthz")
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(str(error)) from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def at_once(plane: ControlPlane, bodies: Sequence[object]) -> tuple[float, list[float]]:
    """Create runs, all at once; return when all were accepted, and how long each call took, in seconds.

    Raises:
        RuntimeError: one was refused.
    """
    took: list[float] = []
    refused: list[Exception] = []
    ready = threading.Barrier(len(bodies) + 1)

    def create(caller: Caller, body: object) -> None:
        ready.wait(_SECONDS)
        try:
            took.append(caller.call("POST", "/runs", body)[0])
        except RuntimeError as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(Caller(plane), body)) for body in bodies]
    for thread in threads:
        thread.start()
    ready.wait(_SECONDS)
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if refused:
        raise refused[0]
    return time.perf_counter() - started, took


def seconds_until_ended(plane: ControlPlane, count: int, namespace: str) -> float:
    """Return after how many seconds so many runs of a namespace have succeeded.

    Raises:
        TimeoutError: they do not.
    """
    chosen = '{"predicates":[{"operation":"EQUALS","key":"state","string_value":"SUCCEEDED"}]}'
    asked = urllib.parse.urlencode({"namespace": namespace, "page_size": 1, "filter": chosen})
    caller, started = Caller(plane), time.perf_counter()
    while caller.call("GET", f"/runs?{asked}")[1].get("total_size", 0) < count:
        if time.perf_counter() - started > _SECONDS:
            raise TimeoutError(f"{count} runs have not ended after {_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - started
