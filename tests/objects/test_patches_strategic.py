"""Strategic merge patch by the merge keys that Kubernetes publishes."""

import copy
from typing import Any

import pytest

from wherry.objects import errors, openapi, patches


def merged(spec: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the Pod spec after a patch, having checked that nothing given was changed."""
    before = copy.deepcopy((spec, patch))
    result = patches.strategic_merge(
        {"spec": spec}, {"spec": patch}, openapi.schema_for("v1", "Pod")
    )
    assert (spec, patch) == before
    spec_after: dict[str, Any] = result["spec"]
    return spec_after


def containers(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": name, **fields} for name in names]


@pytest.mark.parametrize(
    ("spec", "patch", "expected"),
    [
        # Scalars and maps as in a merge patch.
        ({"hostname": "a"}, {"hostname": "b"}, {"hostname": "b"}),
        ({"hostname": "a"}, {"hostname": None}, {}),
        (
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"b": "2"}},
            {"nodeSelector": {"a": "1", "b": "2"}},
        ),
        ({}, {"nodeSelector": {"a": None, "b": "2"}}, {"nodeSelector": {"b": "2"}}),
        # Keyed lists.
        (
            {"containers": containers("a", "b")},
            {"containers": containers("b", image="x")},
            {"containers": [{"name": "a"}, {"name": "b", "image": "x"}]},
        ),
        (
            {"containers": containers("a")},
            {"containers": containers("b")},
            {"containers": containers("a", "b")},
        ),
        (
            {"containers": containers("a", image="x")},
            {"containers": [{"name": "a", "image": None}]},
            {"containers": containers("a")},
        ),
        ({}, {"containers": [{"name": "a", "image": None}]}, {"containers": containers("a")}),
        (
            {
                "containers": [
                    {"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}
                ]
            },
            {"containers": [{"name": "a", "env": [{"name": "Y", "value": "3"}]}]},
            {
                "containers": [
                    {"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}]}
                ]
            },
        ),
        # Lists without a merge strategy are replaced.
        (
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
        ),
        # $patch in items.
        (
            {"containers": containers("a", "b")},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": containers("b")},
        ),
        (
            {"containers": containers("a")},
            {"containers": [{"name": "z", "$patch": "delete"}]},
            {"containers": containers("a")},
        ),
        (
            {"containers": containers("a", "b")},
            {"containers": [{"$patch": "replace"}, {"name": "c"}]},
            {"containers": containers("c")},
        ),
        (
            {"containers": containers("a", "b")},
            {"containers": [{"name": "c"}, {"$patch": "replace"}]},
            {"containers": containers("c")},
        ),
        (
            {"containers": containers("a", "b")},
            {"containers": [{"$patch": "replace"}]},
            {"containers": []},
        ),
        (
            {"containers": containers("a")},
            {"containers": [{"name": "a", "image": "x", "$patch": "merge"}]},
            {"containers": containers("a", image="x")},
        ),
        # $patch in maps.
        (
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"$patch": "replace", "b": "2"}},
            {"nodeSelector": {"b": "2"}},
        ),
        (
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"$patch": "delete"}},
            {"nodeSelector": {}},
        ),
        (
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"$patch": "merge", "b": "2"}},
            {"nodeSelector": {"a": "1", "b": "2"}},
        ),
        ({}, {"nodeSelector": {"$patch": "replace", "b": "2"}}, {"nodeSelector": {"b": "2"}}),
        # $setElementOrder.
        (
            {"containers": containers("a", "b")},
            {"$setElementOrder/containers": containers("b", "a")},
            {"containers": containers("b", "a")},
        ),
        (
            {"containers": containers("a", "b")},
            {
                "$setElementOrder/containers": containers("c", "a", "b"),
                "containers": containers("c"),
            },
            {"containers": containers("c", "a", "b")},
        ),
        (
            {"containers": containers("live", "a", "b")},
            {"$setElementOrder/containers": containers("b", "a")},
            {"containers": containers("live", "b", "a")},
        ),
        (
            {"containers": containers("a", "live", "b")},
            {"$setElementOrder/containers": containers("a", "b")},
            {"containers": containers("a", "live", "b")},
        ),
        (
            {"containers": containers("a", "b", "live")},
            {"$setElementOrder/containers": containers("b", "a")},
            {"containers": containers("b", "a", "live")},
        ),
        ({}, {"$setElementOrder/containers": containers("a")}, {}),
        (
            {},
            {
                "$setElementOrder/containers": containers("a", "b"),
                "containers": containers("a", "b"),
            },
            {"containers": containers("a", "b")},
        ),
        (
            {"containers": containers("a", "b")},
            {
                "$setElementOrder/containers": containers("b"),
                "containers": [{"name": "a", "$patch": "delete"}],
            },
            {"containers": containers("b")},
        ),
        # $retainKeys: of the old volume source nothing stays.
        (
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {
                "volumes": [
                    {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
                ]
            },
            {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
        ),
        ({}, {"volumes": [{"name": "v", "$retainKeys": ["name"]}]}, {"volumes": [{"name": "v"}]}),
        # What the schema does not know.
        ({"bogus": {"a": 1}}, {"bogus": {"b": [1]}}, {"bogus": {"a": 1, "b": [1]}}),
        # A field of another type than before is replaced.
        ({"containers": "x"}, {"containers": containers("a")}, {"containers": containers("a")}),
    ],
)
def test_pods(spec: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]):
    assert merged(spec, patch) == expected


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        (["a"], {"finalizers": ["b"]}, ["a", "b"]),
        (["a", "b"], {"finalizers": ["b", "a"]}, ["a", "b"]),
        (["a", "b"], {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}, ["b"]),
        (["a"], {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}, ["c"]),
        (["a", "b"], {"$setElementOrder/finalizers": ["b", "a"]}, ["b", "a"]),
        (["a", "b", "a"], {"$setElementOrder/finalizers": ["b", "a"]}, ["b", "a", "a"]),
        (
            ["a", "live", "b"],
            {"$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"]},
            ["c", "a", "live", "b"],
        ),
    ],
)
def test_lists_of_scalars(before: list[str], patch: dict[str, Any], after: list[str]):
    obj = {"metadata": {"finalizers": before}}
    schema = openapi.schema_for("v1", "ConfigMap")
    result = patches.strategic_merge(obj, {"metadata": patch}, schema)
    assert result["metadata"]["finalizers"] == after


def test_scalars_are_deleted_from_atomic_lists_too():
    spec = {"containers": containers("a", args=["x", "y"])}
    patch = {"containers": [{"name": "a", "$deleteFromPrimitiveList/args": ["x"]}]}
    assert merged(spec, patch) == {"containers": containers("a", args=["y"])}


def test_an_item_that_only_the_server_has_stays_before_what_is_added():
    spec = {"containers": containers("old", "a", "live")}
    patch = {
        "$setElementOrder/containers": containers("a", "new"),
        "containers": [{"name": "new"}, {"name": "old", "$patch": "delete"}],
    }
    assert merged(spec, patch) == {"containers": containers("a", "live", "new")}


def test_a_strategy_that_retains_keys():
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    result = patches.strategic_merge(obj, patch, openapi.schema_for("apps/v1", "Deployment"))
    assert result == {"spec": {"strategy": {"type": "Recreate"}}}


def test_service_ports_merge_by_port():
    obj = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 81, "targetPort": 9}]}}
    result = patches.strategic_merge(obj, patch, openapi.schema_for("v1", "Service"))
    assert result["spec"]["ports"] == [
        {"port": 80, "name": "a"},
        {"port": 81, "name": "b", "targetPort": 9},
    ]


@pytest.mark.parametrize(
    "patch",
    [
        {"nodeSelector": {"$patch": "bogus"}},
        {"containers": [{"name": "a", "$patch": "bogus"}]},
        {"containers": [{"name": "a", "$patch": ["replace"]}]},
        {"$bogus": 1},
        {"$deleteFromPrimitiveList/": []},
        {"$setElementOrder/containers": "a"},
        {"$deleteFromPrimitiveList/x": {}},
        {"$retainKeys": "a"},
        {"$retainKeys": [1]},
        {"$retainKeys": ["a"], "hostname": "x"},
        {"$setElementOrder/containers": containers("a"), "containers": containers("b")},
        {"$setElementOrder/containers": containers("a", "b"), "containers": containers("b", "a")},
    ],
)
def test_malformed_directives_are_refused(patch: dict[str, Any]):
    with pytest.raises(errors.BadRequestError):
        merged({"containers": containers("a", "b")}, patch)


@pytest.mark.parametrize("item", [{"image": "x"}, "x", {"$patch": "delete"}])
def test_items_without_their_key_are_refused(item: Any):
    with pytest.raises(errors.InvalidError, match="does not contain declared merge key: name"):
        merged({"containers": containers("a")}, {"containers": [item]})


def test_names_that_look_like_directives_are_fields_where_the_schema_knows_them():
    crd = openapi.schema_for("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    props = {"openAPIV3Schema": {"$schema": "x"}}
    patch = {"spec": {"versions": [{"name": "v1", "schema": props}]}}
    assert patches.strategic_merge({}, patch, crd) == patch
    config = openapi.schema_for("v1", "ConfigMap")
    assert patches.strategic_merge({}, {"data": {"$x": "y"}}, config) == {"data": {"$x": "y"}}


def test_a_map_whose_strategy_is_to_be_replaced():
    obj = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    patch = {"spec": {"selector": {"matchLabels": {"c": "d"}}}}
    schema = openapi.schema_for("policy/v1", "PodDisruptionBudget")
    assert patches.strategic_merge(obj, patch, schema) == patch


def test_replace_keeps_items_that_share_a_merge_key() -> None:
    """A Service may have one port number twice, for two protocols; its merge key is the number."""
    schema = openapi.schema_for("v1", "Service")
    ports = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    patch = {"spec": {"ports": [{"$patch": "replace"}, *ports]}}
    live = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}
    assert patches.strategic_merge(live, patch, schema) == {"spec": {"ports": ports}}
