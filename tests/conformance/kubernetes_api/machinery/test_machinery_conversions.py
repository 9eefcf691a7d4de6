"""Custom resources in several versions: a webhook converts them, and fields of each select them."""

import functools

import pytest

from wherry.objects import kinds

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

CONVERSION = "CustomResourceConversionWebhook [Privileged:ClusterAdmin]"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture
def converted(definition, serve, version, conversion):
    """Give a resource in two versions that a webhook converts."""
    versions = [version("v1", ANYTHING), version("v2", ANYTHING, storage=False)]
    return serve(definition(versions, conversion=conversion))


@case(name=f"{CONVERSION} should be able to convert from CR v1 to CR v2")
def test_a_webhook_converts(api, namespace, converted):
    first, second = converted
    api.create(first, {"metadata": {"name": "one"}, "hostPort": "localhost:8080"}, namespace)
    found = api.get(second, "one", namespace)
    assert (found["host"], found["port"], "hostPort" in found) == ("localhost", "8080", False)


@case(name=f"{CONVERSION} should be able to convert a non homogeneous list of CRs")
def test_a_webhook_converts_lists(api, namespace, converted):
    first, second = converted
    api.create(first, {"metadata": {"name": "one"}, "hostPort": "localhost:8080"}, namespace)

    def store_second(crd):
        for one in crd["spec"]["versions"]:
            one["storage"] = one["name"] == "v2"

    api.change(kinds.CUSTOM_RESOURCE_DEFINITIONS, first.key, store_second)
    api.create(second, {"metadata": {"name": "two"}, "host": "localhost", "port": "80"}, namespace)
    items = api.items(second, namespace)
    assert [(one["host"], one["port"]) for one in items] == [
        ("localhost", "8080"),
        ("localhost", "80"),
    ]
    assert [one["hostPort"] for one in api.items(first, namespace)] == [
        "localhost:8080",
        "localhost:80",
    ]


@case(
    name=(
        "CustomResourceFieldSelectors [Privileged:ClusterAdmin] "
        "CustomResourceFieldSelectors MUST list and watch custom resources matching the "
        "field selector"
    )
)
def test_fields_select(api, namespace, conversion, definition, serve, version):
    texts = [
        {"type": "object", "properties": {k: {"type": "string"} for k in keys}}
        for keys in (("hostPort",), ("host", "port"))
    ]
    first = version("v1", texts[0], selectableFields=[{"jsonPath": ".hostPort"}])
    fields = [{"jsonPath": ".host"}, {"jsonPath": ".port"}]
    second = version("v2", texts[1], storage=False, selectableFields=fields)
    old, new = serve(definition([first, second], conversion=conversion))
    host, both = "host=host1", "host=host1,port=80"
    with (
        api.watch(new, namespace, fieldSelector=host) as by_host,
        api.watch(new, namespace, fieldSelector=both) as by_both,
        api.watch(old, namespace, fieldSelector="hostPort=host1:80") as by_old,
    ):
        for name, at in (("a", ("host1", "80")), ("b", ("host1", "8080")), ("c", ("host2", ""))):
            api.create(new, {"metadata": {"name": name}, "host": at[0], "port": at[1]}, namespace)
        assert api.names(new, namespace, fieldSelector=host) == ["a", "b"]
        assert api.names(new, namespace, fieldSelector=both) == ["a"]
        assert api.names(old, namespace, fieldSelector="hostPort=host1:80") == ["a"]
        assert api.names(old, namespace, fieldSelector="hostPort=host1:8080") == ["b"]
        api.delete_collection(new, namespace, fieldSelector=both)

        def move(obj):
            obj["host"] = "host2"

        api.change(new, "b", move, namespace)
        assert api.names(new, namespace, fieldSelector=host) == []
        for watch, told in ((by_host, "+a +b -a -b"), (by_both, "+a -a"), (by_old, "+a -a")):
            events = [watch.next() for _ in told.split()]
            signs = {"ADDED": "+", "DELETED": "-"}
            seen = [signs[e["type"]] + e["object"]["metadata"]["name"] for e in events]
            assert seen == told.split()
