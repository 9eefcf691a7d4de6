"""Containers from real images, run by an OCI runtime under the launcher.

The launcher's process is `runc run` in the foreground, so logs, exit codes, terminals and adoption
are the same as for any other container, and the filter that gives a pod its own loopback address is
inherited. What is left of a container when that process has ended is cleared away here, whoever
sees it first: this agent or the next one.
"""

import asyncio
import contextlib
import contextvars
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from wherry.kubelet import boxes
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import (
    Execution,
    LauncherError,
    LauncherGoneError,
    ProcessSpec,
    ProcessState,
    UnknownProcessError,
)
from wherry.kubelet.oci import (
    bundle,
    credentials,
    engine,
    pulling,
    references,
    rootfs,
)
from wherry.kubelet.oci.registry import Registry
from wherry.kubelet.oci.store import ImageRecord, ImageStore
from wherry.kubelet.runtime import (
    ContainerStart,
    Image,
    ImageError,
    ImageRequest,
    Progress,
    StartError,
)
from wherry.kubelet.settings import KubeletSettings

_MAX_OUTPUT_BYTES = 64 * 1024
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.005
_NOT_STARTED = 128
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_COLLECT_SECONDS = 900.0


class OciRuntime:
    """Pulls images and runs containers from them, on Linux, with runc or crun."""

    def __init__(self, launcher: Launcher, settings: KubeletSettings) -> None:
        """Take what it works with; there must be a running loop.

        Args:
            launcher: Keeps the processes.
            settings: The agent's.
        """
        self._launcher = launcher
        self._settings = settings
        folder = settings.data / "oci"
        self._bundles = folder / "containers"
        self._outcomes = folder / "outcomes"
        self._engine, self.problem = engine.find(folder / "run")
        if not launcher.features.isolate:
            why = launcher.features.reasons.get("isolate", "")
            self._engine, self.problem = None, f"OCI images need namespaces: {why}"
        self._store = ImageStore(folder / "images")
        self._registry = Registry(settings.images.insecure_registries)
        self._puller = pulling.Puller(self._registry, self._store, settings.images.most_layer_bytes)
        self._records: dict[str, ImageRecord] = {}
        # What an ordinary user mounts is not seen by the engine, which makes namespaces of its own.
        self._overlay = os.geteuid() == 0
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clearing: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Clear away what a predecessor left and the launcher no longer runs."""
        if self._engine is None:
            return
        for folder in (self._bundles, self._outcomes, self._engine.root):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._store.open)
        states = await self._launcher.list()
        running = {state.id for state in states if state.running}
        for state in states:
            if not state.running and self.holds(state.id):
                await self.settle(state)
        left = {entry.name for entry in self._bundles.iterdir()} | set(self._engine.containers())
        await asyncio.gather(*(self._clear(name) for name in left - running))
        known = {state.id for state in states}
        for outcome in self._outcomes.iterdir():
            if outcome.name not in known:
                outcome.unlink()
        self._spawn(self._collect())

    async def close(self) -> None:
        """Stop pulling and clearing; containers go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._puller.close()
        await self._registry.close()

    def holds(self, process_id: str) -> bool:
        """Return whether a process is a container of this runtime."""
        return (self._bundles / process_id).exists() or (self._outcomes / process_id).exists()

    # Images.

    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that a pull has begun."""
        return "Pulling", f'Pulling image "{request.name}"'

    def ready(self, request: ImageRequest) -> Image | None:
        """Return the image if it is there and its policy does not ask for another look.

        Raises:
            ImageError: its name is none, or it is not there and never to be pulled.
        """
        reference = self._reference(request)
        found = self._store.find(reference.text)
        if request.policy == "Never" and found is None:
            message = f'Container image "{request.name}" is not present with pull policy of Never'
            raise ImageError(message, reason="ErrImageNeverPull")
        if found is None or request.policy == "Always":
            return None
        return self._image(request.name, found)

    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Pull the image; layers that are there, or on their way, are not fetched again.

        Raises:
            ImageError: it cannot be had.
        """
        reference = self._reference(request)
        entries = [
            one for secret in await request.secrets() for one in credentials.of_secret(secret)
        ]
        entries += await asyncio.to_thread(credentials.of_user)
        try:
            found = await self._puller.pull(
                reference, credentials.Keyring(entries).lookup(reference), progress
            )
        except pulling.PullError as error:
            raise ImageError(str(error)) from error
        return self._image(request.name, found)

    def _reference(self, request: ImageRequest) -> references.Reference:
        try:
            reference = references.parse(request.name)
        except ValueError as error:
            raise ImageError(
                f'Failed to apply default image tag "{request.name}": {error}',
                reason="InvalidImageName",
            ) from error
        if self._engine is None:
            raise ImageError(self.problem)
        return reference

    def _image(self, name: str, record: ImageRecord) -> Image:
        self._records[record.image_id] = record
        config = record.config
        return Image(
            id=record.image_id,
            name=name,
            warning="",
            environment=boxes.variables(config),
            entrypoint=config.entrypoint,
            working_directory=config.working_directory,
            mounts=(),
            programs=Path("/"),
            runtime="oci",
            size_bytes=record.size_bytes,
        )

    # Containers.

    async def start(self, container: ContainerStart) -> ProcessState:
        """Start a container and wait until its own program runs, or cannot.

        Raises:
            StartError: it is described wrongly.
            IdentityError: the pod forbids the user as whom it would run.
            LauncherGoneError: the launcher went away; starting again is safe.
        """
        driver = self._engine
        record = self._records.get(container.image.id)
        if driver is None or record is None or self._store.find(record.name) is None:
            raise StartError(self.problem or f"image {container.image.id} has been removed")
        known = {state.id: state for state in await self._launcher.list()}.get(container.id)
        if known is not None:
            return known if known.running else await self.settle(known)
        await self._clear(container.id)
        self._store.used(record)
        try:
            return await self._run(container, record, driver)
        except LauncherGoneError:
            raise
        except (LauncherError, boxes.BoxError, OSError, ValueError) as error:
            await self._clear(container.id)
            late = f"the container did not start within {_START_SECONDS:g} s"
            raise StartError(str(error) or late) from error

    async def _run(
        self, container: ContainerStart, record: ImageRecord, driver: engine.Engine
    ) -> ProcessState:
        folder = self._bundles / container.id
        layers, names = (
            self._store.layers,
            [self._store.layer_name(d) for d in record.config.diff_ids],
        )
        box = boxes.make(
            container,
            record.config,
            root=str(folder / "rootfs"),
            lookup=lambda file: rootfs.accounts(layers, names, file),
        )
        folder.mkdir(mode=0o700)
        facts = {"layers": record.config.diff_ids, "stopSignal": record.config.stop_signal}
        (folder / "facts.json").write_text(json.dumps(facts))
        (folder / "config.json").write_text(json.dumps(bundle.config(box)))
        spec = ProcessSpec(
            id=container.id,
            argv=driver.run(container.id, folder),
            env=_ENVIRONMENT,
            cwd=str(folder),
            log_path=str(container.log),
            address=container.address,
            log_max_bytes=self._settings.logs.max_bytes,
            log_max_files=self._settings.logs.max_files,
            stdin=bool(container.spec.get("stdin")),
            tty=bool(container.spec.get("tty")),
        )
        state = await self._launch(spec, names)
        return state if state.error is not None else await self._await_start(state, driver)

    async def _launch(self, spec: ProcessSpec, names: list[str]) -> ProcessState:
        """Start the process with the image's files before it; copied if they cannot be mounted."""
        folder, layers = Path(spec.cwd), self._store.layers
        if self._overlay:
            mount = rootfs.overlay(layers, names, folder)
            state = await self._launcher.start(replace(spec, mounts=(mount,)))
            if state.error is None or not state.error.startswith(f"mount {mount.target}"):
                return state
            self._overlay = False
            await self._launcher.forget(spec.id)
        await asyncio.to_thread(rootfs.flatten, layers, names, folder)
        return await self._launcher.start(replace(spec, isolate=False))

    async def _await_start(self, state: ProcessState, driver: engine.Engine) -> ProcessState:
        """Return once the container's own program runs: what looks into it may come at once."""
        async with asyncio.timeout(_START_SECONDS):
            while not driver.started(state.id):
                if not _alive(state.pid):
                    return await self._ended(state.id)
                await asyncio.sleep(_LOOK_SECONDS)
        _mark(self._bundles / state.id)
        return state

    async def _ended(self, process_id: str) -> ProcessState:
        while True:
            states = {state.id: state for state in await self._launcher.list()}
            if process_id not in states:
                raise StartError("the launcher died meanwhile")
            if not states[process_id].running:
                return await self.settle(states[process_id])
            await asyncio.sleep(_LOOK_SECONDS)

    async def settle(self, state: ProcessState) -> ProcessState:
        """Return the end of a container with what only its engine knows, and clear up behind it.

        Asked again it says the same, until the process is forgotten.
        """
        outcome = self._outcomes / state.id
        driver = self._engine
        if not outcome.exists() and driver is not None:
            folder = self._bundles / state.id
            if state.error is not None:
                # The process that stood for the container is gone without having ended it.
                await self._clear(state.id)
            begun = state.exit_code == 0 or (folder / "started").exists()
            why = "" if begun else engine.complaint(folder)
            oom = state.exit_code != 0 and driver.out_of_memory(state.id)
            outcome.write_text(json.dumps({"error": why, "oom_killed": oom}))
            self._spawn(self._clear(state.id))
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads(outcome.read_text())
            if facts["error"] and state.error is None:
                code = _start_code(str(facts["error"]))
                return replace(state, error=str(facts["error"]), exit_code=code, signal=None)
            return replace(state, oom_killed=state.oom_killed or bool(facts["oom_killed"]))
        return state

    async def signal(self, process_id: str, number: int) -> None:
        """Send a signal; the image may have named another one for SIGTERM."""
        driver = self._engine
        if number == signal.SIGKILL and driver is not None:
            # The engine's own process cannot pass this one on.
            if not await driver.kill(process_id):
                await self._launcher.signal(process_id, number)
                await driver.delete(process_id)
            return
        if number == signal.SIGTERM:
            number = self._stop_signal(process_id)
        await self._launcher.signal(process_id, number)

    def _stop_signal(self, process_id: str) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads((self._bundles / process_id / "facts.json").read_text())
            return boxes.stop_signal(str(facts["stopSignal"]))
        return signal.SIGTERM

    async def forget(self, process_id: str) -> None:
        """Drop a container that has ended."""
        await self._launcher.forget(process_id)
        await self._clear(process_id)
        (self._outcomes / process_id).unlink(missing_ok=True)

    async def execute(
        self, process_id: str, argv: tuple[str, ...], *, timeout_seconds: float
    ) -> Execution:
        """Run a command inside a container."""
        pid_file = self._bundles / process_id / f"exec-{next(self._numbers)}.pid"
        done = await self._launcher.execute(
            process_id,
            self._inside(process_id, argv, terminal=False, pid_file=pid_file),
            timeout_seconds=timeout_seconds,
            max_output_bytes=_MAX_OUTPUT_BYTES,
        )
        if done.timed_out:
            _kill_listed(pid_file)
        pid_file.unlink(missing_ok=True)
        return done

    async def interact(
        self, process_id: str, argv: tuple[str, ...], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command inside a container for somebody who watches."""
        line = self._inside(process_id, argv, terminal=terminal, pid_file=None)
        return await self._launcher.interact(process_id, line, stdin=stdin, terminal=terminal)

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> Session:
        """Watch a container."""
        return await self._launcher.attach(process_id, stdin=stdin, once=once)

    async def list(self) -> list[ProcessState]:
        """Return the containers that are known."""
        states = [state for state in await self._launcher.list() if self.holds(state.id)]
        return [state if state.running else await self.settle(state) for state in states]

    async def exits(self) -> AsyncIterator[ProcessState]:
        """Yield containers as they end."""
        async for state in self._launcher.exits():
            if self.holds(state.id):
                yield await self.settle(state)

    def _inside(
        self, process_id: str, argv: tuple[str, ...], *, terminal: bool, pid_file: Path | None
    ) -> tuple[str, ...]:
        if self._engine is None:
            raise UnknownProcessError(self.problem)
        return self._engine.execute(process_id, argv, terminal=terminal, pid_file=pid_file)

    # What is left.

    async def _clear(self, name: str) -> None:
        """End a container if it runs and remove all of it; calls for the same one share the work."""
        task = self._clearing.get(name)
        if task is None:
            task = self._spawn(self._remove(name))
            self._clearing[name] = task
            task.add_done_callback(lambda _: self._clearing.pop(name, None))
        await asyncio.shield(task)

    async def _remove(self, name: str) -> None:
        if self._engine is not None:
            await self._engine.delete(name)
        await asyncio.to_thread(shutil.rmtree, self._bundles / name, ignore_errors=True)

    async def _collect(self) -> None:
        """Remove images that nobody uses, now and then."""
        while True:
            await asyncio.sleep(_COLLECT_SECONDS)
            if not self._puller.busy:
                self._store.collect(
                    in_use=self._layers_in_use(),
                    most_bytes=self._settings.images.most_bytes,
                    unused_seconds=self._settings.images.unused_seconds,
                )
                await asyncio.to_thread(self._store.empty)

    def _layers_in_use(self) -> frozenset[str]:
        used: set[str] = set()
        for folder in self._bundles.iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError):
                used.update(json.loads((folder / "facts.json").read_text())["layers"])
        return frozenset(used)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _start_code(complaint: str) -> int:
    """Return the exit code that shells give for what an engine complains of."""
    if "not found" in complaint or "no such file" in complaint:
        return 127
    return 126 if "permission denied" in complaint else _NOT_STARTED


def _alive(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def _mark(folder: Path) -> None:
    """Note that a container's own program has run: what its engine complains of later is no reason."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "started").touch()


def _kill_listed(pid_file: Path) -> None:
    """Kill the command whose engine process has been killed before it."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
