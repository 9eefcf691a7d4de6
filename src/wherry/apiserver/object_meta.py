"""The rules of `metadata`, which are the same for every kind.

Source: `pkg/apis/meta/v1/validation` and `pkg/api/validation` of apimachinery.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.objects import kinds, names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_MAX_ANNOTATION_BYTES = 256 * 1024
_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_SHORT_FINALIZERS: Final = frozenset({_ORPHAN, _FOREGROUND, "kubernetes"})
_SYSTEM_OWNED: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "name",
    "namespace",
    "generateName",
    "managedFields",
)

NameRule = Callable[[str], list[str]]

_NAME_RULES: Final[Mapping[str, NameRule]] = {
    "namespaces": names.dns_label,
    "services": names.dns1035_label,
    **dict.fromkeys(
        (
            "roles.rbac.authorization.k8s.io",
            "rolebindings.rbac.authorization.k8s.io",
            "clusterroles.rbac.authorization.k8s.io",
            "clusterrolebindings.rbac.authorization.k8s.io",
            "certificatesigningrequests.certificates.k8s.io",
            "flowschemas.flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        ),
        names.path_segment,
    ),
}
"""By resource key; everything else is named by DNS subdomains."""


def check(obj: Object, resource: Resource, old: Object | None) -> list[Cause]:
    """Return what is wrong with the metadata of an object that is to be created or replaced.

    Args:
        obj: The object.
        resource: Of what.
        old: What it replaces, if anything: what it says has been checked.
    """
    before = old["metadata"] if old is not None else {}
    metadata = {name: value for name, value in obj["metadata"].items() if before.get(name) != value}
    causes: list[Cause] = []
    if old is None or "name" in metadata:
        rule = _NAME_RULES.get(resource.key, names.dns_subdomain)
        name = metadata.get("name", "")
        causes += [
            Cause("metadata.name", f'Invalid value: "{name}": {problem}') for problem in rule(name)
        ]
    causes += check_words(metadata)
    if finalizers := metadata.get("finalizers"):
        causes += _finalizers(finalizers, qualified=_demands_qualified(resource))
    if owners := metadata.get("ownerReferences"):
        causes += _owners(owners)
    return causes


def check_words(metadata: Mapping[str, Any]) -> list[Cause]:
    """Return what is wrong with labels and annotations."""
    causes: list[Cause] = []
    if labels := metadata.get("labels"):
        causes += _labels(labels)
    if annotations := metadata.get("annotations"):
        causes += _annotations(annotations)
    return causes


def _labels(labels: Mapping[str, str]) -> list[Cause]:
    causes = []
    for key, value in labels.items():
        causes += [
            Cause("metadata.labels", f'Invalid value: "{key}": {problem}')
            for problem in names.label_key(key)
        ]
        causes += [
            Cause("metadata.labels", f'Invalid value: "{value}": {problem}')
            for problem in names.label_value(value)
        ]
    return causes


def _annotations(annotations: Mapping[str, str]) -> list[Cause]:
    causes = [
        Cause("metadata.annotations", f'Invalid value: "{key}": {problem}')
        for key in annotations
        for problem in names.label_key(key.lower())
    ]
    size = sum(len(key) + len(value) for key, value in annotations.items())
    if size > _MAX_ANNOTATION_BYTES:
        text = f"Too long: may not be more than {_MAX_ANNOTATION_BYTES} bytes"
        causes.append(Cause("metadata.annotations", text, "FieldValueTooLong"))
    return causes


def _demands_qualified(resource: Resource) -> bool:
    # Custom resources and their definitions may have finalizers without a slash.
    return kinds.by_key(resource.key) is not None and resource.group != "apiextensions.k8s.io"


def _finalizers(finalizers: list[str], *, qualified: bool) -> list[Cause]:
    causes = []
    for index, finalizer in enumerate(finalizers):
        field = f"metadata.finalizers[{index}]"
        causes += [
            Cause(field, f'Invalid value: "{finalizer}": {problem}')
            for problem in names.label_key(finalizer)
        ]
        short = "/" not in finalizer and finalizer not in _SHORT_FINALIZERS
        if not causes and qualified and short:
            text = (
                f'Invalid value: "{finalizer}": name is neither a standard finalizer name nor is it '
                f"fully qualified"
            )
            causes.append(Cause(field, text))
    if _ORPHAN in finalizers and _FOREGROUND in finalizers:
        text = f'Invalid value: "{_FOREGROUND}": {_ORPHAN} and {_FOREGROUND} cannot be both set'
        causes.append(Cause("metadata.finalizers", text))
    return causes


def _owners(owners: list[dict[str, Any]]) -> list[Cause]:
    causes, controllers = [], 0
    for index, owner in enumerate(owners):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                field = f"metadata.ownerReferences[{index}].{name}"
                causes.append(Cause(field, 'Invalid value: "": must not be empty'))
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        text = "Invalid value: only one reference can have controller set to true"
        causes.append(Cause("metadata.ownerReferences", text))
    return causes


def check_update(obj: Object, old: Object) -> list[Cause]:
    """Return what a replacement may not do to the metadata that stands."""
    if "deletionTimestamp" not in old["metadata"]:
        return []
    before = set(old["metadata"].get("finalizers") or ())
    added = [each for each in obj["metadata"].get("finalizers") or () if each not in before]
    if not added:
        return []
    text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added}"
    return [Cause("metadata.finalizers", text, "FieldValueForbidden")]


def keep_owned(obj: Object, old: Object) -> None:
    """Put back the metadata that the system owns, whatever the writer has sent."""
    metadata, before = obj["metadata"], old["metadata"]
    for name in _SYSTEM_OWNED:
        if name in before:
            metadata[name] = before[name]
        else:
            metadata.pop(name, None)
    metadata.pop("selfLink", None)
