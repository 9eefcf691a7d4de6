"""What the pods and claims of a StatefulSet look like: identity that outlives each pod. Pure.

Source: `pkg/controller/statefulset/stateful_set_utils.go` of Kubernetes.
"""

from wherry.builtin import replicas, revisions
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def start_of(stateful_set: Object) -> int:
    """Return the first ordinal."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))


def ordinals(stateful_set: Object) -> range:
    """Return the ordinals that the set is to have."""
    start = start_of(stateful_set)
    return range(start, start + int(stateful_set["spec"].get("replicas", 1)))


def ordinal_of(stateful_set: Object, pod: Object) -> int:
    """Return a pod's ordinal, -1 where its name is none of the set's."""
    prefix, _, number = metadata.name(pod).rpartition("-")
    ours = prefix == metadata.name(stateful_set) and number.isdecimal()
    return int(number) if ours and str(int(number)) == number else -1


def partition(stateful_set: Object) -> int:
    """Return the first ordinal that gets the new template; beyond all of them with OnDelete."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return start_of(stateful_set) + int(rolling.get("partition") or 0)


def is_rolling(stateful_set: Object) -> bool:
    """Return whether pods are replaced to update them, rather than when somebody deletes them."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def revision_of(pod: Object) -> str:
    """Return the name of the revision that a pod was made from."""
    return metadata.labels(pod).get(revisions.POD_LABEL, "")


def claim_names(stateful_set: Object, ordinal: int) -> dict[str, str]:
    """Return volume name → claim name for one pod."""
    pod = f"{metadata.name(stateful_set)}-{ordinal}"
    return {
        metadata.name(claim): f"{metadata.name(claim)}-{pod}"
        for claim in stateful_set["spec"].get("volumeClaimTemplates") or ()
    }


def pod(stateful_set: Object, revision: Object, ordinal: int) -> Object:
    """Return the pod of an ordinal.

    Args:
        stateful_set: The set.
        revision: Whose template it runs.
        ordinal: Which pod.
    """
    name = f"{metadata.name(stateful_set)}-{ordinal}"
    template = copied(revisions.template_of(revision))
    made = replicas.pod_from_template(stateful_set, template, name)
    labels = made["metadata"].setdefault("labels", {})
    labels[POD_NAME] = name
    labels[POD_INDEX] = str(ordinal)
    labels[revisions.POD_LABEL] = metadata.name(revision)
    made["spec"]["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        made["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = claim_names(stateful_set, ordinal)
    volumes = [one for one in made["spec"].get("volumes") or () if one["name"] not in claims]
    volumes += [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in claims.items()
    ]
    if volumes:
        made["spec"]["volumes"] = volumes
    return made


def claims(stateful_set: Object, ordinal: int) -> list[Object]:
    """Return the claims that the pod of an ordinal needs."""
    namespace = metadata.namespace(stateful_set)
    wanted = claim_names(stateful_set, ordinal)
    selected = stateful_set["spec"]["selector"].get("matchLabels") or {}
    made = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        fields: Object = {"name": wanted[metadata.name(template)], "namespace": namespace}
        fields["labels"] = {**metadata.labels(template), **selected}
        if metadata.annotations(template):
            fields["annotations"] = dict(metadata.annotations(template))
        if _retention(stateful_set, "whenDeleted") == "Delete":
            fields["ownerReferences"] = [metadata.owner_reference(stateful_set, controller=False)]
        made.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": fields,
                "spec": copied(template["spec"]),
            }
        )
    return made


def _retention(stateful_set: Object, when: str) -> str:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(when) or "Retain")


def claim_owners(stateful_set: Object, claim: Object, pod: Object | None) -> list[Object]:
    """Return the owner references that the retention policy gives a claim.

    Args:
        stateful_set: The set.
        claim: A claim of one of its pods.
        pod: That pod where it is about to go because the set shrinks, else None.
    """
    others = [
        one
        for one in metadata.owner_references(claim)
        if one.get("uid") != metadata.uid(stateful_set) and one.get("kind") != "Pod"
    ]
    if pod is not None and _retention(stateful_set, "whenScaled") == "Delete":
        return [*others, metadata.owner_reference(pod, controller=False)]
    if _retention(stateful_set, "whenDeleted") == "Delete":
        return [*others, metadata.owner_reference(stateful_set, controller=False)]
    return others


def is_doomed(claim: Object, pod: Object | None) -> bool:
    """Return whether a claim is going, with the pod that it belonged to when the set shrank."""
    owners = [one for one in metadata.owner_references(claim) if one.get("kind") == "Pod"]
    gone = any(pod is None or one.get("uid") != metadata.uid(pod) for one in owners)
    return metadata.is_deleting(claim) or gone
