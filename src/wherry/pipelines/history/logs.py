"""What steps have said, kept beyond the life of their pods: one log for each attempt.

They are where no step can write: in a folder of the platform's own, or where it has none in the
database. Of a long one the beginning and the end are kept.
"""

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wherry.pipelines.history.store import History

NAME: Final = "executor-logs"
"""What clients call the artifact that a step's log is."""
MOST_HEAD: Final = 1024 * 1024
MOST_TAIL: Final = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Whose log.

    Attributes:
        run_id: Of the run.
        path: Of the step, such as ``root/for-loop-1[3]/train``.
        attempt: Of the step, from 0.
    """

    run_id: str
    path: str
    attempt: int

    @property
    def slot(self) -> str:
        """What there is once of it."""
        return _digest(self.run_id, self.path, str(self.attempt))


class Logs:
    """The logs of ended attempts."""

    def __init__(self, history: History, folder: Path | None) -> None:
        """Take where they are kept.

        Args:
            history: Keeps them where there is no folder.
            folder: Keeps them; its owner's alone.
        """
        self._history = history
        self._folder = folder

    async def keep(self, place: Place, chunks: AsyncIterator[bytes]) -> None:
        """Keep a log in the place of an earlier one; an empty one is not kept.

        Raises:
            DatabaseError: it cannot be kept.
            OSError: likewise.
        """
        content = await bounded(chunks)
        if not content:
            return
        packed = await asyncio.to_thread(zlib.compress, content, 1)
        if self._folder is None:
            await self._history.keep_log(place.slot, place.run_id, packed)
        else:
            await asyncio.to_thread(_write, self._file(self._folder, place), packed)

    async def kept(self, place: Place) -> bytes | None:
        """Return a log; None: none is kept.

        Raises:
            DatabaseError: it cannot be read.
            OSError: likewise.
        """
        if self._folder is None:
            packed = await self._history.log(place.slot)
        else:
            packed = await asyncio.to_thread(_read, self._file(self._folder, place))
        return None if packed is None else await asyncio.to_thread(zlib.decompress, packed)

    async def forget(self, run_id: str) -> None:
        """Delete the logs of a run that are in the folder; the database's go with the deletion's end.

        Raises:
            OSError: they cannot be deleted.
        """
        if self._folder is not None:
            await asyncio.to_thread(_delete, _run_folder(self._folder, run_id))

    @staticmethod
    def _file(folder: Path, place: Place) -> Path:
        return _run_folder(folder, place.run_id) / f"{place.slot}.log.z"


async def bounded(chunks: AsyncIterator[bytes]) -> bytes:
    """Return what was said; of very much the beginning and the end, with what was left out between."""
    head, tail = bytearray(), bytearray()
    left_out = 0
    async for chunk in chunks:
        room = MOST_HEAD - len(head)  # never less than 0
        head += chunk[:room]
        tail += chunk[room:]
        if len(tail) > 2 * MOST_TAIL:
            left_out += len(tail) - MOST_TAIL
            del tail[:-MOST_TAIL]
    if len(tail) > MOST_TAIL:
        left_out += len(tail) - MOST_TAIL
        del tail[:-MOST_TAIL]
    between = f"\n… {left_out} bytes are left out here …\n".encode() if left_out else b""
    return bytes(head) + between + bytes(tail)


def _run_folder(folder: Path, run_id: str) -> Path:
    # Ids are what an annotation says, perhaps.
    return folder / _digest(run_id)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The whole of it is there, or nothing.
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _delete(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
