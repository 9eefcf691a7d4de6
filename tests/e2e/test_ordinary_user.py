"""The platform as an ordinary user runs it: volumes at any path, and replicas on one port."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wherry
from wherry.testing import builders
from wherry.testing.images import TestRegistry
from wherry.testing.registries import base, image, installed, registry
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

__all__ = ["base", "image", "registry"]

SOURCE = Path(wherry.__file__).parents[1]
SERVE = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["HOSTNAME"].encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


class Account:
    """An ordinary user, and how to run things as them."""

    def __init__(self, uid: int, home: Path, python: str) -> None:
        self.uid = uid
        self.home = home
        self.prefix: list[str] = []
        if os.geteuid() == 0:
            ids = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
            self.prefix = ["setpriv", *ids, "--inh-caps=-all", "--"]
        self.python = [*self.prefix, python, "-P"]
        self.environment = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYENV_ROOT": str(home / "pyenv"),  # not that of whoever runs the tests
            "PYTHONPATH": os.pathsep.join([str(SOURCE), *packages()]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "UV_CACHE_DIR": str(home / "uv"),
        }


def packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


@pytest.fixture
def account() -> Iterator[Account]:
    """Give the user that runs the tests, or one made for the test where that is root."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory(prefix="wherry-e2e-") as folder:
            yield Account(os.geteuid(), Path(folder), sys.executable)
        return
    for tool in ("useradd", "userdel", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"cannot make an ordinary user: there is no {tool} here")
    name = f"wherry-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="wherry-e2e-") as folder:
        made = subprocess.run(
            ["useradd", "--no-create-home", "--home-dir", folder, "--user-group", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            pytest.skip(f"cannot make an ordinary user: {made.stderr.strip()}")
        try:
            uid = int(subprocess.run(["id", "-u", name], capture_output=True, check=True).stdout)
            gid = int(subprocess.run(["id", "-g", name], capture_output=True, check=True).stdout)
            os.chown(folder, uid, gid)
            found = Account(uid, Path(folder), python_for(uid))
            yield found
        finally:
            subprocess.run(["userdel", name], capture_output=True, check=False)


def python_for(uid: int) -> str:
    """Return an interpreter that the user may run, and that has our packages' version."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # `setpriv` itself can start what lies in a folder of root's; the user could not, a second time.
    check = "import os, ssl, sys; sys.exit(not os.access(sys.executable, os.X_OK))"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        asked = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", python, "-c", check]
        if subprocess.run(["setpriv", *asked], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"no Python {version} here that ordinary users may run")


@pytest.fixture
def theirs(account: Account) -> Iterator[RunningPlatform]:
    """Give a platform that the ordinary user runs."""
    readable = [*account.prefix, "test", "-r", str(SOURCE / "wherry" / "__init__.py")]
    if subprocess.run(readable, check=False).returncode:
        pytest.skip(f"an ordinary user cannot read {SOURCE}")
    folder = account.home / "platform"
    folder.mkdir(mode=0o700)
    if account.prefix:
        os.chown(folder, account.uid, account.uid)
    platform = RunningPlatform(
        folder,
        environment=account.environment,
        command=[*account.python, "-m", "wherry.embedded"],
    )
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


@pytest.fixture
def wire(theirs: RunningPlatform, wire_to: Any) -> Any:
    return wire_to(theirs)


def test_volumes_at_new_paths(theirs, wire, account):
    def post(resource: str, obj: Any) -> None:
        answer = wire.send("POST", f"/api/v1/namespaces/default/{resource}", json.dumps(obj))
        assert answer.code == 201, answer.text

    post("configmaps", builders.config_map("c", key="from the map"))
    post("persistentvolumeclaims", builders.claim("v"))
    volumes = builders.volumes(
        settings=("/etc/wherry-e2e/deep/settings", {"configMap": {"name": "c"}}),
        data=("/srv/wherry-e2e/data", {"persistentVolumeClaim": {"claimName": "v"}}),
        scratch=("/wherry-e2e", {"emptyDir": {}}),
    )
    script = (
        "id -u; cat /etc/wherry-e2e/deep/settings/key; echo; echo kept > /srv/wherry-e2e/data/file; "
        "cat /srv/wherry-e2e/data/file; touch /wherry-e2e/x && echo written; "
        "test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token"
    )
    main = builders.container(script=script, volumeMounts=volumes["volumeMounts"])
    post("pods", builders.pod("p", containers=[main], volumes=volumes["volumes"]))

    def ended() -> str:
        pod = json.loads(wire.send("GET", "/api/v1/namespaces/default/pods/p").text)
        phase = pod["status"].get("phase", "")
        return phase if phase in {"Succeeded", "Failed"} else ""

    phase = eventually(ended)
    log = wire.send("GET", "/api/v1/namespaces/default/pods/p/log").text
    assert log.splitlines() == [str(account.uid), "from the map", "kept", "written", "token"]
    assert phase == "Succeeded"
    for path in ("/etc/wherry-e2e", "/srv/wherry-e2e", "/wherry-e2e"):
        assert not Path(path).exists()
    [kept] = theirs.directory.glob("volumes/**/file")
    assert kept.read_text() == "kept\n"


def test_two_replicas_on_one_port_behind_a_service(theirs, wire):
    main = builders.container(
        python=SERVE, readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    )
    deployment = builders.deployment("web", replicas=2, template={"containers": [main]})
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert wire.send("POST", path, json.dumps(deployment)).code == 201
    service = builders.service("web", port=18080, target_port=8080)
    made = wire.send("POST", "/api/v1/namespaces/default/services", json.dumps(service))
    address = json.loads(made.text)["spec"]["clusterIP"]

    def ready() -> bool:
        found = json.loads(wire.send("GET", f"{path}/web").text)
        return bool(found["status"].get("readyReplicas") == 2)

    eventually(ready)
    seen: set[str] = set()

    def both_answer() -> bool:
        with (
            contextlib.suppress(OSError),  # nobody may listen there yet
            socket.create_connection((address, 18080), timeout=60) as peer,
        ):
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if name := peer.makefile("rb").read().rpartition(b"\r\n\r\n")[2].decode():
                seen.add(name)
        return len(seen) == 2

    eventually(both_answer)
    assert all(name.startswith("web-") for name in seen)


@pytest.mark.slow
def test_a_real_image(
    theirs: RunningPlatform, wire: Any, image: str, registry: TestRegistry
) -> None:
    """As root inside, who is the ordinary user outside; the pod has its own address as others have."""
    installed("runc")
    assert registry.login is not None
    auth = base64.b64encode(":".join(registry.login).encode()).decode()
    document = json.dumps({"auths": {registry.host: {"auth": auth}}}).encode()
    secret = {
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(document).decode()},
    }
    program = "import os, socket; s = socket.socket(); s.bind(('', 8080)); print(s.getsockname()[0], os.getuid())"
    container = {"name": "main", "image": image, "command": ["python3.11", "-c", program]}
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "imagePullSecrets": [{"name": "pull"}],
    }
    for resource, obj in (("secrets", secret), ("pods", {"metadata": {"name": "p"}, "spec": spec})):
        answer = wire.send("POST", f"/api/v1/namespaces/default/{resource}", json.dumps(obj))
        assert answer.code == 201, answer.text

    def ended() -> Any:
        found = json.loads(wire.send("GET", "/api/v1/namespaces/default/pods/p").text)
        assert found["status"].get("phase") == "Succeeded", found["status"]
        return found

    pod = eventually(ended)
    log = wire.send("GET", "/api/v1/namespaces/default/pods/p/log")
    assert log.text == f"{pod['status']['podIP']} 0\n"
