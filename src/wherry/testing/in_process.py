"""A platform in a thread of the test's process: quick to start, and open to be looked into."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.embedded.platform import Platform
from wherry.embedded.settings import Settings
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.oci import leftovers

T = TypeVar("T")

_CALL_SECONDS = 90.0
_START_SECONDS = 150.0


def end_pods(directory: Path) -> None:
    """End every container of a platform, and the launcher that holds them.

    May be called from within an event loop, which it blocks.

    Args:
        directory: The platform's.
    """
    if (directory / "launcher").exists():
        # A thread has no event loop of its own that would forbid to run one.
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _shut_down(directory / "launcher")).result()
        leftovers.end(directory)


async def _shut_down(folder: Path) -> None:
    launcher = await Launcher.connect(folder)
    await launcher.shutdown()


class InProcessPlatform:
    """An API, controllers and a node in a thread, with pods that are real processes.

    Methods may be called from any thread but the platform's own.

    Attributes:
        settings: As it was set up.
        platform: The platform itself; touch it only from within `call`.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing happens before `start`.

        Args:
            settings: With ``port=0``, unless the test is about ports.
        """
        self.settings = settings
        self.platform = Platform(settings)
        self._loop: asyncio.AbstractEventLoop
        self._stopping = asyncio.Event()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, name="platform")

    @property
    def directory(self) -> Path:
        """Where it keeps everything."""
        return self.settings.directory

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for kubectl and other clients."""
        return self.settings.kubeconfig

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.platform.url

    @property
    def connection(self) -> Connection:
        """The administrator's way in over HTTPS, for `HttpTransport`."""
        return self.platform.connection

    @property
    def client(self) -> Client:
        """A client with all rights that goes round HTTP; its calls are made through `call`."""
        return self.platform.client

    def call(self, coroutine: Coroutine[Any, Any, T], seconds: float = _CALL_SECONDS) -> T:
        """Run a coroutine on the platform's event loop and wait for it.

        Args:
            coroutine: For example ``platform.client.get(kinds.PODS, "p", "default")``.
            seconds: How long it may take; then it is cancelled.

        Raises:
            TimeoutError: it took longer.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        finally:
            future.cancel()

    def start(self) -> None:
        """Start it; return when its node takes pods.

        Raises:
            StartError: it did not come up; the message says why.
        """
        self._thread.start()
        try:
            self._started.result(_START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and end its pods. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop has just ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            end_pods(self.directory)

    def _main(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._started.done():
                    raise
                self._started.set_exception(error)

    async def _serve(self) -> None:
        async with self.platform:
            self._started.set_result(None)
            await self._stopping.wait()
