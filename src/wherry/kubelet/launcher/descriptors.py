"""Pipes and terminals on the control plane's event loop: read when asked, so that nothing piles up."""

import asyncio
import os

_READ_BYTES = 64 * 1024
_LAST_SECONDS = 0.1
_MOST_LAST_BYTES = 1024 * 1024


async def readable(number: int) -> None:
    """Wait until there is something to read, or an end to notice."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)


class Descriptor:
    """One end of a pipe or terminal. Each direction may be used by one task at a time."""

    def __init__(self, descriptor: int) -> None:
        """Take over a descriptor."""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self.number = descriptor
        self._open = True
        self._ending = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._last_bytes = _MOST_LAST_BYTES

    def finish(self) -> None:
        """Let ``read`` end when nothing more is there, though others may still hold the writing end."""
        self._ending = True
        self._changed.set()

    async def read(self) -> bytes:
        """Return what is there; empty at the end."""
        while self._open:
            try:
                data = os.read(self.number, _READ_BYTES)
            except BlockingIOError:
                if not await self._readable():
                    return b""
                continue
            except OSError:  # how a terminal ends
                return b""
            return self._counted(data)
        return b""

    def _counted(self, data: bytes) -> bytes:
        """Cut off whoever goes on writing after the end."""
        if self._ending:
            self._last_bytes -= len(data)
        return data if self._last_bytes > 0 else b""

    async def _readable(self) -> bool:
        """Wait until there may be something to read; False if there will not be."""
        self._changed.clear()
        self._loop.add_reader(self.number, self._changed.set)
        try:
            if not self._ending:
                await self._changed.wait()
                return True
            async with asyncio.timeout(_LAST_SECONDS):
                await self._changed.wait()
            return True
        except TimeoutError:
            return False
        finally:
            if self._open:
                self._loop.remove_reader(self.number)

    async def write(self, data: bytes) -> bool:
        """Write all of it, waiting as long as it takes; False if nobody reads any more."""
        rest = memoryview(data)
        while rest and self._open:
            try:
                rest = rest[os.write(self.number, rest) :]
            except BlockingIOError:
                await self._writable()
            except OSError:
                return False
        return not rest

    async def _writable(self) -> None:
        self._loop.add_writer(self.number, self._taken.set)
        self._taken.clear()
        try:
            await self._taken.wait()
        finally:
            if self._open:
                self._loop.remove_writer(self.number)

    def close(self) -> None:
        """Close it; who waits to read is told the end."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self.number)
        self._loop.remove_writer(self.number)
        os.close(self.number)
        self._changed.set()
        self._taken.set()
