"""Containers from real images by Docker or Podman, for machines that have neither runc nor crun.

The engine pulls and keeps the images. The launcher's process is its command line, attached to the
container. The container itself is a child of the engine's, which the filter that gives a pod its own
address does not reach: all these pods share the machine's ports.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wherry.kubelet import boxes
from wherry.kubelet.engine_runtime import EngineRuntime
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.types import ProcessSpec, ProcessState
from wherry.kubelet.oci import credentials, daemon_options, shared_ports
from wherry.kubelet.oci.daemon_images import DaemonImage, DaemonImages
from wherry.kubelet.oci.daemons import Daemon, DaemonError
from wherry.kubelet.runtime import (
    ContainerStart,
    Image,
    ImageError,
    ImageRequest,
    Progress,
)
from wherry.kubelet.settings import KubeletSettings


class DockerRuntime(EngineRuntime[Daemon]):
    """Has Docker or Podman pull images and run containers from them."""

    look_seconds = 0.05

    def __init__(self, launcher: Launcher, settings: KubeletSettings, daemon: Daemon) -> None:
        """Take what it works with; there must be a running loop.

        Args:
            launcher: Keeps the processes.
            settings: The agent's.
            daemon: The engine.
        """
        super().__init__(launcher, settings, daemon, "")
        self._kind = daemon.kind
        self._images = DaemonImages(daemon, settings.images.insecure_registries)
        self._found: dict[str, DaemonImage] = {}

    async def _prepare(self, driver: Daemon) -> None:
        pass

    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that a pull has begun."""
        return "Pulling", f'Pulling image "{request.name}" with {self._kind}, unless it is there'

    def ready(self, request: ImageRequest) -> Image | None:
        """Return None: the engine has to be asked, for it may have got, built or lost the image since.

        Raises:
            ImageError: its name is none.
        """
        self._reference(request)
        return None

    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Look whether the engine has the image, else have it pulled.

        Raises:
            ImageError: it cannot be had.
        """
        reference = self._reference(request)
        try:
            found = None
            if request.policy != "Always":
                found = await self._images.find(request.name, reference)
            if request.policy == "Never" and found is None:
                message = (
                    f'Container image "{request.name}" is not present with pull policy of Never'
                )
                raise ImageError(message, reason="ErrImageNeverPull")
            if found is None:
                keyring = credentials.Keyring(
                    one
                    for secret in await request.secrets()
                    for one in credentials.of_secret(secret)
                )
                await self._images.pull(reference, keyring.lookup(reference))
                found = await self._images.find(reference.text, reference)
        except DaemonError as error:
            raise ImageError(str(error)) from error
        if found is None:
            raise ImageError(f"{self._kind} has pulled the image and does not have it")
        return self._image(request.name, found)

    def _image(self, name: str, found: DaemonImage) -> Image:
        self._found[found.shown] = found
        return Image(
            id=found.shown,
            name=name,
            warning="",
            environment=boxes.variables(found.config),
            entrypoint=found.config.entrypoint,
            working_directory=found.config.working_directory,
            mounts=(),
            programs=Path("/"),
            runtime="oci",
            size_bytes=found.size_bytes,
        )

    def _missing(self, image: Image) -> str:
        return "" if image.id in self._found else f"image {image.id} has been removed"

    def _clash(self, ports: frozenset[int]) -> str:
        """Return which port a container wants and another one has; empty if there is none."""
        found = shared_ports.taken(ports, dict(self._running())) if ports else None
        if found is None:
            return ""
        return (
            f"port {found[0]} is taken by {found[1]}: pods that {self._kind} runs share the machine's "
            "ports; give this one another port, or install runc"
        )

    def _running(self) -> Iterator[tuple[int, str]]:
        for folder in self._bundles.iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError):
                facts = json.loads((folder / "facts.json").read_text())
                yield int((folder / "started").read_text()), f"pod {facts['name']}"

    async def _explain(self, process_id: str) -> None:
        """Say who has the port that a container wanted, if nobody had it when it began."""
        await asyncio.to_thread(self._leave_message, self._bundles / process_id / "facts.json")

    def _leave_message(self, file: Path) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads(file.read_text())
            message, why = Path(facts["message"]), self._clash(frozenset(facts["ports"]))
            if why and not message.stat().st_size:
                message.write_text(why)

    async def _begin(self, container: ContainerStart, folder: Path, driver: Daemon) -> ProcessState:
        image = self._found[container.image.id]
        stdin, tty = bool(container.spec.get("stdin")), bool(container.spec.get("tty"))
        box = boxes.make(
            container,
            image.config,
            root="",
            lookup=lambda file: image.accounts[file],
            pids=self._settings.pod_pids_limit,
        )
        ports = frozenset(_ports(container.spec))
        pod = container.pod.get("metadata") or {}
        self._note(
            container.id,
            stopSignal=image.config.stop_signal,
            ports=sorted(ports),
            message=_message(container),
            name=f"{pod.get('namespace')}/{pod.get('name')} (container {container.spec.get('name')})",
        )
        if why := await asyncio.to_thread(self._clash, ports):
            raise boxes.BoxError(why)
        variables = folder / "variables"
        text, more = daemon_options.lines(box.env)
        variables.touch(mode=0o600)
        variables.write_text(text)
        options = daemon_options.of(
            box, kind=driver.kind, image=image.id, variables=str(variables), names=more
        )
        if stdin or tty:
            options = ("--interactive", *options)
        try:
            await driver.create(container.id, options, more)
        except DaemonError as error:
            raise boxes.BoxError(str(error)) from error
        finally:
            variables.unlink()
        return await self._launcher.start(
            ProcessSpec(
                id=container.id,
                argv=driver.run(container.id, stdin=stdin or tty),
                env=driver.environment,
                cwd=str(folder),
                log_path=str(container.log),
                isolate=False,
                log_max_bytes=self._settings.logs.max_bytes,
                log_max_files=self._settings.logs.max_files,
                stdin=stdin,
                tty=tty,
            )
        )


def _message(container: ContainerStart) -> str:
    """Return the file in which a container's program may say why it ends; empty if there is none."""
    path = container.spec.get("terminationMessagePath") or "/dev/termination-log"
    return next((one.source for one in container.mounts if one.target == path), "")


def _ports(container: Mapping[str, Any]) -> Iterator[int]:
    """Yield the TCP ports that a container says it listens at."""
    for port in container.get("ports") or ():
        if port.get("protocol", "TCP") == "TCP":
            yield int(port["containerPort"])
