"""What is remembered of a container, and what a new agent finds again."""

import os
from pathlib import Path

import pytest

from wherry.kubelet import containers, users
from wherry.kubelet.launcher.types import ProcessState
from wherry.kubelet.settings import BackOffSettings
from wherry.objects.requests import Object

BACK_OFF = BackOffSettings(initial_seconds=10, maximum_seconds=300, reset_seconds=600)
SPEC: Object = {"name": "main", "image": "python"}


def ended(attempt: int, begin: float, end: float) -> ProcessState:
    return ProcessState(
        id=f"u_main_{attempt}", pid=1, started_at=begin, finished_at=end, exit_code=1
    )


def test_restarts_wait_longer_each_time_until_one_lasts() -> None:
    record = containers.ContainerRecord(SPEC, init=False)
    waits = []
    for attempt in range(9):
        record.begin(attempt, ended(attempt, 0, 1))
        record.end(ended(attempt, 0, 1), "", BACK_OFF)
        waits.append(record.restart_at - 1)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]
    record.end(ended(9, 0, 601), "", BACK_OFF)
    assert record.restart_at == 601


def adopt(states: dict[int, ProcessState], entry: Object | None) -> containers.ContainerRecord:
    return containers.adopt(SPEC, states, entry, init=False, now=99, back_off=BACK_OFF)


def test_the_launcher_is_believed_first() -> None:
    running = ProcessState(id="u_main_1", pid=7, started_at=5)
    found = adopt({0: ended(0, 1, 2), 1: running}, None)
    assert (found.attempt, found.process, found.previous) == (1, running, ended(0, 1, 2))
    assert found.running


@pytest.mark.parametrize(
    ("state", "exit_code", "finished"),
    [
        (
            {"terminated": {"exitCode": 3, "finishedAt": "1970-01-01T00:00:20Z"}},
            3,
            20.0,
        ),
        ({"running": {"startedAt": "1970-01-01T00:00:05Z"}}, 137, 99.0),
    ],
)
def test_what_the_launcher_forgot_is_in_the_status(
    state: Object, exit_code: int, finished: float
) -> None:
    entry = {"containerID": "wherry://u_main_2", "restartCount": 2, "state": state}
    found = adopt({}, entry)
    assert found.attempt == 2
    assert found.process is not None
    assert (found.process.exit_code, found.process.finished_at) == (exit_code, finished)


def test_a_container_that_never_ran() -> None:
    found = adopt({}, {"state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0})
    assert (found.attempt, found.process) == (-1, None)


def test_users(tmp_path: Path) -> None:
    pod = {"spec": {"securityContext": {"runAsUser": 5, "fsGroup": 7, "supplementalGroups": [8]}}}
    assert users.asked(pod, {}) == users.Identity(5, 0, (8, 7))
    assert users.asked(pod, {"securityContext": {"runAsUser": 6, "runAsGroup": 9}}) == (
        users.Identity(6, 9, (8, 7))
    )
    with pytest.raises(users.IdentityError, match="non-root"):
        users.asked(pod, {"securityContext": {"runAsUser": 0, "runAsNonRoot": True}})
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    identity, warning = users.possible(users.Identity(5, 0), [closed / "python"])
    assert identity == users.OWN
    assert bool(warning) == (os.geteuid() == 0)
