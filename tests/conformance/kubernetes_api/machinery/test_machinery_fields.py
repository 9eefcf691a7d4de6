"""Field validation: what a kind does not know, or what is there twice, is refused."""

import functools
import json

import pytest

from wherry.objects import kinds
from wherry.testing import builders

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

FIELDS = "FieldValidation should"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
APPLY = "application/apply-patch+yaml"
KNOWN = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "foo": {"type": "string"},
                "cronSpec": {"type": "string", "pattern": "^[0-9* /]+$"},
                "ports": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "containerPort": {"type": "integer"},
                            "protocol": {"type": "string"},
                        },
                    },
                },
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"metadata": {"type": "object"}},
                },
            },
        }
    },
}


def _refusal(api, path, body):
    options = {"fieldValidation": "Strict", "fieldManager": "tester"}
    answer = api.call("POST", path, body, **options)
    assert answer.code == 400, answer.text
    assert "strict decoding error" in answer.json["message"]
    return answer.json["message"]


def _typed(**metadata):
    made = builders.deployment("web", replicas=1)
    made["metadata"] = {"name": "web", **metadata}
    return made


@case(name=f"{FIELDS} detect unknown and duplicate fields of a typed object")
def test_a_typed_object(api, namespace):
    made = _typed()
    made["spec"]["unknownField"] = "foo"
    text = json.dumps(made).replace(
        '"replicas": 1', '"replicas": 1, "paused": true, "paused": true'
    )
    said = _refusal(api, kinds.DEPLOYMENTS.path(namespace), text)
    assert 'unknown field "spec.unknownField"' in said
    assert 'duplicate field "spec.paused"' in said
    path = kinds.DEPLOYMENTS.path(namespace, "web")
    options = {"fieldManager": "tester", "fieldValidation": "Strict"}
    applied = api.call("PATCH", path, text, type_=APPLY, **options)
    assert (applied.code, "spec.unknownField" in applied.text) == (400, True), applied.text
    assert api.names(kinds.DEPLOYMENTS, namespace) == []


@case(name=f"{FIELDS} detect unknown metadata fields of a typed object")
def test_metadata_of_a_typed_object(api, namespace):
    made = _typed(unknownMeta="foo")
    made["spec"]["template"]["metadata"]["unknownSubMeta"] = "foo"
    said = _refusal(api, kinds.DEPLOYMENTS.path(namespace), made)
    assert 'unknown field "metadata.unknownMeta"' in said
    assert 'unknown field "spec.template.metadata.unknownSubMeta"' in said


def _body(resource, spec, **metadata):
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**head, "metadata": {"name": "one", **metadata}, "spec": spec}


@case(name=f"{FIELDS} create/apply a CR with unknown fields for CRD with no validation schema")
def test_a_kind_without_a_schema(api, namespace, serve_schema):
    resource = serve_schema(ANYTHING)
    body = _body(resource, {"unknown": {"deep": 1}})
    options = {"fieldValidation": "Strict", "fieldManager": "tester"}
    assert api.ask("POST", resource.path(namespace), body, **options)["spec"] == body["spec"]
    applied = api.apply(resource, _body(resource, {"other": 2}, namespace=namespace), **options)
    assert applied["spec"]["other"] == 2


@case(name=f"{FIELDS} create/apply a valid CR for CRD with validation schema")
def test_a_valid_object(api, namespace, serve_schema):
    resource = serve_schema(KNOWN)
    spec = {"cronSpec": "* * * * */5", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    options = {"fieldValidation": "Strict"}
    assert (
        api.ask("POST", resource.path(namespace), _body(resource, spec), **options)["spec"] == spec
    )
    applied = api.apply(resource, _body(resource, spec, namespace=namespace), **options)
    assert applied["spec"] == spec


@case(
    name=f"{FIELDS} create/apply an invalid CR with extra properties for CRD with validation schema"
)
def test_an_object_with_more(api, namespace, serve_schema):
    resource = serve_schema(KNOWN)
    body = _body(resource, {"foo": "foo1", "extraProperty": "x"})
    unknown = 'unknown field "spec.extraProperty"'
    assert unknown in _refusal(api, resource.path(namespace), body)
    # Where an applied field is unknown, upstream says so in the words of the typed merge.
    path = resource.path(namespace, "one")
    options = {"fieldManager": "tester", "fieldValidation": "Strict"}
    answer = api.call("PATCH", path, body, type_=APPLY, **options)
    assert (answer.code >= 400, "extraProperty" in answer.text) == (True, True), answer.text
    assert api.names(resource, namespace) == []


@case(name=f"{FIELDS} detect unknown metadata fields in both the root and embedded object of a CR")
def test_metadata_of_a_custom_resource(api, namespace, serve_schema):
    resource = serve_schema(KNOWN)
    template = {
        "apiVersion": "foo/v1",
        "kind": "Sub",
        "metadata": {"unknownSubMeta": 1, "name": "s"},
    }
    body = _body(resource, {"template": template}, unknownMeta="foo")
    said = _refusal(api, resource.path(namespace), body)
    assert 'unknown field "metadata.unknownMeta"' in said
    assert 'unknown field "spec.template.metadata.unknownSubMeta"' in said


@case(name=f"{FIELDS} detect duplicates in a CR when preserving unknown fields")
def test_duplicates_where_anything_goes(api, namespace, serve_schema):
    resource = serve_schema(ANYTHING)
    text = json.dumps(_body(resource, {"unknown": 1}))
    twice = text.replace('"unknown": 1', '"unknown": 1, "unknown": 2')
    assert 'duplicate field "spec.unknown"' in _refusal(api, resource.path(namespace), twice)
