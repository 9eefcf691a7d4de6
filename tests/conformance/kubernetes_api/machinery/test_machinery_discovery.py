"""Discovery and OpenAPI: what is served is told, at once, and in every form."""

import functools
import json
import re

import pytest

from wherry.objects import kinds
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

AGGREGATED = "AggregatedDiscovery should support"
PUBLISH = "CustomResourcePublishOpenAPI [Privileged:ClusterAdmin]"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CRDS = kinds.CUSTOM_RESOURCE_DEFINITIONS
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _aggregated(api, accept=V2):
    """Return all resources of both documents as ``(group, version, plural)``."""
    found = set()
    for path in ("/api", "/apis"):
        answer = api.call("GET", path, headers={"Accept": accept})
        assert answer.headers["Content-Type"].replace(" ", "") == V2
        assert answer.json["kind"] == "APIGroupDiscoveryList"
        assert answer.json["apiVersion"] == "apidiscovery.k8s.io/v2"
        for group in answer.json["items"]:
            for version in group["versions"]:
                for row in version["resources"]:
                    name = group["metadata"].get("name", "")
                    found.add((name, version["version"], row["resource"]))
    return found


BUILTIN = {(one.group, one.version, one.plural) for one in kinds.BUILTIN}


@case(name=f"{AGGREGATED} aggregated discovery interface")
def test_one_document_has_all(api):
    assert _aggregated(api) >= BUILTIN


@case(name=f"{AGGREGATED} aggregated discovery interface for CRDs")
def test_it_has_custom_resources(api, serve_schema):
    resource = serve_schema()
    wanted = (resource.group, resource.version, resource.plural)
    eventually(lambda: wanted in _aggregated(api))


@case(name=f"{AGGREGATED} raw aggregated discovery endpoint Accept headers")
def test_it_is_asked_for_by_accept(api):
    old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    assert _aggregated(api, f"{V2},{old},application/json") >= BUILTIN
    plain = api.call("GET", "/apis", headers={"Accept": "application/json"}).json
    assert plain["kind"] == "APIGroupList"
    assert {group["name"] for group in plain["groups"]} >= {one.group for one in kinds.BUILTIN} - {
        ""
    }


@case(name=f"{AGGREGATED} raw aggregated discovery request for CRDs")
def test_it_has_custom_resources_of_several_versions(api, definition, serve, version):
    made = definition([version("v1", ANYTHING), version("v2", ANYTHING, storage=False)])
    served = {(one.group, one.version, one.plural) for one in serve(made)}
    eventually(lambda: served <= _aggregated(api, f"{V2},application/json"))


@case(name="Discovery should locate the groupVersion and a resource within each APIGroup")
def test_every_group_lists_resources(api):
    groups = api.ask("GET", "/apis")["groups"]
    # Groups of definitions come and go with other cases.
    builtin = {one.group for one in kinds.BUILTIN}
    for group in (one for one in groups if one["name"] in builtin):
        for version in group["versions"]:
            listed = api.ask("GET", f"/apis/{version['groupVersion']}")
            assert listed["groupVersion"] == version["groupVersion"]
            assert listed["resources"][0]["name"]
    assert {"apps", "batch", "rbac.authorization.k8s.io"} <= {group["name"] for group in groups}


@case(name="Discovery should validate PreferredVersion for each APIGroup")
def test_every_group_prefers_a_version(api):
    builtin = {one.group for one in kinds.BUILTIN}
    for group in api.ask("GET", "/apis")["groups"]:
        if group["name"] not in builtin:
            continue
        alone = api.ask("GET", f"/apis/{group['name']}")
        assert alone["preferredVersion"]["groupVersion"].startswith(f"{group['name']}/")
        assert alone["preferredVersion"] in alone["versions"]
        assert group["preferredVersion"] == alone["preferredVersion"]


def _document(api, group_version):
    """Return the OpenAPI document of a group's version; None where there is none."""
    path = "apis/" + group_version if "/" in group_version else "api/" + group_version
    found = api.ask("GET", "/openapi/v3")["paths"].get(path)
    if found is None:
        return None
    answer = api.call("GET", found["serverRelativeURL"])
    # It may have gone between the index and the document.
    return answer.json if answer.code != 404 else None


def _resolves(document):
    text = json.dumps(document)
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    return names <= document["components"]["schemas"].keys()


@case(name="OpenAPIV3 should round trip OpenAPI V3 for all built-in group versions")
def test_documents_are_whole(api):
    for group_version in sorted({one.api_version for one in kinds.BUILTIN}):
        document = _document(api, group_version)
        assert document["openapi"].startswith("3.")
        assert _resolves(document)
        again = _document(api, group_version)
        assert again == document
        described = {
            (one["group"], one["version"], one["kind"])
            for schema in document["components"]["schemas"].values()
            for one in schema.get("x-kubernetes-group-version-kind", [])
        }
        here = [one for one in kinds.BUILTIN if one.api_version == group_version]
        assert {(one.group, one.version, one.kind) for one in here} <= described


@case(name="OpenAPIV3 should publish OpenAPI V3 for CustomResourceDefinition")
def test_a_definition_has_a_document_while_it_is_there(api, serve_schema):
    resource = serve_schema()
    document = eventually(lambda: _document(api, resource.api_version))
    assert _resolves(document)
    assert resource.path("{namespace}", "{name}") in document["paths"]
    api.delete(CRDS, resource.key)
    eventually(lambda: _document(api, resource.api_version) is None)


def _kinds_of(api, group_version):
    schemas = (_document(api, group_version) or {"components": {"schemas": {}}})["components"][
        "schemas"
    ]
    rows = [
        row for one in schemas.values() for row in one.get("x-kubernetes-group-version-kind", [])
    ]
    return {row["kind"] for row in rows if f"{row['group']}/{row['version']}" == group_version}


def _is_published(api, resource):
    eventually(lambda: resource.kind in _kinds_of(api, resource.api_version))


DESCRIBED = {
    "type": "object",
    "description": "Foo CRD for Testing",
    "properties": {
        "spec": {
            "type": "object",
            "description": "Specification of Foo",
            "properties": {
                "bars": {
                    "type": "array",
                    "description": "List of Bars and their specs.",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "description": "Name of Bar."},
                            "age": {"type": "string", "description": "Age of Bar."},
                            "bazs": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                }
            },
        },
        "status": {"type": "object", "description": "Status of Foo"},
    },
}


def _text(resource, **fields):
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return json.dumps({**head, "metadata": {"name": "one"}, **fields})


@case(name=f"{PUBLISH} works for CRD with validation schema")
def test_kubectl_knows_the_schema(kubectl, serve_schema):
    resource = serve_schema(DESCRIBED)
    good = _text(resource, spec={"bars": [{"name": "test-bar"}]})
    kubectl("create", "-f", "-", text=good)
    kubectl("delete", resource.plural, "one")
    kubectl("apply", "-f", "-", text=good)
    kubectl("delete", resource.plural, "one")
    unknown = _text(resource, spec={"bars": [{"name": "test-bar", "unknown": 1}]})
    incomplete = _text(resource, spec={"bars": [{"age": "10"}]})
    for verb in ("create", "apply"):
        assert 'unknown field "spec.bars[0].unknown"' in kubectl.fails(
            verb, "-f", "-", text=unknown
        )
        assert "spec.bars[0].name" in kubectl.fails(verb, "-f", "-", text=incomplete)
    whole = kubectl("explain", resource.plural).out
    assert f"KIND:       {resource.kind}" in whole
    assert "Foo CRD for Testing" in whole
    bars = kubectl("explain", f"{resource.plural}.spec.bars").out
    assert "List of Bars and their specs." in bars
    assert re.search(r"name\s+<string> -required-", bars)
    assert "does not exist" in kubectl.fails("explain", f"{resource.plural}.spec.bars2")


def _takes_anything(kubectl, resource, **fields):
    text = _text(resource, **fields)
    for verb in ("create", "apply"):
        kubectl(verb, "-f", "-", text=text)
        assert kubectl.get(resource.plural, "one").items() >= fields.items()
        kubectl("delete", resource.plural, "one")


@case(name=f"{PUBLISH} works for CRD without validation schema")
def test_kubectl_takes_anything_without_a_schema(kubectl, serve_schema):
    resource = serve_schema(ANYTHING)
    _takes_anything(kubectl, resource, a={"b": [{"c": "d"}]})
    assert re.search(r"DESCRIPTION:\s+<empty>", kubectl("explain", resource.plural).out)


@case(name=f"{PUBLISH} works for CRD preserving unknown fields at the schema root")
def test_kubectl_takes_unknown_fields_at_the_root(kubectl, serve_schema):
    schema = {**DESCRIBED, **ANYTHING}
    resource = serve_schema(schema)
    _takes_anything(kubectl, resource, spec={"bars": [{"name": "x"}]}, more=2)
    assert f"KIND:       {resource.kind}" in kubectl("explain", resource.plural).out


@case(name=f"{PUBLISH} works for CRD preserving unknown fields in an embedded object")
def test_kubectl_takes_unknown_fields_below(kubectl, serve_schema):
    part = {**ANYTHING, "description": "Anything at all"}
    resource = serve_schema({"type": "object", "properties": {"spec": part, "status": part}})
    _takes_anything(kubectl, resource, spec={"b": [{"c": "d"}]})
    explained = kubectl("explain", resource.plural).out
    assert re.search(r"spec\s+<Object>\s+Anything at all", explained)


@case(name=f"{PUBLISH} works for multiple CRDs of different groups")
def test_several_groups_are_published(api, definition, serve, version):
    for suffix in ("a", "b"):
        (one,) = serve(definition([version("v1", DESCRIBED)], suffix=suffix))
        _is_published(api, one)


@case(name=f"{PUBLISH} works for multiple CRDs of same group but different versions")
def test_several_versions_are_published(api, definition, serve, version, unique):
    both = [version("v2", DESCRIBED), version("v3", DESCRIBED, storage=False)]
    for one in serve(definition(both)):
        _is_published(api, one)
    group = f"{unique}.example.org"
    for suffix, name in (("a", "v4"), ("b", "v5")):
        (one,) = serve(definition([version(name, DESCRIBED)], suffix=suffix, group=group))
        _is_published(api, one)


@case(name=f"{PUBLISH} works for multiple CRDs of same group and version but different kinds")
def test_several_kinds_are_published(api, definition, serve, version, unique):
    group = f"{unique}.example.org"
    made = [definition([version("v6", DESCRIBED)], suffix=s, group=group) for s in "ab"]
    expected = {one.kind for each in made for one in serve(each)}
    eventually(lambda: expected <= _kinds_of(api, f"{group}/v6"))


def _edit_version(api, resource, index, **fields):
    def edit(crd):
        crd["spec"]["versions"][index].update(fields)

    api.change(CRDS, resource.key, edit)


@case(name=f"{PUBLISH} updates the published spec when one version gets renamed")
def test_a_renamed_version_is_published_anew(api, definition, serve, version):
    made = definition([version("v2", DESCRIBED), version("v3", DESCRIBED, storage=False)])
    kept, renamed = serve(made)
    eventually(lambda: renamed.kind in _kinds_of(api, renamed.api_version))
    before = _document(api, kept.api_version)
    _edit_version(api, kept, 1, name="v4")
    eventually(lambda: _kinds_of(api, f"{kept.group}/v4"))
    eventually(lambda: _document(api, renamed.api_version) is None)
    assert _document(api, kept.api_version) == before


@case(name=f"{PUBLISH} removes definition from spec when one version gets changed to not be served")
def test_a_version_that_is_no_longer_served_is_gone(api, definition, serve, version):
    made = definition([version("v5", DESCRIBED), version("v6alpha1", DESCRIBED, storage=False)])
    kept, gone = serve(made)
    eventually(lambda: gone.kind in _kinds_of(api, gone.api_version))
    _edit_version(api, kept, 1, served=False)
    eventually(lambda: _document(api, gone.api_version) is None)
    assert kept.kind in _kinds_of(api, kept.api_version)
