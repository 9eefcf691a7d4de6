"""What the server says it has: kinds, their short names and categories, their fields."""

import functools
import json

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


def definition(plural, kind, group, schema=None, scope="Namespaced", **names):
    spec = {"type": "object", "properties": {"test": {"type": "string"}}}
    schema = schema or {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [version],
        },
    }


@pytest.fixture
def define(cmd):
    """Give what makes a definition, and an object of it; the definition goes with the case."""
    made = []

    def create(plural, kind, group, name="", **fields):
        cmd("create", "-f", cmd.file(f"{plural}.yaml", definition(plural, kind, group, **fields)))
        made.append(f"{plural}.{group}")
        cmd("wait", "--for=condition=Established", f"crd/{plural}.{group}")
        cmd.waits(lambda: plural in cmd("get", "--raw", f"/apis/{group}/v1"), plural)
        if name:
            thing = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}}
            cmd("create", "-f", cmd.file(f"{name}.yaml", thing | {"spec": {"test": "test"}}))
            cmd.lists(plural, name)

    yield create
    if made:
        cmd("delete", "crd", *made)


@case(name="discovery: run_RESTMapper_evaluation_tests")
def test_unknown_kinds(cmd):
    said = cmd.fails("get", "unknownresourcetype")
    assert "the server doesn't have a resource type" in said


def is_not_a_pod(cmd):
    for _ in range(2):
        assert "a-thing" in cmd("get", "examples")
        assert "a-thing" not in cmd("get", "pod")
        # It asks anew what there is.
        cmd("api-resources")


@case(name="discovery: run_assert_short_name_tests")
def test_short_names(cmd, define):
    found = json.loads(cmd.out("get", "--raw=/api/v1"))["resources"]
    (maps,) = [one for one in found if one["name"] == "configmaps"]
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    assert (maps["singularName"], maps["kind"], maps["namespaced"]) == (
        "configmap",
        "ConfigMap",
        True,
    )
    assert (maps["verbs"], maps["shortNames"]) == (verbs, ["cm"])
    assert maps["storageVersionHash"]
    define("examples", "Example", "test.com", "a-thing", singular="example", shortNames=["pod"])
    is_not_a_pod(cmd)


@case(name="discovery: run_assert_singular_name_tests")
def test_singular_names(cmd, define):
    define("examples", "Example", "test.com", "a-thing", singular="pod")
    is_not_a_pod(cmd)


@case(name="discovery: run_assert_categories_tests")
def test_categories(cmd):
    found = json.loads(cmd.out("get", "--raw=/api/v1"))["resources"]
    (pods,) = [one for one in found if one["name"] == "pods"]
    assert pods["categories"] == ["all"]


@case(name="discovery: run_resource_aliasing_tests")
def test_aliases(cmd):
    cmd("create", "-f", cmd.at("controller.yaml"))
    cmd("expose", "rc", "frontend", "--port=80", "--labels=tier=frontend")
    cmd.becomes("rc frontend", "{{.status.replicas}}", "3")
    kinds = [one["kind"] for one in cmd.get("all -l tier=frontend")["items"]]
    assert sorted(kinds) == ["Pod", "Pod", "Pod", "ReplicationController", "Service"]
    cmd("delete", "all", "-l", "tier=frontend")
    cmd.comes_to("all -l tier=frontend")


@case(name="discovery: run_crd_deletion_recreation_tests")
def test_definitions_come_again(cmd):
    group = "again.example.com"
    for scope, name in (("Cluster", "one"), ("Namespaced", "two")):
        made = definition("examples", "Example", group, scope=scope, singular="example")
        file = cmd.file(f"{scope}.yaml", made)
        thing = {"apiVersion": f"{group}/v1", "kind": "Example", "metadata": {"name": name}}
        assert "created" in cmd("apply", "-f", file)
        cmd("wait", "--for=condition=Established", f"crd/examples.{group}")
        cmd.waits(lambda: "examples" in cmd("get", "--raw", f"/apis/{group}/v1"), "examples")
        # What kubectl remembers of the kind that had the name is out of date.
        cmd("api-resources")
        assert "created" in cmd("apply", "-f", cmd.file("thing.yaml", thing))
        assert "deleted" in cmd("delete", "-f", file)


@case(name="discovery: run_kubectl_explain_tests")
def test_explain(cmd):
    for what, words in (
        ("pods", "KIND:       Pod"),
        ("po", "KIND:       Pod"),
        ("po.status.message", "FIELD: message <string>"),
        ("cronjob", "KIND:       CronJob"),
    ):
        assert words in cmd("explain", what)


@case(name="discovery: run_swagger_tests")
@pytest.mark.xfail(
    strict=True, reason="/openapi/v2 is served without paths: clients read /openapi/v3"
)
def test_swagger(cmd):
    said = cmd("get", "--raw", "/openapi/v2")
    for words in ("list of returned", "List of services", "Watch for changes to the described"):
        assert words in said


@case(name="discovery: run_ambiguous_shortname_tests")
def test_ambiguous_short_names(cmd, define):
    names = {"shortNames": ["exmp"]}
    define("foos", "Foo", "bar.com", "a-foo", singular="foo", categories=["all"], **names)
    assert "a-foo" in cmd("get", "exmp")
    define("examples", "Example", "test.com", singular="example", **names)
    assert "No resources found" in cmd("get", "examples")
    said = cmd("get", "exmp")
    assert "a-foo" in said
    expected = 'short name "exmp" could also match lower priority resource examples.test.com'
    assert expected in said


@case(name="discovery: run_explain_crd_with_additional_properties_tests")
def test_explain_additional_properties(cmd, define):
    values = {"type": "object", "additionalProperties": {"type": "string"}}
    nested = {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"a": values}},
    }
    spec = {"type": "object", "properties": {"plain": values, "nested": nested}}
    schema = {"type": "object", "properties": {"spec": spec}}
    define("mock-resources", "MockResource", "test.com", schema=schema, singular="mock-resource")

    def explained():
        return "FIELDS:" in cmd.run("explain", "mock-resource").out

    cmd.waits(explained, "the definition's fields are published")
    assert "FIELDS:" in cmd("explain", "mock-resource", "--recursive")
