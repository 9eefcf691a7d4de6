"""`/openapi/v3`: an index, and one document per group and version.

kubectl reads from them which fields a kind has (`explain`, client-side validation), how its lists are
merged (`apply`), and whether the server validates fields itself: for that, the patch operation
of each kind must carry its kind and the query parameter ``fieldValidation``.

Documents are made when they are asked for, from the package's definitions and the custom
definitions, and kept as bytes until the served resources change.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from wherry.apiserver.resources import ResourceMap, Served
from wherry.objects import kinds, openapi
from wherry.objects.requests import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Object

_COMPONENTS: Final = "#/components/schemas/"
_GVK: Final = "x-kubernetes-group-version-kind"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_JSON: Final = "application/json"
_QUERY: Final = {
    "dryRun": "Nothing is stored; the only value is All.",
    "fieldManager": "Name of the one who makes the change.",
    "fieldValidation": "What becomes of unknown and duplicate fields: Ignore, Warn or Strict.",
}


class Documents:
    """The documents of what a resource map serves."""

    def __init__(self, resources: ResourceMap, version: str) -> None:
        self._resources = resources
        self._version = version
        self._generation = -1
        self._documents: dict[tuple[str, str], bytes] = {}
        self._hashes: dict[tuple[str, str], str] = {}

    def index(self) -> Object:
        """Return `/openapi/v3`."""
        self._refresh()
        paths = {}
        for group, version in self._group_versions():
            place = f"apis/{group}/{version}" if group else f"api/{version}"
            url = f"/openapi/v3/{place}?hash={self.hash(group, version)}"
            paths[place] = {"serverRelativeURL": url}
        return {"paths": paths}

    def hash(self, group: str, version: str) -> str:
        """Return what changes whenever the document of a group version does."""
        self._refresh()
        known = self._hashes.get((group, version))
        if known is None:
            rows = [self._version, ".".join(map(str, openapi.version()))]
            for served in self._served(group, version):
                schema = served.structural() if served.structural is not None else None
                described = orjson.dumps((served.definition, schema)).decode()
                rows += [repr(served.resource), described]
            known = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32].upper()
            self._hashes[group, version] = known
        return known

    def document(self, group: str, version: str) -> bytes | None:
        """Return the document of a group version; None where nothing is served there."""
        self._refresh()
        document = self._documents.get((group, version))
        if document is None:
            served = self._served(group, version)
            if not served:
                return None
            document = orjson.dumps(_document(served, self._version))
            self._documents[group, version] = document
        return document

    def _refresh(self) -> None:
        if self._generation != self._resources.generation:
            self._generation = self._resources.generation
            self._documents.clear()
            self._hashes.clear()

    def _group_versions(self) -> list[tuple[str, str]]:
        return [
            (group, version)
            for group, versions in self._resources.groups().items()
            for version in versions
        ]

    def _served(self, group: str, version: str) -> list[Served]:
        return [
            each
            for each in self._resources.all()
            if (each.resource.group, each.resource.version) == (group, version)
        ]


def component(served: Served) -> str:
    """Return the component name of a resource's schema, e.g. ``io.k8s.api.apps.v1.Deployment``."""
    resource = served.resource
    name = openapi.definition_name(resource.api_version, resource.kind)
    if name and not served.custom:
        return name
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _document(served: list[Served], version: str) -> Object:
    definitions = dict(openapi.definitions())
    roots = [
        f"{_META}DeleteOptions",
        f"{_META}Status",
        f"{_META}ObjectMeta",
        f"{_META}ListMeta",
        f"{_META}Patch",
    ]
    paths: dict[str, Any] = {}
    for each in served:
        name = component(each)
        if each.custom:
            definitions |= _custom(each, name)
        roots += [name, f"{name}List"]
        for below in each.resource.subresources:
            described = kinds.subresource(each.resource, below)
            if described:
                api_version = f"{described.group}/{described.version}".lstrip("/")
                roots.append(openapi.definition_name(api_version, described.kind) or name)
        paths |= _paths(each, name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "components": {"schemas": _closure(roots, definitions)},
    }


def _closure(roots: Iterable[str], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions that the roots refer to, themselves included."""
    found: dict[str, Any] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in definitions:
            continue
        found[name] = definitions[name]
        waiting += _references(definitions[name])
    return dict(sorted(found.items()))


def _references(schema: Any) -> list[str]:
    found, waiting = [], [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                found.append(reference.removeprefix(_COMPONENTS))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def _gvk(served: Served, kind: str) -> dict[str, str]:
    return {"group": served.resource.group, "version": served.resource.version, "kind": kind}


def _described(name: str, text: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"{_COMPONENTS}{_META}{name}"}], "default": {}, "description": text}


def _custom(served: Served, name: str) -> dict[str, Any]:
    """Return the components of a custom resource: its own and its list's."""
    definition = served.definition or {}
    schema = dict(served.structural() if served.structural is not None else {"type": "object"})
    text = {"type": "string"}
    schema["properties"] = {
        "apiVersion": text | {"description": "Version of the schema of this object."},
        "kind": text | {"description": "What the object is."},
        **(schema.get("properties") or {}),
        "metadata": _described("ObjectMeta", "Standard object's metadata."),
    }
    schema[_GVK] = [_gvk(served, served.resource.kind)]
    if fields := definition.get("selectableFields"):
        paths = [{"fieldPath": each["jsonPath"].lstrip(".")} for each in fields]
        schema["x-kubernetes-selectable-fields"] = paths
    listed = {
        "type": "object",
        "description": f"{served.list_kind} is a list of {served.resource.kind}",
        "required": ["items"],
        "properties": {
            "apiVersion": text,
            "kind": text,
            "metadata": _described("ListMeta", "Standard list metadata."),
            "items": {"type": "array", "items": {"$ref": _COMPONENTS + name}},
        },
        _GVK: [_gvk(served, served.list_kind)],
    }
    return {name: schema, f"{name}List": listed}


def _paths(served: Served, name: str) -> dict[str, Any]:
    resource = served.resource
    verbs = resource.verbs
    collection = resource.path("{namespace}")
    item = resource.path("{namespace}", "{name}")
    paths: dict[str, Any] = {}
    of_collection = _operations(served, name, {"list": "get", "create": "post"}, verbs)
    of_item = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
    if of_collection:
        paths[collection] = of_collection | _placed(resource.namespaced, named=False)
    if operations := _operations(served, name, of_item, verbs):
        paths[item] = operations | _placed(resource.namespaced, named=True)
    for below in resource.subresources:
        described = kinds.subresource(resource, below)
        if described is None or described.kind != resource.kind:
            continue
        operations = _operations(served, name, of_item, described.verbs)
        if operations:
            paths[f"{item}/{below}"] = operations | _placed(resource.namespaced, named=True)
    return paths


def _placed(namespaced: bool, *, named: bool) -> dict[str, Any]:  # noqa: FBT001 (a field passed on)
    names = ["namespace"] * namespaced + ["name"] * named
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    }


def _patch_types(served: Served) -> tuple[str, ...]:
    # kubectl sends a strategic merge patch to whatever is said to take one.
    strategic = () if served.custom else (STRATEGIC_MERGE_PATCH,)
    return (JSON_PATCH, MERGE_PATCH, *strategic)


def _operations(
    served: Served, name: str, methods: Mapping[str, str], verbs: Iterable[str]
) -> dict[str, Any]:
    reference = {"$ref": _COMPONENTS + name}
    answer = {"description": "OK", "content": {_JSON: {"schema": reference}}}
    operations: dict[str, Any] = {}
    for verb, method in methods.items():
        if verb not in verbs:
            continue
        operation: dict[str, Any] = {
            "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
            _GVK: _gvk(served, served.resource.kind),
            "responses": {"200": answer},
        }
        if verb in {"create", "update", "patch"}:
            operation["parameters"] = [
                {"name": key, "in": "query", "description": text, "schema": {"type": "string"}}
                for key, text in _QUERY.items()
            ]
            types = _patch_types(served) if verb == "patch" else (_JSON,)
            body = {"$ref": f"{_COMPONENTS}{_META}Patch"} if verb == "patch" else reference
            operation["requestBody"] = {"content": {each: {"schema": body} for each in types}}
        operations[method] = operation
    return operations
