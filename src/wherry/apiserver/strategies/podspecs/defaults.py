"""What Kubernetes fills into a pod spec.

Every client compares stored pods and templates with what it would have written itself, so these
are exactly Kubernetes' values. All functions work in place and are idempotent.

Source: ``pkg/apis/core/v1/defaults.go``.
"""

import functools
from typing import Any

from wherry.apiserver.strategies import amounts
from wherry.apiserver.strategies.podspecs import volume_defaults

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def pod(spec: dict[str, Any]) -> None:
    """Fill in a pod's own spec: what templates get, and requests and service links besides."""
    pod_spec(spec)
    for name in ("initContainers", "containers"):
        for container in spec.get(name) or ():
            amounts.default_requests(container["resources"])
    if spec.get("resources"):
        amounts.default_requests(spec["resources"])
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True


def template(template: dict[str, Any] | None) -> None:
    """Fill in a `PodTemplateSpec`, if there is one with a spec."""
    if template and template.get("spec") is not None:
        pod_spec(template["spec"])


def pod_spec(spec: dict[str, Any]) -> None:
    """Fill in what pods and templates have in common."""
    spec["restartPolicy"] = spec.get("restartPolicy") or "Always"
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    spec["dnsPolicy"] = spec.get("dnsPolicy") or "ClusterFirst"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    spec["schedulerName"] = spec.get("schedulerName") or "default-scheduler"
    _account(spec)
    amounts.canonicalize(spec.get("overhead"))
    for kind in CONTAINER_LISTS:
        for one in spec.get(kind) or ():
            container(one)
            if spec.get("hostNetwork") and kind != "ephemeralContainers":
                _host_ports(one)
    for volume in spec.get("volumes") or ():
        volume_defaults.volume(volume)


def _account(spec: dict[str, Any]) -> None:
    # The field's old name is kept equal to the new one, which wins.
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def container(one: dict[str, Any]) -> None:
    """Fill in a container of any of the three lists."""
    one["imagePullPolicy"] = one.get("imagePullPolicy") or pull_policy(one.get("image") or "")
    one["terminationMessagePath"] = one.get("terminationMessagePath") or "/dev/termination-log"
    one["terminationMessagePolicy"] = one.get("terminationMessagePolicy") or "File"
    resources = one["resources"] = one.get("resources") or {}
    amounts.canonicalize(resources.get("limits"))
    amounts.canonicalize(resources.get("requests"))
    for port in one.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
    for variable in one.get("env") or ():
        if variable.get("valueFrom"):
            _value_from(variable["valueFrom"])
    for name in _PROBES:
        if one.get(name):
            _probe(one[name])
    if one.get("lifecycle"):
        for name in _HOOKS:
            _http_get((one["lifecycle"].get(name) or {}).get("httpGet"))


@functools.lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """Return ``Always`` for images with the tag ``latest`` or without tag and digest."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    latest = tag == "latest" or bool(image and not tag and not at)
    return "Always" if latest else "IfNotPresent"


def _value_from(source: dict[str, Any]) -> None:
    if source.get("fieldRef"):
        reference = source["fieldRef"]
        reference["apiVersion"] = reference.get("apiVersion") or "v1"
    elif source.get("resourceFieldRef"):
        reference = source["resourceFieldRef"]
        reference["divisor"] = amounts.canonical(reference.get("divisor") or "0")


def _probe(probe: dict[str, Any]) -> None:
    probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1
    probe["periodSeconds"] = probe.get("periodSeconds") or 10
    probe["successThreshold"] = probe.get("successThreshold") or 1
    probe["failureThreshold"] = probe.get("failureThreshold") or 3
    _http_get(probe.get("httpGet"))
    if probe.get("grpc") and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _http_get(action: dict[str, Any] | None) -> None:
    if action is not None:
        action["path"] = action.get("path") or "/"
        action["scheme"] = action.get("scheme") or "HTTP"


def _host_ports(one: dict[str, Any]) -> None:
    for port in one.get("ports") or ():
        port["hostPort"] = port.get("hostPort") or port.get("containerPort")
