"""ControllerRevisions: the history of templates that StatefulSets and DaemonSets roll through.

`kubectl rollout history` and `undo` read them: the data of a revision is the patch that brings its
template back. Pure; `history` keeps them. Source: `pkg/controller/history` of Kubernetes.
"""

import hashlib
import json
from collections.abc import Collection

from wherry.objects import metadata, names
from wherry.objects.requests import Object

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
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: value}
    if owner["kind"] == "DaemonSet":
        # Its revisions bear the label of their pods too, so that one selector finds both.
        labels[POD_LABEL] = value
    fields: Object = {
        "name": f"{name[:223]}-{value}",
        "namespace": namespace,
        "labels": labels,
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
