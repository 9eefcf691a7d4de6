"""What the API asks of the node: a pod's output, and connections into its containers.

The API server knows which pod and container are meant; who runs them is given at construction.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.objects import errors, metadata
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`PodLogOptions`.

    Attributes:
        follow: Go on with what is still to be written.
        previous: Of the container's run before this one.
        timestamps: Put the time before each line.
        tail_lines: Only the last so many lines; None for all.
        since_seconds: Only what is not older; None for all.
        since_time: Only what is not older, RFC 3339; empty for all.
        limit_bytes: Stop after so many bytes; None for no limit.
        stream: ``All``, ``Stdout`` or ``Stderr``.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str = ""
    limit_bytes: int | None = None
    stream: str = "All"


class PodStreams(Protocol):
    """Reads from and connects to running containers."""

    def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """Yield a container's output; closing the iterator stops following.

        Args:
            namespace: Where the pod is.
            pod: Its name; it exists.
            container: Its container; the pod has it.
            options: Which part.

        Raises:
            BadRequestError: There is nothing to read (the container waits, or did not run before).
        """
        ...


class Ended(Protocol):
    """How a command ended."""

    @property
    def exit_code(self) -> int:
        """128 + signal if one ended it."""
        ...

    @property
    def error(self) -> str | None:
        """Why it could not be started; None if it ran."""
        ...


class Session(Protocol):
    """A command in a container, or a container itself, with its three streams. For one consumer."""

    async def write(self, data: bytes) -> None:
        """Write to standard input, waiting while it is full; lost if nobody reads it any more."""
        ...

    def end_input(self) -> None:
        """Nothing more will be written. Idempotent."""
        ...

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters; nothing without one."""
        ...

    def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield pieces of standard output (1) and error (2) as they come, to the end of both."""
        ...

    async def wait(self) -> Ended:
        """Return how it ended; to be asked after the output.

        Raises:
            Exception: Nobody knows; the message says why.
        """
        ...

    async def close(self) -> None:
        """Stop watching; ends a command that still runs, but no container. Idempotent."""
        ...


class PodNode(Protocol):
    """What the node does with running containers.

    All raise BadRequestError for a container that does not run, ServiceUnavailableError where the
    node cannot be asked.
    """

    def check(self, pod: Object, container: str) -> None:
        """Refuse a container that does not run."""
        ...

    async def execute(
        self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command in a container.

        Args:
            pod: The pod.
            container: Its container; the pod has it.
            command: Program and arguments.
            stdin: Whether something will be written to it.
            terminal: Whether its streams are a terminal.
        """
        ...

    async def attach(self, pod: Object, container: str, *, stdin: bool) -> Session:
        """Watch a container, and write to it where it takes input."""
        ...

    async def open_port(
        self, pod: Object, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a pod.

        Raises:
            OSError: Nobody listens there.
        """
        ...


class NodePages(Protocol):
    """What a node tells of itself: statistics, metrics, its pods, its logs."""

    async def page(self, node: str, path: str) -> tuple[bytes, str]:
        """Return a page and its media type.

        Args:
            node: The Node's name.
            path: Below the node, without a slash before it; decoded.

        Raises:
            ServiceUnavailableError: The node cannot be asked.
            NotFoundError: It has no such page.
        """
        ...


class PodConnections(Protocol):
    """Takes over upgraded connections: exec, attach, port-forward, proxy."""

    async def connect(
        self, request: web.BaseRequest, call: Call, pod: Object
    ) -> web.StreamResponse:
        """Carry out a connection to its end.

        Args:
            request: The HTTP request, not answered yet.
            call: What it means; its subresource is ``exec``, ``attach``, ``portforward`` or ``proxy``.
            pod: The pod, which exists.

        Raises:
            ApiError: It cannot be done, and nothing has been answered yet.
        """
        ...


def log_options(call: Call) -> LogOptions:
    """Read the options of a log request.

    Raises:
        BadRequestError: One cannot be read.
        InvalidError: One is out of range.
    """
    options = call.request.options
    since_seconds = call.number("sinceSeconds")
    causes = [
        errors.Cause(name, f"Invalid value: {value}: must be greater than 0")
        for name in ("sinceSeconds", "limitBytes")
        if (value := call.number(name)) == 0
    ]
    if causes:
        raise errors.invalid("PodLogOptions", call.request.name or "", causes)
    if since_seconds is not None and options.get("sinceTime"):
        raise errors.BadRequestError("at most one of sinceTime or sinceSeconds may be specified")
    return LogOptions(
        follow=call.flag("follow"),
        previous=call.flag("previous"),
        timestamps=call.flag("timestamps"),
        tail_lines=call.number("tailLines"),
        since_seconds=since_seconds,
        since_time=options.get("sinceTime", ""),
        limit_bytes=call.number("limitBytes"),
        stream=options.get("stream") or "All",
    )


def log(node: PodStreams | None, core: Core, call: Call) -> AsyncIterator[bytes]:
    """Return a container's output, as a request for a pod's log wants it.

    Raises:
        NotFoundError: There is no such pod.
        BadRequestError: An option cannot be read, or the pod has no such container.
        InvalidError: An option is out of range.
        ServiceUnavailableError: No node is attached.
    """
    asked = call.request
    pod = core.committed(core.served(call), asked.name or "", asked.namespace).value()
    options = log_options(call)
    wanted = asked.options.get("container", "")
    container = container_of(pod, _log_aliases(pod).get(wanted, wanted))
    if node is None:
        raise errors.ServiceUnavailableError("no node is attached: there are no logs to read")
    return node.logs(asked.namespace or "", asked.name or "", container, options)


def _log_aliases(pod: Object) -> dict[str, str]:
    noted = metadata.annotations(pod).get(metadata.LOG_ALIASES, "")
    return dict(each.split("=", 1) for each in noted.split(",") if "=" in each)


def container_of(pod: Object, wanted: str) -> str:
    """Return the container that is meant.

    Args:
        pod: The pod.
        wanted: What was asked for; empty for the only one.

    Raises:
        BadRequestError: The pod has no such container, or several and none was named.
    """
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    containers = [each["name"] for each in spec.get("containers") or ()]
    initial = [each["name"] for each in spec.get("initContainers") or ()]
    ephemeral = [each["name"] for each in spec.get("ephemeralContainers") or ()]
    if wanted:
        if wanted in {*containers, *initial, *ephemeral}:
            return wanted
        raise errors.BadRequestError(f"container {wanted:.253} is not valid for pod {name}")
    if len(containers) == 1:
        return str(containers[0])
    choices = f"choose one of: [{' '.join(containers)}]"
    if initial:
        choices += f" or one of the init containers: [{' '.join(initial)}]"
    raise errors.BadRequestError(f"a container name must be specified for pod {name}, {choices}")
