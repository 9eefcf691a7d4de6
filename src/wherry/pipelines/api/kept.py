"""Pipelines that are kept by name, and their versions: as messages, and as rows of lists. Pure."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.api import object_lists, showing, wire
from wherry.pipelines.api.object_lists import Row
from wherry.pipelines.definitions import kinds, naming
from wherry.pipelines.definitions.store import documents_of
from wherry.pipelines.history.query import Key, OpenKeys, Value

_COMMON: Final = {
    "name": Key("name"),
    "display_name": Key("display_name"),
    "description": Key("description", sorts=False),
    "created_at": Key("created_at", is_time=True),
}
PIPELINE_KEYS: Final = OpenKeys(
    {"pipeline_id": Key("id"), "id": Key("id"), "namespace": Key("namespace"), **_COMMON},
    object_lists.tagged,
)
VERSION_KEYS: Final = OpenKeys(
    {"pipeline_version_id": Key("id"), "id": Key("id"), "code_source_url": Key("url"), **_COMMON},
    object_lists.tagged,
)


def pipeline(obj: Object) -> Object:
    """Return a pipeline as clients see it."""
    namespace = metadata.namespace(obj)
    return {
        "pipeline_id": metadata.uid(obj),
        "namespace": "" if namespace == kinds.SHARED else namespace,
        **_common(obj, naming.name_of(obj)),
    }


def version(obj: Object, pipeline_id: str) -> Object:
    """Return a version of a pipeline as clients see it."""
    spec, documents = obj["spec"], documents_of(obj)
    uri = spec.get("pipelineSpecURI")
    return {
        "pipeline_id": pipeline_id,
        "pipeline_version_id": metadata.uid(obj),
        "package_url": {"pipeline_url": uri} if uri else None,
        "code_source_url": spec.get("codeSourceURL", ""),
        "pipeline_spec": showing.documents(documents.spec, documents.platform),
        **_common(obj, naming.name_of_version(obj)),
    }


def name_of_version(obj: Object) -> str:
    """Return what people call a version, which may be without what it runs."""
    return str(obj["spec"].get("displayName") or naming.name_of_version(obj))


def pipeline_row(obj: Object) -> Row:
    """Return a pipeline as a row of a list."""
    told = _common(obj, naming.name_of(obj))
    return _row(obj, told, {"namespace": metadata.namespace(obj)})


def version_row(obj: Object) -> Row:
    """Return a version as a row of a list."""
    told = _common(obj, naming.name_of_version(obj))
    return _row(obj, told, {"url": obj["spec"].get("codeSourceURL", "")})


def _common(obj: Object, name: str) -> Object:
    spec = obj.get("spec") or {}
    return {
        "name": name,
        "display_name": spec.get("displayName") or name,
        "description": spec.get("description", ""),
        "created_at": obj["metadata"]["creationTimestamp"],
        "tags": spec.get("tags") or {},
    }


def _row(obj: Object, told: Object, more: Mapping[str, Value]) -> Row:
    created = metadata.annotations(obj).get(kinds.CREATED_ANNOTATION) or told["created_at"]
    values: dict[str, Value] = {
        "id": metadata.uid(obj),
        "name": told["name"],
        "display_name": told["display_name"],
        "description": told["description"],
        "created_at": wire.milliseconds(created, "created_at"),
        **more,
        **{f"{object_lists.TAGS}{key}": value for key, value in told["tags"].items()},
    }
    return Row(obj, metadata.uid(obj), values)
