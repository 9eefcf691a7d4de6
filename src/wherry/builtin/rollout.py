"""How a Deployment goes from its old ReplicaSets to the new one: numbers only, pure.

Source: `pkg/controller/deployment` of Kubernetes (rolling.go, recreate.go, sync.go) and its
`util` (fence posts, proportional scaling).
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence

from wherry.objects import metadata, names
from wherry.objects.requests import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_DIGITS = 10
"""Of the largest number of replicas."""


@dataclasses.dataclass(frozen=True)
class Fence:
    """How far a rolling update may go beyond and below the wanted number.

    Attributes:
        surge: Pods that may exist above it.
        unavailable: Pods that may be missing below it.
    """

    surge: int
    unavailable: int


def resolve(amount: int | str | None, total: int, *, up: bool) -> int:
    """Return a number of pods from a number or a percentage such as ``25%``."""
    if amount is None:
        return 0
    if isinstance(amount, int):
        return amount
    share = int(amount.rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


def fence(deployment: Object) -> Fence:
    """Return the bounds of a deployment's rolling update; both zero would never move."""
    wanted = deployment["spec"]["replicas"]
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate")
    if rolling is None:
        return Fence(0, 0)
    surge = resolve(rolling.get("maxSurge"), wanted, up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), wanted, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return Fence(surge, min(unavailable, wanted) if wanted else unavailable)


def template_of(replica_set: Object) -> Object:
    """Return a set's template without the label that tells sets apart."""
    template = replica_set["spec"]["template"]
    fields = dict(template.get("metadata") or {})
    labels = {
        key: value for key, value in (fields.get("labels") or {}).items() if key != HASH_LABEL
    }
    fields.pop("creationTimestamp", None)
    fields.pop("labels", None)
    if labels:
        fields["labels"] = labels
    return {**template, "metadata": fields}


def same_template(replica_set: Object, deployment: Object) -> bool:
    """Return whether a set runs what the deployment wants."""
    return template_of(replica_set) == template_of(deployment)


def template_hash(deployment: Object) -> str:
    """Return the label value that tells this template's set apart, 10 characters."""
    collisions = (deployment.get("status") or {}).get("collisionCount", 0)
    text = json.dumps(template_of(deployment), sort_keys=True) + f"/{collisions}"
    return names.suffix(hashlib.sha256(text.encode()).hexdigest(), 10)


def revision(replica_set: Object) -> int:
    """Return a set's place in the history, 0 where it has none."""
    try:
        return int(metadata.annotations(replica_set).get(REVISION, "0"))
    except ValueError:
        return 0


def count(replica_set: Object) -> int:
    """Return how many pods a set is to have."""
    return int(replica_set["spec"].get("replicas", 0))


def _status(replica_set: Object, field: str) -> int:
    return int((replica_set.get("status") or {}).get(field, 0))


def available(replica_set: Object) -> int:
    """Return how many of a set's pods are available."""
    return _status(replica_set, "availableReplicas")


def is_saturated(deployment: Object, new: Object) -> bool:
    """Return whether the new set has all pods that were wanted of it, and all are available."""
    wanted = deployment["spec"]["replicas"]
    noted = metadata.annotations(new).get(DESIRED) == str(wanted)
    return noted and bool(count(new) == wanted == available(new))


def scale_up_new(deployment: Object, new: Object, others: Sequence[Object]) -> int:
    """Return how many pods the new set may have now in a rolling update."""
    wanted = int(deployment["spec"]["replicas"])
    if count(new) >= wanted:
        return wanted
    room = wanted + fence(deployment).surge - count(new) - sum(map(count, others))
    return count(new) + max(0, min(room, wanted - count(new)))


def scale_down_old(deployment: Object, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """Return the new sizes of the old sets that may shrink now in a rolling update.

    Pods that are not available go first, since nobody misses them; then as many available ones as
    leaves the wanted number less `maxUnavailable`.

    Args:
        deployment: The deployment.
        new: Its new set.
        old: Its old sets.

    Returns:
        Name of the set → pods it is to have; sets that stay as they are are left out.
    """
    minimum = deployment["spec"]["replicas"] - fence(deployment).unavailable
    waiting = count(new) - available(new)
    spare = count(new) + sum(map(count, old)) - minimum - waiting
    sizes = {metadata.name(one): count(one) for one in old}
    oldest_first = sorted(
        old, key=lambda one: (one["metadata"].get("creationTimestamp", ""), metadata.name(one))
    )
    for one in oldest_first:
        unhealthy = min(count(one) - available(one), spare)
        if unhealthy > 0:
            sizes[metadata.name(one)] -= unhealthy
            spare -= unhealthy
    # Statuses may tell of pods that are to go already: never more than the wanted numbers allow.
    surplus = min(available(new) + sum(map(available, old)) - minimum, spare)
    for one in oldest_first:
        gone = min(sizes[metadata.name(one)], surplus)
        if gone > 0:
            sizes[metadata.name(one)] -= gone
            surplus -= gone
    return {name: size for name, size in sizes.items() if size != _size_of(old, name)}


def _size_of(sets: Sequence[Object], name: str) -> int:
    return next(count(one) for one in sets if metadata.name(one) == name)


def proportional(deployment: Object, sets: Sequence[Object]) -> dict[str, int]:
    """Return the sizes of all active sets after the wanted number has changed in a rollout.

    Each grows or shrinks in proportion to its share of what was allowed when its size was set, so that
    a rollout that is under way (or paused, or stuck) keeps its balance, also where only some of the sets
    have got their new size. What rounding leaves goes to the largest, or
    from it, and from the next where it has not enough.

    Returns:
        Name of the set → pods it is to have.
    """
    active = [one for one in sets if count(one) > 0]
    total = sum(map(count, active))
    wanted = int(deployment["spec"]["replicas"])
    allowed = wanted + fence(deployment).surge if wanted else 0
    change = allowed - total
    by_size = sorted(active, key=lambda one: (-count(one), metadata.name(one)))
    sizes: dict[str, int] = {}
    left = change
    for one in by_size:
        share = int(count(one) * allowed / _allowed_then(one, total) + 0.5) - count(one)
        share = max(min(share, left), 0) if change > 0 else min(max(share, left), 0)
        sizes[metadata.name(one)] = count(one) + share
        left -= share
    for name, size in sizes.items():
        rest = max(left, -size)
        sizes[name] = size + rest
        left -= rest
    return sizes


def _allowed_then(one: Object, total: int) -> int:
    """How many pods all sets together might have when the size of this one was set."""
    noted = metadata.annotations(one).get(MAXIMUM, "")
    return (int(noted) if noted.isdecimal() and len(noted) <= _DIGITS else 0) or total


def is_complete(deployment: Object, status: Object) -> bool:
    """Return whether everything runs the new template and is available."""
    wanted = deployment["spec"]["replicas"]
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and deployment["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
    )


def new_replica_set(deployment: Object, number: int, size: int) -> Object:
    """Return the set to create for the deployment's present template.

    Args:
        deployment: The deployment.
        number: Its revision.
        size: How many pods it begins with.
    """
    value = template_hash(deployment)
    template = template_of(deployment)
    labels = {**(template["metadata"].get("labels") or {}), HASH_LABEL: value}
    template["metadata"] = {**template["metadata"], "labels": labels}
    selector = deployment["spec"]["selector"]
    matching = {**(selector.get("matchLabels") or {}), HASH_LABEL: value}
    spec: Object = {
        "replicas": size,
        "selector": {**selector, "matchLabels": matching},
        "template": template,
    }
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    namespace, name = metadata.namespaced_name(deployment)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name}-{value}",
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations(deployment, number),
            "ownerReferences": [metadata.owner_reference(deployment)],
        },
        "spec": spec,
    }


_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
    }
)
_HISTORY_CHARACTERS = 2000


def annotations(deployment: Object, number: int) -> dict[str, str]:
    """Return what the new set is annotated with."""
    wanted = deployment["spec"]["replicas"]
    own = metadata.annotations(deployment).items()
    return {
        **{key: value for key, value in own if key not in _NOT_COPIED},
        REVISION: str(number),
        DESIRED: str(wanted),
        MAXIMUM: str(wanted + fence(deployment).surge),
    }


def history(replica_set: Object, number: int) -> dict[str, str]:
    """Return the note of the revisions that a set has been, where it now becomes another.

    Kubernetes cuts it at the front when it grows long, and so do we.
    """
    before = revision(replica_set)
    if not 0 < before < number:
        return {}
    known = metadata.annotations(replica_set).get(HISTORY, "")
    been = [*filter(None, known.split(",")), str(before)]
    while len(",".join(been)) > _HISTORY_CHARACTERS:
        del been[0]
    return {HISTORY: ",".join(been)}
