"""Brings the file's rows back into memory: the state, the kept history, what is superfluous."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from wherry.store import history, schema, settings, state
from wherry.store.records import Change, ChangeType, Key, Record


@dataclass(slots=True)
class Loaded:
    """What a store holds in memory.

    Attributes:
        state: The objects as they are now.
        history: The latest changes.
        revision: The last committed one.
        superseded: Rows of the file that nobody can ask for any more.
    """

    state: state.State
    history: history.History
    revision: int = 0
    superseded: list[int] = field(default_factory=list)


def empty(bounds: settings.StoreSettings, *, compacted: int = 0) -> Loaded:
    """Return what a store without rows holds."""
    kept = history.History(
        max_changes=bounds.history_changes, max_bytes=bounds.history_bytes, floor=compacted
    )
    return Loaded(state.State(), kept, revision=compacted)


def load(rows: Iterable[schema.Row], bounds: settings.StoreSettings, *, compacted: int) -> Loaded:
    """Replay the rows of a file.

    Args:
        rows: Oldest first.
        bounds: How much history to keep.
        compacted: Up to this revision superseded rows may be missing, so that what happened
            before it cannot be told any more.
    """
    loaded = empty(bounds, compacted=compacted)
    for row in rows:
        change = _change(row, loaded.state)
        loaded.state.apply(change)
        loaded.revision = max(loaded.revision, row.revision)
        if row.revision <= compacted:
            loaded.superseded += history.superseded_by(change)
        else:
            loaded.history.append(change)
            loaded.superseded += loaded.history.trim()
    return loaded


def _change(row: schema.Row, before: state.State) -> Change:
    # The same few resources and namespaces stand in thousands of rows.
    key = Key(sys.intern(row.resource), sys.intern(row.namespace), row.name)
    previous = before.get(key)
    kind: ChangeType = "DELETED" if row.deleted else "MODIFIED" if previous else "ADDED"
    return Change(kind, row.revision, Record(key, row.revision, row.value), previous)
