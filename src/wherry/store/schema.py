"""The layout of the file, and the checks it must pass before it is trusted.

Checking and loading go through a connection that can only read, so that a file which turns out to
be damaged, or to belong to something else, stays as it was found.
"""

import contextlib
import os
import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wherry.store import wal
from wherry.store.errors import StoreDamagedError, StoreOpenError

APPLICATION_ID = 0x57485259
"""``WHRY``: what `file` and SQLite's header say the file is."""

VERSION = 1
"""Layout of the tables. A larger one was written by a newer Wherry."""

PAGE_BYTES = 4096

CREATE = (
    "BEGIN IMMEDIATE",
    """CREATE TABLE revisions (
        revision INTEGER PRIMARY KEY,
        resource TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT""",
    "CREATE TABLE marks (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO marks VALUES ('compacted', 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
    "COMMIT",
)


class Row(NamedTuple):
    """One revision as it stands in the file."""

    revision: int
    resource: str
    namespace: str
    name: str
    deleted: int
    checksum: int
    value: bytes


def row_of(revision: int, place: tuple[str, str, str], value: bytes, *, deleted: bool) -> Row:
    """Return the row of one write, with its checksum."""
    return Row(revision, *place, int(deleted), _checksum(revision, place, deleted, value), value)


def is_new(path: Path) -> bool:
    """Return whether there is nothing at ``path`` yet.

    Raises:
        StoreDamagedError: there is no main file, but a log that belonged to one.
    """
    if path.exists() and path.stat().st_size > 0:
        return False
    if wal.exists(path):
        log = wal.path_of(path).name
        raise StoreDamagedError(path, f"it is missing or empty, but its log {log} is there")
    return True


class Reader:
    """A file that has passed the checks, open for reading.

    Attributes:
        compacted: Superseded rows up to this revision may be missing.
        empty: Whether the tables still have to be made.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self.compacted = 0
        self.empty = True

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator["Reader"]:
        """Open and check a file; it is closed at the end of the block.

        Raises:
            StoreDamagedError: it is no store, of a newer layout, or malformed.
            StoreOpenError: it cannot be read.
        """
        try:
            with path.open("rb") as file:
                magic = file.read(16)
        except OSError as error:
            raise StoreOpenError(f"cannot read {path}: {error.strerror}") from error
        if magic != b"SQLite format 3\0":
            raise StoreDamagedError(path, "it is not an SQLite database")
        # Without a log the file is all there is; "immutable" keeps SQLite from making an empty one.
        mode = "mode=ro" if wal.exists(path) else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"file:{urllib.parse.quote(os.fspath(path.absolute()))}?{mode}",
            uri=True,
            isolation_level=None,
        )
        reader = cls(path, connection)
        try:
            with reader._explained():
                reader._check()
                yield reader
        finally:
            connection.close()

    def rows(self) -> Iterator[Row]:
        """Yield all rows, oldest first.

        Raises:
            StoreDamagedError: a row does not have its checksum.
        """
        select = f"SELECT {', '.join(Row._fields)} FROM revisions ORDER BY revision"  # noqa: S608 - constants
        with self._explained():
            for values in self._connection.execute(select):
                row = Row(*values)
                if row.checksum != _checksum(row.revision, row[1:4], bool(row.deleted), row.value):
                    place = "/".join(row[1:4])
                    raise StoreDamagedError(
                        self._path, f"revision {row.revision} ({place}) does not have its checksum"
                    )
                yield row

    def _check(self) -> None:
        tables = self._fetch("SELECT count(*) FROM sqlite_schema")
        wal.check(self._path)  # after the first read, which brings SQLite to read the log
        self.empty = not tables
        if self.empty:
            return  # the process that made it was killed before it wrote the tables
        application, version = (
            self._fetch("PRAGMA application_id"),
            self._fetch("PRAGMA user_version"),
        )
        if application != APPLICATION_ID:
            raise StoreDamagedError(
                self._path,
                "it is a database of another program",
                "Choose another data directory, or move the file away.",
            )
        if version != VERSION:
            raise StoreDamagedError(
                self._path,
                f"its layout is version {version}, and this Wherry reads version {VERSION}",
                "Use the version of Wherry that wrote it, or a newer one, or another data directory.",
            )
        problem = self._fetch("PRAGMA quick_check(1)")
        if problem != "ok":
            raise StoreDamagedError(self._path, str(problem).replace("\n", " "))
        self.compacted = int(
            self._fetch("SELECT max(revision) FROM marks WHERE name = 'compacted'") or 0
        )

    def _fetch(self, statement: str) -> int | str | None:
        row = self._connection.execute(statement).fetchone()
        value: int | str | None = row[0] if row else None
        return value

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
            # Text that is no UTF-8 comes as an OperationalError without a code.
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, 0, sqlite3.SQLITE_ERROR}:
                raise StoreDamagedError(self._path, str(error)) from error
            raise StoreOpenError(f"cannot read {self._path}: {error}") from error


def _checksum(revision: int, place: tuple[str, ...], deleted: bool, value: bytes) -> int:  # noqa: FBT001 - private
    head = "\0".join((str(revision), *place, str(int(deleted)), ""))
    return zlib.crc32(value, zlib.crc32(head.encode()))
