"""GPUs of this machine: which there are, and which container has which.

An assignment is on disk before the container starts, so that an agent that comes after a crash knows
what the processes it finds are using. A device is never given to two pods, and never to two containers
of one pod that may run at the same time.

Source: the kubelet's device manager (checkpoint, reuse of what init containers had) and NVIDIA's device
plugin (names of variables).
"""

import asyncio
import json
import logging
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from wherry.kubelet import specs
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import metadata, quantities
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

RESOURCE = "nvidia.com/gpu"
VARIABLE = "NVIDIA_VISIBLE_DEVICES"
"""Tells NVIDIA's container toolkit which ones are meant."""

_NVIDIA_SECONDS = 30.0


class NoDeviceError(Exception):
    """Fewer devices are free than a container asks for; the message says who has them."""


async def find(settings: KubeletSettings) -> tuple[str, ...]:
    """Return the numbers of the GPUs, as ``nvidia-smi`` counts them, or as many as the setting says."""
    if settings.gpus is not None:
        return tuple(str(number) for number in range(settings.gpus))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            [program, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            timeout=_NVIDIA_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi failed, so no GPU is offered: %s", error)
        return ()
    lines = (line.strip() for line in done.stdout.decode(errors="replace").splitlines())
    return tuple(line for line in lines if line.isdigit())


def wanted(container: Object) -> int:
    """Return how many GPUs a container asks for."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return int(quantities.parse(limits.get(RESOURCE, 0)))


class Devices:
    """The GPUs of this machine and who has them."""

    def __init__(self, ids: Sequence[str], file: Path) -> None:
        """Begin with what was written down.

        Args:
            ids: All devices there are.
            file: Where assignments are kept. One that cannot be read counts as empty: it is replaced
                as a whole, so only a crash of the machine can spoil it, and no process survives that.
        """
        self._ids = tuple(ids)
        self._file = file
        self._held = _read(file)

    def __len__(self) -> int:
        return len(self._ids)

    def held(self, uid: str, container: str) -> tuple[str, ...]:
        """Return what a container has been given."""
        return tuple(self._held.get(uid, {}).get(container, ()))

    def keep_only(self, uids: Collection[str]) -> None:
        """Free what pods other than these have."""
        if left := set(self._held) - set(uids):
            self._write({uid: held for uid, held in self._held.items() if uid not in left})

    def release(self, uid: str) -> None:
        """Free what a pod has. Idempotent."""
        if uid in self._held:
            self._write({other: held for other, held in self._held.items() if other != uid})

    def assign(self, pod: Object, container: Object) -> tuple[str, ...]:
        """Give a container what it asks for; the same again when it starts again.

        Args:
            pod: Its pod.
            container: Its entry in the pod.

        Raises:
            NoDeviceError: too few are free.
        """
        uid, name, count = metadata.uid(pod), str(container["name"]), wanted(container)
        known = self.held(uid, name)
        if count == 0 or len(known) == count:
            return known
        free = [*self._left_by_init(pod, container), *self._free()]
        if len(free) < count:
            raise NoDeviceError(self._refusal(count, len(free)))
        given = tuple(free[:count])
        try:
            self._write({**self._held, uid: {**self._held.get(uid, {}), name: given}})
        except OSError as error:
            raise NoDeviceError(f"{RESOURCE}: the assignment cannot be kept: {error}") from error
        return given

    def variables(self, pod: Object, container: Object) -> dict[str, str]:
        """Return what tells a container's programs which GPUs are theirs; nothing where there are none.

        Raises:
            NoDeviceError: too few are free.
        """
        count = wanted(container)
        if not self._ids and not count:
            return {}
        given = ",".join(self.assign(pod, container))
        # The numbers are those of the bus, so CUDA must count in that order too.
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": given,
            VARIABLE: given or "void",
        }

    def _free(self) -> list[str]:
        taken = {one for held in self._held.values() for ids in held.values() for one in ids}
        return [one for one in self._ids if one not in taken]

    def _left_by_init(self, pod: Object, container: Object) -> list[str]:
        """Return what the pod's init containers had and nobody after them has: those have ended."""
        before = _ended_before(pod, str(container["name"]))
        held = self._held.get(metadata.uid(pod), {})
        busy = {one for name, ids in held.items() if name not in before for one in ids}
        left = {one for name in before for one in held.get(name, ()) if one not in busy}
        return [one for one in self._ids if one in left]

    def _refusal(self, count: int, free: int) -> str:
        holders = ", ".join(
            f"pod {uid} container {name} has {','.join(ids)}"
            for uid, held in self._held.items()
            for name, ids in held.items()
        )
        text = f"{count} {RESOURCE} wanted, {free} of {len(self._ids)} free"
        return f"{text}: {holders}" if holders else text

    def _write(self, held: dict[str, dict[str, tuple[str, ...]]]) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(held))
        fresh.replace(self._file)
        self._held = held


def _ended_before(pod: Object, name: str) -> set[str]:
    """Return the init containers that have ended when this container starts; sidecars go on."""
    ended: set[str] = set()
    for one in specs.init_containers(pod):
        if one["name"] == name:
            break
        if not specs.is_sidecar(one):
            ended.add(str(one["name"]))
    return ended


def _read(file: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    try:
        found = json.loads(file.read_text())
        return {
            str(uid): {str(name): _ids(ids) for name, ids in held.items()}
            for uid, held in found.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        logger.warning("%s cannot be read, so no GPU counts as taken: %s", file, error)
        return {}


def _ids(found: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(one) for one in found)
