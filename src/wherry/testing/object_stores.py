"""Servers of object stores on loopback, each a process of the test's own."""

import os
import re
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wherry.testing.waiting import eventually

ACCESS_KEY: Final = "ACCESSKEY1"
SECRET_KEY: Final = "SECRETKEY1"  # noqa: S105 - of servers that live as long as a test
BUCKET: Final = "bucket"
_URL: Final = re.compile(rb"(?:http://|Starting server at )(127\.0\.0\.1:\d+)\D")
_ANY_PORT: Final = "127.0.0.1:0"
_SECONDS: Final = 120


class ObjectStore:
    """A server with a bucket; see `moto`, `rclone` and `gcs`.

    Attributes:
        url: Of it, since `start`.
        keeps: Folder with what it keeps, also beyond its end; None: nothing.
    """

    def __init__(
        self, command: Sequence[str], keeps: Path | None = None, *, makes_bucket: bool = False
    ) -> None:
        """Take how to start it.

        Args:
            command: What serves, and says on which port.
            keeps: Folder with what it keeps.
            makes_bucket: It begins without a bucket, and is asked for one.
        """
        self._command = [*command]
        self._makes_bucket = makes_bucket
        self.keeps = keeps
        self.url = ""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def start(self) -> None:
        """Start it, once more at the same port where it can be told; return when it listens and has its bucket.

        Raises:
            AssertionError: it does not come up.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is killed
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [*map(self._placed, self._command)],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.url = eventually(self._told, _SECONDS, what="the URL of the store")
        if self._makes_bucket:
            made = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")  # noqa: S310 - a server of ours
            urllib.request.urlopen(made, timeout=_SECONDS).close()  # noqa: S310 - likewise

    def kill(self) -> None:
        """End it at once. Idempotent."""
        self._process.kill()
        self._process.wait(_SECONDS)
        self._said.close()

    def _placed(self, word: str) -> str:
        return word.replace(_ANY_PORT, self.url.removeprefix("http://")) if self.url else word

    def _told(self) -> str:
        """Return the URL that it has said; empty: it has not."""
        self._said.seek(0)
        text = self._said.read()
        assert self._process.poll() is None, text
        found = _URL.search(text)
        return f"http://{found[1].decode()}" if found else ""


def moto(environment: Path) -> ObjectStore:
    """Return a server that keeps to S3's semantics, checks no keys, and keeps everything in memory.

    Args:
        environment: Python environment that has it.
    """
    command = [str(environment / "bin" / "moto_server"), "-H127.0.0.1", "-p0"]
    return ObjectStore(command, makes_bucket=True)


def rclone(environment: Path, folder: Path) -> ObjectStore:
    """Return a server that checks keys, and keeps everything in files.

    Args:
        environment: Python environment that has it.
        folder: For the files; made with a bucket.
    """
    (folder / BUCKET).mkdir(parents=True)
    command = [str(environment / "bin" / "rclone"), "serve", "s3", f"--addr={_ANY_PORT}"]
    keys = f"--auth-key={ACCESS_KEY},{SECRET_KEY}"
    return ObjectStore([*command, "--config=/dev/null", keys, str(folder)], folder)


def gcs(environment: Path) -> ObjectStore:
    """Return a server of Google's storage, which checks nothing and keeps everything in memory.

    Args:
        environment: Python environment that has it.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]  # it does not say which one it has chosen itself
    command = [str(environment / "bin" / "gcp-storage-emulator"), "start", "--host=127.0.0.1"]
    return ObjectStore([*command, f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"])
