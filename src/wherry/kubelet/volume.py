"""What a volume source is: it turns a pod's `volumes[]` entry into a path that can be mounted.

Implementations are in `volumes/`, one file each. `prepare` is called again whenever something
that the volume shows may have changed; it must be idempotent and quick when nothing has.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wherry.kubelet import fields, layout
from wherry.kubelet.tokens import Tokens
from wherry.objects.requests import Object


class NotReadyError(Exception):
    """The volume cannot be mounted (yet); the message is what the FailedMount event says."""


@dataclass(frozen=True, slots=True)
class Context:
    """What sources may use.

    Attributes:
        pod: The pod. Not to be changed.
        layout: The pod's folders.
        around: Addresses and node, for downward API files.
        lookup: Finds the pod's ConfigMaps and Secrets by kind and name.
        claim: Finds the volume bound to a PersistentVolumeClaim, by its name and the uid of the pod that must
            own it (empty: no matter who); raises `NotReadyError`.
        tokens: Service account tokens.
    """

    pod: Object
    layout: layout.PodLayout
    around: fields.Surroundings
    lookup: Callable[[str, str], Awaitable[Object | None]]
    claim: Callable[[str, str], Awaitable[Object]]
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Prepared:
    """A volume that can be mounted.

    Attributes:
        path: A folder, or for some hostPath types a file.
        read_only: Whether every mount of it is read-only.
        refresh_at: When to prepare it again, seconds since the epoch; None: only upon a change.
    """

    path: Path
    read_only: bool = False
    refresh_at: float | None = None


class VolumeSource(Protocol):
    """One kind of volume."""

    name: str
    """The field of `volumes[]` that selects it, e.g. ``configMap``."""

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Make the volume's content what it should be now.

        Args:
            volume: The entry of `volumes[]`.
            context: The pod and its surroundings.

        Raises:
            NotReadyError: something that it needs is missing or wrong.
        """
        ...
