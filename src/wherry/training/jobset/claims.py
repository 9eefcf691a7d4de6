"""Claims that the Jobs of a JobSet share: which there are, who mounts them. Pure.

Source: kubernetes-sigs/jobset ``pkg/controllers/volume_claim_policy.go``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata, names
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.jobset import kinds, labels
from wherry.training.jobset.job_set import JobSet

_NAME_LENGTH: Final = 63


def claim_name(job_set: str, template: str) -> str:
    """Return the name of a claim."""
    return f"{template}-{job_set}"


def wanted(job_set: JobSet) -> Iterator[Object]:
    """Yield the claims that a JobSet makes."""
    for policy in job_set.spec.volume_claim_policies:
        kept = policy.retention_policy
        for template in policy.templates:
            meta = template.get("metadata") or {}
            fields: Object = {
                "name": claim_name(job_set.name, str(meta.get("name"))),
                "namespace": job_set.namespace,
                "labels": {**(meta.get("labels") or {}), labels.JOB_SET_NAME: job_set.name},
                "annotations": dict(meta.get("annotations") or {}),
            }
            if kept is None or kept.when_deleted == kinds.DELETE:
                fields["ownerReferences"] = [metadata.owner_reference(job_set.obj)]
            yield {
                "apiVersion": core.PERSISTENT_VOLUME_CLAIMS.api_version,
                "kind": core.PERSISTENT_VOLUME_CLAIMS.kind,
                "metadata": fields,
                "spec": copied(template.get("spec") or {}),
            }


def mount(job_set: JobSet, pod: Object) -> None:
    """Give a pod's spec, in place, the volumes of the claims that its containers mount by name."""
    for template in _templates(job_set):
        if name := _mounted(template, pod):
            source = {"claimName": claim_name(job_set.name, name)}
            pod.setdefault("volumes", []).append({"name": name, "persistentVolumeClaim": source})


def _templates(job_set: JobSet) -> Iterator[Mapping[str, Any]]:
    for policy in job_set.spec.volume_claim_policies:
        yield from policy.templates


def _mounted(template: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """Return the name of a claim's template if a container mounts it."""
    name = str((template.get("metadata") or {}).get("name"))
    containers = (*(pod.get("initContainers") or ()), *(pod.get("containers") or ()))
    mounts = (mount for one in containers for mount in one.get("volumeMounts") or ())
    return name if any(mount.get("name") == name for mount in mounts) else ""


def validate(job_set: JobSet) -> Iterator[Cause]:
    """Yield what is wrong with the claims of a JobSet."""
    seen: set[str] = set()
    pods = [
        (((each.template.get("spec") or {}).get("template") or {}).get("spec") or {})
        for each in job_set.spec.replicated_jobs
    ]
    for outer, policy in enumerate(job_set.spec.volume_claim_policies):
        for inner, template in enumerate(policy.templates):
            field = f"spec.volumeClaimPolicies[{outer}].templates[{inner}].metadata"
            meta = template.get("metadata") or {}
            name = str(meta.get("name") or "")
            if name in seen:
                yield Cause(f"{field}.name", f'"{name}": another has it', "FieldValueDuplicate")
            seen.add(name)
            yield from _name(job_set, name, f"{field}.name")
            if meta.get("namespace"):
                message = "the claim is made in the JobSet's namespace"
                yield Cause(f"{field}.namespace", message, "FieldValueForbidden")
            if not any(_mounted(template, pod) for pod in pods):
                message = f'"{name}": no container of a replicated job mounts a volume of this name'
                yield Cause(f"{field}.name", message)
            for pod in pods:
                if any(volume.get("name") == name for volume in pod.get("volumes") or ()):
                    message = f'"{name}": a replicated job has a volume of this name already'
                    yield Cause(f"{field}.name", message)


def _name(job_set: JobSet, name: str, field: str) -> Iterator[Cause]:
    for problem in names.dns_subdomain(name):
        yield Cause(field, f'"{name}": {problem}')
    made = claim_name(job_set.name, name)
    if len(made) > _NAME_LENGTH:
        yield Cause(field, f'"{made}" would have more than {_NAME_LENGTH} characters')
