"""ControllerRevisions: the history of templates that StatefulSets and DaemonSets roll through.

`kubectl rollout history` and `undo` read them: the data of a revision is the patch that brings its
template back. Source: `pkg/controller/history` of Kubernetes.
"""

import hashlib
import json
from collections.abc import Collection
from typing import NamedTuple

from wherry.builtin.adoption import Claimant
from wherry.controller.apply import delete_if_present
from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.objects import kinds, metadata, names, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

HASH_LABEL = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"


def data_of(template: Object) -> Object:
    """Return the strategic merge patch that sets a template as a whole."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Object) -> Object:
    """Return the template that a revision keeps."""
    template = revision["data"]["spec"]["template"]
    return {key: value for key, value in template.items() if key != "$patch"}


def hash_of(revision: Object) -> str:
    """Return what tells the revision apart from others of its owner."""
    return metadata.labels(revision).get(HASH_LABEL, "")


def new_revision(owner: Object, number: int) -> Object:
    """Return the revision to create for an owner's present template."""
    template = owner["spec"]["template"]
    data = data_of(template)
    text = json.dumps(data, sort_keys=True)
    value = names.suffix(hashlib.sha256(text.encode()).hexdigest(), 10)
    namespace, name = metadata.namespaced_name(owner)
    fields: Object = {
        "name": f"{name[:223]}-{value}",
        "namespace": namespace,
        "labels": {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: value},
        "ownerReferences": [metadata.owner_reference(owner)],
    }
    if metadata.annotations(owner):
        fields["annotations"] = dict(metadata.annotations(owner))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": fields,
        "data": data,
        "revision": number,
    }


def surplus(
    revisions: Collection[Object], live: Collection[str], limit: int | None
) -> list[Object]:
    """Return the revisions beyond the history limit, oldest first.

    Args:
        revisions: All of an owner, oldest first.
        live: Names of those in use, which do not count.
        limit: `revisionHistoryLimit`; None keeps 10.
    """
    idle = [one for one in revisions if metadata.name(one) not in live]
    kept = 10 if limit is None else limit
    return idle[: max(0, len(idle) - kept)]


class Past(NamedTuple):
    """An owner's history.

    Attributes:
        update: The revision of the present template.
        revisions: All, oldest first.
    """

    update: Object
    revisions: list[Object]


class History:
    """Keeps the revisions of one kind of owners."""

    def __init__(self, manager: Manager, owners: Resource) -> None:
        self._client = manager.client
        self._revisions: Cache = manager.cache(kinds.CONTROLLER_REVISIONS)
        self._claimant = Claimant(manager.client, owners, self._revisions)

    async def sync(self, owner: Object) -> Past:
        """Return the owner's history, having recorded its present template as the newest.

        Raises:
            AlreadyExistsError: the cache was behind; reconcile again.
        """
        selector = selectors.from_object(owner["spec"]["selector"])
        found = sorted(await self._claimant.claim(owner, selector), key=_place)
        newest = found[-1]["revision"] if found else 0
        wanted = data_of(owner["spec"]["template"])
        equal = next((one for one in reversed(found) if one["data"] == wanted), None)
        if equal is None:
            made = new_revision(owner, newest + 1)
            equal = await self._client.create(kinds.CONTROLLER_REVISIONS, made)
            return Past(equal, [*found, equal])
        if equal["revision"] < newest:
            # A rollback makes an old template the newest.
            namespace, name = metadata.namespaced_name(equal)
            patch = {
                "metadata": {"resourceVersion": equal["metadata"]["resourceVersion"]},
                "revision": newest + 1,
            }
            found = [one for one in found if one is not equal]
            equal = await self._client.patch(kinds.CONTROLLER_REVISIONS, name, patch, namespace)
            found.append(equal)
        return Past(equal, found)

    async def prune(self, owner: Object, past: Past, live: Collection[str]) -> None:
        """Delete revisions beyond the owner's history limit that no pod needs."""
        limit = owner["spec"].get("revisionHistoryLimit")
        for one in surplus(past.revisions, live, limit):
            await delete_if_present(self._client, kinds.CONTROLLER_REVISIONS, one)


def _place(revision: Object) -> tuple[int, str, str]:
    return (
        revision["revision"],
        revision["metadata"].get("creationTimestamp", ""),
        metadata.name(revision),
    )
