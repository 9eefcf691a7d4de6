"""Starts the process that reads a store or packs a folder, and passes on what it gives."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from typing import Final

import uv

import wherry
from wherry.objects import errors
from wherry.objects.requests import Object

_MODULE: Final = "wherry.pipelines.contents.reader"
_NEEDED: Final = ("fsspec", "pyyaml")
_AT_ONCE: Final = 4
_TURN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 120.0
"""How long it may take until it is known what is there, with what has to be installed for that."""
_PIECE: Final = 256 * 1024
_HIDDEN: Final = ("AWS_", "GOOGLE_", "WHERRY_")
"""What variables begin with that are none of its business."""
_FIXED: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # It would ask Google by gRPC, too, whatever the endpoint, for a feature that nothing here uses.
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}
"""Of its surroundings: no keys but those that it is told."""
_LOG = logging.getLogger("wherry.pipelines.contents")


class Reader:
    """One of them; see `wherry.pipelines.contents.reader`.

    Attributes:
        is_folder: Whether there is a folder, which is packed.
        size: Bytes of a file.
    """

    def __init__(self, process: asyncio.subprocess.Process, turn: asyncio.Semaphore) -> None:
        """Take the process, and what is given back when it has ended."""
        self._process = process
        self._turn: asyncio.Semaphore | None = turn
        self.is_folder = False
        self.size = 0

    async def look(self, asked: Object) -> None:
        """Find out what is there.

        Raises:
            NotFoundError: nothing.
            BadRequestError: it cannot be read.
            ServerTimeoutError: the store does not answer.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                stdin.write(json.dumps(asked).encode() + b"\n")
                await stdin.drain()
                line = await stdout.readline()
        except TimeoutError as error:
            raise errors.ServerTimeoutError(
                f"the artifact's store has not answered within {_LOOK_SECONDS:g} s"
            ) from error
        except ConnectionError:
            line = b""
        if not line:
            raise errors.ServiceUnavailableError(
                "the artifact cannot be read now; the service's log has more"
            )
        told = json.loads(line)
        if "missing" in told:
            raise errors.NotFoundError(f"the artifact's file is gone: {told['missing']}")
        if "failed" in told:
            raise errors.BadRequestError(f"the artifact cannot be read: {told['failed']}")
        self.is_folder, self.size = told["folder"], told["size"]

    async def read(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield bytes; see `wherry.pipelines.contents.content.Reading`.

        Raises:
            ServiceUnavailableError: not all of them came.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        wanted = {"start": start, "length": self.size - start if length is None else length}
        stdin.write(json.dumps(wanted).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await stdin.drain()
        while piece := await stdout.read(_PIECE):
            yield piece
        if await self._process.wait() != 0:
            raise errors.ServiceUnavailableError("the artifact could not be read to its end")

    async def close(self) -> None:
        """End it. Idempotent."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        finally:
            turn.release()


class Readers:
    """Starts them. For one event loop."""

    def __init__(self, code: Path | None) -> None:
        """Take where the code may be put for an environment that is made for it.

        Args:
            code: Folder of ours, for a machine whose own it is; None: what is needed has to be
                installed beside this process.
        """
        self._code = code
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def open(self, asked: Object, packages: Collection[str]) -> Reader:
        """Start one that knows what is there; who takes it closes it.

        Args:
            asked: Its first line.
            packages: That it needs for the store.

        Raises:
            ApiError: it cannot be read.
        """
        command, variables = self._command(packages)
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise errors.TooManyRequestsError(
                f"{_AT_ONCE} artifacts are being read already; try again"
            ) from error
        try:
            process = await _started(command, variables)
        except BaseException:
            self._turns.release()
            raise
        reader = Reader(process, self._turns)
        try:
            await reader.look(asked)
        except BaseException:
            await reader.close()
            raise
        return reader

    def _command(self, packages: Collection[str]) -> tuple[list[str], dict[str, str]]:
        """Return what is run, and variables for it."""
        missing = [each for each in packages if importlib.util.find_spec(each) is None]
        if not missing:
            return [sys.executable, "-m", _MODULE], {}
        if self._code is None:
            raise errors.BadRequestError(
                f"artifacts of this store are not read here: {', '.join(missing)} is not installed"
            )
        named = sorted({*_NEEDED, *packages})
        words = ["run", "--quiet", "--no-project", "--python", sys.executable]
        for each in named:
            words += ["--with", each]
        variables = {"PYTHONPATH": str(_linked(self._code)), "UV_PYTHON_DOWNLOADS": "never"}
        return [uv.find_uv_bin(), *words, "python", "-m", _MODULE], variables


def _linked(folder: Path) -> Path:
    """Return a folder in which there is our package, and nothing of what is installed beside it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link, target = folder / "wherry", Path(wherry.__file__).parent
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return folder


async def _started(command: list[str], variables: dict[str, str]) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**kept, **_FIXED, **variables},
        limit=_PIECE,
        start_new_session=True,
    )
    _LOG.debug("process %d reads an artifact", process.pid)
    return process
