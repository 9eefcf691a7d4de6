"""What somebody may do, asked of the API: for work that is done in their name with the controllers' rights."""

from collections.abc import Iterable, Mapping
from typing import Any

from wherry.client.client import Client
from wherry.objects import kinds
from wherry.objects.declared.kind import Right
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


def resource_of(definitions: Iterable[Object], right: Right) -> Resource:
    """Return what a right is about; all of its group where no definition says what it is.

    Args:
        definitions: CustomResourceDefinitions.
        right: The right.
    """
    known = kinds.by_kind(right.api_version, right.kind)
    if known is not None:
        return known
    wanted = right.unserved()
    for definition in definitions:
        spec = definition["spec"]
        names = spec["names"]
        if (spec["group"], names["kind"]) == (wanted.group, right.kind):
            return Resource(wanted.group, wanted.version, names["plural"], right.kind)
    return wanted


async def lacking(
    client: Client, maker: Mapping[str, Any], right: Right, resource: Resource
) -> str:
    """Return why somebody may not create something; empty: they may.

    Args:
        client: May create SubjectAccessReviews.
        maker: Who; ``userInfo`` of ``authentication.k8s.io/v1``.
        right: What it is for.
        resource: What would be created.

    Raises:
        ApiError: the API does not answer.
    """
    name = str(maker.get("username") or "")
    if not name:
        return right.lacking("who has made the object is not known")
    asked = {
        "group": resource.group,
        "version": resource.version,
        "resource": resource.plural,
        "verb": "create",
        "namespace": right.namespace,
    }
    subject = {"user": name}
    subject |= {field: maker[field] for field in ("uid", "groups", "extra") if maker.get(field)}
    review = {
        "apiVersion": kinds.SUBJECT_ACCESS_REVIEWS.api_version,
        "kind": kinds.SUBJECT_ACCESS_REVIEWS.kind,
        "spec": {**subject, "resourceAttributes": asked},
    }
    answer = (await client.create(kinds.SUBJECT_ACCESS_REVIEWS, review)).get("status") or {}
    if answer.get("allowed"):
        return ""
    told = f": {answer['reason']}" if answer.get("reason") else ""
    return right.lacking(
        f'User "{name}" cannot create resource "{resource.plural}" in API group '
        f'"{resource.group}" in the namespace "{right.namespace}"{told}'
    )
