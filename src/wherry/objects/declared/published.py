"""Kubernetes' own types in the form that a CustomResourceDefinition takes: no references. Pure.

A definition has to spell out a pod template where Kubernetes' own kinds refer to it. Descriptions
are left out: with them one pod template alone is half of what an object may measure.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import openapi

POD_TEMPLATE: Final = "io.k8s.api.core.v1.PodTemplateSpec"
POD_SPEC: Final = "io.k8s.api.core.v1.PodSpec"
ENV_VAR: Final = "io.k8s.api.core.v1.EnvVar"
RESOURCES: Final = "io.k8s.api.core.v1.ResourceRequirements"
LABEL_SELECTOR: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"
METRIC_SPEC: Final = "io.k8s.api.autoscaling.v2.MetricSpec"
JOB_TEMPLATE: Final = "io.k8s.api.batch.v1.JobTemplateSpec"
CLAIM: Final = "io.k8s.api.core.v1.PersistentVolumeClaim"
VOLUME: Final = "io.k8s.api.core.v1.Volume"
VOLUME_MOUNT: Final = "io.k8s.api.core.v1.VolumeMount"
AFFINITY: Final = "io.k8s.api.core.v1.Affinity"
TOLERATION: Final = "io.k8s.api.core.v1.Toleration"
SCHEDULING_GATE: Final = "io.k8s.api.core.v1.PodSchedulingGate"
POD_SECURITY: Final = "io.k8s.api.core.v1.PodSecurityContext"
CONTAINER_SECURITY: Final = "io.k8s.api.core.v1.SecurityContext"
LOCAL_REFERENCE: Final = "io.k8s.api.core.v1.LocalObjectReference"
OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_NAMES: Final = (
    POD_TEMPLATE,
    POD_SPEC,
    ENV_VAR,
    RESOURCES,
    LABEL_SELECTOR,
    METRIC_SPEC,
    JOB_TEMPLATE,
    CLAIM,
    VOLUME,
    VOLUME_MOUNT,
    AFFINITY,
    TOLERATION,
    SCHEDULING_GATE,
    POD_SECURITY,
    CONTAINER_SECURITY,
    LOCAL_REFERENCE,
    OBJECT_META,
)

_PREFIX: Final = "#/components/schemas/"
_KEPT: Final = (
    "type",
    "format",
    "enum",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
_STRINGS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
# The parts of metadata that a template's children take over.
_METADATA: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": {"type": "array", "items": {"type": "string"}},
    },
}
_INT_OR_STRING: Final = {"x-kubernetes-int-or-string": True}
_SPECIAL: Final[Mapping[str, dict[str, Any]]] = {
    OBJECT_META: _METADATA,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        **_INT_OR_STRING,
        "pattern": (
            r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?"
            r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
        ),
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    },
}
# A key of a list must be there or have a default; this is the one that people leave out.
_KEY_DEFAULTS: Final = {"protocol": "TCP"}


def structural(name: str) -> dict[str, Any]:
    """Return a published type as a structural schema. Shared: not to be changed.

    Args:
        name: Its component name: one of the constants of this module.

    Raises:
        KeyError: it is none of them.
    """
    return _known()[name]


@functools.cache
def _known() -> Mapping[str, dict[str, Any]]:
    # All at once: the document that they come from is large, and let go of afterwards.
    definitions = openapi.Definitions()
    return {name: _expanded(name, definitions) for name in _NAMES}


def _expanded(name: str, definitions: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if name in _SPECIAL:
        return dict(_SPECIAL[name])
    return _structural(definitions[name], definitions)


def _structural(
    schema: Mapping[str, Any], definitions: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    for reference in (schema, *schema.get("allOf", ())):
        if "$ref" in reference:
            return _expanded(reference["$ref"].removeprefix(_PREFIX), definitions)
    made = {keyword: schema[keyword] for keyword in _KEPT if keyword in schema}
    if "properties" in schema:
        made["properties"] = {
            name: _structural(each, definitions) for name, each in schema["properties"].items()
        }
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), Mapping):
            made[keyword] = _structural(schema[keyword], definitions)
    _give_keys_defaults(made)
    return made


def _give_keys_defaults(schema: dict[str, Any]) -> None:
    """Make the keys of a list of objects such as a CustomResourceDefinition may have."""
    keys = schema.get("x-kubernetes-list-map-keys", ())
    if not keys:
        return
    items = schema["items"]
    required = set(items.get("required", ()))
    for key in keys:
        if key in required:
            continue
        if key in _KEY_DEFAULTS:
            items["properties"][key]["default"] = _KEY_DEFAULTS[key]
        else:
            items["required"] = [*items.get("required", ()), key]
