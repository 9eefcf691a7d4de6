"""What a container needs of the machine to use its GPUs: files of devices, and the driver's files.

Source: NVIDIA's names of devices, and its container toolkit, whose hook goes by the variable
`NVIDIA_VISIBLE_DEVICES` that a container with GPUs has anyway.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_HOOK = "nvidia-container-runtime-hook"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Device:
    """A character device."""

    path: str
    major: int
    minor: int


def devices(numbers: tuple[str, ...], folder: Path = Path("/dev")) -> tuple[Device, ...]:
    """Return the files of these GPUs and what all of them need; those that are not there are left out.

    Args:
        numbers: As `nvidia-smi` counts; empty: nothing.
        folder: Where the machine has its devices.
    """
    names = [*(f"nvidia{number}" for number in numbers), *_SHARED] if numbers else []
    return tuple(_found(folder / name for name in names))


def _found(paths: Iterator[Path]) -> Iterator[Device]:
    for path in paths:
        try:
            known = path.stat()
        except OSError:
            continue
        if stat.S_ISCHR(known.st_mode):
            device = known.st_rdev
            yield Device(f"/dev/{path.name}", os.major(device), os.minor(device))


def hook() -> str:
    """Return NVIDIA's program that lays the driver's files into a container; empty where there is none."""
    return shutil.which(_HOOK, path=f"{os.environ.get('PATH', '')}:{_PATH}") or ""
