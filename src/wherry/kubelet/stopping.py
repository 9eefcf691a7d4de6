"""Ends a container the polite way: preStop hook, the stop signal, and past the deadline SIGKILL."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from wherry.kubelet import handlers
from wherry.kubelet.containers import ContainerRecord
from wherry.kubelet.launcher.types import LauncherError
from wherry.kubelet.runtime import PodRuntime
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_SLICE_SECONDS = 1.0
"""How soon a deadline that was moved forward is noticed."""

_AGAIN_SECONDS = 5.0


async def stop(
    record: ContainerRecord,
    runtime: PodRuntime,
    target: handlers.Target,
    *,
    remaining: Callable[[], float],
    warn: Callable[[str, str], None],
) -> None:
    """End a container's process; returns when it has ended.

    Args:
        record: The container.
        runtime: Where it runs.
        target: For the preStop hook.
        remaining: Seconds left until SIGKILL; asked again and again.
        warn: Called with reason and message of a Warning event.
    """
    process = record.process
    if process is None or not record.running:
        return
    hook = (record.spec.get("lifecycle") or {}).get("preStop")
    if hook and remaining() > 0:
        await _hook(hook, target, remaining(), warn)
    if not record.exited.is_set() and remaining() > 0:
        await _send(runtime, process.id, _stop_signal(record.spec))
        await _wait(record, remaining)
    while not record.exited.is_set():
        await _send(runtime, process.id, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await record.exited.wait()


def _stop_signal(container: Object) -> int:
    name = str((container.get("lifecycle") or {}).get("stopSignal") or "SIGTERM")
    try:
        return signal.Signals[name]
    except KeyError:
        return signal.SIGTERM


async def _hook(
    hook: Object, target: handlers.Target, seconds: float, warn: Callable[[str, str], None]
) -> None:
    try:
        await handlers.run(hook, target, timeout_seconds=seconds)
    except handlers.HandlerError as error:
        warn("FailedPreStopHook", f"PreStopHook failed: {error}")


async def _send(runtime: PodRuntime, process_id: str, number: int) -> None:
    try:
        await runtime.signal(process_id, number)
    except LauncherError as error:
        # It has ended meanwhile, or the launcher is away: the caller looks again either way.
        logger.debug("signal %d to %s: %s", number, process_id, error)


async def _wait(record: ContainerRecord, remaining: Callable[[], float]) -> None:
    while not record.exited.is_set() and (left := remaining()) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, _SLICE_SECONDS)):
                await record.exited.wait()
