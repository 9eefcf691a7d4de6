"""Pod security: what the ``pod-security.kubernetes.io`` labels of a namespace ask of its pods.

Source: `k8s.io/pod-security-admission` (policy and admission), at its latest version; versions in
labels are shown and otherwise passed over, and ``audit`` has no log to go to.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.apiserver.admission import pod_security_rules as rules
from wherry.apiserver.call import Call
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.store import Key, Store

_LABEL: Final = "pod-security.kubernetes.io/"
_SPECIAL: Final = frozenset({"ephemeralcontainers", "resize"})
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    kinds.PODS.key: (),
    kinds.REPLICATION_CONTROLLERS.key: ("spec", "template"),
    kinds.REPLICA_SETS.key: ("spec", "template"),
    kinds.DEPLOYMENTS.key: ("spec", "template"),
    kinds.STATEFUL_SETS.key: ("spec", "template"),
    kinds.DAEMON_SETS.key: ("spec", "template"),
    kinds.JOBS.key: ("spec", "template"),
    kinds.CRON_JOBS.key: ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind keeps its pod; those above pods are only warned about."""


class PodSecurity:
    """Holds pods to the levels of their namespaces.

    Args:
        store: Where the namespaces are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, call: Call, served: Served, obj: Object, old: Object | None) -> None:
        """Check a pod, or what makes pods, and warn where the namespace asks for it.

        Args:
            call: What is asked; gets the warnings.
            served: What is written: one of `TEMPLATES`.
            obj: What will be stored.
            old: What it replaces.

        Raises:
            ForbiddenError: The pod breaks a rule of the enforced level.
        """
        meta = obj["metadata"]
        namespace = self._store.head(Key(kinds.NAMESPACES.key, "", meta.get("namespace", "")))
        labels = namespace.labels if namespace is not None else {}
        if not any(label.startswith(_LABEL) for label in labels):
            return
        if call.request.subresource not in {None, *_SPECIAL}:
            return
        pod = _pod(served, obj)
        if pod is None or (old is not None and _pod_spec(served, old) == pod.get("spec")):
            return
        if served.resource.key == kinds.PODS.key:
            _, text = _violations(labels, "enforce", pod)
            if text:
                raise errors.forbidden("pods", meta.get("name", ""), f"violates {text}")
        elif _violations(labels, "enforce", pod)[1] and f"{_LABEL}warn" not in labels:
            call.warnings.append(f"would violate {_violations(labels, 'enforce', pod)[1]}")
        level, text = _violations(labels, "warn", pod)
        if text and level:
            call.warnings.append(f"would violate {text}")


def _pod(served: Served, obj: Object) -> Object | None:
    value: Any = obj
    for name in TEMPLATES[served.resource.key]:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _pod_spec(served: Served, obj: Object) -> Any:
    pod = _pod(served, obj)
    return pod.get("spec") if pod else None


def _violations(labels: Mapping[str, str], mode: str, pod: Object) -> tuple[str, str]:
    """Return the level of a mode, and ``PodSecurity "level:version": what is wrong``, if anything."""
    level = labels.get(f"{_LABEL}{mode}", "")
    if level not in rules.LEVELS:
        return "", ""
    version = labels.get(f"{_LABEL}{mode}-version") or "latest"
    found = rules.violations(level, pod)
    return level, f'PodSecurity "{level}:{version}": {", ".join(found)}' if found else ""
