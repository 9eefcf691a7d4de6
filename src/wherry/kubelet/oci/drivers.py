"""What a program that runs containers has to be able to do; `engine` and `daemons` hold the two kinds."""

from pathlib import Path
from typing import Protocol


class Driver(Protocol):
    """Knows containers by the ids of their attempts. All calls end within a bounded time."""

    @property
    def kind(self) -> str:
        """Its name, as the setting `image_engine` has it."""
        ...

    @property
    def signals(self) -> bool:
        """Whether it is asked to send all signals, rather than SIGKILL only."""
        ...

    def execute(
        self, container: str, argv: tuple[str, ...], *, terminal: bool, mark: Path | None
    ) -> tuple[str, ...]:
        """Return the command line that runs `argv` inside a container; `abandon` may get the mark."""
        ...

    def abandon(self, mark: Path) -> None:
        """Kill the command inside a container whose own process out here has been killed."""
        ...

    async def started(self, container: str) -> int | None:
        """Return the process of a container's own program; None until it runs, and when it has ended."""
        ...

    async def on_record(self) -> list[str]:
        """Return all containers that it knows."""
        ...

    async def signal(self, container: str, number: int) -> bool:
        """Send a signal to a container; returns whether that was possible."""
        ...

    async def delete(self, container: str) -> None:
        """End a container if it runs and drop all that there is of it. Idempotent."""
        ...

    async def complaint(self, container: str, folder: Path) -> str:
        """Return why a container's own program never ran; empty if it did."""
        ...

    async def out_of_memory(self, container: str) -> bool:
        """Return whether the kernel killed one of a container's processes for want of memory."""
        ...
