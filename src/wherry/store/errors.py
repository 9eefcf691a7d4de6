"""What can go wrong in the store, by what the caller can do about it.

The messages of the first group are for people: they name the file and the mend. Those of the second
group are mapped by the API server to its own answers.
"""

from pathlib import Path

from wherry.store.records import Key


class StoreError(Exception):
    """Base of everything the store raises on purpose."""


class StoreOpenError(StoreError):
    """The store cannot be opened here: permissions, a full disk, a path that is no directory."""


class StoreLockedError(StoreOpenError):
    """Another process has the directory open.

    Attributes:
        directory: The directory.
        pid: The process that holds it, or None where that cannot be read.
    """

    def __init__(self, directory: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        stop = f"`wherry down` or `kill {pid}`" if pid else "`wherry down`"
        super().__init__(
            f"{directory} is in use by {holder}. Stop it with {stop}, or use another data directory."
        )
        self.directory = directory
        self.pid = pid


class StoreDamagedError(StoreOpenError):
    """The file cannot be trusted. It has not been changed.

    Attributes:
        path: The file.
        problem: What is wrong with it.
    """

    def __init__(self, path: Path, problem: str, mend: str = "") -> None:
        mend = mend or (
            f"Restore {path.parent} from a backup, or move it away to start with an empty store "
            f"(`mv {path.parent} {path.parent}.damaged`); "
            f"`sqlite3 {path} .recover` prints what can still be read."
        )
        super().__init__(f"{path} is damaged: {problem}. Nothing in it has been changed. {mend}")
        self.path = path
        self.problem = problem


class StoreWriteError(StoreError):
    """The write is not on disk and not in the store. Trying again later is safe."""


class StoreClosedError(StoreError):
    """The store has not been started, or has been closed."""


class InvalidValueError(StoreError, ValueError):
    """The value is not JSON, or larger than the store accepts."""


class KeyExistsError(StoreError):
    """Something is stored under this key.

    Attributes:
        key: The key.
    """

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key} exists already")
        self.key = key


class KeyMissingError(StoreError):
    """Nothing is stored under this key.

    Attributes:
        key: The key.
    """

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key} does not exist")
        self.key = key


class RevisionConflictError(StoreError):
    """The object has changed since the caller read it.

    Attributes:
        key: The key.
        expected: The revision that the caller built on.
        actual: The revision that stands.
    """

    def __init__(self, key: Key, expected: int, actual: int) -> None:
        super().__init__(f"{key} is at revision {actual}, not at {expected}")
        self.key = key
        self.expected = expected
        self.actual = actual


class CompactedError(StoreError):
    """The revision is older than the kept history: list again.

    Attributes:
        revision: What was asked for.
        oldest: The oldest revision that can still be asked for.
    """

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(
            f"revision {revision} has been compacted; the oldest that can be read is {oldest}"
        )
        self.revision = revision
        self.oldest = oldest


class OverrunError(CompactedError):
    """The watcher read too slowly and has lost changes: list again."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(revision, oldest)
        self.args = (f"the watcher fell behind and was cut off after revision {revision}",)


class FutureRevisionError(StoreError):
    """The revision has not been reached yet.

    Attributes:
        revision: What was asked for.
        current: The last committed revision.
    """

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is larger than the current one, {current}")
        self.revision = revision
        self.current = current
