"""Two looks at the machine make a rate: when they are taken, and for how long they serve.

Nothing is measured while nobody asks. Who asks often gets means over the time between his questions;
who asks for the first time waits a second.
"""

import asyncio
import datetime
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wherry.kubelet.usage import control_groups, process_table
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.objects.usage import Usage, Window

_FRESH_SECONDS = 10.0
_STALE_SECONDS = 60.0
_FIRST_SECONDS = 1.0
_YOUNG_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs.

    Attributes:
        pod: Its pod. Not to be changed.
        name: Its name.
        process_id: Names the attempt, for ever.
        pid: Of its main process.
        started_at: Seconds since the epoch.
    """

    pod: Object
    name: str
    process_id: str
    pid: int
    started_at: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Amounts at one moment.

    Attributes:
        cpu_seconds: Used since the start.
        memory_bytes: Working set.
    """

    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """The machine at one moment.

    Attributes:
        at: Seconds since the epoch.
        machine: Of the whole machine.
        containers: By `Running.process_id`.
    """

    at: float
    machine: Reading
    containers: Mapping[str, Reading]


@dataclass(frozen=True, slots=True)
class Report:
    """What is used now.

    Attributes:
        window: Of the machine's figures; containers younger than that have shorter ones.
        machine: Of the whole machine.
        containers: With what each uses; those that have just started are left out.
        look: The later of the two looks.
    """

    window: Window
    machine: Usage
    containers: Sequence[tuple[Running, Usage]]
    look: Look


Measure = Callable[[Sequence[Running]], Look]


def measure(running: Sequence[Running], launcher: int) -> Look:
    """Look at the machine once: some milliseconds, more with many processes."""
    table = process_table.read()
    mains = {one.pid: one.process_id for one in running if one.pid in table}
    members = process_table.members(table, mains, launcher)
    around = control_groups.places(launcher)
    found: dict[str, Reading] = {}
    for pid, process_id in mains.items():
        pids = members[process_id]
        cpu = control_groups.cpu_seconds(pid, around)
        memory = control_groups.memory_bytes(pid, around)
        if cpu is None:
            cpu = sum(table[one].cpu_seconds for one in pids)
        if memory is None:
            memory = sum(process_table.memory_bytes(one, table[one]) for one in pids)
        found[process_id] = Reading(cpu, memory)
    return Look(time.time(), _machine(), found)


def _machine() -> Reading:
    with Path("/proc/stat").open() as stream:
        ticks = [int(part) for part in stream.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    facts: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        facts[name] = int(rest.split()[0])
    used = facts["MemTotal"] - facts.get("MemAvailable", facts["MemFree"])
    return Reading((sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), used * 1024)


class Sampler:
    """Measures when asked, at most once in ten seconds. For many tasks of one event loop."""

    def __init__(
        self,
        running: Callable[[], Sequence[Running]],
        measure: Measure,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take what it asks.

        Args:
            running: Returns the containers that run now.
            measure: Looks at the machine; called in a thread.
            sleep: Waits between the first two looks; seconds.
        """
        self._running = running
        self._measure = measure
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._looks: list[Look] = []

    async def report(self) -> Report:
        """Return what is used now.

        Raises:
            ServiceUnavailableError: This machine does not tell.
        """
        async with self._lock:
            running = self._running()
            age = time.time() - self._looks[-1].at if self._looks else float("inf")
            if not 0 <= age < _STALE_SECONDS:
                self._looks = [await self._look(running)]
                await self._sleep(_FIRST_SECONDS)
                age = _FRESH_SECONDS
            if age >= _FRESH_SECONDS or len(self._looks) < 2:
                self._looks = [self._looks[-1], await self._look(running)]
            return report(self._looks[0], self._looks[1], running)

    async def _look(self, running: Sequence[Running]) -> Look:
        try:
            return await asyncio.to_thread(self._measure, running)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise errors.ServiceUnavailableError(
                f"usage cannot be measured on this machine: {error}"
            ) from error


def report(before: Look, after: Look, running: Sequence[Running]) -> Report:
    """Return what was used between two looks. Pure."""
    seconds = max(after.at - before.at, 1e-3)
    end = datetime.datetime.fromtimestamp(after.at, datetime.UTC)
    containers = []
    for one in running:
        reading = after.containers.get(one.process_id)
        if reading is None:
            continue
        earlier = before.containers.get(one.process_id)
        spent, over = reading.cpu_seconds, after.at - one.started_at
        if earlier is not None:
            # What an orphan had used is lost with it: a sum may fall.
            spent, over = max(reading.cpu_seconds - earlier.cpu_seconds, 0.0), seconds
        elif over < _YOUNG_SECONDS:
            continue
        containers.append((one, Usage(spent / over, reading.memory_bytes)))
    spent = max(after.machine.cpu_seconds - before.machine.cpu_seconds, 0.0)
    machine = Usage(spent / seconds, after.machine.memory_bytes)
    return Report(Window(end, seconds), machine, containers, after)
