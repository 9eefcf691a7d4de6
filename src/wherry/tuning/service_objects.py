"""From a Suggestion and the services that it needs to the objects that run them. Pure.

Names, labels, ports and probes are Katib's.

Source: kubeflow/katib 0.19, ``pkg/controller.v1beta1/suggestion/composer``, ``util/suggestion.go``.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import kinds
from wherry.tuning.services import Service, Services

PORT: Final = 6789
STOPPER_PORT: Final = 6788
_PORTS: Final = (("katib-api", PORT), ("earlystop-api", STOPPER_PORT))
_VOLUME: Final = "suggestion-volume"
_HEALTH: Final = "manager.v1beta1.Suggestion"


def name(suggestion: Object) -> str:
    """Return the name of all that runs for a Suggestion, or for its Experiment."""
    algorithm = suggestion["spec"]["algorithm"]["algorithmName"]
    return f"{metadata.name(suggestion)}-{algorithm}"


def volume_name(suggestion: Object) -> str:
    """Return the name of the volume that is made for a Suggestion's claim."""
    return f"{name(suggestion)}-{metadata.namespace(suggestion)}"


def deployment(suggestion: Object, services: Services) -> Object:
    """Return the Deployment that runs the services of a Suggestion."""
    labels = _labels(suggestion)
    spec: Object = {"containers": _containers(suggestion, services)}
    account = next((each.account for each in services.run if each.account), "")
    if account:
        spec["serviceAccountName"] = account
    if is_kept(suggestion):
        claim = {"claimName": name(suggestion)}
        spec["volumes"] = [{"name": _VOLUME, "persistentVolumeClaim": claim}]
    return _object(
        core.DEPLOYMENTS,
        suggestion,
        replicas=1,
        # Two of them would not know of one another's proposals.
        strategy={"type": "Recreate"},
        selector={"matchLabels": labels},
        template={"metadata": {"labels": labels}, "spec": spec},
    )


def service(suggestion: Object) -> Object:
    """Return the Service by which the services of a Suggestion are asked."""
    ports = [{"name": each, "port": port, "targetPort": port} for each, port in _PORTS]
    return _object(core.SERVICES, suggestion, selector=_labels(suggestion), ports=ports)


def claim(suggestion: Object, spec: Mapping[str, Any]) -> Object:
    """Return the claim of what a search keeps: its service's data, or its trials' state.

    Args:
        suggestion: The search's.
        spec: Of the claim.
    """
    return _object(core.PERSISTENT_VOLUME_CLAIMS, suggestion, **copied(dict(spec)))


def volume(suggestion: Object, kept: Service) -> Object:
    """Return the volume for that claim, where the configuration describes one."""
    meta = {"name": volume_name(suggestion), "labels": dict(kept.volume_labels)}
    return {
        "apiVersion": core.PERSISTENT_VOLUMES.api_version,
        "kind": core.PERSISTENT_VOLUMES.kind,
        "metadata": meta,
        "spec": copied(dict(kept.volume)),
    }


def is_kept(suggestion: Object) -> bool:
    """Return whether a Suggestion's data outlive its services."""
    return bool(suggestion["spec"].get("resumePolicy") == kinds.FROM_VOLUME)


def _containers(suggestion: Object, services: Services) -> list[Object]:
    made = []
    for one in services.run:
        if one is services.algorithm:
            health: Object = {"grpc": {"port": PORT, "service": _HEALTH}}
            made.append(_container(one, "suggestion", _PORTS[0], health))
            if is_kept(suggestion):
                _keep(made[0], one)
        else:
            health = {"tcpSocket": {"port": STOPPER_PORT}}
            made.append(_container(one, "early-stopping", _PORTS[1], health))
    return made


def _container(one: Service, usual: str, port: tuple[str, int], health: Object) -> Object:
    container = copied(dict(one.container))
    container["name"] = container.get("name") or usual
    ports = {"name": port[0], "containerPort": port[1]}
    container["ports"] = [*(container.get("ports") or ()), ports]
    probe = {**health, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 30}
    container.setdefault("readinessProbe", probe)
    return container


def _keep(container: Object, one: Service) -> None:
    mounts = container.setdefault("volumeMounts", [])
    if all(each.get("name") != _VOLUME for each in mounts):
        mounts.append({"name": _VOLUME, "mountPath": one.volume_path})


def _labels(suggestion: Object) -> Mapping[str, str]:
    return {
        "katib.kubeflow.org/deployment": name(suggestion),
        kinds.EXPERIMENT_LABEL: metadata.name(suggestion),
        "katib.kubeflow.org/suggestion": metadata.name(suggestion),
    }


def _object(resource: Resource, suggestion: Object, **spec: Any) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name(suggestion),
            "namespace": metadata.namespace(suggestion),
            "labels": {**metadata.labels(suggestion), **_labels(suggestion)},
            "ownerReferences": [metadata.owner_reference(suggestion)],
        },
        "spec": spec,
    }
