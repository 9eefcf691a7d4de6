"""What the downward API tells a container about its pod. Pure."""

import decimal
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wherry.kubelet import processors, specs
from wherry.objects import metadata, quantities
from wherry.objects.requests import Object

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class FieldError(Exception):
    """A fieldRef or resourceFieldRef names something that there is not."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a pod beside its object.

    Attributes:
        pod_ip: The pod's address.
        host_ip: The node's address.
        node_name: The node's name.
        allocatable: The node's amounts, which stand in for limits that are not set.
    """

    pod_ip: str
    host_ip: str
    node_name: str
    allocatable: Mapping[str, str]


def field(pod: Object, path: str, around: Surroundings) -> str:
    """Return the value of `fieldRef.fieldPath`; labels and annotations whole print as a file.

    Raises:
        FieldError: the path is not one that the downward API has.
    """
    meta = pod["metadata"]
    keyed = _KEYED.fullmatch(path)
    if keyed:
        return str((meta.get(keyed[1]) or {}).get(keyed[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        return format_map(meta.get(path.split(".")[1]) or {})
    simple = {
        "metadata.name": metadata.name(pod),
        "metadata.namespace": metadata.namespace(pod),
        "metadata.uid": metadata.uid(pod),
        "spec.nodeName": around.node_name,
        "spec.serviceAccountName": specs.service_account(pod),
        "status.hostIP": around.host_ip,
        "status.hostIPs": around.host_ip,
        "status.podIP": around.pod_ip,
        "status.podIPs": around.pod_ip,
    }
    if path not in simple:
        known = ", ".join([*simple, "metadata.labels['KEY']", "metadata.annotations['KEY']"])
        raise FieldError(f"fieldRef.fieldPath {path!r} is not supported: want one of {known}")
    return simple[path]


def format_map(values: Mapping[str, str]) -> str:
    """Return labels or annotations as the downward API's files show them: sorted `key="value"` lines."""
    return "\n".join(f'{key}="{_escape(values[key])}"' for key in sorted(values))


def _escape(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def resource(pod: Object, reference: Object, around: Surroundings, *, container: str = "") -> str:
    """Return the value of a `resourceFieldRef` in units of its divisor, rounded up.

    Args:
        pod: The pod.
        reference: The `resourceFieldRef`.
        around: Supplies the node's amounts where a limit is not set.
        container: Whose amounts are meant where the reference names no container.

    Raises:
        FieldError: no such container or resource.
    """
    name = str(reference.get("containerName") or container)
    path = str(reference.get("resource", ""))
    kind, _, amount_name = path.partition(".")
    found = next((c for c in specs.all_containers(pod) if c["name"] == name), None)
    if found is None:
        raise FieldError(f"resourceFieldRef.containerName {name!r} is not a container of the pod")
    if kind not in {"limits", "requests"} or not amount_name:
        raise FieldError(
            f"resourceFieldRef.resource {path!r} is not supported: want limits.NAME or requests.NAME"
        )
    amount = _amount(found.get("resources") or {}, kind, amount_name, around)
    divisor = quantities.parse(str(reference.get("divisor") or "1")) or decimal.Decimal(1)
    return str(int((amount / divisor).to_integral_value(rounding=decimal.ROUND_CEILING)))


def _amount(resources: Object, kind: str, name: str, around: Surroundings) -> decimal.Decimal:
    text = (resources.get(kind) or {}).get(name)
    if text is None and kind == "limits":
        text = around.allocatable.get(name)
        if text is None and name == "cpu":
            text = str(processors.count())
    return quantities.parse(str(text or "0"))
