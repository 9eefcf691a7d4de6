"""Laying patches over a runtime's template: as strategic merge does, for the fields they may name.

Pure. Of volumes the whole is replaced, since one volume has one source.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects.copies import copied
from wherry.objects.requests import Object

_KEYS: Final = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "replicatedJobs": "name",
    "schedulingGates": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_WHOLE: Final = frozenset({"env", "volumes"})


def merged(there: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    """Return a part of a template with a patch laid over it; neither is changed."""
    made = copied(dict(there))
    for field, value in patch.items():
        old = made.get(field)
        if isinstance(value, Mapping):
            made[field] = merged(old or {}, value)
        elif field in _KEYS and isinstance(value, list):
            made[field] = keyed(field, old or (), value)
        else:
            made[field] = copied({field: value})[field]
    return made


def keyed(field: str, there: Iterable[Object], patch: Iterable[Object]) -> list[Object]:
    """Return a list whose elements are known by a field, with those of a patch laid over it."""
    key = _KEYS[field]
    made = {each[key]: copied(each) for each in there}
    for each in patch:
        whole = field in _WHOLE or each[key] not in made
        made[each[key]] = copied(each) if whole else merged(made[each[key]], each)
    return [*made.values()]
