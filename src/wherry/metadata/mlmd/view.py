"""Who looks at the metadata: what they may see, and where what they store goes."""

import math
import time
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection

from wherry.metadata import schema
from wherry.objects import errors

_TABLES: Final = (schema.ARTIFACTS, schema.EXECUTIONS, schema.CONTEXTS, schema.TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The metadata as one caller sees it, in one transaction.

    Attributes:
        at: The transaction.
        namespaces: Those whose nodes the caller may see; None: all.
        home: The namespace of what the caller stores.
        now: In milliseconds since 1970 UTC.
        until: The moment, of `time.monotonic`, at which the call is given up: all others wait for it.
    """

    at: Connection
    namespaces: frozenset[str] | None
    home: str
    now: int
    until: float = math.inf

    def check_time(self) -> None:
        """Give up a call that takes too long.

        Raises:
            ServerTimeoutError: it does.
        """
        if time.monotonic() > self.until:
            raise errors.ServerTimeoutError(
                "the call takes too long; ask for less, by id, type_id, name or uri where there is a filter_query"
            )

    def seen(self, column: Any) -> Any:
        """Return the condition that rows are in namespaces that the caller may see."""
        if self.namespaces is None:
            return sqlalchemy.true()
        return column.in_(sorted(self.namespaces))

    def known(self) -> frozenset[str]:
        """Return the namespaces whose nodes the caller may see, by name."""
        return used(self.at) if self.namespaces is None else self.namespaces

    def check_home(self, what: str, namespace: str) -> None:
        """Refuse to store something elsewhere than at home.

        Raises:
            ForbiddenError: it is in another namespace.
        """
        if namespace != self.home:
            raise errors.ForbiddenError(
                f"{what} is in namespace {namespace!r} and this call stores in {self.home!r}; say "
                f"which with the metadata key kubeflow-namespace"
            )


def used(at: Connection) -> frozenset[str]:
    """Return all namespaces in which there is anything, whoever may see it."""
    return frozenset(
        name
        for table in _TABLES
        for name in at.execute(sqlalchemy.select(table.c.namespace).distinct()).scalars()
    )
