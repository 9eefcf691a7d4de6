"""Finds acknowledged writes that a damaged log would lose in silence.

SQLite reads its write-ahead log up to the first frame that is not whole, since a crash may tear the
last transaction. A flipped bit in the middle ends the log just the same, and everything after it is
gone without a word. The two can be told apart: each transaction is on disk before the next begins,
so that a crash leaves at most one transaction's end behind the tear.

Source: "WAL-Mode File Format" of SQLite's documentation (layout of log and index).
"""

import itertools
import struct
from pathlib import Path

from wherry.store.errors import StoreDamagedError

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGICS = (0x377F0682, 0x377F0683)
_INDEX_FRAMES_OFFSET = 16


def path_of(database: Path) -> Path:
    """Return the path of a database's log."""
    return database.with_name(f"{database.name}-wal")


def exists(database: Path) -> bool:
    """Return whether a database has a log with anything in it."""
    log = path_of(database)
    return log.exists() and log.stat().st_size > 0


def check(database: Path) -> None:
    """Compare what SQLite has read of the log with what is there.

    A connection that has begun to read must be open: its index tells how far SQLite came.

    Raises:
        StoreDamagedError: whole transactions lie beyond the place where reading ended.
    """
    log = path_of(database)
    index = database.with_name(f"{database.name}-shm")
    if not log.exists() or not index.exists() or log.stat().st_size <= _HEADER.size:
        return
    with log.open("rb") as file:
        header = _HEADER.unpack(file.read(_HEADER.size))
        if header[0] not in _MAGICS or _header_checksum(header) != header[6:]:
            raise StoreDamagedError(log, "its header is damaged, so that its writes cannot be read")
        with index.open("rb") as index_file:
            index_file.seek(_INDEX_FRAMES_OFFSET)
            frames_read = int(struct.unpack("=I", index_file.read(4))[0])
        page_bytes, salts = header[2], header[4:6]
        ends_beyond = 0
        for frame in itertools.count(frames_read):
            file.seek(_HEADER.size + frame * (_FRAME.size + page_bytes))
            text = file.read(_FRAME.size)
            if len(text) < _FRAME.size:
                break
            _, pages_after_commit, *rest = _FRAME.unpack(text)
            ends_beyond += bool(pages_after_commit and tuple(rest[:2]) == salts)
    if ends_beyond > 1:
        raise StoreDamagedError(
            log,
            f"it breaks off after frame {frames_read}, before {ends_beyond} further transactions",
        )


def _header_checksum(header: tuple[int, ...]) -> tuple[int, int]:
    # The lowest bit of the magic number tells the byte order of the summed words.
    order = ">" if header[0] & 1 else "<"
    words = struct.unpack(f"{order}6I", struct.pack(">6I", *header[:6]))
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
