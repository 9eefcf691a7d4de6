"""What the images of Argo's own examples and tests stand for on this machine, and what else they expect."""

import contextlib
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from wherry.kubelet.environments.kinds import ENVIRONMENTS
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.testing import object_stores
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.object_stores import ObjectStore

_SAY: Final = """\
#!/usr/bin/env python3
import sys, time
from pathlib import Path

UNITS = {"s": 1, "m": 60, "h": 3600}

match sys.argv[1:]:
    case [] | ["echo"]:
        print("hello argo")
    case ["echo", text]:
        print(text)
    case ["echo", text, path]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text + "\\n")
    case ["cat", *paths]:
        sys.stdout.write("".join(Path(path).read_text() for path in paths))
    case ["sleep", seconds]:
        time.sleep(float(seconds.rstrip("smh")) * UNITS.get(seconds[-1], 1))
    case ["assert_contains", path, text]:
        sys.exit(text not in Path(path).read_text())
    case ["exit", *code]:
        sys.exit(int(code[0]) if code else 0)
    case _:
        sys.exit(1)
"""
"""Of the image that upstream made for its tests, a small tool that echoes, reads, sleeps and exits."""
_ANSWER: Final = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Well(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET


ThreadingHTTPServer(("", int(sys.argv[1])), Well).serve_forever()
"""
"""Of the images of servers that run beside steps: whatever they are asked, it is well."""
_LISTEN: Final = """\
import socket, sys

# As `nc -l -k -p PORT -e /bin/true` does: whoever connects is let go.
with socket.create_server(("", int(sys.argv[sys.argv.index("-p") + 1]))) as listening:
    while True:
        listening.accept()[0].close()
"""
_TOOLS: Final = {"nc": _LISTEN, "cowsay": "import sys\nprint(*sys.argv[1:])\n"}
"""Programs of images that this machine does not have, which no result depends on."""


def prepare(
    platform: InProcessPlatform, tools: Path, store: ObjectStore, *, namespace: str
) -> None:
    """Make what examples and tests take for granted: what images stand for, repositories and their keys.

    Args:
        platform: Where.
        tools: A folder for programs, made here.
        store: Where artifacts go.
        namespace: Made if it is not there.
    """
    _place(tools)
    client = platform.client
    with contextlib.suppress(errors.AlreadyExistsError):  # Argo's server has its Service there
        platform.call(client.create(kinds.NAMESPACES, {"metadata": {"name": namespace}}))
    for each in _environments(tools):
        platform.call(client.create(ENVIRONMENTS, each))
    platform.call(client.create(kinds.SECRETS, keys(namespace)))
    platform.call(client.create(kinds.CONFIG_MAPS, _repositories(store, namespace)))


def let(platform: InProcessPlatform, account: str, *, namespace: str) -> None:
    """Let an account change objects, as upstream's set-up lets those of its tests; it is made if missing."""
    who = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    with contextlib.suppress(errors.AlreadyExistsError):
        body = {"metadata": {"name": account, "namespace": namespace}}
        platform.call(platform.client.create(kinds.SERVICE_ACCOUNTS, body))
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    head = {"name": f"edit-{account}", "namespace": namespace}
    binding = {"metadata": head, "subjects": [who], "roleRef": role}
    platform.call(platform.client.create(kinds.ROLE_BINDINGS, binding))


def _place(tools: Path) -> None:
    """Write programs that images have, and this machine has not."""
    tools.mkdir()
    for name, text in _TOOLS.items():
        (tools / name).write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        (tools / name).chmod(0o755)


def _environments(tools: Path) -> list[Object]:
    """Return what images stand for."""
    path = {"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin"}
    say, answer = "/argosay", "/opt/answer/answer.py"
    shells = ["alpine", "alpine:*", "argoproj/argosay:v1", "docker/whalesay*", "node:*"]
    return [
        _environment("shells", shells, env=path),
        _environment(
            "argosay", ["argoproj/argosay:v2"], files={say: _SAY}, entrypoint=[say], env=path
        ),
        *(
            _environment(
                name,
                [f"{name}:*"],
                files={answer: _ANSWER},
                entrypoint=["python3", answer, port],
            )
            for name, port in (("nginx", "80"), ("influxdb", "8086"))
        ),
    ]


def _environment(name: str, images: list[str], **more: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"images": images, **more}}


def _repositories(store: ObjectStore, namespace: str) -> Object:
    """Return the artifact repositories that examples and tests name."""
    key = {"name": "my-s3-credentials"}
    repository = {
        "s3": {
            "bucket": object_stores.BUCKET,
            "endpoint": store.url.removeprefix("http://"),
            "insecure": True,
            "accessKeySecret": {**key, "key": "accesskey"},
            "secretKeySecret": {**key, "key": "secretkey"},
        }
    }
    head = {"name": "artifact-repositories", "namespace": namespace}
    return {"metadata": head, "data": {"my-key": yaml.safe_dump(repository)}}


def keys(namespace: str) -> Object:
    """Return the Secret that repositories name."""
    data = {"accesskey": object_stores.ACCESS_KEY, "secretkey": object_stores.SECRET_KEY}
    return {"metadata": {"name": "my-s3-credentials", "namespace": namespace}, "stringData": data}
