"""From a call's arguments to the `Request` that is sent: pure, so that every sender shares it.

What is checked here is what would otherwise turn one call into another, such as a `get` with an
empty name, which on the wire is a `list`. Everything else is the server's to judge.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from wherry.objects import errors, requests
from wherry.objects.resources import Resource

OptionValue = str | int | bool | None

# Object names may hold more than DNS labels (RBAC names have colons), but never path syntax.
_UNSAFE = re.compile(r"[/%\x00-\x1f\x7f]|^\.{1,2}$")
_NAMED: frozenset[requests.Verb] = frozenset({"get", "update", "patch", "delete"})


class Place(NamedTuple):
    """Where a call goes: the parts of the path after the resource's own."""

    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None


def build(
    verb: requests.Verb,
    resource: Resource,
    place: Place,
    *,
    body: Any = None,
    content_type: str = requests.MERGE_PATCH,
    options: Mapping[str, OptionValue] | None = None,
) -> requests.Request:
    """Return the request for a call.

    Args:
        verb: What is to be done.
        resource: To which resource.
        place: Namespace, name and subresource; the namespace of cluster-scoped resources is dropped.
        body: Object, patch or delete options.
        content_type: Media type of a patch.
        options: Query parameters; those that are None, False or empty are left out.

    Raises:
        BadRequestError: a name or namespace that the verb needs is missing or is not one path segment.
    """
    namespace = place.namespace or None if resource.namespaced else None
    name = place.name or None
    if verb in _NAMED and name is None:
        raise errors.BadRequestError(f"{verb} {resource.key}: metadata.name is required")
    needs_namespace = resource.namespaced and (verb in _NAMED or verb == "create")
    if needs_namespace and namespace is None:
        raise errors.BadRequestError(
            f"{verb} {resource.key} {name or ''}: metadata.namespace is required, "
            f"because {resource.plural} live in namespaces"
        )
    for field, value in (("metadata.namespace", namespace), ("metadata.name", name)):
        if value is not None and _UNSAFE.search(value):
            raise errors.BadRequestError(
                f"{field}: {value!r} may not be '.' or '..' and may not contain '/', '%' or control "
                "characters"
            )
    return requests.Request(
        verb=verb,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=place.subresource,
        body=body,
        content_type=content_type,
        options=query(options or {}),
    )


def query(options: Mapping[str, OptionValue]) -> dict[str, str]:
    """Return options as query parameters: absent ones left out, booleans in lower case."""
    return {
        name: "true" if value is True else str(value)
        for name, value in options.items()
        if value is not None and value is not False and value != ""
    }


def delete_options(
    *,
    grace_period_seconds: int | None = None,
    propagation_policy: str | None = None,
    uid: str | None = None,
    resource_version: str | None = None,
) -> requests.Object | None:
    """Return a `DeleteOptions` body, or None when nothing is asked for."""
    preconditions = _present({"uid": uid, "resourceVersion": resource_version})
    body = _present(
        {
            "gracePeriodSeconds": grace_period_seconds,
            "propagationPolicy": propagation_policy,
            "preconditions": preconditions or None,
        }
    )
    return {"apiVersion": "v1", "kind": "DeleteOptions", **body} if body else None


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
