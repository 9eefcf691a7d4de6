"""Kubernetes' own schemas of the built-in kinds, out of the package that carries them.

The document (1.8 MB of JSON) is read when it is needed and not kept: compiled schemas are small,
and the texts are wanted only by ``/openapi/v3``, which keeps its own bytes.

The package has turned the published document into JSON schemas (nulls allowed, references to
`$defs`, an enum on apiVersion and kind); here that is undone. It drops Kubernetes' few defaults.
"""

import functools
import importlib.util
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from wherry.objects import kinds
from wherry.objects.schemas import Schema, compiling

_FOLDER: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)-local")
_COMPONENTS: Final = "#/components/schemas/"
_GVK: Final = "x-kubernetes-group-version-kind"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


@functools.cache
def _folder() -> tuple[tuple[int, ...], pathlib.Path]:
    """Return the newest version in the package, and its folder.

    Raises:
        FileNotFoundError: the package is not installed in full.
    """
    # Found without importing it: the package would import jsonschema, for 0.1 s and 6 MB.
    spec = importlib.util.find_spec("kubernetes_validate")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [
        (tuple(int(number) for number in match.groups()), folder)
        for place in places
        for folder in (pathlib.Path(place) / "kubernetes-json-schema").iterdir()
        if (match := _FOLDER.fullmatch(folder.name))
    ]
    if not found:
        raise FileNotFoundError(
            "the package kubernetes-validate, which holds the schemas of the built-in kinds, "
            "is not installed in full: install wherry again"
        )
    return max(found)


def version() -> tuple[int, ...]:
    """Return the version of Kubernetes that the schemas are of, e.g. ``(1, 37, 0)``."""
    return _folder()[0]


def _read() -> dict[str, dict[str, Any]]:
    raw = (_folder()[1] / "_definitions.json").read_bytes()
    definitions: dict[str, dict[str, Any]] = orjson.loads(raw)["$defs"]
    return definitions


def definitions() -> Mapping[str, dict[str, Any]]:
    """Return every component schema, by name, as kube-apiserver publishes them in OpenAPI v3.

    Read and built anew on each call (some 30 ms and 10 MB): keep what you make of it, not this.
    """
    return {name: _published(name, schema) for name, schema in _read().items()}


class Definitions(Mapping[str, dict[str, Any]]):
    """The same as `definitions`, each made when it is asked for: for those who want few of them."""

    def __init__(self) -> None:
        """Read the document (some 20 ms and 10 MB, for as long as this is kept)."""
        self._source = _read()

    def __getitem__(self, name: str) -> dict[str, Any]:
        return _published(name, self._source[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return len(self._source)


def definition(api_version: str, kind: str) -> dict[str, Any] | None:
    """Return the component schema of a kind as published; None for a kind that is not known."""
    name = definition_name(api_version, kind)
    return _published(name, _read()[name]) if name else None


def definition_name(api_version: str, kind: str) -> str | None:
    """Return the component name of a kind; None for a kind that is not known.

    Args:
        api_version: E.g. ``apps/v1``.
        kind: E.g. ``Deployment``, giving ``io.k8s.api.apps.v1.Deployment``.
    """
    return _catalogue().names.get((api_version, kind))


def schema_for(api_version: str, kind: str) -> Schema:
    """Return the compiled schema of a kind in `kinds.BUILTIN`, or of what its subresources take.

    The first call compiles them all.

    Raises:
        KeyError: there is no such kind.
    """
    return _catalogue().schemas[api_version, kind]


def custom(openapi: Mapping[str, Any]) -> Schema:
    """Return the compiled schema of a custom resource, its metadata read as Kubernetes does.

    Args:
        openapi: `openAPIV3Schema` of one version of a custom resource definition.

    Raises:
        SchemaError: the schema is malformed; the message names the place.
    """
    root = _catalogue().compiler.structural(openapi, resource=True)
    compiling.settle((root,))
    return Schema(root)


class _Catalogue(NamedTuple):
    names: dict[tuple[str, str], str]
    schemas: dict[tuple[str, str], Schema]
    compiler: compiling.Compiler


# What the API takes besides the kinds that it stores.
_BODIES: Final = (
    ("autoscaling/v1", "Scale"),
    ("authentication.k8s.io/v1", "TokenRequest"),
    ("policy/v1", "Eviction"),
    ("v1", "DeleteOptions"),
)


@functools.cache
def _catalogue() -> _Catalogue:
    """Compile every built-in kind, together, so that they share what they have in common."""
    source = _read()
    names = {
        (f"{row['group']}/{row['version']}" if row["group"] else row["version"], row["kind"]): name
        for name, schema in source.items()
        for row in schema.get(_GVK, ())
    }
    compiler = compiling.Compiler(source)
    # Nobody checks that a status is complete: Go fills what is missing with zero values.
    lenient = compiling.Compiler(source, demanding=False)
    wanted = [(resource.api_version, resource.kind) for resource in kinds.BUILTIN]
    made = {gvk: _compile(names[gvk], compiler, lenient) for gvk in (*wanted, *_BODIES)}
    compiling.settle([schema.root for schema in made.values()])
    compiler.forget()
    return _Catalogue(names, made, compiler)


def _compile(name: str, compiler: compiling.Compiler, lenient: compiling.Compiler) -> Schema:
    root = compiler.definition(name)
    if "status" in root.properties:
        status = lenient.definition(name).properties["status"]
        root.properties = {**root.properties, "status": status}
    return Schema(root)


def _published(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    published = _undone(schema)
    if name == _INT_OR_STRING:
        published["format"] = "int-or-string"
    if _GVK in schema:
        for field in ("apiVersion", "kind"):
            published.get("properties", {}).get(field, {}).pop("enum", None)
    return published


def _undone(schema: dict[str, Any]) -> dict[str, Any]:
    """Return one level of a schema, and all below it, as Kubernetes publishes it."""
    made = dict(schema)
    if isinstance(schema.get("type"), list):
        made["type"] = schema["type"][0]
    if "$ref" in made:
        reference = {"$ref": _COMPONENTS + made.pop("$ref").rpartition("/")[2]}
        # OpenAPI 3.0 has nothing stand beside a reference.
        return {**made, "allOf": [reference]} if made else reference
    if "properties" in made:
        made["properties"] = {name: _undone(field) for name, field in made["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(made.get(keyword), dict):
            made[keyword] = _undone(made[keyword])
    if "oneOf" in made:
        made["oneOf"] = [_undone(part) for part in made["oneOf"]]
    return made
