"""What admission adds to a new pod: its account and token, priority, runtime class, tolerations.

Kubernetes does this in the admission plugins ServiceAccount, Priority, RuntimeClass,
DefaultTolerationSeconds and LimitRanger.

Differs on purpose: where the namespace's ``default`` account does not exist yet, because its
controller has not come round, the pod is taken as if it did; Kubernetes waits a moment for it.
"""

from typing import Any

from wherry.apiserver.strategies import limits
from wherry.apiserver.strategies.podspecs import volume_defaults
from wherry.apiserver.strategy import Context
from wherry.objects import errors, kinds, names
from wherry.objects.requests import Object

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
TOKEN_SECONDS = 3607
"""An hour and a little: what Kubernetes asks for, so that its tokens can be told from others."""

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}

_VOLUME_PREFIX = "kube-api-access-"
_TOLERATED_SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(pod: Object, context: Context) -> None:
    """Complete a new pod in place.

    Raises:
        ForbiddenError: It names a service account, priority class or runtime class that does not exist,
            or a limit range of the namespace does not allow it.
    """
    spec = pod["spec"]
    if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or {}):
        _service_account(pod, spec, context)
    _priority(pod, spec, context)
    _runtime_class(pod, spec, context)
    tolerate(spec)
    limits.admit_pod(pod, context)


def _refuse(pod: Object, why: str) -> errors.ForbiddenError:
    meta = pod["metadata"]
    return errors.forbidden("pods", meta.get("name") or meta.get("generateName") or "", why)


def _service_account(pod: Object, spec: dict[str, Any], context: Context) -> None:
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    namespace = pod["metadata"].get("namespace", "")
    account = context.lookup.get(kinds.SERVICE_ACCOUNTS, name, namespace)
    if account is None:
        if name != "default":
            why = f'serviceaccount "{name}" not found'
            raise _refuse(pod, f"error looking up service account {namespace}/{name}: {why}")
        account = {}
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    automount = spec.get("automountServiceAccountToken")
    if automount is None:
        automount = account.get("automountServiceAccountToken")
    if automount is not False:
        _mount_token(spec)


def _mount_token(spec: dict[str, Any]) -> None:
    volumes = spec.get("volumes") or []
    existing = next((v["name"] for v in volumes if v["name"].startswith(_VOLUME_PREFIX)), None)
    name = existing or names.generate(_VOLUME_PREFIX)
    mounted = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.get("volumeMounts") or []
        if all(mount.get("mountPath") != TOKEN_MOUNT for mount in mounts):
            mount = {"name": name, "readOnly": True, "mountPath": TOKEN_MOUNT}
            container["volumeMounts"] = [*mounts, mount]
            mounted = True
    if mounted and existing is None:
        spec["volumes"] = [*volumes, _token_volume(name)]


def _token_volume(name: str) -> dict[str, Any]:
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    authority = {"key": "ca.crt", "path": "ca.crt"}
    return {
        "name": name,
        "projected": {
            "defaultMode": volume_defaults.FILE_MODE,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [authority]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
            ],
        },
    }


def _priority(pod: Object, spec: dict[str, Any], context: Context) -> None:
    name = spec.get("priorityClassName")
    value, policy = 0, "PreemptLowerPriority"
    chosen = _class(pod, name, context) if name else _default_class(context)
    if chosen is not None:
        value = chosen.get("value", 0)
        policy = chosen.get("preemptionPolicy") or policy
        spec["priorityClassName"] = chosen["metadata"]["name"]
    if spec.get("priority") not in {None, value}:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec;"
            f" priority admission controller computed {value} from the given PriorityClass name"
        )
        raise _refuse(pod, why)
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", policy)


def _runtime_class(pod: Object, spec: dict[str, Any], context: Context) -> None:
    name = spec.get("runtimeClassName")
    found = context.lookup.get(kinds.RUNTIME_CLASSES, name) if name else None
    if name and found is None:
        raise _refuse(pod, f'pod rejected: RuntimeClass "{name}" not found')
    overhead = ((found or {}).get("overhead") or {}).get("podFixed")
    if spec.get("overhead") not in ({}, None, overhead):
        raise _refuse(
            pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        )
    if overhead:
        spec["overhead"] = dict(overhead)
    scheduling = (found or {}).get("scheduling") or {}
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if spec.setdefault("nodeSelector", {}).setdefault(key, value) != value:
            raise _refuse(pod, f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}")
    tolerations = spec.get("tolerations") or []
    added = [one for one in scheduling.get("tolerations") or () if one not in tolerations]
    if added:
        spec["tolerations"] = tolerations + added


def _class(pod: Object, name: str, context: Context) -> Object:
    found = context.lookup.get(kinds.PRIORITY_CLASSES, name)
    if found is None and name in SYSTEM_PRIORITIES:
        return {"metadata": {"name": name}, "value": SYSTEM_PRIORITIES[name]}
    if found is None:
        raise _refuse(pod, f"no PriorityClass with name {name} was found")
    return found


def _default_class(context: Context) -> Object | None:
    found = [c for c in context.lookup.list(kinds.PRIORITY_CLASSES) if c.get("globalDefault")]
    return min(found, key=lambda one: one.get("value", 0), default=None)


def tolerate(spec: dict[str, Any]) -> None:
    """Let a pod stay five minutes on a node that is lost, in place, unless it says otherwise.

    Of new pods and of changed ones: a manifest that does not say so may replace one that was told.
    """
    tolerations = spec.get("tolerations") or []
    added = [
        {
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _TOLERATED_SECONDS,
        }
        for taint in _TAINTS
        if not any(_tolerates(one, taint) for one in tolerations)
    ]
    if added:
        spec["tolerations"] = [*tolerations, *added]


def _tolerates(toleration: dict[str, Any], taint: str) -> bool:
    key = toleration.get("key") or ""
    return key in {taint, ""} and toleration.get("effect") in {None, "", "NoExecute"}
