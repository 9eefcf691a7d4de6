"""A write as webhooks and policies see it."""

import copy
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from wherry.apiserver.identity import User
from wherry.apiserver.resources import Served
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_EXEMPT: Final = frozenset(
    {
        kinds.MUTATING_WEBHOOK_CONFIGURATIONS.key,
        kinds.VALIDATING_WEBHOOK_CONFIGURATIONS.key,
        kinds.MUTATING_ADMISSION_POLICIES.key,
        kinds.MUTATING_ADMISSION_POLICY_BINDINGS.key,
        kinds.VALIDATING_ADMISSION_POLICIES.key,
        kinds.VALIDATING_ADMISSION_POLICY_BINDINGS.key,
    }
)
_OPTIONS: Final = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def is_exempt(resource: Resource) -> bool:
    """Return whether nobody is asked about a resource: or a bad webhook could not be removed."""
    return resource.key in _EXEMPT


@dataclass(frozen=True, slots=True)
class Attributes:
    """One write.

    Attributes:
        operation: ``CREATE``, ``UPDATE``, ``DELETE`` or ``CONNECT``.
        served: What is written, in the version that is written.
        subresource: Empty for the object itself.
        name: Of the object.
        namespace: Empty for cluster-scoped objects.
        user: Who writes.
        dry_run: Nothing will be stored.
        obj: What is to be; None for deletions. Not to be changed.
        old: What is; None for creations. Not to be changed.
        requested: The version the client has asked in, where ``served`` is another one.
        kind: What ``obj`` is, where a subresource has a kind of its own: ``Eviction``, ``PodExecOptions``.
    """

    operation: str
    served: Served
    subresource: str
    name: str
    namespace: str
    user: User
    dry_run: bool
    obj: Object | None
    old: Object | None
    requested: Served | None = None
    kind: kinds.Subresource | None = None

    @property
    def resource_path(self) -> str:
        """The resource as rules name it, e.g. ``pods/status``."""
        plural = self.served.resource.plural
        return f"{plural}/{self.subresource}" if self.subresource else plural

    def in_version(self, served: Served) -> "Attributes":
        """Return the same write in another version of the resource.

        Raises:
            UnconvertedError: As `Served.convert`.
        """
        present = [each for each in (self.obj, self.old) if each is not None]
        converted = iter(self.served.convert(present, served.resource.api_version))
        return replace(
            self,
            served=served,
            requested=self.requested or self.served,
            obj=next(converted) if self.obj is not None else None,
            old=next(converted) if self.old is not None else None,
        )

    def labels(self) -> list[Mapping[str, str]]:
        """Return the labels of the object, and of what it replaces."""
        present = [each for each in (self.obj, self.old) if each is not None]
        return [(each.get("metadata") or {}).get("labels") or {} for each in present]

    def request(self) -> dict[str, Any]:
        """Return the `AdmissionRequest` without the objects."""
        asked = (self.requested or self.served).resource
        request: dict[str, Any] = {
            "uid": str(uuid.uuid4()),
            "kind": _kind(self.kind or self.served.resource),
            "resource": _resource(self.served.resource),
            "requestKind": _kind(self.kind or asked),
            "requestResource": _resource(asked),
            "name": self.name,
            "operation": self.operation,
            "userInfo": _user_info(self.user),
            "dryRun": self.dry_run,
            "options": None,
        }
        if options := _OPTIONS.get(self.operation):
            request["options"] = {"apiVersion": "meta.k8s.io/v1", "kind": options}
        if self.namespace:
            request["namespace"] = self.namespace
        if self.subresource:
            request["subResource"] = request["requestSubResource"] = self.subresource
        if self.dry_run and options:
            request["options"]["dryRun"] = ["All"]
        return request

    def values(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables of CEL expressions."""
        return {"object": self.obj, "oldObject": self.old, "request": request}

    def with_object(self, obj: Object) -> "Attributes":
        """Return the same write of another object, which is copied."""
        return replace(self, obj=copy.deepcopy(obj))


def _kind(resource: Resource | kinds.Subresource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _resource(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def _user_info(user: User) -> dict[str, Any]:
    info: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
