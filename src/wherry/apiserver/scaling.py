"""The `scale` subresource: the number of replicas, in one shape for every kind that has one."""

from collections.abc import Mapping
from typing import Any

import orjson

from wherry.apiserver import applying, converting, managed_fields, patching, updating, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import ScalePaths, Served
from wherry.objects import errors, openapi, selectors
from wherry.objects.errors import Cause
from wherry.objects.requests import APPLY_PATCH, STRATEGIC_MERGE_PATCH, Object
from wherry.store import Record

_API_VERSION, _KIND = "autoscaling/v1", "Scale"
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_MAX_REPLICAS = 2**31 - 1


def _at(obj: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = obj
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _selector_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not value:
        return ""
    # A ReplicationController's selector is a plain map of labels.
    if value.keys() <= {"matchLabels", "matchExpressions"}:
        return str(selectors.from_object(value))
    return str(selectors.from_labels(value))


def scale_of(obj: Object, paths: ScalePaths) -> Object:
    """Return the `Scale` of an object.

    Args:
        obj: The object, with its metadata.
        paths: Where it keeps its numbers.
    """
    metadata = obj["metadata"]
    status: dict[str, Any] = {"replicas": _at(obj, paths.status_replicas) or 0}
    if paths.selector and (text := _selector_text(_at(obj, paths.selector))):
        status["selector"] = text
    return {
        "kind": _KIND,
        "apiVersion": _API_VERSION,
        "metadata": {name: metadata[name] for name in _KEPT if name in metadata},
        "spec": {"replicas": _at(obj, paths.replicas) or 0},
        "status": status,
    }


async def get(core: Core, call: Call) -> One:
    """Return an object's `Scale`.

    Raises:
        NotFoundError: There is no such object, or it has no scale.
    """
    served, paths = _paths(core, call)
    record = core.committed(served, call.request.name or "", call.request.namespace)
    obj = await converting.complete(lambda: served.from_storage(record.value()))
    return One(orjson.dumps(scale_of(obj, paths)))


async def write(core: Core, call: Call) -> One:
    """Set the number of replicas, by update or patch.

    Raises:
        ApiError: As for an update of the object itself.
    """
    managed_fields.check_options(call)
    served, paths = _paths(core, call)
    record = core.head(served, call.request.name or "", call.request.namespace)
    obj = await converting.complete(lambda: served.from_storage(record.value()))
    if call.request.content_type == APPLY_PATCH and call.request.verb == "patch":
        return await _apply(writing.Write.of(core, call), record, obj, paths)
    obj["metadata"].pop("resourceVersion", None)
    scale = scale_of(obj, paths)
    wanted = call.request.body
    if call.request.verb == "patch":
        schema = openapi.schema_for(_API_VERSION, _KIND)
        if served.custom and call.request.content_type == STRATEGIC_MERGE_PATCH:
            raise errors.UnsupportedMediaTypeError(
                "the scale of a custom resource takes JSON patch and merge patch"
            )
        wanted = patching.apply(call, scale, schema)
    version = _check(served, record.key.name, wanted)
    if version and version != str(record.revision):
        raise errors.conflict(served.resource.plural, record.key.name, group=served.resource.group)
    _set(obj, paths.replicas, (wanted.get("spec") or {}).get("replicas") or 0)
    answer = await updating.replace(writing.Write.of(core, call), record, obj)
    return One(orjson.dumps(scale_of(orjson.loads(answer.raw), paths)))


async def _apply(write: writing.Write, record: Record, obj: Object, paths: ScalePaths) -> One:
    """Apply a `Scale`: the applier owns the replicas of the object itself."""
    served, wanted = write.served, write.call.request.body
    version = _check(served, record.key.name, wanted)
    config: Object = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}
    if version:
        config["metadata"]["resourceVersion"] = version
    replicas = (wanted.get("spec") or {}).get("replicas")
    if replicas is not None:
        _set(config, paths.replicas, replicas)
    merged, managers = await applying.merge(write, obj, config)
    answer = await updating.replace(write, record, merged, managers=managers)
    return One(orjson.dumps(scale_of(orjson.loads(answer.raw), paths)))


def _set(obj: Object, path: tuple[str, ...], value: Any) -> None:
    holder = obj
    for name in path[:-1]:
        holder = holder.setdefault(name, {})
    holder[path[-1]] = value


def _check(served: Served, name: str, scale: Any) -> str:
    """Check a `Scale` that a client has sent; return its resource version, empty for none."""
    if not isinstance(scale, dict) or scale.get("kind") not in (None, "", _KIND):
        raise errors.BadRequestError("the body must be one Scale object of autoscaling/v1")
    metadata, spec = scale.get("metadata") or {}, scale.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise errors.BadRequestError("metadata and spec of a Scale must be objects")
    if metadata.get("name") not in (None, "", name):
        raise errors.BadRequestError(
            f"the name of the object ({metadata['name']!s:.260}) does not match the name on the URL ({name})"
        )
    replicas = spec.get("replicas", 0)
    if type(replicas) is not int or replicas > _MAX_REPLICAS:
        raise errors.BadRequestError(
            "Scale.spec.replicas must be a whole number of at most 2147483647"
        )
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise errors.invalid(_KIND, name, [Cause("spec.replicas", text)], "autoscaling")
    return str(metadata.get("resourceVersion") or "")


def _paths(core: Core, call: Call) -> tuple[Served, ScalePaths]:
    served = core.served(call)
    if served.scale is None:
        raise errors.NotFoundError("the server could not find the requested resource")
    return served, served.scale
