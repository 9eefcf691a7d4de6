"""Which runtime runs what: an Environment that covers an image's name goes first, then the real image.

To the rest of the agent this is one runtime.
"""

from collections.abc import AsyncIterator

from wherry.kubelet.engine_choice import RealImages
from wherry.kubelet.environments import choosing, requirements
from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import Execution, ProcessState
from wherry.kubelet.runtime import (
    ContainerStart,
    Image,
    ImageError,
    ImageRequest,
    NotCoveredError,
    PodRuntime,
    Progress,
)
from wherry.kubelet.runtimes.process import ProcessRuntime

ANNOTATION = "wherry.dev/runtime"
"""Of a pod: ``oci`` or ``environment``."""

_CHOICES = ("oci", "environment")


class Runtimes:
    """Environments as processes, and OCI images by an engine."""

    def __init__(self, environments: ProcessRuntime, oci: RealImages, default: str) -> None:
        """Take both.

        Args:
            environments: Runs images that an Environment covers.
            oci: Runs the others.
            default: What to take where a pod does not say it; empty: what covers the name.
        """
        self._environments = environments
        self._oci = oci
        self._default = default

    async def open(self) -> None:
        """Clear away what a predecessor left."""
        await self._environments.open()
        await self._oci.open()

    async def close(self) -> None:
        """Stop what is under way; containers go on."""
        await self._oci.close()
        await self._environments.close()

    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that `pull` has begun."""
        return self._choose(request)[0].preparing(request)

    def ready(self, request: ImageRequest) -> Image | None:
        """Return the image if it is there.

        Raises:
            ImageError: there is no such image.
        """
        return self._choose(request)[1]

    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Make the image ready.

        Raises:
            ImageError: it cannot be made ready now.
        """
        runtime, _ = self._choose(request)
        try:
            return await runtime.pull(request, progress)
        except ImageError as error:
            if runtime is self._oci and not self._wanted(request):
                # A name that no registry knows may well have been meant for an Environment.
                message = f"{error}. And {choosing.unknown(request.name)}"
                raise ImageError(message, reason=error.reason) from error
            raise

    def _choose(self, request: ImageRequest) -> tuple[PodRuntime, Image | None]:
        wanted = self._wanted(request)
        if wanted == "oci":
            return self._real(request)
        try:
            if wanted or self._oci.problem or not self._environments.stands_in(request):
                return self._environments, self._environments.ready(request)
        except NotCoveredError as error:
            if wanted:
                raise
            if self._oci.problem:
                raise ImageError(
                    f"{error}. Or run the image itself, which is not possible here: "
                    f"{self._oci.problem}"
                ) from error
        return self._real(request)

    def _real(self, request: ImageRequest) -> tuple[PodRuntime, Image | None]:
        if request.requirements:
            raise ImageError(
                f'{requirements.ANNOTATION}: packages are added to Environments, and "{request.name}" '
                f"is run as a real image; name the containers it is for with "
                f"{requirements.ANNOTATION}.CONTAINER"
            )
        return self._oci, self._oci.ready(request)

    def _wanted(self, request: ImageRequest) -> str:
        wanted = request.runtime or self._default
        if wanted and wanted not in _CHOICES:
            raise ImageError(f"{ANNOTATION} is {wanted!r}: want {' or '.join(_CHOICES)}")
        return wanted

    def _of(self, process_id: str) -> PodRuntime:
        return self._oci if self._oci.holds(process_id) else self._environments

    async def start(self, container: ContainerStart) -> ProcessState:
        """Start the container by the runtime that has its image."""
        oci = container.image.runtime == "oci"
        return await (self._oci if oci else self._environments).start(container)

    async def signal(self, process_id: str, number: int) -> None:
        """Send a signal."""
        await self._of(process_id).signal(process_id, number)

    async def list(self) -> list[ProcessState]:
        """Return what is known, of both."""
        return [await self._settled(state) for state in await self._environments.list()]

    async def forget(self, process_id: str) -> None:
        """Drop a process that has ended."""
        await self._of(process_id).forget(process_id)

    async def execute(
        self, process_id: str, argv: tuple[str, ...], *, timeout_seconds: float
    ) -> Execution:
        """Run a command inside a container."""
        return await self._of(process_id).execute(process_id, argv, timeout_seconds=timeout_seconds)

    async def interact(
        self, process_id: str, argv: tuple[str, ...], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command inside a container for somebody who watches."""
        return await self._of(process_id).interact(process_id, argv, stdin=stdin, terminal=terminal)

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> Session:
        """Watch a container."""
        return await self._environments.attach(process_id, stdin=stdin, once=once)

    async def exits(self) -> AsyncIterator[ProcessState]:
        """Yield processes as they end."""
        async for state in self._environments.exits():
            yield await self._settled(state)

    async def _settled(self, state: ProcessState) -> ProcessState:
        return await self._oci.settle(state) if self._oci.holds(state.id) else state
