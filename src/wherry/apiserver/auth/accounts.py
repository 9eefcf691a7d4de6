"""The objects that tokens depend on, straight from the store."""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from wherry.objects import kinds, metadata
from wherry.store import Key, Record, Store

TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type
_REMEMBERED = 1024
_LEEWAY = timedelta(seconds=60)
"""For how long after its deletion time an object still counts: clocks and kubelets lag."""


class StoredAccounts:
    """Implements `authentication.Accounts` on the committed state."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        """Take the state.

        Args:
            store: Holds the objects.
            now: Current time, aware.
        """
        self._store = store
        self._now = now
        self._found: dict[str, Record] = {}

    def uid_of(self, resource: str, namespace: str, name: str) -> str | None:
        """Return the uid of an object; None where there is none, or it is long being deleted."""
        record = self._store.get(Key(resource, namespace, name))
        return record.uid if record is not None and self._counts(record) else None

    def node_of(self, namespace: str, pod: str) -> str:
        """Return the node a Pod is bound to; empty where it is bound to none."""
        record = self._store.get(Key(kinds.PODS.key, namespace, pod))
        spec = record.value().get("spec") if record is not None else None
        return str((spec or {}).get("nodeName") or "")

    def holds_token(self, namespace: str, secret: str, token: str) -> bool:
        """Return whether a service-account Secret holds exactly this token."""
        record = self._store.get(Key(kinds.SECRETS.key, namespace, secret))
        if record is None or not self._counts(record):
            return False
        # A record is replaced when its object changes: this very one has been looked at before.
        if self._found.get(token) is record:
            return True
        value = record.value()
        held = str((value.get("data") or {}).get("token", ""))
        same = hmac.compare_digest(held.encode(), base64.b64encode(token.encode()))
        if value.get("type") != TOKEN_SECRET or not same:
            return False
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[token] = record
        return True

    def _counts(self, record: Record) -> bool:
        # Most objects are not being deleted: only those that may be are worth parsing.
        if b'"deletionTimestamp"' not in record.raw:
            return True
        deleted = record.value()["metadata"].get("deletionTimestamp")
        return deleted is None or self._now() < metadata.parse_time(deleted) + _LEEWAY
