"""What runs containers: the interface, of which `runtimes/` holds the implementations.

A runtime is asked for an image first and then to start containers from it. Its processes outlive
the agent: everything that runs is found again through `list`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import Execution, Mount, ProcessState
from wherry.kubelet.users import Identity
from wherry.objects.requests import Object

Progress = Callable[[str], None]


class ImageError(Exception):
    """An image cannot be had; the message says why and what to do.

    Attributes:
        reason: As `state.waiting` says it; other ones than the usual do not change to a back-off.
    """

    def __init__(self, message: str, *, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason


class NotCoveredError(ImageError):
    """The runtime has nothing that stands for an image of this name; another one may."""


class StartError(Exception):
    """A container cannot be started as described; the message says why."""


async def _no_secrets() -> "list[Object]":
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """An image that a pod asks for.

    Attributes:
        name: As the pod has it.
        policy: `imagePullPolicy`.
        runtime: ``oci`` or ``environment`` where the pod says which; else empty.
        requirements: Packages to add, as the pod's annotation lists them.
        secrets: Returns the pod's pull secrets that there are.
    """

    name: str
    policy: str = "IfNotPresent"
    runtime: str = ""
    requirements: str = ""
    secrets: Callable[[], Awaitable[list[Object]]] = _no_secrets


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is ready to start containers.

    Attributes:
        id: What the status shows as `imageID`.
        name: The name it was asked by.
        warning: What is not quite as asked for; empty if all is.
        warning_reason: Of the event that says it.
        environment: Variables that it brings, `PATH` among them.
        entrypoint: What runs where a container has no command.
        working_directory: Where containers start that say nothing else; empty: their own folder.
        mounts: Files that it brings.
        programs: Folder of its programs.
        runtime: Which one has it.
        preload: Modules that are imported beforehand for its Python programs; None: they never start warm.
        size_bytes: As it came from a registry; None if it did not.
    """

    id: str
    name: str
    warning: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    working_directory: str
    mounts: tuple[Mount, ...]
    programs: Path
    warning_reason: str = "InterpreterSubstituted"
    runtime: str = "environment"
    preload: tuple[str, ...] | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStart:
    """One container, ready to be started.

    Attributes:
        id: Of the attempt (`process_ids`).
        spec: The container's entry in the pod.
        image: Of what.
        environment: The variables of the pod spec, before those of the image.
        mounts: Volumes and the files the agent adds.
        hostname: The pod's host name.
        address: The pod's address; None with the host's network.
        home: Folder of its own, for what names no other.
        log: Where the output goes.
        identity: As whom it runs.
        pod: The pod it belongs to. Not to be changed.
    """

    id: str
    spec: Object
    image: Image
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    hostname: str
    address: str | None
    home: Path
    log: Path
    identity: Identity
    pod: Object = field(default_factory=dict)


class PodRuntime(Protocol):
    """Starts and stops containers. All methods may be called from many tasks of one loop."""

    async def open(self) -> None:
        """Clear away what a predecessor left; comes before anything else.

        Raises:
            LauncherError: the launcher could not be asked.
        """
        ...

    async def close(self) -> None:
        """Stop what is under way; containers go on."""
        ...

    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that `pull` has begun."""
        ...

    def ready(self, request: ImageRequest) -> Image | None:
        """Return the image if it is there; quick, no I/O to speak of.

        Raises:
            ImageError: there is no such image.
        """
        ...

    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Make the image ready, which may take long; concurrent calls share the work.

        Raises:
            ImageError: it cannot be made ready now.
        """
        ...

    async def start(self, container: ContainerStart) -> ProcessState:
        """Start the container; for an id that was started before, return what became of it.

        Raises:
            StartError: it is described wrongly.
            IdentityError: the pod forbids the user as whom it would run.
            LauncherError: the launcher could not be asked.
        """
        ...

    async def signal(self, process_id: str, number: int) -> None:
        """Send a signal to the container's main process; nothing happens if it has ended."""
        ...

    async def list(self) -> list[ProcessState]:
        """Return every process that is known, ended ones included until they are forgotten."""
        ...

    async def forget(self, process_id: str) -> None:
        """Drop what is known of a process that has ended. Idempotent."""
        ...

    async def execute(
        self,
        process_id: str,
        argv: tuple[str, ...],
        *,
        timeout_seconds: float,
    ) -> Execution:
        """Run a command inside a running container."""
        ...

    async def interact(
        self, process_id: str, argv: tuple[str, ...], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command inside a running container for somebody who watches.

        Raises:
            LauncherError: the launcher could not be asked.
        """
        ...

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> Session:
        """Watch a running container; `once`: its standard input ends with the session's.

        Raises:
            LauncherError: it does not run.
        """
        ...

    def exits(self) -> AsyncIterator[ProcessState]:
        """Yield processes as they end."""
        ...
