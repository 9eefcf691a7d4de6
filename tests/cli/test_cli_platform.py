"""up, down, status, logs and why with the whole platform, as a person meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.cli import processes

POD = """
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: python:3
    command: [python, -uc, "print('hello'); import time; time.sleep(600)"]
"""
CRASH = """
apiVersion: batch/v1
kind: Job
metadata: {name: crash}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "python:3", command: [python, -c, "import nothere"]}]
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    return {**kept, "HOME": str(tmp_path), "WHERRY_HOME": str(tmp_path / "w")}


@pytest.fixture
def wherry(environment: dict[str, str]) -> Iterator[Run]:
    def run(*words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "wherry.cli", *words]
        return subprocess.run(
            command,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    yield run
    run("down")


def eventually(probe: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def state(tmp_path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((tmp_path / "w" / "wherry.json").read_text())
    return said


def test_a_day_with_wherry(wherry: Run, tmp_path: Path) -> None:
    started = wherry("up")
    assert started.returncode == 0, started.stderr
    assert f"export KUBECONFIG={tmp_path}/w/kubeconfig" in started.stdout
    again = wherry("up")
    assert (again.returncode, "already running" in again.stdout) == (0, True)

    applied = wherry("apply", "-f", "-", text=f"{POD}---{CRASH}")
    assert applied.stdout == "pod/talker created\njob.batch/crash created\n", applied.stderr
    followed = subprocess.Popen(
        [sys.executable, "-m", "wherry.cli", "logs", "talker", "-f"],
        env={**os.environ, "WHERRY_HOME": str(tmp_path / "w")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert followed.stdout is not None
    assert followed.stdout.readline() == "hello\n"
    followed.send_signal(signal.SIGINT)
    followed.communicate(timeout=90)
    assert followed.returncode == 130

    eventually(lambda: "has failed" in wherry("why", "job/crash").stdout)
    told = wherry("why", "job/crash").stdout
    assert "No module named 'nothere'" in told
    assert "add the package that holds nothere to spec.requirements" in told
    eventually(lambda: "Nothing holds it back" in wherry("why", "pod/talker").stdout)

    def counted() -> Any:
        status = wherry("status", "-o", "json")
        assert status.returncode == 0
        found = json.loads(status.stdout)
        return found if found["launcher"]["containers"] == 1 else None

    found = eventually(counted)
    assert found["pods"] == {"Failed": 1, "Running": 1}
    assert found["memoryBytes"] > 2**20
    assert any("pod/crash-" in problem for problem in found["problems"])

    pid, launcher = state(tmp_path)["pid"], found["launcher"]["pid"]
    stopped = wherry("down")
    assert stopped.returncode == 0
    assert f"Wherry (pid {pid}) has stopped" in stopped.stdout
    assert "1 container ended" in stopped.stdout
    assert not processes.alive(pid)
    assert not processes.alive(launcher)
    assert wherry("down").stdout.startswith("Nothing was running")
    assert wherry("status").returncode == 3


def test_pods_may_outlive_wherry(wherry: Run, tmp_path: Path) -> None:
    assert wherry("up").returncode == 0
    wherry("apply", "-f", "-", text=POD)
    eventually(lambda: "hello" in wherry("logs", "talker").stdout)
    assert "1 container left running" in wherry("down", "--keep-pods").stdout
    assert "1 container left running without it" in wherry("status").stdout
    assert "1 container ended" in wherry("down").stdout


def test_after_a_kill_up_starts_anew_on_the_same_port(wherry: Run, tmp_path: Path) -> None:
    assert wherry("up").returncode == 0
    first = state(tmp_path)
    os.kill(first["pid"], signal.SIGKILL)
    assert processes.wait_for_end(first["pid"], 60)
    assert wherry("status").returncode == 3
    assert wherry("up").returncode == 0
    second = state(tmp_path)
    assert (second["url"], second["pid"] != first["pid"]) == (first["url"], True)


def test_a_platform_that_hangs_is_said_to_and_can_be_stopped(wherry: Run, tmp_path: Path) -> None:
    assert wherry("up").returncode == 0
    pid = state(tmp_path)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        outcome = wherry("up")
        assert outcome.returncode == 1
        assert f"(pid {pid}) and does not answer" in outcome.stderr
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_failed_start_says_why(wherry: Run, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "store").write_text("not a folder")
    outcome = wherry("up")
    assert outcome.returncode == 1
    assert "wherry: Wherry did not start: " in outcome.stderr
    assert f"The end of {tmp_path}/w/wherry.log" in outcome.stderr
    assert wherry("status").returncode == 3


def test_in_the_foreground(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wherry.cli", "up", "--foreground"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert state(tmp_path)["pid"] == process.pid
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)
    assert process.returncode == 0
    assert not (tmp_path / "w" / "wherry.json").exists()
    subprocess.run(
        [sys.executable, "-m", "wherry.cli", "down"],
        env=environment,
        check=True,
        capture_output=True,
    )
