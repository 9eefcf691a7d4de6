"""kubectl's own record of what it applied, before the server kept one.

Who moves from client-side to server-side apply owns the fields already, though under the name of
another operation: such conflicts are none.

Source: `lastappliedmanager.go` and `lastappliedupdater.go` of apimachinery.
"""

from typing import Any, Final

import orjson

from wherry.objects.managed_fields import fields, reading
from wherry.objects.managed_fields.comparison import compare
from wherry.objects.managed_fields.fields import Fields
from wherry.objects.managed_fields.views import View
from wherry.objects.requests import Object

MANAGER: Final = "kubectl"
ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MAX_ANNOTATION_BYTES: Final = 256 * 1024


def _annotations(obj: Object) -> dict[str, Any]:
    metadata = obj.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def owned(live: View) -> Fields | None:
    """Return the fields that the annotation names and that still are as it says; None without one."""
    text = _annotations(live.obj).get(ANNOTATION)
    if not text:
        return None
    try:
        last = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(last, dict) or last.get("apiVersion") != live.version:
        return None
    named = reading.contents(last, live.node)
    for part in compare(last, live.obj, live.node):
        named = fields.difference(named, part)
    return named


def renewed(obj: Object, config: Object) -> Object:
    """Return an object whose annotation, where it has one, says what was applied now."""
    annotations = _annotations(obj)
    if not annotations.get(ANNOTATION):
        return obj
    metadata = obj["metadata"]
    text = orjson.dumps(_without_annotation(config)).decode() + "\n"
    others = {name: value for name, value in annotations.items() if name != ANNOTATION}
    if len(text) + sum(map(len, others)) + sum(map(len, others.values())) <= _MAX_ANNOTATION_BYTES:
        others[ANNOTATION] = text
    return obj | {"metadata": metadata | {"annotations": others}}


def _without_annotation(config: Object) -> Object:
    annotations = _annotations(config)
    if ANNOTATION not in annotations:
        return config
    others = {name: value for name, value in annotations.items() if name != ANNOTATION}
    metadata = {key: value for key, value in config["metadata"].items() if key != "annotations"}
    return config | {"metadata": metadata | ({"annotations": others} if others else {})}
