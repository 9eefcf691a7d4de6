"""From a JobSet to the objects that should exist for it. Pure."""

from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training.jobset import claims, labels
from wherry.training.jobset.job_set import Child, JobSet

_NAMESPACED_JOB: Final = "alpha.jobset.sigs.k8s.io/namespaced-job"
_NO_SCHEDULE: Final = "alpha.jobset.sigs.k8s.io/no-schedule"


def service(job_set: JobSet) -> Object:
    """Return the headless Service by which the pods find one another."""
    network = job_set.spec.network
    early = network.publish_not_ready_addresses if network is not None else None
    return {
        "apiVersion": core.SERVICES.api_version,
        "kind": core.SERVICES.kind,
        "metadata": {
            "name": job_set.subdomain,
            "namespace": job_set.namespace,
            "ownerReferences": [metadata.owner_reference(job_set.obj)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": labels.selector(job_set),
            "publishNotReadyAddresses": early is not False,
        },
    }


def job(child: Child) -> Object:
    """Return one Job."""
    owner = child.owner
    template = copied(child.replicated.template)
    spec: Object = template.setdefault("spec", {})
    pod: Object = spec.setdefault("template", {})
    placed = labels.placing(child)
    _mark(pod, child, placed)
    pod_spec: Object = pod.setdefault("spec", {})
    if owner.has_names:
        pod_spec["subdomain"] = owner.subdomain
    claims.mount(owner, pod_spec)
    _place(pod_spec, child, placed)
    spec["suspend"] = bool(owner.spec.suspend)
    made: Object = {
        "apiVersion": core.JOBS.api_version,
        "kind": core.JOBS.kind,
        "metadata": dict(template.get("metadata") or {}),
        "spec": spec,
    }
    _mark(made, child, placed)
    made["metadata"] |= {
        "name": child.name,
        "namespace": owner.namespace,
        "ownerReferences": [metadata.owner_reference(owner.obj)],
    }
    return made


def _mark(obj: Object, child: Child, placed: dict[str, str]) -> None:
    own = labels.of_child(child)
    meta: Object = obj.get("metadata") or {}
    meta["labels"] = {**(meta.get("labels") or {}), **own}
    meta["annotations"] = {**(meta.get("annotations") or {}), **own, **placed}
    obj["metadata"] = meta


def _place(pod: Object, child: Child, placed: dict[str, str]) -> None:
    """Let no other Job into the topology domain that this one's pods share.

    Upstream changes pods as they are made, by a webhook; here the Job says it of all its pods: the
    first finds its domain by the rule against others, the rest follow it.
    """
    if labels.EXCLUSIVE not in placed:
        return
    if labels.NODE_SELECTOR in placed:
        where = f"{child.owner.namespace}_{child.name}"
        pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), _NAMESPACED_JOB: where}
        toleration = {"key": _NO_SCHEDULE, "operator": "Exists", "effect": "NoSchedule"}
        pod["tolerations"] = [*(pod.get("tolerations") or ()), toleration]
        return
    affinity: Object = pod.setdefault("affinity", {})
    key = labels.job_key(child.owner.namespace, child.name)
    own = {"key": labels.JOB_KEY, "operator": "In", "values": [key]}
    others: list[dict[str, Any]] = [
        {"key": labels.JOB_KEY, "operator": "Exists"},
        {"key": labels.JOB_KEY, "operator": "NotIn", "values": [key]},
    ]
    topology = placed[labels.EXCLUSIVE]
    _require(affinity, "podAffinity", _term([own], topology))
    _require(affinity, "podAntiAffinity", _term(others, topology))


def _term(expressions: list[dict[str, Any]], topology: str) -> Object:
    return {
        "labelSelector": {"matchExpressions": expressions},
        "topologyKey": topology,
        "namespaceSelector": {},
    }


def _require(affinity: Object, kind: str, term: Object) -> None:
    rules: Object = affinity.setdefault(kind, {})
    rules.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(term)
