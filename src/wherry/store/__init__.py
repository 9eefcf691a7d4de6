"""Objects and revisions in SQLite: get, list, create, update, delete, watch.

The store knows keys, JSON texts and revisions. What the objects mean, who may touch them and how
they travel is the API server's business.
"""

from wherry.store.errors import (
    CompactedError,
    FutureRevisionError,
    InvalidValueError,
    KeyExistsError,
    KeyMissingError,
    OverrunError,
    RevisionConflictError,
    StoreClosedError,
    StoreDamagedError,
    StoreError,
    StoreLockedError,
    StoreOpenError,
    StoreWriteError,
)
from wherry.store.records import Change, ChangeType, Key, Record, Snapshot
from wherry.store.settings import StoreSettings
from wherry.store.store import Store
from wherry.store.subscriptions import Subscription

__all__ = [
    "Change",
    "ChangeType",
    "CompactedError",
    "FutureRevisionError",
    "InvalidValueError",
    "Key",
    "KeyExistsError",
    "KeyMissingError",
    "OverrunError",
    "Record",
    "RevisionConflictError",
    "Snapshot",
    "Store",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreError",
    "StoreLockedError",
    "StoreOpenError",
    "StoreSettings",
    "StoreWriteError",
    "Subscription",
]
