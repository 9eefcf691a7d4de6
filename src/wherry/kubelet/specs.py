"""Reading Pod specs: the questions that several parts of the agent ask. Pure."""

from collections.abc import Iterator
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object

DEFAULT_GRACE_SECONDS = 30


def containers(pod: Object) -> list[Object]:
    """Return the main containers."""
    return list(pod["spec"].get("containers") or [])


def init_containers(pod: Object) -> list[Object]:
    """Return the init containers, sidecars included, in order."""
    return list(pod["spec"].get("initContainers") or [])


def all_containers(pod: Object) -> Iterator[Object]:
    """Yield init containers, then main containers."""
    yield from init_containers(pod)
    yield from containers(pod)


def ephemeral_containers(pod: Object) -> list[Object]:
    """Return the containers that were added for debugging, oldest first."""
    return list(pod["spec"].get("ephemeralContainers") or [])


def every_container(pod: Object) -> Iterator[Object]:
    """Yield all containers, ephemeral ones last."""
    yield from all_containers(pod)
    yield from ephemeral_containers(pod)


def is_sidecar(container: Object) -> bool:
    """Return whether an init container keeps running beside the main ones."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Object) -> str:
    """Return ``Always``, ``OnFailure`` or ``Never``."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def restarts(pod: Object, container: Object, exit_code: int, *, init: bool) -> bool:
    """Return whether a container that ended is to be started again.

    Args:
        pod: The pod.
        container: One of its containers.
        exit_code: How it ended.
        init: Whether it is an init container: then success always ends it, unless a sidecar.
    """
    if init and is_sidecar(container):
        return True
    policy = container.get("restartPolicy") or restart_policy(pod)
    if policy == "Never":
        return False
    return exit_code != 0 or (policy == "Always" and not init)


def phase(pod: Object) -> str:
    """Return `status.phase`."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: Object) -> bool:
    """Return whether the pod has reached Succeeded or Failed."""
    return phase(pod) in {"Succeeded", "Failed"}


def grace_seconds(pod: Object) -> float:
    """Return how long containers may take to stop."""
    meta = pod.get("metadata", {})
    if meta.get("deletionGracePeriodSeconds") is not None:
        return float(meta["deletionGracePeriodSeconds"])
    value = pod["spec"].get("terminationGracePeriodSeconds")
    return float(DEFAULT_GRACE_SECONDS if value is None else value)


def uses_host_network(pod: Object) -> bool:
    """Return whether the pod asks for the machine's own addresses."""
    return bool(pod["spec"].get("hostNetwork"))


def service_account(pod: Object) -> str:
    """Return the service account's name."""
    spec = pod["spec"]
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def hostname(pod: Object) -> str:
    """Return what the pod's containers get as host name, at most 63 characters."""
    return str(pod["spec"].get("hostname") or metadata.name(pod))[:63].rstrip("-.")


def config_references(pod: Object) -> Iterator[tuple[str, str]]:
    """Yield (``configMap`` or ``secret``, name) for everything whose change can matter to the pod."""
    for container in every_container(pod):
        for source in container.get("envFrom") or []:
            yield from _named(source, {"configMapRef": "configMap", "secretRef": "secret"})
        for variable in container.get("env") or []:
            value_from = variable.get("valueFrom") or {}
            yield from _named(
                value_from, {"configMapKeyRef": "configMap", "secretKeyRef": "secret"}
            )
    for volume in pod["spec"].get("volumes") or []:
        yield from _volume_references(volume)


def claim_references(pod: Object) -> Iterator[str]:
    """Yield the names of the PersistentVolumeClaims that the pod mounts."""
    for volume in pod["spec"].get("volumes") or []:
        claim = volume.get("persistentVolumeClaim")
        if claim:
            yield str(claim.get("claimName", ""))
        elif volume.get("ephemeral"):
            yield f"{metadata.name(pod)}-{volume['name']}"


def _volume_references(volume: Object) -> Iterator[tuple[str, str]]:
    if volume.get("configMap"):
        yield "configMap", str(volume["configMap"].get("name", ""))
    if volume.get("secret"):
        yield "secret", str(volume["secret"].get("secretName", ""))
    for source in (volume.get("projected") or {}).get("sources") or []:
        yield from _named(source, {"configMap": "configMap", "secret": "secret"})


def _named(source: Object, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    for field, kind in kinds.items():
        reference: dict[str, Any] | None = source.get(field)
        if reference and reference.get("name"):
            yield kind, str(reference["name"])


def qos_class(pod: Object) -> str:
    """Return ``Guaranteed``, ``Burstable`` or ``BestEffort`` by cpu and memory of all containers."""
    guaranteed, any_set = True, False
    for container in all_containers(pod):
        resources = container.get("resources") or {}
        requests = _compute(resources.get("requests"))
        limits = _compute(resources.get("limits"))
        any_set = any_set or bool(requests or limits)
        guaranteed = guaranteed and len(limits) == 2 and {**limits, **requests} == limits
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(amounts: dict[str, Any] | None) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in (amounts or {}).items()
        if name in {"cpu", "memory"} and str(value) != "0"
    }
