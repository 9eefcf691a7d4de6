"""Rows of the core group, but for pods, services and volumes."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import NAME, Layout, column, named
from wherry.objects.requests import Object

_DATA = column("Data", "Number of entries.")


def _namespace(obj: Object, now: datetime.datetime) -> list[Any]:
    return [(obj.get("status") or {}).get("phase", "")]


def _config_map(obj: Object, now: datetime.datetime) -> list[Any]:
    return [len(obj.get("data") or ()) + len(obj.get("binaryData") or ())]


def _secret(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj.get("type", ""), len(obj.get("data") or ())]


def _service_account(obj: Object, now: datetime.datetime) -> list[Any]:
    return [len(obj.get("secrets") or ())]


def _node_status(obj: Object) -> str:
    conditions = (obj.get("status") or {}).get("conditions")
    ready = texts.condition_status(conditions, "Ready")
    text = "Unknown" if not ready else "Ready" if ready == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else text


_ROLE_PREFIX = "node-role.kubernetes.io/"


def _node_roles(obj: Object) -> str:
    labels = obj["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return ",".join(sorted(roles - {""})) or texts.NONE


def _node_address(status: dict[str, Any], kind: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address"))
    return texts.NONE


def _node(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    return [
        obj["metadata"]["name"],
        _node_status(obj),
        _node_roles(obj),
        texts.age(obj, now),
        info.get("kubeletVersion", ""),
        _node_address(status, "InternalIP"),
        _node_address(status, "ExternalIP"),
        info.get("osImage") or texts.UNKNOWN,
        info.get("kernelVersion") or texts.UNKNOWN,
        info.get("containerRuntimeVersion") or texts.UNKNOWN,
    ]


def _component_status(obj: Object, now: datetime.datetime) -> list[Any]:
    name = obj["metadata"]["name"]
    for condition in obj.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [name, status, condition.get("message", ""), condition.get("error", "")]
    return [name, "Unknown", "", ""]


def _pod_template(obj: Object, now: datetime.datetime) -> list[Any]:
    template = obj.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    spec = template.get("spec") or {}
    return [obj["metadata"]["name"], *texts.containers(spec), texts.joined_labels(labels)]


def _quota(obj: Object, now: datetime.datetime) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = [(name, f"{name}: {used.get(name, '0')}/{hard[name]}") for name in sorted(hard)]
    return [
        ", ".join(text for name, text in texts if not name.startswith("limits.")),
        ", ".join(text for name, text in texts if name.startswith("limits.")),
    ]


TABLES = {
    "namespaces": named(column("Status", "Phase."), cells_of=_namespace),
    "configmaps": named(_DATA, cells_of=_config_map),
    "secrets": named(column("Type", "What it holds."), _DATA, cells_of=_secret),
    "serviceaccounts": named(
        column("Secrets", "Number of its secrets."), cells_of=_service_account
    ),
    "nodes": Layout(
        (
            NAME,
            column("Status", "Whether pods can run there."),
            column("Roles", "Roles from the labels."),
            column("Age", "Time since creation."),
            column("Version", "Version of the kubelet."),
            column("Internal-IP", "Address inside the cluster.", priority=1),
            column("External-IP", "Address outside the cluster.", priority=1),
            column("OS-Image", "Operating system.", priority=1),
            column("Kernel-Version", "Version of the kernel.", priority=1),
            column("Container-Runtime", "Name and version of the runtime.", priority=1),
        ),
        _node,
    ),
    "componentstatuses": Layout(
        (
            NAME,
            column("Status", "Whether it is healthy."),
            column("Message", "Message of the condition."),
            column("Error", "Error of the condition."),
        ),
        _component_status,
    ),
    "podtemplates": Layout(
        (
            NAME,
            column("Containers", "Names of the template's containers."),
            column("Images", "Images of the template's containers."),
            column("Pod Labels", "Labels of the template."),
        ),
        _pod_template,
    ),
    "resourcequotas": named(
        column("Request", "Used and allowed requests and counts."),
        column("Limit", "Used and allowed limits."),
        cells_of=_quota,
    ),
}
