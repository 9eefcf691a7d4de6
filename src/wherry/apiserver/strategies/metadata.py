"""Rules of what all objects share: name, namespace, labels, annotations, finalizers, owners.

Source: ``ValidateObjectMeta`` of ``k8s.io/apimachinery/pkg/api/validation``.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

NameRule = Callable[[str], list[str]]

MAX_ANNOTATIONS_BYTES = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_PATH_SEGMENT_GROUP = "rbac.authorization.k8s.io"
_RULES: Mapping[str, NameRule] = {
    "Namespace": names.dns_label,
    "Service": names.dns1035_label,
    "Job": names.dns_subdomain,
}

_key_problems = functools.lru_cache(maxsize=4096)(lambda key: tuple(names.label_key(key)))
_value_problems = functools.lru_cache(maxsize=4096)(lambda value: tuple(names.label_value(value)))


def name_rule(kind: str, group: str = "") -> NameRule:
    """Return what a built-in kind lets its objects be called."""
    if group == _PATH_SEGMENT_GROUP:
        return names.path_segment
    return _RULES.get(kind, names.dns_subdomain)


def validate_metadata(obj: Object, name_rule: NameRule, *, namespaced: bool) -> list[Cause]:
    """Check an object's metadata.

    Args:
        obj: The object, with the name that was generated for it, if any.
        name_rule: What the kind lets its objects be called.
        namespaced: Whether objects of the kind live in a namespace.
    """
    meta = obj.get("metadata") or {}
    found = _names(meta, name_rule, namespaced=namespaced)
    if meta.get("generation", 0) < 0:
        found += causes.minimum("metadata.generation", meta["generation"])
    found += check_labels("metadata", meta)
    for key in meta.get("finalizers") or ():
        if key not in _STANDARD_FINALIZERS:
            found += _finalizer("metadata.finalizers", key)
    return found + _owners("metadata.ownerReferences", meta.get("ownerReferences") or [])


def _names(meta: Mapping[str, Any], rule: NameRule, *, namespaced: bool) -> list[Cause]:
    found: list[Cause] = []
    prefix = meta.get("generateName")
    if prefix:
        # A trailing dash is all right, since more follows.
        problems = rule(prefix[:-1] + "a" if prefix.endswith("-") else prefix)
        found += causes.problems("metadata.generateName", prefix, problems)
    name = meta.get("name")
    if not name:
        found.append(causes.required("metadata.name", "name or generateName is required"))
    else:
        found += causes.problems("metadata.name", name, rule(name))
    namespace = meta.get("namespace")
    if not namespaced:
        if namespace:
            found.append(causes.forbidden("metadata.namespace", "not allowed on this type"))
    elif not namespace:
        found.append(causes.required("metadata.namespace"))
    else:
        found += causes.problems("metadata.namespace", namespace, names.dns_label(namespace))
    return found


def check_labels(path: str, meta: Mapping[str, Any]) -> list[Cause]:
    """Check the labels and annotations of metadata, also where it is a template's."""
    found: list[Cause] = []
    for key, value in (meta.get("labels") or {}).items():
        if problems := _key_problems(key):
            found += causes.problems(f"{path}.labels", key, problems)
        if problems := _value_problems(value):
            found += causes.problems(f"{path}.labels", value, problems)
    annotations = meta.get("annotations")
    if annotations:
        size = 0
        for key, value in annotations.items():
            if problems := _key_problems(key.lower()):
                found += causes.problems(f"{path}.annotations", key, problems)
            size += len(key) + len(value)
        if size > MAX_ANNOTATIONS_BYTES:
            found.append(causes.too_long(f"{path}.annotations", MAX_ANNOTATIONS_BYTES))
    return found


def _finalizer(path: str, key: str) -> list[Cause]:
    found = causes.problems(path, key, _key_problems(key))
    if not found and "/" not in key:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        found.append(causes.invalid(path, key, why))
    return found


def _owners(path: str, references: list[Mapping[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    controllers = 0
    for index, reference in enumerate(references):
        where = f"{path}[{index}]"
        missing = [n for n in ("apiVersion", "kind", "name", "uid") if not reference.get(n)]
        found += [causes.invalid(f"{where}.{n}", "", f"{n} must not be empty") for n in missing]
        controllers += bool(reference.get("controller"))
    if controllers > 1:
        why = "Only one reference can have Controller set to true"
        found.append(causes.invalid(path, references, why))
    return found
