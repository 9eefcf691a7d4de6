"""Containers from real images, pulled by Wherry itself and run by runc or crun under the launcher.

The launcher's process is `runc run`, and the filter that gives a pod its own loopback address is
inherited by all that it starts.
"""

import asyncio
import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

from wherry.kubelet import boxes
from wherry.kubelet.engine_runtime import EngineRuntime
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.types import ProcessSpec, ProcessState
from wherry.kubelet.oci import bundle, credentials, engine, pulling, rootfs
from wherry.kubelet.oci.registry import Registry
from wherry.kubelet.oci.store import ImageRecord, ImageStore
from wherry.kubelet.runtime import ContainerStart, Image, ImageError, ImageRequest, Progress
from wherry.kubelet.settings import KubeletSettings

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_COLLECT_SECONDS = 900.0


class OciRuntime(EngineRuntime[engine.Engine]):
    """Pulls images and runs containers from them, on Linux, with runc or crun."""

    def __init__(
        self,
        launcher: Launcher,
        settings: KubeletSettings,
        found: engine.Engine | None,
        problem: str = "",
    ) -> None:
        """Take what it works with; there must be a running loop.

        Args:
            launcher: Keeps the processes.
            settings: The agent's.
            found: The engine; None if there is none.
            problem: Why there is none, and what to do.
        """
        super().__init__(launcher, settings, found, problem)
        self._store = ImageStore(self._folder / "images")
        self._registry = Registry(settings.images.insecure_registries)
        self._puller = pulling.Puller(self._registry, self._store, settings.images.most_layer_bytes)
        self._records: dict[str, ImageRecord] = {}
        # What an ordinary user mounts is not seen by the engine, which makes namespaces of its own.
        self._overlay = os.geteuid() == 0

    async def _prepare(self, driver: engine.Engine) -> None:
        driver.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._store.open)
        self._spawn(self._collect())

    async def close(self) -> None:
        """Stop pulling and clearing; containers go on."""
        await super().close()
        await self._puller.close()
        await self._registry.close()

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

    def _missing(self, image: Image) -> str:
        record = self._records.get(image.id)
        there = record is not None and self._store.find(record.name) is not None
        return "" if there else f"image {image.id} has been removed"

    async def _begin(
        self, container: ContainerStart, folder: Path, driver: engine.Engine
    ) -> ProcessState:
        record = self._records[container.image.id]
        self._store.used(record)
        layers, names = (
            self._store.layers,
            [self._store.layer_name(d) for d in record.config.diff_ids],
        )
        box = boxes.make(
            container,
            record.config,
            root=str(folder / "rootfs"),
            lookup=lambda file: rootfs.accounts(layers, names, file),
            pids=self._settings.pod_pids_limit,
        )
        self._note(
            container.id, layers=record.config.diff_ids, stopSignal=record.config.stop_signal
        )
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
        return await self._launch(spec, names)

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
