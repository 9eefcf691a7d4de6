"""Docker and Podman as a pytest fixture, the first with a daemon of the tests' own; import `daemon`.

Debian's packages, got by apt-get where they are missing and that is possible; else the test is skipped
and says why. Nothing of the machine's own Docker or Podman is touched.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wherry.kubelet.oci import daemons, engine
from wherry.testing.registries import installed

_START_SECONDS = 90
_STOP_SECONDS = 60
_CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""


@dataclass(frozen=True, slots=True)
class TestDaemon:
    """Docker or Podman, ready to run containers.

    Attributes:
        kind: `docker` or `podman`.
        environment: Where its command line finds it.
    """

    __test__ = False

    kind: str
    environment: dict[str, str]

    def call(self, *arguments: str) -> str:
        """Run a command and return its output.

        Raises:
            CalledProcessError: it failed.
        """
        done = subprocess.run(  # noqa: S603 - the engine under test
            [installed(self.kind), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            timeout=_START_SECONDS,
            check=True,
        )
        return done.stdout.decode()


@pytest.fixture(scope="session", params=["docker", "podman"])
def started_daemon(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDaemon]:
    """Give each of both in turn, with a storage of its own that goes in the end."""
    if os.geteuid() != 0:
        pytest.skip(f"only root can start {request.param} for tests")
    folder = tmp_path_factory.mktemp(request.param)
    try:
        with (_docker if request.param == "docker" else _podman)(folder) as found:
            yield found
    finally:
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def daemon(started_daemon: TestDaemon, monkeypatch: pytest.MonkeyPatch) -> TestDaemon:
    """Give a machine on which this one is all there is; ask for it before the platform."""
    monkeypatch.setattr(engine, "PROGRAMS", ())
    monkeypatch.setattr(daemons, "PROGRAMS", (started_daemon.kind,))
    for name, value in started_daemon.environment.items():
        monkeypatch.setenv(name, value)
    return started_daemon


@contextlib.contextmanager
def _docker(folder: Path) -> Iterator[TestDaemon]:
    program, socket = installed("dockerd"), folder / "docker.sock"
    (folder / "daemon.json").write_text("{}")
    options = {
        "--config-file": folder / "daemon.json",
        "--host": f"unix://{socket}",
        "--data-root": folder / "data",
        "--exec-root": folder / "exec",
        "--pidfile": folder / "pid",
        "--storage-driver": "overlay2",
        "--bridge": "none",
    }
    line = [program, "--iptables=false", *(str(part) for pair in options.items() for part in pair)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)  # noqa: S603 - the program just found
    found = TestDaemon(
        "docker", {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(folder / "config")}
    )
    try:
        _await(found, process, folder / "log")
        yield found
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _await(found: TestDaemon, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            last = log.read_text().splitlines()[-1:]
            pytest.skip(f"this machine cannot run dockerd: {' '.join(last)}")
        try:
            found.call("ps")
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def _podman(folder: Path) -> Iterator[TestDaemon]:
    installed("podman")
    policy = folder / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (folder / "containers.conf").write_text(_CONTAINERS)
    (folder / "storage.conf").write_text(_STORAGE.format(folder))
    found = TestDaemon(
        "podman",
        {
            "HOME": str(folder),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        },
    )
    try:
        found.call("ps")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine cannot run podman: {error.stderr.decode()[-300:]}")
    yield found


def _unmount(folder: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["/bin/umount", "--lazy", target], check=False)  # noqa: S603 - below a folder of ours
