"""The SQLite file: commits, compaction, checkpoints. Knows rows, not objects.

Everything here blocks, and runs on the commit thread. As few statements as possible are made per
commit: each gives up the interpreter's lock, and to get it back from a busy event loop may take
milliseconds.

Source: "Write-Ahead Logging" and "PRAGMA Statements" of SQLite's documentation.
"""

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from wherry.store import schema
from wherry.store.errors import StoreOpenError, StoreWriteError
from wherry.store.settings import StoreSettings

_LOG = logging.getLogger(__name__)

_ROWS_PER_STATEMENT = 64
_INSERT = f"INSERT INTO revisions ({', '.join(schema.Row._fields)}) VALUES "  # noqa: S608 - constants
_ROW_MARKS = f"({', '.join('?' * len(schema.Row._fields))})"
_VACUUM_PAGES = 512


class Database:
    """The one connection that writes."""

    def __init__(self, connection: sqlite3.Connection, path: Path, settings: StoreSettings) -> None:
        self._connection = connection
        self._path = path
        self._settings = settings
        self._pages_since_checkpoint = 0
        self._spare_pages = settings.spare_bytes // schema.PAGE_BYTES
        self._damage = ""
        self.has_excess = False

    @classmethod
    def open(cls, path: Path, settings: StoreSettings) -> "Database":
        """Open a file for writing, and make its tables where there are none.

        Raises:
            StoreOpenError: the file cannot be written.
        """
        try:
            if path != Path(":memory:") and not path.exists():
                _make_file(path)
            connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=2 * _ROWS_PER_STATEMENT,
                timeout=0,
            )
            try:
                _configure(connection, settings)
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise StoreOpenError(
                f"cannot write {path}: {error}. The store needs a directory with free space that "
                f"this user can write to; make room, mend its permissions, or choose another"
            ) from error
        return cls(connection, path, settings)

    def commit(self, rows: Sequence[schema.Row]) -> None:
        """Write rows in one transaction, and return when they are on disk.

        Raises:
            StoreWriteError: none of them is in the file.
        """
        if self._damage:
            raise StoreWriteError(self._damage)
        try:
            if len(rows) <= _ROWS_PER_STATEMENT:
                self._insert(rows)  # a statement alone is a transaction of its own
            else:
                self._connection.execute("BEGIN IMMEDIATE")
                for start in range(0, len(rows), _ROWS_PER_STATEMENT):
                    self._insert(rows[start : start + _ROWS_PER_STATEMENT])
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreWriteError(self._explain(error)) from error
        written = sum(len(row.value) for row in rows)
        self._pages_since_checkpoint += 2 + 2 * written // schema.PAGE_BYTES

    @property
    def checkpoint_due(self) -> bool:
        """Whether the log should be copied into the main file."""
        return self._pages_since_checkpoint >= self._settings.checkpoint_pages

    def compact(self, revisions: Iterable[int], floor: int) -> bool:
        """Delete superseded rows, give back free space, and copy the log if that is due.

        Failing costs nothing but the space, so that it is logged and not raised.

        Args:
            revisions: The rows to delete.
            floor: The revision up to which rows may be missing from now on.

        Returns:
            Whether the rows are gone.
        """
        if self._damage:
            return False
        try:
            self._delete(list(revisions), floor)
            self._give_back()
            if self.checkpoint_due:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._pages_since_checkpoint = 0
        except sqlite3.Error as error:
            self._roll_back()
            self.has_excess = False
            self._pages_since_checkpoint = 0  # tried again after as many pages, not at once
            _LOG.warning("compaction is put off: %s", self._explain(error))
            return False
        return True

    def close(self) -> None:
        """Close the file; SQLite copies what is in the log into it."""
        self._connection.close()

    def _insert(self, rows: Sequence[schema.Row]) -> None:
        marks = ", ".join([_ROW_MARKS] * len(rows))
        self._connection.execute(_INSERT + marks, [field for row in rows for field in row])

    def _delete(self, revisions: list[int], floor: int) -> None:
        if not revisions:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            "DELETE FROM revisions WHERE revision IN (SELECT value FROM json_each(?))",
            (json.dumps(revisions),),
        )
        self._connection.execute(
            "UPDATE marks SET revision = max(revision, ?) WHERE name = 'compacted'", (floor,)
        )
        self._connection.execute("COMMIT")
        self._pages_since_checkpoint += 2 * len(revisions)

    def _give_back(self) -> None:
        free = self._free_pages()
        excess = free - self._spare_pages
        if excess <= 0:
            self.has_excess = False
            return
        pages = min(excess, _VACUUM_PAGES)
        self._connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
        self._pages_since_checkpoint += 2 * pages
        # Only as long as it helps: otherwise the thread would never come to rest.
        self.has_excess = self._spare_pages < self._free_pages() < free

    def _free_pages(self) -> int:
        return int(self._connection.execute("PRAGMA freelist_count").fetchone()[0])

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have done it already
                self._connection.execute("ROLLBACK")

    def _explain(self, error: sqlite3.Error) -> str:
        # An error made by the sqlite3 module itself has no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            self._damage = (
                f"{self._path} was damaged while it was in use ({error}); nothing more is written "
                f"to it. Stop Wherry and restore the directory from a backup"
            )
            return self._damage
        if code == sqlite3.SQLITE_FULL:
            return (
                f"cannot write {self._path}: the disk is full, or the file has reached "
                f"StoreSettings.max_file_bytes ({self._settings.max_file_bytes}). Make room on the "
                f"disk or raise the limit; nothing that was acknowledged is lost"
            )
        return (
            f"cannot write {self._path}: {error} ({getattr(error, 'sqlite_errorname', 'unknown')})"
        )


def _make_file(path: Path) -> None:
    # SQLite gives its log the permissions of the main file.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _configure(connection: sqlite3.Connection, settings: StoreSettings) -> None:
    pages = max(1, settings.max_file_bytes // schema.PAGE_BYTES)
    for statement in (
        f"PRAGMA page_size = {schema.PAGE_BYTES}",
        "PRAGMA auto_vacuum = INCREMENTAL",
        # Nobody else may write, and without sharing the log's index needs no file.
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        # Checkpoints are made between commits (see `compact`), never before a reply.
        "PRAGMA wal_autocheckpoint = 0",
        f"PRAGMA journal_size_limit = {4 * settings.checkpoint_pages * schema.PAGE_BYTES}",
        f"PRAGMA max_page_count = {pages}",
        "PRAGMA trusted_schema = OFF",
    ):
        connection.execute(statement).fetchall()
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
        # Copied into the main file, so that it shows whose it is even without its log.
        for statement in (*schema.CREATE, "PRAGMA wal_checkpoint(TRUNCATE)"):
            connection.execute(statement).fetchall()
