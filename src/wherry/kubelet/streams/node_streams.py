"""Finds the process that is meant, and the address, for whoever wants into a running pod.

Source: the kubelet's `getExec`, `getAttach` and `getPortForward` (what is refused, and how).
"""

import asyncio
from collections.abc import Callable, Sequence

from wherry.kubelet import specs
from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import LauncherError
from wherry.kubelet.runtime import PodRuntime
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_CONNECT_SECONDS = 10.0
_BUFFER_BYTES = 256 * 1024

ProcessOf = Callable[[str, str], str | None]
"""The launcher's id of (pod uid, container) while it runs."""


class NodeStreams:
    """Sessions in this node's containers and connections to its pods."""

    def __init__(self, runtime: PodRuntime, process_of: ProcessOf) -> None:
        self._runtime = runtime
        self._process_of = process_of

    def check(self, pod: Object, container: str) -> None:
        """Refuse a container that does not run.

        Raises:
            BadRequestError: it does not.
        """
        self._process(pod, container)

    async def execute(
        self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command in a container.

        Args:
            pod: The pod.
            container: The name of its container.
            command: Program and arguments.
            stdin: Whether something will be written to it.
            terminal: Whether its streams are a terminal.

        Raises:
            BadRequestError: the container does not run.
            ServiceUnavailableError: the launcher cannot be reached.
        """
        process_id = self._process(pod, container)
        try:
            return await self._runtime.interact(
                process_id, tuple(command), stdin=stdin, terminal=terminal
            )
        except LauncherError as error:
            raise errors.ServiceUnavailableError(str(error)) from error

    async def attach(self, pod: Object, container: str, *, stdin: bool) -> Session:
        """Watch a container, and write to it where its spec says that it takes input.

        Args:
            pod: The pod.
            container: The name of its container.
            stdin: Whether something will be written to it.

        Raises:
            BadRequestError: the container does not run.
        """
        process_id = self._process(pod, container)
        spec = next(each for each in specs.every_container(pod) if each["name"] == container)
        takes_input = stdin and bool(spec.get("stdin"))
        once = bool(spec.get("stdinOnce"))
        try:
            return await self._runtime.attach(process_id, stdin=takes_input, once=once)
        except LauncherError as error:
            raise _not_running(pod, container, str(error)) from error

    async def open_port(
        self, pod: Object, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a pod.

        Args:
            pod: The pod.
            port: Its number.

        Raises:
            BadRequestError: the pod does not run.
            OSError: nobody listens there.
        """
        status = pod.get("status") or {}
        address = str(status.get("podIP") or "")
        if not address or status.get("phase") != "Running":
            name, phase = metadata.name(pod), specs.phase(pod)
            raise errors.BadRequestError(
                f"unable to forward port because pod {name} is not running. Current status={phase}"
            )
        hosts = [address]
        if specs.uses_host_network(pod):
            hosts.append("127.0.0.1")
        for host in hosts:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(host, port, limit=_BUFFER_BYTES)
            except OSError:
                if host is hosts[-1]:
                    raise
        raise ConnectionRefusedError(f"nobody listens on port {port}")

    def _process(self, pod: Object, container: str) -> str:
        found = self._process_of(metadata.uid(pod), container)
        if found is None:
            raise _not_running(pod, container, _state(pod, container))
        return found


def _not_running(pod: Object, container: str, why: str) -> errors.BadRequestError:
    return errors.BadRequestError(
        f'container not found ("{container}"): in pod {metadata.name(pod)} it does not run'
        + (f" ({why})" if why else "")
    )


def _state(pod: Object, container: str) -> str:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(field) or []:
            if entry.get("name") == container:
                for state, facts in (entry.get("state") or {}).items():
                    return f"{state}: {(facts or {}).get('reason') or 'no reason given'}"
    return ""
