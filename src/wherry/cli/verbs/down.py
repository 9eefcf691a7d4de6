"""`wherry down`: stop the platform, and the launcher with all its pods unless they are to stay."""

import asyncio
import os
import signal
from argparse import Namespace

from wherry.cli import failures, launchers, processes
from wherry.cli.home import Home, Running
from wherry.cli.progress import Progress
from wherry.cli.words import counted
from wherry.kubelet.launcher.types import LauncherError
from wherry.kubelet.oci import leftovers

_STOP_SECONDS = 30.0
_STEP_SECONDS = 0.2


def run(options: Namespace) -> int:
    """Stop what runs and say what that was; nothing running is fine."""
    home = Home.of(options.directory)
    running = home.running()
    if running is not None:
        _stop(running)
    home.state_file.unlink(missing_ok=True)
    containers = asyncio.run(_containers(home, stop=not options.keep_pods))
    said = [_said_of_platform(running), _said_of_containers(containers, kept=options.keep_pods)]
    print("\n".join(filter(None, said)) or f"Nothing was running in {home.directory}")
    return failures.SUCCESS


def _said_of_platform(running: Running | None) -> str:
    return f"Wherry (pid {running.pid}) has stopped" if running else ""


def _said_of_containers(count: int | None, *, kept: bool) -> str:
    if count is None:
        return ""
    what = counted(count, "container")
    if kept:
        return f"{what} left running; `wherry up` takes them back" if count else ""
    return f"{what} ended" if count else "the launcher has stopped"


def _stop(running: Running) -> None:
    """End the platform's process, the hard way if it does not answer to the polite one.

    Raises:
        CommandError: the process is another user's.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(running.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise failures.CommandError(
                f"Wherry (pid {running.pid}) belongs to another user; only they or root can stop it"
            ) from error
        if _waited(running.pid):
            return
    raise failures.CommandError(f"process {running.pid} cannot be killed; it hangs in the kernel")


def _waited(pid: int) -> bool:
    with Progress() as progress:
        for _ in range(int(_STOP_SECONDS / _STEP_SECONDS)):
            if processes.wait_for_end(pid, _STEP_SECONDS):
                return True
            progress.show(f"waiting for Wherry (pid {pid}) to stop")
    return False


async def _containers(home: Home, *, stop: bool) -> int | None:
    """Return how many containers run, or ran before they were stopped; None without a launcher."""
    try:
        launcher = await launchers.connect(home.launcher)
    except LauncherError:
        if not stop:
            raise
        # Of another version: it cannot be talked to, but it knows the signal.
        if not await asyncio.to_thread(launchers.terminate, home.launcher):
            raise
        return 0
    if launcher is None:
        return None
    count = sum(state.running for state in await launcher.list())
    await (launcher.shutdown() if stop else launcher.close())
    if stop:
        await asyncio.to_thread(leftovers.end, home.directory)
    return count
