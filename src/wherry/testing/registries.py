"""A real registry with a real image, and runc, as pytest fixtures; import those you use.

Both programs are Debian's packages. Root gets them by apt-get where they are missing; where that is
not possible the test is skipped and says why.
"""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.testing.images import TestImage, TestRegistry, files, of_machine

LOGIN = ("wherry", "secret")
_INSTALL_SECONDS = 300
_START_SECONDS = 90
_PORTS = 3
"""How many are tried: each is free when it is looked for, and may be taken before it is served at."""
_HASH = "$2b$05$Pvztavi2KhVOQSy4aHdd6eQxZXlgqTYyXaVK9gVqaJzw4GCm0L786"
_PACKAGES = {
    "runc": "runc",
    "crun": "crun",
    "docker-registry": "docker-registry",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "podman": "podman",
    "initdb": "postgresql",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}
_FOLDERS = ("usr/sbin", "usr/bin", "usr/local/bin", "usr/lib/postgresql/*/bin")
_PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/ls", "/bin/sleep", "/usr/bin/id", "/bin/hostname")
_PROGRAMS_MORE = ("/usr/bin/touch", "/usr/bin/env", "/usr/bin/python3.11", "/bin/sync")


@functools.cache
def installed(program: str) -> str:
    """Return the file of a program, got by apt-get if need and right be; else skip the test."""
    found = _found(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Another process of tests may be getting one at this moment.
        command = ["apt-get", f"-oDPkg::Lock::Timeout={_INSTALL_SECONDS}", "install", "-y"]
        command += ["--no-install-recommends", _PACKAGES[program]]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - a package of the table above
                command, env=environment, capture_output=True, timeout=_INSTALL_SECONDS, check=False
            )
        found = _found(program)
    if found is None:
        package = _PACKAGES[program]
        pytest.skip(f"{program} is not installed, and cannot be: apt-get install {package}")
    return found


def _found(program: str) -> str | None:
    folders = [str(folder) for pattern in _FOLDERS for folder in sorted(Path("/").glob(pattern))]
    return shutil.which(program, path=os.pathsep.join(folders))


@pytest.fixture(scope="session")
def runc() -> str:
    """Give an engine that root can use."""
    if os.geteuid() != 0:
        pytest.skip("only root can run OCI images")
    return installed("runc")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestRegistry]:
    """Give Debian's docker-registry on a port of its own, which wants `LOGIN`."""
    program = installed("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(f"{LOGIN[0]}:{_HASH}\n")
    for _ in range(_PORTS):
        with socket.create_server(("127.0.0.1", 0)) as free:
            host = f"127.0.0.1:{free.getsockname()[1]}"
        process = _serve(program, folder, host)
        try:
            if _answers(process, host, folder / "log"):
                yield TestRegistry(host, LOGIN)
                return
        finally:
            process.kill()
            process.wait()
    raise AssertionError((folder / "log").read_text())


def _serve(program: str, folder: Path, host: str) -> subprocess.Popen[bytes]:
    (folder / "config.yml").write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: '{host}', secret: x}}\n"
        f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
        "log: {level: error}\n"
    )
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program that was just found
            [program, "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )


def _answers(process: subprocess.Popen[bytes], host: str, log: Path) -> bool:
    """Return whether the registry has come up; else somebody else has taken its port meanwhile."""
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None:
        try:
            opener.open(f"http://{host}/v2/", timeout=_START_SECONDS).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return True
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    return False


@pytest.fixture(scope="session")
def base() -> bytes:
    """Give a layer with a shell, some programs and Python of this machine."""
    return of_machine((*_PROGRAMS, *_PROGRAMS_MORE), ("/usr/lib/python3.11",))


@pytest.fixture(scope="session")
def image(base: bytes, registry: TestRegistry) -> str:
    """Give the name of a pushed image of two layers."""
    top = files(
        {
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1235::/home/worker:/bin/sh\n",
            "etc/group": "root:x:0:\nworkers:x:1235:\nextra:x:1300:worker\n",
            "etc/release": "made by a test\n",
        }
    )
    made = TestImage(
        layers=(base, top),
        config={"Cmd": ["sh", "-c", "cat /etc/release"], "Env": ["PATH=/bin:/usr/bin", "A=image"]},
    )
    made.push(registry, "team/tool", "v1")
    return f"{registry.host}/team/tool:v1"
