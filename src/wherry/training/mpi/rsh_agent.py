#!/usr/bin/env python3
"""Starts a command in a worker's pod, in place of ssh: `mpirun` calls it as its remote shell.

It goes through the `exec` of the Kubernetes API with the launcher's own service account, and so works
wherever the pods run. This file is read as text into the job's ConfigMap and mounted into launchers: it
needs Python's standard library, 3.9 or later, and nothing of Wherry.

Usage: rsh_agent.py [OPTIONS OF SSH] HOST COMMAND...
"""

import base64
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WAIT_SECONDS = float(os.environ.get("WHERRY_MPI_WAIT_SECONDS", "600"))
# The right to a pod that has just been made may come a moment after it.
REFUSED_SECONDS = 30.0
CONNECT_SECONDS = 30
# Options of ssh that take a value; the others are passed over as they are.
VALUED = frozenset("bcDEeFIiJLlmOopQRSWw")
CLOSE, PING, PONG = 8, 9, 10
STDOUT, STATUS = 1, 3


class AgentError(Exception):
    """What is told to the user in one line."""


def parse(arguments: Sequence[str]) -> tuple[str, str]:
    """Return host and command of a remote shell's arguments."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if len(option) == 2 and option[1] in VALUED and rest:
            rest.pop(0)
    if len(rest) < 2:
        raise AgentError("usage: rsh_agent.py [OPTIONS] HOST COMMAND...")
    return rest[0].rpartition("@")[2], " ".join(rest[1:])


def read_account(name: str) -> str:
    """Return a file of the service account."""
    try:
        return (ACCOUNT / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AgentError(f"the launcher has no service account token: {error}") from error


class Api:
    """The API server, asked one thing at a time."""

    def __init__(self) -> None:
        host = os.environ.get("KUBERNETES_SERVICE_HOST")
        if not host:
            raise AgentError("KUBERNETES_SERVICE_HOST is not set: this is no pod")
        port = int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        self._context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        self._where = (host, port)
        self._pods = f"/api/v1/namespaces/{read_account('namespace')}/pods"

    def _ask(
        self, path: str, headers: dict[str, str]
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        host, port = self._where
        connection = http.client.HTTPSConnection(
            host, port, timeout=CONNECT_SECONDS, context=self._context
        )
        token = read_account("token")
        connection.request(
            "GET", self._pods + path, headers={"Authorization": f"Bearer {token}", **headers}
        )
        return connection, connection.getresponse()

    def _read(self, path: str) -> dict[str, Any] | None:
        """Return what is there; None: nothing."""
        connection, response = self._ask(path, {"Accept": "application/json"})
        told = response.read()
        connection.close()
        if response.status == 404:
            return None
        if response.status != 200:
            raise AgentError(
                f"{self._pods}{path}: {response.status} {told.decode(errors='replace')}"
            )
        found: dict[str, Any] = json.loads(told)
        return found

    def pod(self, host: str) -> dict[str, Any] | None:
        """Return the pod of a host, the latest of several; None: there is none yet."""
        selector = os.environ.get("WHERRY_MPI_SELECTOR")
        if not selector:
            return self._read(f"/{urllib.parse.quote(host)}")
        listed = self._read(f"?{urllib.parse.urlencode({'labelSelector': selector})}") or {}
        found = [pod for pod in listed.get("items") or () if pod["spec"].get("hostname") == host]
        # Times of one length: they sort as texts do.
        return max(found, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    def wait_for(self, host: str) -> str:
        """Wait until the pod of a host runs; return its name."""
        deadline = time.monotonic() + WAIT_SECONDS
        pause = 0.05
        while True:
            pod = self.pod(host)
            phase = "missing" if pod is None else pod["status"].get("phase", "Pending")
            if pod is not None and phase == "Running":
                return str(pod["metadata"]["name"])
            if phase in {"Succeeded", "Failed"}:
                raise AgentError(f"pod of {host} has ended: {phase}")
            if time.monotonic() > deadline:
                raise AgentError(f"pod of {host}: {phase} after {WAIT_SECONDS:g} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    def execute(self, name: str, command: str) -> int:
        """Run a command in a pod, pass on what it writes, and return its exit code."""
        query = [("stdout", "true"), ("stderr", "true")]
        container = os.environ.get("WHERRY_MPI_CONTAINER")
        query += [("container", container)] if container else []
        query += [("command", word) for word in ("/bin/sh", "-c", command)]
        path = f"/{urllib.parse.quote(name)}/exec?{urllib.parse.urlencode(query)}"
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Protocol": "v5.channel.k8s.io, v4.channel.k8s.io",
        }
        deadline = time.monotonic() + REFUSED_SECONDS
        connection, response = self._ask(path, headers)
        while response.status == 403 and time.monotonic() < deadline:
            connection.close()
            time.sleep(0.2)
            connection, response = self._ask(path, headers)
        if response.status != 101:
            told = response.read().decode(errors="replace")
            raise AgentError(f"exec in pod {name}: {response.status} {told}")
        # A command may be silent for as long as it likes.
        connection.sock.settimeout(None)
        return follow(frames(connection.sock, response.fp))


def frames(connection: socket.socket, file: BinaryIO) -> Iterator[bytes]:
    """Yield the messages of a WebSocket; answer pings."""
    message = b""
    while True:
        head = file.read(2)
        if len(head) < 2:
            return
        size = head[1] & 127
        if size == 126:
            (size,) = struct.unpack(">H", file.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", file.read(8))
        payload = file.read(size)
        kind = head[0] & 15
        if kind == CLOSE:
            return
        if kind == PING:
            # A client's frames are masked; a mask of zeros changes nothing.
            connection.sendall(bytes([128 | PONG, 128 | len(payload), 0, 0, 0, 0]) + payload)
        elif kind != PONG:
            message += payload
            if head[0] & 128:
                yield message
                message = b""


def exit_code(status: dict[str, Any]) -> int:
    """Return the exit code that a Status tells."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise AgentError(status.get("message") or "exec failed")


def follow(messages: Iterator[bytes]) -> int:
    """Pass on what the command writes; return its exit code."""
    for message in messages:
        if not message:
            continue
        if message[0] == STATUS:
            return exit_code(json.loads(message[1:]))
        out = sys.stdout if message[0] == STDOUT else sys.stderr
        out.buffer.write(message[1:])
        out.buffer.flush()
    raise AgentError("the connection to the worker ended before the command did")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    host, command = parse(arguments)
    name = host.partition(".")[0]
    if name == socket.gethostname().partition(".")[0]:
        return subprocess.call(["/bin/sh", "-c", command])  # noqa: S603 - what mpirun asks for
    api = Api()
    return api.execute(api.wait_for(name), command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (AgentError, OSError) as error:
        sys.stderr.write(f"rsh_agent: {error}\n")
        sys.exit(255)
