"""How much the store keeps, and where its bounds lie."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Bounds of one store. Changing them takes effect when the store is opened next."""

    history_changes: int = 10_000
    """Changes kept for watches that reconnect and lists at an older revision; count.

    The default covers some minutes of a busy laptop. 0 keeps none: every reconnect lists again.
    """

    history_bytes: int = 32 * MIB
    """Bytes of object text kept in the history, whatever the count; bytes.

    The history lives in memory, so that this bounds what large objects can cost.
    """

    compaction_rows: int = 256
    """Superseded rows deleted from the file in one go; rows.

    Writers wait while it runs (a few milliseconds at the default). Fewer rows than this stay in
    the file until more have gathered.
    """

    spare_bytes: int = 4 * MIB
    """Free space left in the file for coming writes; bytes.

    What is free beyond it goes back to the file system, a little after every compaction.
    """

    checkpoint_pages: int = 1_000
    """Pages (4 KiB) written to the log before they are copied into the main file; pages.

    SQLite's own default. More makes copies rarer and the recovery after a crash longer.
    """

    max_file_bytes: int = 8 * 1024 * MIB
    """Size beyond which the file does not grow; bytes. Writes then fail, reads go on.

    The default is the largest that etcd recommends for its own file.
    """

    max_value_bytes: int = 4 * MIB
    """Largest single object as JSON; bytes.

    Above the API's 3 MiB limit of a request body, as the server adds fields of its own.
    """

    watch_buffer_changes: int = 4_096
    """Changes that may wait for one slow watcher before it is cut off; count."""

    watch_buffer_bytes: int = 16 * MIB
    """Bytes of object text that may wait for one slow watcher before it is cut off; bytes."""

    def __post_init__(self) -> None:
        """Refuse bounds that cannot work.

        Raises:
            ValueError: a field is negative, or zero where at least one is needed.
        """
        for name in self.__slots__:
            least = 0 if name in {"history_changes", "history_bytes", "spare_bytes"} else 1
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"StoreSettings.{name} is {value}; it must be at least {least}")
