"""One platform for a bench: started on a free port in a folder of its own, and its pods' end too."""

import contextlib
import http.client
import json
import os
import select
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import processes

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_KEPT_SECONDS = 10.0
NAMESPACE = "bench"


class ControlPlane:
    """A running `python -m wherry.embedded`; a context manager. Takes variables of its environment.

    Attributes:
        directory: Its state.
        pid: Of the process.
        port: Of the API on 127.0.0.1.
        started: When the process was started, on the clock of `time.monotonic`.
        ready_seconds: From then to its own word that it is ready.
    """

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        self._variables = variables
        self.port = 0
        self.ready_seconds = 0.0
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPSConnection | None = None
        self._asked = 0.0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> "ControlPlane":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        reading, writing = os.pipe()
        arguments = ["--directory", str(self.directory), "--port", "0", "--ready-fd", str(writing)]
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with self.directory.with_suffix(".log").open("ab") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wherry.embedded", *arguments],
                env={**processes.environment(), **self._variables},
                pass_fds=(writing,),
                stdout=log,
                stderr=log,
            )
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            readable, _, _ = select.select([pipe], [], [], _START_SECONDS)
            answer = json.loads(pipe.readline() or b"{}") if readable else {}
        self.ready_seconds = time.monotonic() - self.started
        if "url" not in answer:
            raise RuntimeError(f"the platform did not start: {answer or self._log_tail()}")
        self.port = urllib.parse.urlsplit(answer["url"]).port or 0

    def stop(self) -> None:
        """End the platform and its launcher, which would otherwise wait for the next start."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        launcher = self.launcher_pid()
        if launcher is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(launcher, signal.SIGTERM)

    def launcher_pid(self) -> int | None:
        """Return the launcher that serves this folder; None where there is none."""
        wanted = str(self.directory / "launcher").encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                arguments = entry.read_bytes().split(b"\0")
                if wanted in arguments and any(b"launcher" in part for part in arguments[:4]):
                    return int(entry.parent.name)
        return None

    def call(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        """Make one request and return the decoded answer."""
        answer: dict[str, Any] = json.loads(self.raw(method, path, body, **headers)[1])
        return answer

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Make one request, on a connection that is kept, and return status and body.

        Raises:
            RuntimeError: it was refused; the message has the answer.
        """
        fields = {"Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body)
        idle, self._asked = time.monotonic() - self._asked, time.monotonic()
        if self._connection is not None and idle > _KEPT_SECONDS:
            # The server ends what nobody uses.
            self._connection.close()
            self._connection = None
        if self._connection is None:
            context = admin_context(self.directory / "pki")
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, context=context, timeout=30
            )
        self._connection.request(method, path, data, fields)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:400]!r}")
        return response.status, answer

    def lines(self, path: str, *, seconds: float) -> Iterator[bytes]:
        """Yield the lines of an answer as they come, on a connection of its own.

        Args:
            path: What is asked for, such as a watch.
            seconds: How long it may be silent.

        Raises:
            RuntimeError: it was refused; the message has the answer.
        """
        context = admin_context(self.directory / "pki")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=context, timeout=seconds
        )
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status >= 300:
                raise RuntimeError(f"GET {path}: {response.status} {response.read()[:400]!r}")
            yield from response

    def statuses(self, path: str, name: str, *, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the status of an object as it is, and each time it changes.

        Args:
            path: Of the objects of its kind.
            name: Of the object.
            seconds: For how long at most.

        Raises:
            TimeoutError: they are over.
        """
        chosen = urllib.parse.urlencode({"watch": "1", "fieldSelector": f"metadata.name={name}"})
        started = time.monotonic()
        for line in self.lines(f"{path}?{chosen}", seconds=seconds):
            yield json.loads(line)["object"].get("status", {})
            if time.monotonic() - started > seconds:
                break
        raise TimeoutError(f"{name} did not end in {seconds:.0f} s")

    def make_namespace(self) -> None:
        """Create the namespace of the benches, and wait for what belongs into each namespace."""
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        deadline = time.monotonic() + 10
        while not self.call("GET", path)["items"] and time.monotonic() < deadline:
            time.sleep(0.02)

    def _log_tail(self) -> str:
        return self.directory.with_suffix(".log").read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def fresh() -> Iterator[ControlPlane]:
    """Run a platform in a new folder, with the namespace of the benches, for a `with` block."""
    with (
        tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder,
        ControlPlane(Path(folder) / "platform") as plane,
    ):
        plane.make_namespace()
        yield plane


def admin_context(pki: Path) -> ssl.SSLContext:
    """Return a client's TLS settings from a platform's keys."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return context
