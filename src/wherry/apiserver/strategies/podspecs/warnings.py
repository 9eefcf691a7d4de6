"""What Kubernetes warns about in a pod or template without refusing it.

Source: ``pkg/api/pod/warnings.go``.
"""

from collections.abc import Iterator
from typing import Any

from wherry.objects import quantities

_REMOVED = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_LABELS = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_BYTES = ("memory", "ephemeral-storage")


def of(template: dict[str, Any], path: str = "") -> list[str]:
    """Return the warnings about a pod, or about a template that stands at ``path``.

    Args:
        template: Has ``metadata`` and ``spec``.
        path: Ends with a dot where it is not empty.
    """
    spec = template.get("spec") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    found = [
        f"{path}metadata.annotations[{key}]: {text}"
        for key, text in _ANNOTATIONS.items()
        if key in annotations
    ]
    found += _spec(f"{path}spec", spec)
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            found += _container(f"{path}spec.{kind}[{index}]", container)
    return found


def _spec(path: str, spec: dict[str, Any]) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in _LABELS:
            yield f'{path}.nodeSelector[{key}]: deprecated since v1.14; use "{_LABELS[key]}" instead'
    for index, volume in enumerate(spec.get("volumes") or ()):
        for name in volume.keys() & _REMOVED.keys():
            yield f"{path}.volumes[{index}].{name}: {_REMOVED[name]}"
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    seconds = spec.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds < 0:
        yield f"{path}.terminationGracePeriodSeconds: must be >= 0; a negative value counts as 1"


def _container(path: str, container: dict[str, Any]) -> Iterator[str]:
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        for name in _BYTES:
            amount = (resources.get(part) or {}).get(name)
            if amount is not None and _fractional(amount):
                why = f'fractional byte value "{amount}" is invalid, must be an integer'
                yield f"{path}.resources.{part}[{name}]: {why}"
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        if name in seen and f"$({name})" not in (variable.get("value") or ""):
            hides = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}.env[{index}]: {hides}"
        seen.add(name)


def _fractional(amount: str) -> bool:
    try:
        return quantities.parse(amount) % 1 != 0
    except ValueError:
        return False
