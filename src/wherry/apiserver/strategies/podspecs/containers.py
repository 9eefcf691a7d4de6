"""Rules of containers: names, images, ports, environment, mounts, resources.

Source: ``validateContainers`` of ``pkg/apis/core/validation``.
"""

from collections.abc import Mapping, Set
from typing import Any

from wherry.apiserver.strategies import amounts, causes
from wherry.apiserver.strategies.podspecs import handlers
from wherry.objects import names
from wherry.objects.errors import Cause

_PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
_MESSAGE_POLICIES = frozenset({"File", "FallbackToLogsOnError"})
_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_PROPAGATIONS = frozenset({"None", "HostToContainer", "Bidirectional"})
_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def check(path: str, container: dict[str, Any], volumes: Mapping[str, Any]) -> list[Cause]:
    """Check one container of any list.

    Args:
        path: Where it stands.
        container: With its defaults.
        volumes: The pod's volumes by name.
    """
    found: list[Cause] = []
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        found.append(causes.required(f"{path}.name"))
    else:
        found += causes.problems(f"{path}.name", name, names.dns_label(name))
    if not image:
        found.append(causes.required(f"{path}.image"))
    elif image != image.strip():
        why = "must not have leading or trailing whitespace"
        found.append(causes.invalid(f"{path}.image", image, why))
    policy = container.get("imagePullPolicy")
    if policy not in _PULL_POLICIES:
        found.append(causes.unsupported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES))
    policy = container.get("terminationMessagePolicy")
    if policy not in _MESSAGE_POLICIES:
        where = f"{path}.terminationMessagePolicy"
        found.append(causes.unsupported(where, policy, _MESSAGE_POLICIES))
    return found + _parts(path, container, volumes)


def _parts(path: str, container: dict[str, Any], volumes: Mapping[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    if container.get("ports"):
        found += _ports(f"{path}.ports", container["ports"])
    if container.get("env"):
        found += _environment(f"{path}.env", container["env"])
    if container.get("envFrom"):
        found += _environment_from(f"{path}.envFrom", container["envFrom"])
    if container.get("volumeMounts"):
        found += _mounts(f"{path}.volumeMounts", container["volumeMounts"], volumes.keys())
    if container.get("volumeDevices"):
        found += _devices(f"{path}.volumeDevices", container, volumes)
    found += amounts.check_requirements(f"{path}.resources", container.get("resources"))
    found += handlers.check_probes(path, container)
    if container.get("lifecycle"):
        found += handlers.check_lifecycle(f"{path}.lifecycle", container["lifecycle"])
    return found


def _ports(path: str, ports: list[dict[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name")
        if name:
            found += causes.problems(f"{where}.name", name, names.port_name(name))
            if name in seen:
                found.append(causes.duplicate(f"{where}.name", name))
            seen.add(name)
        if not port.get("containerPort"):
            found.append(causes.required(f"{where}.containerPort"))
        else:
            number = port["containerPort"]
            found += causes.between(f"{where}.containerPort", number, 1, 65535)
        if port.get("hostPort"):
            found += causes.between(f"{where}.hostPort", port["hostPort"], 1, 65535)
        found += causes.choice(f"{where}.protocol", port.get("protocol"), _PROTOCOLS)
    return found


def _environment(path: str, variables: list[dict[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            found.append(causes.required(f"{path}[{index}].name"))
        elif not (name.isidentifier() and name.isascii()):
            # Identifiers are the usual case and need no closer look.
            found += causes.problems(f"{path}[{index}].name", name, names.env_var(name))
        if variable.get("valueFrom") is not None:
            found += _value_from(f"{path}[{index}].valueFrom", variable)
    return found


def _value_from(path: str, variable: dict[str, Any]) -> list[Cause]:
    source = variable["valueFrom"]
    given = [name for name in _SOURCES if source.get(name) is not None]
    if not given:
        accepted = ", ".join(f"`{name}`" for name in _SOURCES)
        return [causes.invalid(path, "", f"must specify one of: {accepted}")]
    if variable.get("value"):
        return [causes.invalid(path, "", "may not be specified when `value` is not empty")]
    if len(given) > 1:
        return [causes.invalid(path, "", "may not have more than one field specified at a time")]
    kind = given[0]
    reference, where = source[kind], f"{path}.{kind}"
    if kind == "fieldRef":
        return check_field(f"{where}.fieldPath", reference.get("fieldPath", ""))
    if kind == "resourceFieldRef":
        return [] if reference.get("resource") else [causes.required(f"{where}.resource")]
    return [] if reference.get("key") else [causes.required(f"{where}.key")]


def check_field(path: str, field: str) -> list[Cause]:
    """Check the path of a pod's field that may be told to its containers."""
    if not field:
        return [causes.required(path)]
    if field in _FIELDS:
        return []
    for start in ("metadata.labels['", "metadata.annotations['"):
        if field.startswith(start) and field.endswith("']"):
            key = field[len(start) : -2]
            return causes.problems(path, field, names.label_key(key.lower()))
    accepted = {*_FIELDS, "metadata.annotations['<KEY>']", "metadata.labels['<KEY>']"}
    return [causes.unsupported(path, field, accepted)]


def _environment_from(path: str, sources: list[dict[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        if source.get("prefix"):
            problems = names.env_var(source["prefix"])
            found += causes.problems(f"{where}.prefix", source["prefix"], problems)
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        if not given:
            why = "must specify one of: `configMapRef` or `secretRef`"
            found.append(causes.invalid(where, "", why))
        elif len(given) > 1:
            why = "may not have more than one field specified at a time"
            found.append(causes.invalid(where, "", why))
        elif not source[given[0]].get("name"):
            found.append(causes.required(f"{where}.{given[0]}.name"))
    return found


def _mounts(path: str, mounts: list[dict[str, Any]], volumes: Set[str]) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(causes.required(f"{where}.name"))
        elif name not in volumes:
            found.append(causes.not_found(f"{where}.name", name))
        if not target:
            found.append(causes.required(f"{where}.mountPath"))
        elif ":" in target:
            found.append(causes.invalid(f"{where}.mountPath", target, "must not contain ':'"))
        elif target in seen:
            found.append(causes.invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        for part in ("subPath", "subPathExpr"):
            if mount.get(part):
                found += check_local_path(f"{where}.{part}", mount[part])
        if mount.get("subPath") and mount.get("subPathExpr"):
            why = "subPathExpr and subPath are mutually exclusive"
            found.append(causes.invalid(f"{where}.subPathExpr", mount["subPathExpr"], why))
        propagation = mount.get("mountPropagation")
        found += causes.choice(f"{where}.mountPropagation", propagation, _PROPAGATIONS)
    return found


def check_local_path(path: str, value: str) -> list[Cause]:
    """Check a path inside a volume: relative, and never out of it."""
    if value.startswith("/"):
        return [causes.invalid(path, value, "must be a relative path")]
    return check_no_climbing(path, value)


def check_no_climbing(path: str, value: str) -> list[Cause]:
    """Check that no step of a path is ``..``."""
    if ".." in value and ".." in value.replace("\\", "/").split("/"):
        return [causes.invalid(path, value, "must not contain '..'")]
    return []


def _devices(path: str, container: dict[str, Any], volumes: Mapping[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    mounted = {mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    for index, device in enumerate(container["volumeDevices"]):
        where = f"{path}[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if name not in volumes:
            found.append(causes.not_found(f"{where}.name", name))
        elif not {"persistentVolumeClaim", "ephemeral"} & volumes[name].keys():
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral"
            found.append(causes.invalid(f"{where}.name", name, f"{why} for block mode"))
        if not target:
            found.append(causes.required(f"{where}.devicePath"))
        elif target in mounted:
            why = "must not already exist in volumeMounts"
            found.append(causes.invalid(f"{where}.devicePath", target, why))
        else:
            found += check_no_climbing(f"{where}.devicePath", target)
    return found
