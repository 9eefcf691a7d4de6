"""What probes and lifecycle hooks do: run a command, make a request, open a connection, wait."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from wherry.kubelet import grpc_health
from wherry.kubelet.launcher.types import Execution, LauncherError
from wherry.objects.requests import Object

Execute = Callable[[tuple[str, ...], float], Awaitable[Execution]]
"""Runs a command in the container within so many seconds."""

_MESSAGE_LIMIT = 800
_USER_AGENT = "kube-probe/1.37"


@dataclass(frozen=True, slots=True)
class Target:
    """The container that a handler is about.

    Attributes:
        container: Its spec, for named ports.
        host: The pod's address.
        execute: Runs commands inside.
        session: For requests; shared, not closed here.
    """

    container: Object
    host: str
    execute: Execute
    session: aiohttp.ClientSession


class HandlerError(Exception):
    """It did not succeed; the message is what an event says after ``... probe failed:``."""


async def run(handler: Object, target: Target, *, timeout_seconds: float) -> None:
    """Do what a probe's or hook's handler says; returns when it has succeeded.

    Args:
        handler: Has one of `exec`, `httpGet`, `tcpSocket`, `grpc`, `sleep`.
        target: The container.
        timeout_seconds: How long it may take.

    Raises:
        HandlerError: it failed or took longer.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await _run(handler, target, timeout_seconds)
    except TimeoutError as error:
        raise HandlerError(f"timed out after {timeout_seconds:g}s") from error
    except (OSError, aiohttp.ClientError, grpc_health.HealthError, LauncherError) as error:
        raise HandlerError(str(error) or type(error).__name__) from error


async def _run(handler: Object, target: Target, timeout_seconds: float) -> None:
    if handler.get("exec") is not None:
        await _execute(handler["exec"], target, timeout_seconds)
    elif handler.get("httpGet") is not None:
        await _get(handler["httpGet"], target)
    elif handler.get("tcpSocket") is not None:
        await _connect(handler["tcpSocket"], target)
    elif handler.get("grpc") is not None:
        source = handler["grpc"]
        await grpc_health.check(target.host, int(source["port"]), str(source.get("service") or ""))
    elif handler.get("sleep") is not None:
        await asyncio.sleep(float(handler["sleep"].get("seconds") or 0))
    else:
        raise HandlerError("has no handler: want exec, httpGet, tcpSocket, grpc or sleep")


async def _execute(source: Object, target: Target, timeout_seconds: float) -> None:
    argv = tuple(str(part) for part in source.get("command") or ())
    if not argv:
        raise HandlerError("exec has no command")
    done = await target.execute(argv, timeout_seconds)
    if done.timed_out:
        raise HandlerError(f"command {argv[0]!r} timed out after {timeout_seconds:g}s")
    if done.exit_code != 0:
        text = done.output[-_MESSAGE_LIMIT:].decode(errors="replace").strip()
        raise HandlerError(text or f"command {argv[0]!r} ended with code {done.exit_code}")


async def _get(source: Object, target: Target) -> None:
    scheme = str(source.get("scheme") or "HTTP").lower()
    host = str(source.get("host") or target.host)
    path = str(source.get("path") or "/")
    url = f"{scheme}://{host}:{port(source.get('port'), target.container)}/{path.removeprefix('/')}"
    headers = {"User-Agent": _USER_AGENT, "Accept": "*/*"}
    for header in source.get("httpHeaders") or []:
        headers[str(header["name"])] = str(header.get("value") or "")
    # Certificates are the pod's own affair, as upstream; a redirect counts as an answer.
    async with target.session.get(url, headers=headers, allow_redirects=False, ssl=False) as answer:
        if not 200 <= answer.status < 400:
            raise HandlerError(f"HTTP probe failed with statuscode: {answer.status}")


async def _connect(source: Object, target: Target) -> None:
    host = str(source.get("host") or target.host)
    _, writer = await asyncio.open_connection(host, port(source.get("port"), target.container))
    writer.close()


def port(value: object, container: Object) -> int:
    """Return a port by number or by the name that the container gives it.

    Raises:
        HandlerError: the container has no port of that name.
    """
    text = str(value)
    if text.isdecimal():
        return int(text)
    for entry in container.get("ports") or []:
        if entry.get("name") == text:
            return int(entry["containerPort"])
    raise HandlerError(f"container {container.get('name')} has no port named {text!r}")
