"""Removes builds that nobody needs, so that tags and layers that were tried once do not fill the disk.

What an `Environment` describes stays however large and old it is: it was asked for by name, and must be
there without a network. The rest (layers of pods, entries of the catalogue, former contents) can be
made again, and goes by age and by the size of all together.
"""

import asyncio
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from wherry.controller.clock import Clock
from wherry.kubelet.environments import builder, choosing, interpreters, making, recipe
from wherry.kubelet.settings import BuildSettings
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet.environments")

_HASH = re.compile(r"[0-9a-f]{16}")
_IMAGE = re.compile(r"wherry\.dev/.*@([0-9a-f]{16})")
_GRACE_SECONDS = 3600.0
_TRASH = ".removed-"


@dataclass(frozen=True, slots=True)
class Found:
    """A build on the disk.

    Attributes:
        root: Its folder.
        size_bytes: What it takes.
        used_at: When something last started from it, seconds since the epoch.
        python: Version of its interpreter.
    """

    root: Path
    size_bytes: int
    used_at: float
    python: str = ""


def found(folder: Path) -> list[Found]:
    """Return the builds below a folder, the longest unused first."""
    result = []
    for root in folder.iterdir() if folder.is_dir() else ():
        if not _HASH.fullmatch(root.name):
            continue
        used = root / builder.USED
        at = (used if used.exists() else root).stat().st_mtime
        told = _told(root)
        size = int(told.get("sizeBytes") or 0) or making.size_bytes(root)
        result.append(Found(root, size, at, str(told.get("python") or "")))
    return sorted(result, key=lambda one: one.used_at)


def collect(
    folder: Path, needed: Collection[str], settings: BuildSettings, *, grace: float = _GRACE_SECONDS
) -> list[str]:
    """Remove builds that are too old, or too many.

    Args:
        folder: Where they are.
        needed: Hashes of those that stay in any case.
        settings: Limits.
        grace: Seconds that a build stays after its last use in any case.

    Returns:
        The hashes of what is gone.
    """
    for left in folder.glob(f"{_TRASH}*"):
        shutil.rmtree(left, ignore_errors=True)
    builds, now = found(folder), time.time()
    total = sum(one.size_bytes for one in builds)
    gone = []
    for one in builds:
        unused = now - one.used_at
        if unused <= settings.unused_seconds and total <= settings.most_bytes:
            break
        if one.root.name in needed or unused < grace:
            continue
        # Away by one rename: nobody finds half of it.
        trash = one.root.rename(folder / f"{_TRASH}{one.root.name}")
        shutil.rmtree(trash, ignore_errors=True)
        total -= one.size_bytes
        gone.append(one.root.name)
    return gone


def needed(environments: Iterable[Object], pods: Iterable[Object]) -> set[str]:
    """Return the hashes of what Environments describe and pods run."""
    result = set()
    for environment in environments:
        try:
            result.add(choosing.for_environment(environment).recipe.hash)
        except (interpreters.InterpreterMissingError, recipe.RecipeError, ValueError):
            continue
        # What it was built as stays until the new content is there.
        result.add(str((environment.get("status") or {}).get("hash") or ""))
    for pod in pods:
        status = pod.get("status") or {}
        for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
            for one in status.get(kind) or []:
                match = _IMAGE.fullmatch(str(one.get("imageID") or ""))
                result |= {match[1]} if match else set()
    return result


async def run(
    builds: builder.Builder,
    settings: BuildSettings,
    clock: Clock,
    wanted: Callable[[], set[str]],
) -> None:
    """Collect again and again.

    Args:
        builds: Whose builds; those under way stay.
        settings: Limits.
        clock: Measures the time between.
        wanted: Returns the hashes of what is needed.
    """
    while True:
        await clock.sleep(settings.collect_seconds)
        stay = wanted() | builds.under_way()
        try:
            gone = await asyncio.to_thread(collect, builds.folder, stay, settings)
        except OSError:
            logger.exception("builds of environments could not be collected")
            continue
        if gone:
            logger.info("removed builds that nothing used: %s", ", ".join(gone))


def _told(root: Path) -> Object:
    try:
        told = json.loads((root / making.RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
