"""The calls that controllers, the SDK and the command line make, whichever way they travel.

`Client` holds no state but its transport: it turns arguments into a `Request` (`calls`), sends it
and hands back plain objects, which belong to the caller.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from wherry.client import calls
from wherry.client.transports import lines
from wherry.objects import kinds, requests
from wherry.objects.requests import Object, WatchEvent
from wherry.objects.resources import Resource


@dataclass(frozen=True, slots=True)
class ObjectList:
    """What a list call found.

    Attributes:
        items: The objects, by namespace and name as the server sorts them; each has its kind and
            apiVersion, which the wire leaves out.
        resource_version: The revision the list shows; a watch that starts here misses nothing.
    """

    items: list[Object]
    resource_version: str

    def __iter__(self) -> Iterator[Object]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Client:
    """Make API calls over one transport; safe for many tasks of one event loop.

    Every call raises `wherry.objects.errors.ApiError` with the class of the server's reason.
    """

    def __init__(self, transport: requests.Transport, *, field_manager: str = "wherry") -> None:
        self.transport = transport
        self.field_manager = field_manager

    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object:
        """Return one object."""
        place = calls.Place(namespace, name, subresource)
        return await self.transport.send(calls.build("get", resource, place))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 500,
    ) -> ObjectList:
        """Return all objects that match, following `continue` from page to page.

        Args:
            resource: What to list.
            namespace: Where; None for all namespaces.
            labels: Label selector, e.g. ``app=web,tier in (a,b)``.
            fields: Field selector, e.g. ``spec.nodeName=n1``.
            limit: Objects a page; 0 asks for all in one answer.

        Raises:
            GoneError: the list took longer than the server keeps its revision; list again.
        """
        items: list[Object] = []
        version = ""
        async for page in self.pages(
            resource, namespace, labels=labels, fields=fields, limit=limit
        ):
            items += page.items
            version = page.resource_version
        return ObjectList(items, version)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 500,
    ) -> AsyncIterator[ObjectList]:
        """Yield all objects that match, page by page: for those of which all at once are too much.

        The arguments are those of `list`.

        Raises:
            GoneError: the list took longer than the server keeps its revision; list again.
        """
        options: dict[str, calls.OptionValue] = {
            "labelSelector": labels,
            "fieldSelector": fields,
            "limit": limit or None,
        }
        while True:
            request = calls.build("list", resource, calls.Place(namespace), options=options)
            page = await self.transport.send(request)
            metadata = page.get("metadata") or {}
            items = _with_kind(page.get("items") or [], resource)
            yield ObjectList(items, str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            options["continue"] = metadata["continue"]

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        bookmarks: bool = True,
        timeout_seconds: int | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes; the iterator ends where the server ends the watch.

        Args:
            resource: What to watch.
            namespace: Where; None for all namespaces.
            labels: Label selector; an object that leaves it is DELETED.
            fields: Field selector; likewise.
            resource_version: Changes after this one; empty begins with the present state as ADDED.
            bookmarks: Whether the server may send BOOKMARK events.
            timeout_seconds: After how long the server ends the watch; None leaves it to the server.

        Raises:
            GoneError: the resource version is older than what the server keeps; list again.
        """
        options: dict[str, calls.OptionValue] = {
            "watch": True,
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": resource_version,
            "allowWatchBookmarks": bookmarks,
            "timeoutSeconds": timeout_seconds,
        }
        request = calls.build("watch", resource, calls.Place(namespace), options=options)
        return self.transport.watch(request)

    async def create(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str | None = None,
        name: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Create an object in the namespace it names.

        Args:
            resource: Of what.
            obj: The object; not changed.
            subresource: Such as ``binding`` or ``eviction``: created below the object ``name``.
            name: The object that a subresource is created below; by default the name in ``obj``.
            dry_run: Check and default, store nothing.

        Raises:
            AlreadyExistsError: an object of that name is there.
        """
        metadata = obj.get("metadata") or {}
        parent = name or metadata.get("name") if subresource else None
        place = calls.Place(metadata.get("namespace"), parent, subresource)
        options = self._write_options(dry_run=dry_run)
        request = calls.build("create", resource, place, body=obj, options=options)
        return await self.transport.send(request)

    async def update(
        self, resource: Resource, obj: Object, *, subresource: str | None = None
    ) -> Object:
        """Replace an object; with a resourceVersion in it only if nobody has changed it since.

        Args:
            resource: Of what.
            obj: The whole object; of ``status`` no more is sent than the server takes.
            subresource: ``status`` …, to replace no more than that.

        Raises:
            ConflictError: the object has changed since it was read.
        """
        place = _place(obj, subresource)
        options = self._write_options()
        body = _status_of(obj) if subresource == "status" else obj
        request = calls.build("update", resource, place, body=body, options=options)
        return await self.transport.send(request)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        content_type: str = requests.MERGE_PATCH,
        subresource: str | None = None,
        force: bool = False,
    ) -> Object:
        """Change parts of an object.

        Args:
            resource: Of what.
            name: Which object.
            patch: A dict, or a list of operations for `requests.JSON_PATCH`.
            namespace: Where.
            content_type: Which kind of patch.
            subresource: ``status``, ``scale`` …
            force: Server-side apply only: take over fields that others manage.

        Raises:
            ConflictError: the patch names a resourceVersion that is not the present one, or an
                applied field belongs to another manager.
        """
        options = self._write_options()
        options["force"] = force and content_type == requests.APPLY_PATCH
        place = calls.Place(namespace, name, subresource)
        request = calls.build(
            "patch", resource, place, body=patch, content_type=content_type, options=options
        )
        return await self.transport.send(request)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Ask for an object's deletion.

        Args:
            resource: Of what.
            name: Which object.
            namespace: Where.
            grace_period_seconds: For pods; 0 at once, None as the pod says.
            propagation_policy: ``Background``, ``Foreground`` or ``Orphan``; None as the kind says.
            uid: Delete only this very object, not a later one of the same name.
            resource_version: Delete only this state of it.

        Returns:
            The object where it goes on for a while (finalizers, grace), else a `Status`.

        Raises:
            ConflictError: ``uid`` or ``resource_version`` does not fit.
        """
        body = calls.delete_options(
            grace_period_seconds=grace_period_seconds,
            propagation_policy=propagation_policy,
            uid=uid,
            resource_version=resource_version,
        )
        request = calls.build("delete", resource, calls.Place(namespace, name), body=body)
        return await self.transport.send(request)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
    ) -> None:
        """Ask for the deletion of all objects that match; see `delete` for the arguments."""
        body = calls.delete_options(
            grace_period_seconds=grace_period_seconds, propagation_policy=propagation_policy
        )
        options: dict[str, calls.OptionValue] = {"labelSelector": labels, "fieldSelector": fields}
        request = calls.build(
            "deletecollection", resource, calls.Place(namespace), body=body, options=options
        )
        await self.transport.send(request)

    def log(
        self,
        pod: str,
        namespace: str,
        *,
        container: str = "",
        follow: bool = False,
        timestamps: bool = False,
        tail: int | None = None,
        stream: str = "",
    ) -> AsyncIterator[bytes]:
        """Yield a container's output in pieces, which end anywhere.

        Args:
            pod: Name of the pod.
            namespace: Where.
            container: Which; empty: the only one.
            follow: Whether to go on until the container has ended.
            timestamps: Whether each line begins with its time, RFC 3339, and a space.
            tail: Only the last so many lines; None: all.
            stream: ``Stdout`` or ``Stderr``; empty: both. Clusters that cannot tell give both.

        Raises:
            BadRequestError: there is nothing to read yet.
            NotFoundError: there is no such pod.
        """
        options: dict[str, calls.OptionValue] = {
            "container": container,
            "follow": follow,
            "timestamps": timestamps,
            "tailLines": tail,
            "stream": stream or None,
        }
        place = calls.Place(namespace, pod, "log")
        return self.transport.chunks(calls.build("get", kinds.PODS, place, options=options))

    async def log_lines(
        self, pod: str, namespace: str, *, container: str = "", follow: bool = False
    ) -> AsyncIterator[str]:
        """Yield a container's output line by line, the last one also where it has no newline.

        Args:
            pod: Name of the pod.
            namespace: Where.
            container: Which; empty: the only one.
            follow: Whether to go on until the container has ended.

        Raises:
            BadRequestError: there is nothing to read yet.
            NotFoundError: there is no such pod.
        """
        chunks = self.log(pod, namespace, container=container, follow=follow)
        async for line in lines.texts(chunks):
            yield line

    async def close(self) -> None:
        """Release the transport's connections. Idempotent."""
        await self.transport.close()

    def _write_options(self, *, dry_run: bool = False) -> dict[str, calls.OptionValue]:
        return {"fieldManager": self.field_manager, "dryRun": "All" if dry_run else None}


def _status_of(obj: Object) -> Object:
    """Return an object without what stays as it is when its status is written: mostly the larger part."""
    metadata = obj.get("metadata") or {}
    kept = {name: value for name, value in metadata.items() if name != "managedFields"}
    sent: Object = {name: obj[name] for name in ("apiVersion", "kind", "status") if name in obj}
    return sent | {"metadata": kept}


def _place(obj: Object, subresource: str | None) -> calls.Place:
    metadata = obj.get("metadata") or {}
    return calls.Place(metadata.get("namespace"), metadata.get("name"), subresource)


def _with_kind(items: list[Object], resource: Resource) -> list[Object]:
    for item in items:
        item.setdefault("kind", resource.kind)
        item.setdefault("apiVersion", resource.api_version)
    return items
