"""The published document: what the package has changed is undone, and every kind compiles."""

from typing import Any

import pytest

from wherry.objects import kinds, openapi
from wherry.objects.resources import Resource

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def levels(schema: Any):
    if isinstance(schema, dict):
        yield schema
        for field in schema.get("properties", {}).values():
            yield from levels(field)
        for keyword in ("items", "additionalProperties"):
            yield from levels(schema.get(keyword))
        for part in [*schema.get("allOf", ()), *schema.get("oneOf", ())]:
            yield from levels(part)


def test_every_level_is_proper_openapi():
    definitions = openapi.definitions()
    assert len(definitions) > 600
    for schema in definitions.values():
        for level in levels(schema):
            assert isinstance(level.get("type", ""), str)
            if "$ref" in level:
                assert len(level) == 1
                assert level["$ref"].startswith("#/components/schemas/")
                assert level["$ref"].removeprefix("#/components/schemas/") in definitions


def test_special_types_are_published_as_kubernetes_does():
    definitions = openapi.definitions()
    assert definitions[QUANTITY]["oneOf"] == [{"type": "string"}, {"type": "number"}]
    assert definitions[INT_OR_STRING]["format"] == "int-or-string"


def test_what_clients_read_is_kept():
    deployment = openapi.definition("apps/v1", "Deployment")
    assert deployment is not None
    assert deployment["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "kind": "Deployment", "version": "v1"}
    ]
    assert deployment["properties"]["kind"]["type"] == "string"
    assert "enum" not in deployment["properties"]["kind"]
    assert deployment["properties"]["spec"]["description"]
    pod_spec = openapi.definitions()["io.k8s.api.core.v1.PodSpec"]
    assert pod_spec["properties"]["containers"]["x-kubernetes-patch-merge-key"] == "name"


def test_names():
    assert openapi.definition_name("apps/v1", "Deployment") == "io.k8s.api.apps.v1.Deployment"
    assert openapi.definition_name("apps/v1", "Nothing") is None
    assert openapi.definition("apps/v1", "Nothing") is None
    assert openapi.version() >= (1, 37)


@pytest.mark.parametrize("row", kinds.BUILTIN, ids=lambda row: f"{row.api_version}/{row.kind}")
def test_every_kind_compiles_and_reads_its_envelope(row: Resource):
    schema = openapi.schema_for(row.api_version, row.kind)
    obj = {
        "apiVersion": row.api_version,
        "kind": row.kind,
        "metadata": {"name": "x", "labels": {"a": "b"}, "creationTimestamp": None},
        "surely-unknown": 1,
    }
    assert schema.decode(obj) == ["surely-unknown"]
    assert "creationTimestamp" not in obj["metadata"]  # type: ignore[operator]  # a dict, as made above
    assert openapi.schema_for(row.api_version, row.kind) is schema


def test_a_kind_that_is_not_built_in():
    with pytest.raises(KeyError):
        openapi.schema_for("example.com/v1", "Thing")


def test_a_custom_schema_reads_metadata_as_kubernetes_does():
    schema = openapi.custom({"type": "object", "properties": {"spec": {"type": "object"}}})
    obj = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "x", "bogus": 1, "creationTimestamp": None},
        "spec": {},
    }
    assert schema.decode(obj) == ["metadata.bogus"]
    assert obj["metadata"] == {"name": "x"}
