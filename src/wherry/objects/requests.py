"""What is asked of the API, before anyone decides how it travels.

A `Request` is built by the client, and either sent over HTTP or handed to the embedded API in
the same process. Options carry the names of Kubernetes' query parameters.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from wherry.objects.resources import Resource

Object = dict[str, Any]
"""A Kubernetes object as JSON has it: `apiVersion`, `kind`, `metadata`, and what the kind brings."""

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the Kubernetes API.

    Attributes:
        verb: What is to be done.
        resource: To which resource.
        namespace: Namespace, or None for all namespaces and for cluster-scoped resources.
        name: Name of the object; None for list, watch, create and deletecollection.
        subresource: ``status``, ``scale``, ``log`` … or None.
        body: The object, the patch (a dict, or a list for JSON patch), or delete options.
        content_type: Media type of a patch; ignored otherwise.
        options: Query parameters by their Kubernetes names (``labelSelector``, ``fieldManager`` …).
    """

    verb: Verb
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    body: Any = None
    content_type: str = MERGE_PATCH
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. For ``ERROR`` the object is a `Status`."""

    type: EventType
    object: Object


class Transport(Protocol):
    """How requests reach an API server.

    Implementations are safe to use from many tasks of one event loop at once. Objects that are
    returned belong to the caller, who may change them.
    """

    async def send(self, request: Request) -> Object:
        """Return the answer to anything but a watch.

        Raises:
            ApiError: the server refused; the class tells why.
        """
        ...

    def watch(self, request: Request) -> AsyncIterator[WatchEvent]:
        """Yield events until the server ends the watch; closing the iterator ends it here.

        Raises:
            ApiError: the watch was refused, or its resource version is too old (`GoneError`).
        """
        ...

    def chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Yield an answer that is no object, such as a log, as it comes; closing it ends it here.

        Raises:
            ApiError: the server refused; the class tells why.
        """
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...
