"""What SDKs give back for an object that runs to an end: it can be followed, awaited and found again."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Generic, Protocol, Self, TypeVar

from wherry.client import clusters
from wherry.client.clusters import Api, Cluster
from wherry.client.connections import Connection
from wherry.client.progress_lines import ProgressLine
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_POLL_SECONDS: Final = (0.05, 1.0)
_SLOWER: Final = 1.3


class Advance(Protocol):
    """How far an object is; as text, one line for people."""

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""


A = TypeVar("A", bound=Advance)


class Handle(ABC, Generic[A]):
    """One object of a cluster. Holds no connection open; safe for threads.

    Attributes:
        resource: Of what it is one.
        noun: What messages call it, such as ``search``.
        lost: What is raised where there is no such object, or no longer.
        name: Its name.
    """

    resource: ClassVar[Resource]
    noun: ClassVar[str]
    lost: ClassVar[type[Exception]]

    def __init__(self, cluster: Cluster, name: str) -> None:
        """Name it; nothing is asked of the cluster."""
        self._cluster = cluster
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, namespace={self.namespace!r})"

    @classmethod
    def find(cls, name: str, namespace: str, connection: Connection | Path | str | None) -> Self:
        """Return the handle of an object that there is.

        Args:
            name: Its name.
            namespace: Where; empty: the connection's.
            connection: Which cluster; see `clusters.choose`.

        Raises:
            lost: there is none of that name.
            ConfigurationError: there is no cluster.
        """
        found = cls(clusters.choose(connection, namespace), name)
        try:
            found.manifest  # noqa: B018 - it is asked for
        except errors.NotFoundError as error:
            where = found.namespace
            raise cls.lost(f"there is no {cls.noun} {name!r} in namespace {where!r}") from error
        return found

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self._cluster.namespace

    @property
    def manifest(self) -> Object:
        """The object as it is on the cluster.

        Raises:
            NotFoundError: it has been deleted.
        """
        return self._cluster.call(self._get)

    @property
    def progress(self) -> A:
        """How far it is."""
        return self._progress(self.manifest)

    def wait(self, timeout: float | None = None) -> A:
        """Wait until it has ended, well or badly.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: it goes on.
            lost: it has been deleted.
        """
        return self._until_ended(timeout, lambda _: None)

    @abstractmethod
    def _progress(self, obj: Object) -> A:
        """Return how far an object of the kind is."""

    def _shown(self, timeout: float | None) -> A:
        """Wait as `wait` does, with a line of progress."""
        line = ProgressLine()
        try:
            return self._until_ended(timeout, lambda each: line.show(str(each), last=each.ended))
        finally:
            line.close()

    def _until_ended(self, timeout: float | None, show: Callable[[A], None]) -> A:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = _POLL_SECONDS
        while True:
            try:
                found = self.progress
            except errors.NotFoundError as error:
                raise self.lost(f"{self.noun} {self.name} has been deleted") from error
            show(found)
            if found.ended:
                return found
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.noun} {self.name} goes on after {timeout:g} s: {found}")
            time.sleep(pause)
            pause = min(pause * _SLOWER, longest)

    async def _get(self, api: Api) -> Object:
        return await api.client.get(self.resource, self.name, self.namespace)

    async def _change(self, api: Api, spec: Object) -> None:
        await api.client.patch(self.resource, self.name, {"spec": spec}, self.namespace)

    def delete(self) -> None:
        """Delete it with what it has made in the cluster; what runs is ended."""

        async def delete(api: Api) -> None:
            await api.client.delete(self.resource, self.name, self.namespace)

        self._cluster.call(delete)
