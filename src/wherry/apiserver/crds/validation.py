"""Which custom resource definitions are accepted.

Source: `pkg/apis/apiextensions/validation` of apiextensions-apiserver.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.apiserver.crds import keywords
from wherry.apiserver.strategies import causes, webhookconfigs
from wherry.objects import jsonpaths, names, openapi
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.schemas import SchemaError

_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_CONVERSIONS: Final = ("None", "Webhook")
_REVIEW_VERSIONS: Final = ("v1", "v1beta1")
_SCOPES: Final = ("Cluster", "Namespaced")
_MAX_SELECTABLE_FIELDS = 8


def check(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a definition, whose fields have their types."""
    spec = obj["spec"]
    found = [*_names(obj, spec), *_versions(spec["versions"])]
    found += causes.choice("spec.scope", spec.get("scope") or "", _SCOPES)
    if spec.get("preserveUnknownFields"):
        detail = "must be false in order to use defaults in the schema"
        found.append(causes.invalid("spec.preserveUnknownFields", value=True, detail=detail))
    found += _conversion(spec.get("conversion") or {})
    if old is not None:
        found += _immutable(spec, old["spec"])
        found += _stored_versions((obj.get("status") or {}).get("storedVersions"), spec["versions"])
    return found


def _conversion(conversion: Mapping[str, Any]) -> Iterator[Cause]:
    path, strategy = "spec.conversion", conversion.get("strategy") or ""
    yield from causes.choice(f"{path}.strategy", strategy, _CONVERSIONS)
    webhook = conversion.get("webhook")
    if strategy != "Webhook":
        if webhook is not None:
            detail = "should not be set when strategy is not set to Webhook"
            yield causes.forbidden(f"{path}.webhook", detail)
        return
    config = (webhook or {}).get("clientConfig")
    if config is None:
        detail = "required when strategy is set to Webhook"
        yield causes.required(f"{path}.webhook.clientConfig", detail)
    else:
        yield from webhookconfigs.client_config(f"{path}.webhook.clientConfig", config)
    yield from _review_versions((webhook or {}).get("conversionReviewVersions") or [])


def _review_versions(versions: list[str]) -> Iterator[Cause]:
    path = "spec.conversion.webhook.conversionReviewVersions"
    if not versions:
        yield causes.required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield causes.duplicate(f"{path}[{index}]", version)
        yield from causes.problems(f"{path}[{index}]", version, names.dns1035_label(version))
    if not set(versions) & set(_REVIEW_VERSIONS):
        detail = f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"
        yield causes.invalid(path, versions, detail)


def _stored_versions(stored: list[str] | None, versions: list[dict[str, Any]]) -> Iterator[Cause]:
    """Find versions that objects may still be stored in, and that nobody could read any more."""
    path = "status.storedVersions"
    if not stored:
        yield causes.invalid(path, stored or [], "must have at least one stored version")
        return
    known = [version["name"] for version in versions]
    for version in versions:
        if version.get("storage") and version["name"] not in stored:
            detail = f"must have the storage version {version['name']}"
            yield causes.invalid(path, stored, detail)
    for index, name in enumerate(stored):
        if name not in known:
            yield causes.invalid(f"{path}[{index}]", name, "must appear in spec.versions")


def _immutable(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Cause]:
    for path in ("group", "scope"):
        if spec.get(path) != old.get(path):
            yield causes.immutable(f"spec.{path}", spec.get(path))
    for name in ("plural", "kind"):
        if spec["names"].get(name) != old["names"].get(name):
            yield causes.immutable(f"spec.names.{name}", spec["names"].get(name))


def _names(obj: Object, spec: Mapping[str, Any]) -> Iterator[Cause]:
    group, given = spec.get("group") or "", spec["names"]
    yield from _group(group)
    yield from _given_names(given)
    wanted = f"{given.get('plural', '')}.{group}"
    if obj["metadata"].get("name") != wanted:
        detail = f'must be spec.names.plural+"."+spec.group: {wanted}'
        yield causes.invalid("metadata.name", obj["metadata"].get("name", ""), detail)


def _group(group: str) -> Iterator[Cause]:
    if not group:
        yield causes.required("spec.group")
    else:
        yield from causes.problems("spec.group", group, names.dns_subdomain(group))
        if "." not in group:
            detail = "should be a domain with at least one dot"
            yield causes.invalid("spec.group", group, detail)


def _given_names(given: Mapping[str, Any]) -> Iterator[Cause]:
    for key in ("plural", "kind"):
        if not given.get(key):
            yield causes.required(f"spec.names.{key}")
    for key in ("plural", "singular"):
        if value := given.get(key):
            yield from causes.problems(f"spec.names.{key}", value, names.dns1035_label(value))
    for key in ("kind", "listKind"):
        if value := given.get(key):
            problems = names.dns1035_label(value.lower())
            yield from causes.problems(f"spec.names.{key}", value, problems)
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        detail = "kind and listKind may not be the same"
        yield causes.invalid("spec.names.listKind", given["listKind"], detail)
    for key in ("shortNames", "categories"):
        for index, value in enumerate(given.get(key) or ()):
            path = f"spec.names.{key}[{index}]"
            yield from causes.problems(path, value, names.dns1035_label(value))


def _versions(versions: list[dict[str, Any]]) -> Iterator[Cause]:
    if not versions:
        yield causes.required("spec.versions", "must have at least one version")
        return
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        shown = [version.get("name", "") for version in versions]
        yield causes.invalid("spec.versions", shown, detail)
    seen: set[str] = set()
    for index, version in enumerate(versions):
        name, path = version.get("name") or "", f"spec.versions[{index}]"
        yield from causes.problems(f"{path}.name", name, names.dns1035_label(name))
        if name in seen:
            yield causes.duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _schema(version, path)
        yield from _columns(version, path)
        yield from _subresources(version, path)
        yield from _selectable(version, path)


def _schema(version: Mapping[str, Any], path: str) -> Iterator[Cause]:
    place = f"{path}.schema.openAPIV3Schema"
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield causes.required(place, "schemas are required")
        return
    if schema.get("type") != "object":
        detail = "must be object at the root"
        yield causes.invalid(f"{place}.type", schema.get("type") or "", detail)
        return
    try:
        openapi.custom(schema)
    except SchemaError as error:
        yield causes.invalid(place, version.get("name") or "", str(error))
        return
    yield from _structure(schema, place)
    if keywords.uses(schema, keywords.RULES):
        # Few definitions have rules, and the language is a few megabytes.
        from wherry.apiserver.crds import rule_checking  # noqa: PLC0415 - CEL is loaded when used

        yield from rule_checking.check(schema, place)


def _structure(schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Find what a structural schema may not leave out, or not have."""
    typed = schema.get("type") or schema.get("x-kubernetes-int-or-string")
    if not typed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield causes.required(f"{path}.type", "must not be empty for specified object fields")
    if schema.get("properties") and schema.get("additionalProperties"):
        yield causes.forbidden(f"{path}.additionalProperties", "mutual exclusive with properties")
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield causes.required(f"{path}.items", "must be specified")
    if schema.get("uniqueItems"):
        yield causes.forbidden(f"{path}.uniqueItems", "uniqueItems cannot be set to true")
    if schema.get("$ref"):
        yield causes.forbidden(f"{path}.$ref", "$ref is not supported")
    for name, below in (schema.get("properties") or {}).items():
        if path.endswith(".openAPIV3Schema") and name == "metadata":
            continue
        yield from _structure(below, f"{path}.properties[{name}]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _structure(schema["additionalProperties"], f"{path}.additionalProperties")
    if isinstance(schema.get("items"), dict):
        yield from _structure(schema["items"], f"{path}.items")


def _path_problem(path: str) -> str:
    try:
        jsonpaths.check(path)
    except ValueError as error:
        return str(error)
    return ""


def _columns(version: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        place = f"{path}.additionalPrinterColumns[{index}]"
        if not column.get("name"):
            yield causes.required(f"{place}.name")
        yield from causes.choice(f"{place}.type", column.get("type") or "", _COLUMN_TYPES)
        given = column.get("jsonPath") or ""
        if not given:
            yield causes.required(f"{place}.jsonPath")
        elif problem := _path_problem(given):
            yield causes.invalid(f"{place}.jsonPath", given, problem)


def _subresources(version: Mapping[str, Any], path: str) -> Iterator[Cause]:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return
    wanted = (
        ("specReplicasPath", (".spec.",), True),
        ("statusReplicasPath", (".status.",), True),
        ("labelSelectorPath", (".spec.", ".status."), False),
    )
    for name, starts, required in wanted:
        value, place = scale.get(name) or "", f"{path}.subresources.scale.{name}"
        if not value and required:
            yield causes.required(place)
        elif value and (not value.startswith(starts) or "[" in value):
            detail = f"should be a json path under {' or '.join(starts)} without array notation"
            yield causes.invalid(place, value, detail)


def _selectable(version: Mapping[str, Any], path: str) -> Iterator[Cause]:
    fields = version.get("selectableFields") or ()
    if len(fields) > _MAX_SELECTABLE_FIELDS:
        detail = f"must have at most {_MAX_SELECTABLE_FIELDS} items"
        yield causes.invalid(f"{path}.selectableFields", len(fields), detail)
    for index, field in enumerate(fields):
        value = field.get("jsonPath") or ""
        place = f"{path}.selectableFields[{index}].jsonPath"
        if not value.startswith(".") or value.startswith(".metadata.") or "[" in value:
            detail = "must be a simple path to a field outside metadata, such as .spec.color"
            yield causes.invalid(place, value, detail)
