"""What is asked of a list of runs or experiments, and a part of one. Pure.

A page says where it ended by the values of its last row, not by a number of rows: what is created,
changed or deleted in between neither hides another row nor shows one twice. (A row whose value under
the order itself changes in between may be met in both places, or in none.)
"""

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Value = str | int | float
"""Of a key; times are whole milliseconds since 1970 UTC, metrics numbers with a fraction."""
METRIC: Final = "metric:"
"""What the key of a metric begins with."""


class Operation(enum.Enum):
    """How a key's value is compared; texts by their characters' numbers, upper case before lower."""

    EQUALS = enum.auto()
    NOT_EQUALS = enum.auto()
    GREATER_THAN = enum.auto()
    GREATER_THAN_EQUALS = enum.auto()
    LESS_THAN = enum.auto()
    LESS_THAN_EQUALS = enum.auto()
    IN = enum.auto()
    IS_SUBSTRING = enum.auto()


@dataclass(frozen=True, slots=True)
class Key:
    """By what is listed.

    Attributes:
        field: Of the record.
        is_time: Whether its values are times; else they are texts.
        sorts: Whether lists are sorted by it.
        measured: Name of the metric that it is; lists are sorted by it, and not filtered. Empty: none.
        is_exact: Whether `Operation.EQUALS` is all that it is compared by.
    """

    field: str
    is_time: bool = False
    sorts: bool = True
    measured: str = ""
    is_exact: bool = False


class OpenKeys(Mapping[str, Key]):
    """Keys, and besides them those of names that nobody can list ahead, such as metrics and tags."""

    def __init__(self, keys: Mapping[str, Key], more: Callable[[str], Key | None]) -> None:
        """Take the keys that are known.

        Args:
            keys: These.
            more: Returns the key of another name; None: that is none.
        """
        self._keys = keys
        self._more = more

    def __getitem__(self, name: str) -> Key:
        """Return a key."""
        return self._more(name) or self._keys[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys that are known."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return how many keys are known."""
        return len(self._keys)


_METRIC: Final = re.compile(METRIC + r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")


def _measured(name: str) -> Key | None:
    """Return the key of a metric: ``metric:accuracy``."""
    if not _METRIC.fullmatch(name):
        return None
    return Key("measured", measured=name.removeprefix(METRIC))


_COMMON: Final = {
    "display_name": Key("display_name"),
    "name": Key("display_name"),
    "description": Key("description", sorts=False),
    "namespace": Key("namespace"),
    "created_at": Key("created_at", is_time=True),
}
_RUN_KEYS: Final[Mapping[str, Key]] = {
    "run_id": Key("run_id"),
    "id": Key("run_id"),
    **_COMMON,
    "scheduled_at": Key("scheduled_at", is_time=True),
    "finished_at": Key("finished_at", is_time=True),
    "storage_state": Key("storage_state"),
    "state": Key("state"),
    "status": Key("state"),
    "experiment_id": Key("experiment_id"),
    "recurring_run_id": Key("recurring_run_id"),
    "pipeline_id": Key("pipeline_id"),
    "pipeline_version_id": Key("pipeline_version_id"),
}
RUN_KEYS: Final = OpenKeys(_RUN_KEYS, _measured)
"""What runs are filtered and sorted by, as clients call it."""
EXPERIMENT_KEYS: Final[Mapping[str, Key]] = {
    "experiment_id": Key("experiment_id"),
    "id": Key("experiment_id"),
    **_COMMON,
    "last_run_created_at": Key("last_run_created_at", is_time=True),
    "storage_state": Key("storage_state"),
}
"""Likewise for experiments."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What has to hold of a row.

    Attributes:
        key: Of `RUN_KEYS` or `EXPERIMENT_KEYS`.
        operation: How it is compared.
        value: With what: of `Operation.IN` several, else one; of `Operation.IS_SUBSTRING` a text.
    """

    key: str
    operation: Operation
    value: Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted; rows of the same value by age.

    Attributes:
        key: Of `RUN_KEYS` or `EXPERIMENT_KEYS`.
        descending: The largest first, and of the same the newest first.
    """

    key: str = "created_at"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page has ended.

    Attributes:
        value: Of the key that the list is sorted by, in the last row.
        row: Its number in the database.
    """

    value: Value
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows to list.

    Attributes:
        namespaces: Whose; None: everybody's. Whoever asks has seen to it that these may be seen.
        where: What has to hold, all of it.
        order: How they are sorted.
        limit: How many at most.
        after: Where the page before has ended; None: the first one is wanted.
    """

    namespaces: tuple[str, ...] | None
    where: tuple[Predicate, ...] = ()
    order: Order = field(default_factory=Order)
    limit: int = 20
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: In it.
        after: Where it ends; None: there is nothing after it.
        total: How many rows there are in all pages together, at this moment.
    """

    items: tuple[T, ...]
    after: Cursor | None
    total: int
