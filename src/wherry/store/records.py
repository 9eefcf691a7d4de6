"""What is stored, and how it is handed out.

An object is kept as the JSON text that goes to clients, serialised once per change. Readers and
watchers share that text; whoever needs the object parses a copy of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from wherry.objects import requests

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Key(NamedTuple):
    """The place of an object.

    Attributes:
        resource: `Resource.key`, e.g. ``deployments.apps``.
        namespace: Namespace, empty for cluster-scoped objects.
        name: Name.
    """

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource} {place}"


class Record:
    """One object at one revision. Shared, and never changed.

    Attributes:
        key: Where it is stored.
        revision: The revision that wrote it; `metadata.resourceVersion` in ``raw``.
        raw: The complete object as JSON.
    """

    __slots__ = ("_labels", "_uid", "key", "raw", "revision")

    def __init__(self, key: Key, revision: int, raw: bytes) -> None:
        self.key = key
        self.revision = revision
        self.raw = raw
        self._labels: Mapping[str, str] | None = None
        self._uid = ""

    def __repr__(self) -> str:
        return f"Record({self.key}, revision={self.revision}, {len(self.raw)} bytes)"

    @property
    def labels(self) -> Mapping[str, str]:
        """The object's labels. Not to be changed."""
        return self._labels if self._labels is not None else self._describe(self.value())

    @property
    def uid(self) -> str:
        """The object's `metadata.uid`, empty where it has none."""
        if self._labels is None:
            self._describe(self.value())
        return self._uid

    def value(self) -> requests.Object:
        """Parse the object. Every call parses afresh, so that the caller owns the result."""
        value: requests.Object = orjson.loads(self.raw)
        return value

    def _describe(self, value: requests.Object) -> Mapping[str, str]:
        metadata = _metadata(value)
        labels = metadata.get("labels")
        self._uid = str(metadata.get("uid") or "")
        self._labels = dict(labels) if isinstance(labels, dict) and labels else _NO_LABELS
        return self._labels


class Change(NamedTuple):
    """One committed write.

    Attributes:
        type: What happened to the object.
        revision: The revision of the write.
        record: The state after it; for ``DELETED`` the final state, carrying this revision.
        previous: The state before it; None for ``ADDED``.
    """

    type: ChangeType
    revision: int
    record: Record
    previous: Record | None


class Snapshot(NamedTuple):
    """All objects of a resource, or of one namespace of it, at one moment.

    Attributes:
        revision: The moment.
        records: Sorted by namespace and name. Shared: not to be changed.
    """

    revision: int
    records: Sequence[Record]


_NO_LABELS: Mapping[str, str] = {}


def record_of(key: Key, revision: int, value: requests.Object) -> Record:
    """Serialise a value as it stands at ``revision``; the value itself is left alone.

    Raises:
        TypeError: the value cannot be written as JSON.
        UnicodeEncodeError: the key cannot be written as UTF-8.
    """
    "".join(key).encode()  # found here, it fails one write; on the way to disk, all of a commit
    # orjson writes into a buffer of twice the size, and what is cut off stays lost between records.
    # A copy has the right size from the start.
    record = Record(key, revision, bytes(memoryview(_serialise(value, revision))))
    record._describe(value)  # noqa: SLF001 - saves the parse that a reader would need
    return record


def same_content(record: Record, other: Record, value: requests.Object) -> bool:
    """Return whether two records of an object say the same, apart from the resource version.

    Args:
        record: One of them.
        other: The other.
        value: What ``other`` was made of.
    """
    # Another order of the keys has the same length; only then is it worth looking at the text.
    if _plain_length(record) != _plain_length(other):
        return False
    raw = _serialise(value, record.revision)
    return raw == record.raw or _sorted_keys(raw) == _sorted_keys(record.raw)


def _plain_length(record: Record) -> int:
    """Return the length of a record but for its revision."""
    return len(record.raw) - len(str(record.revision))


def _serialise(value: requests.Object, revision: int) -> bytes:
    metadata = {**_metadata(value), "resourceVersion": str(revision)}
    return orjson.dumps({**value, "metadata": metadata})


def _metadata(value: requests.Object) -> dict[str, Any]:
    metadata = value.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _sorted_keys(raw: bytes) -> bytes:
    return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
