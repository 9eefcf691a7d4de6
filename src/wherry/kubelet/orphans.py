"""Clears away what pods left that nobody knows any more: processes, data, logs."""

import asyncio
import logging
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from wherry.kubelet import layout
from wherry.kubelet.launcher.types import LauncherError, ProcessState
from wherry.kubelet.runtime import PodRuntime
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_GRACE_SECONDS = 2.0
_LOOK_SECONDS = 0.1


async def end(processes: Iterable[ProcessState], runtime: PodRuntime) -> None:
    """End processes whose pod is gone, and forget them."""
    ids = {process.id for process in processes}
    logger.info("ending %d processes whose pod is gone", len(ids))
    number = signal.SIGTERM
    waited = 0.0
    while ids:
        running = {process.id for process in await runtime.list() if process.finished_at is None}
        for process_id in ids - running:
            await runtime.forget(process_id)
        ids &= running
        try:
            if waited == 0.0 or number == signal.SIGKILL:
                for process_id in ids:
                    await runtime.signal(process_id, number)
        except LauncherError as error:
            logger.debug("ending an orphan: %s", error)
        await asyncio.sleep(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
        if waited >= _GRACE_SECONDS:
            number = signal.SIGKILL


def left_over(settings: KubeletSettings, pods: Iterable[Object]) -> list[Path]:
    """Return the folders that belong to none of the pods."""
    known = list(pods)
    uids = {metadata.uid(pod) for pod in known}
    logs = {layout.logs_name(pod) for pod in known}
    places = ((settings.pods, uids), (settings.memory_pods, uids), (settings.container_logs, logs))
    return [
        entry
        for parent, keep in places
        if parent.is_dir()
        for entry in parent.iterdir()
        if entry.name not in keep and entry.is_dir() and not entry.is_symlink()
    ]


def remove(folders: Iterable[Path]) -> None:
    """Remove folders with everything in them."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
