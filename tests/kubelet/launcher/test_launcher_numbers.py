"""The kernel gives a namespace the number of one that has gone: whoever cleans up must not take one for the other.

A launcher's parts are run step by step here, in a process of their own whose children may all be reaped: between the
end of one container and its clean-up, another one's child gets that far each time.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wherry.kubelet.launcher import (
    cgroup,
    container,
    features,
    interfaces,
    loop,
    nursery,
    processes,
    records,
    service_table,
    spare,
    supervisor,
    types,
)

SECONDS = 60
ROUNDS, WANTED = 20, 3
"""Other processes may take the number; so many times it is to be the same."""

Steps = Iterator[Callable[[], bool]]


def test_a_child_with_the_number_of_one_that_has_gone_lives(isolated: Any) -> None:
    if isolated.launcher.features.user_namespace:
        pytest.skip("children are made ahead by root only")
    made = subprocess.run(
        [sys.executable, __file__, str(isolated.folder)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    rounds = [json.loads(line) for line in made.stdout.splitlines()]
    assert len(rounds) == ROUNDS or sum(same for same, _, _ in rounds) == WANTED, made.stderr
    if not any(same for same, _, _ in rounds):
        pytest.skip("here no namespace gets the number of another one")
    assert [each[1:] for each in rounds] == [[0, True]] * len(rounds)


def _until(condition: Callable[[], bool]) -> None:
    """Wait without the loop: what children say is not read."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def _play(events: loop.Loop, steps: Steps) -> None:
    """Run the loop, and take the next step whenever what the one before waits for has come."""

    def look(wanted: Callable[[], bool]) -> None:
        try:
            while wanted():
                wanted = next(steps)
        except StopIteration:
            events.stop()
        else:
            events.later(0.002, lambda: look(wanted))

    look(lambda: True)
    events.run()


def _around(events: loop.Loop, folder: str) -> container.Surroundings:
    (pathlib.Path(folder) / "records").mkdir()
    controllers = cgroup.detect()
    return container.Surroundings(
        events=events,
        records=records.Records(pathlib.Path(folder, "records")),
        features=features.detect(controllers),
        controllers=controllers,
        directory=folder,
        boot=processes.boot_id(),
        nofile=(1024, 1024),
        nursery=nursery.Nursery(events, folder, begin_in=folder),
        services=service_table.ServiceTable(folder),
        interfaces=interfaces.Interfaces(events),
        spare=spare.Spare(events, begin_in=folder),
    )


def _is_zombie(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _rounds(table: supervisor.Supervisor, folder: str) -> Steps:
    same = 0
    for number in range(ROUNDS):
        found: list[bool] = []
        yield from _round(table, folder, number, found)
        same += found[0]
        if same == WANTED:
            return


def _round(table: supervisor.Supervisor, folder: str, number: int, same: list[bool]) -> Steps:
    begun: list[types.ProcessState] = []
    table.start(_spec(folder, f"first-{number}", "sleep", "1000"), begun.append)
    yield lambda: bool(begun)
    (first,) = (state.pid for state in begun if state.pid)
    gone = processes.mount_namespace(first)

    def waiting() -> set[int]:
        return {*processes.children()} - {first}

    yield lambda: bool(waiting())
    (child,) = waiting()
    os.kill(first, signal.SIGKILL)
    _until(lambda: _is_zombie(first))
    # What has been covered ahead is to be seen as it is: namespaces are made anew. And it has a root of its own.
    mount = types.Mount("/dev", "/wherry-test-folder/dev")
    table.start(_spec(folder, f"second-{number}", "true", mounts=(mount,)), begun.append)
    _until(lambda: processes.has_own_root(child))
    same.append(processes.mount_namespace(child) == gone)
    table.reap()

    def ended() -> bool:
        table.reap()
        return not table.busy

    yield ended
    (second,) = (state for state in table.states() if state.id == f"second-{number}")
    sys.stdout.write(f"{json.dumps([same[0], second.exit_code, second.pid == child])}\n")


def _spec(folder: str, name: str, *argv: str, **changes: Any) -> types.ProcessSpec:
    env, log = {"PATH": "/usr/bin:/bin"}, f"{folder}/{name}.log"
    return types.ProcessSpec(id=name, argv=argv, env=env, cwd="/", log_path=log, **changes)


if __name__ == "__main__":
    _events = loop.Loop()
    _all = _around(_events, sys.argv[1])
    _play(_events, _rounds(supervisor.Supervisor(_all, [], lambda _: None), sys.argv[1]))
    _all.spare.close()
