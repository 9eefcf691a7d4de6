"""Admission webhooks: a server of the test's own is asked, and its answers hold."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

HOOK = "AdmissionWebhook [Privileged:ClusterAdmin]"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
MUTATING = kinds.MUTATING_WEBHOOK_CONFIGURATIONS
VALIDATING = kinds.VALIDATING_WEBHOOK_CONFIGURATIONS


def _rule(resource, *operations, group="", version="v1"):
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": [resource],
        "operations": list(operations or ("CREATE",)),
    }


@pytest.fixture
def register(api, namespace, server, unique, cleanup):
    """Give what makes a configuration that is about the case's namespace only."""

    def make(resource, *hooks, name=unique, everywhere=False, **metadata):
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        common = {"sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 10}
        if not everywhere:
            common["namespaceSelector"] = selector
        listed = []
        for number, (path, rules, fields) in enumerate(hooks):
            config = {"clientConfig": server(path), "rules": [rules], **common, **fields}
            listed.append({"name": f"h{number}.{name}.example.com", **config})
        api.create(resource, {"metadata": {"name": name, **metadata}, "webhooks": listed})
        cleanup.callback(_remove, api, resource, name)
        return name

    return make


def _remove(api, resource, name):
    if api.find(resource, name):
        api.delete(resource, name)


def _config_map(name="c", **data):
    return {"metadata": {"name": name}, "data": data}


BAD = {"disallow": "webhook-disallow"}
MESSAGE = "the webhook does not allow it"


@case(name=f"{HOOK} should include webhook resources in discovery documents")
def test_they_are_in_discovery(discovered):
    for resource in (MUTATING, VALIDATING):
        assert discovered(resource)["kind"] == resource.kind


@case(name=f"{HOOK} should be able to deny pod and configmap creation")
def test_bad_objects_are_denied(api, namespace, new_namespace, register, refused):
    operations = ("CREATE", "UPDATE")
    hang = {"timeoutSeconds": 1, "objectSelector": {"matchLabels": {"hang": "yes"}}}
    register(
        VALIDATING,
        ("/deny", _rule("configmaps", *operations), {}),
        ("/deny", _rule("pods", "CREATE"), {}),
        ("/hang", _rule("pods", "CREATE"), hang),
    )
    with refused(400, saying=MESSAGE):
        api.create(kinds.CONFIG_MAPS, _config_map(**BAD), namespace)
    bad = builders.pod("p", metadata={"labels": {"x": "webhook-disallow"}})
    with refused(400, saying=MESSAGE):
        api.create(kinds.PODS, bad, namespace)
    hanging = builders.pod("p", metadata={"labels": {"hang": "yes"}})
    with refused(500, "InternalError", "failed calling webhook"):
        api.create(kinds.PODS, hanging, namespace)
    api.create(kinds.CONFIG_MAPS, _config_map(), namespace)
    with refused(400, saying=MESSAGE):
        api.patch(kinds.CONFIG_MAPS, "c", {"data": BAD}, namespace)

    def spoil(obj):
        obj["data"] = BAD

    with refused(400, saying=MESSAGE):
        api.change(kinds.CONFIG_MAPS, "c", spoil, namespace)
    api.create(kinds.CONFIG_MAPS, _config_map(**BAD), new_namespace())


@case(name=f"{HOOK} should be able to deny attaching pod")
def test_attaching_is_denied(api, namespace, register, kubectl):
    register(VALIDATING, ("/deny", _rule("pods/attach", "CONNECT"), {}))
    api.create(kinds.PODS, builders.pod("p"), namespace)
    eventually(lambda: api.get(kinds.PODS, "p", namespace)["status"].get("phase") == "Running")
    assert MESSAGE in kubectl.fails("attach", "p", "-c", "main")


@case(name=f"{HOOK} should be able to deny custom resource creation, update and deletion")
def test_custom_resources_are_denied(api, namespace, register, serve_schema, refused):
    resource = serve_schema(ANYTHING)
    operations = ("CREATE", "UPDATE", "DELETE")
    rules = _rule(resource.plural, *operations, group=resource.group)
    api.create(resource, _config_map("old"), namespace)
    register(
        VALIDATING, ("/deny", rules, {}), ("/always-deny", {**rules, "operations": ["DELETE"]}, {})
    )
    with refused(400, saying=MESSAGE):
        api.create(resource, _config_map(**BAD), namespace)
    with refused(400, saying=MESSAGE):
        api.patch(resource, "old", {"data": BAD}, namespace)
    with refused(400, saying="denies all requests"):
        api.delete(resource, "old", namespace)


@case(name=f"{HOOK} should unconditionally reject operations on fail closed webhook")
def test_a_webhook_that_cannot_be_called(api, namespace, register, refused):
    broken = {"clientConfig": {"url": "https://127.0.0.1:1/nobody"}, "failurePolicy": "Fail"}
    register(VALIDATING, ("/deny", _rule("configmaps"), broken))
    with refused(500, "InternalError", "failed calling webhook"):
        api.create(kinds.CONFIG_MAPS, _config_map(), namespace)


@case(name=f"{HOOK} should mutate configmap")
def test_one_mutation_after_the_other(api, namespace, register):
    rules = _rule("configmaps")
    register(MUTATING, ("/first", rules, {}), ("/second", rules, {}))
    made = api.create(kinds.CONFIG_MAPS, _config_map(**{"mutation-start": "yes"}), namespace)
    stages = {"mutation-stage-1": "yes", "mutation-stage-2": "yes"}
    assert made["data"] == {"mutation-start": "yes", **stages}


@case(name=f"{HOOK} should mutate pod and apply defaults after mutation")
def test_defaults_come_after_mutations(api, namespace, register):
    register(MUTATING, ("/container", _rule("pods"), {}))
    waiting = builders.pod("p", nodeSelector={"no": "where"})
    made = api.create(kinds.PODS, waiting, namespace)
    (added,) = made["spec"]["initContainers"]
    assert (added["name"], added["terminationMessagePolicy"]) == ("added", "File")


@case(
    name=f"{HOOK} should not be able to mutate or prevent deletion of webhook configuration objects"
)
def test_configurations_themselves_are_left_alone(api, register, unique):
    for resource in (MUTATING, VALIDATING):
        everything = {**_rule("*", "*"), "apiGroups": [resource.group]}
        rules = {
            **everything,
            "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        }
        path = "/label" if resource is MUTATING else "/always-deny"
        register(resource, (path, rules, {}), name=f"{unique}-{resource.singular}", everywhere=True)
    for resource in (MUTATING, VALIDATING):
        name = register(resource, name=f"{unique}-dummy-{resource.singular}")
        assert "labels" not in api.get(resource, name)["metadata"]
        api.delete(resource, name)


@case(name=f"{HOOK} should mutate custom resource")
def test_custom_resources_are_mutated(api, namespace, register, serve_schema):
    resource = serve_schema(ANYTHING)
    rules = _rule(resource.plural, group=resource.group)
    register(MUTATING, ("/first", rules, {}), ("/second", rules, {}))
    made = api.create(resource, _config_map(**{"mutation-start": "yes"}), namespace)
    assert made["data"].keys() == {"mutation-start", "mutation-stage-1", "mutation-stage-2"}


@case(name=f"{HOOK} should mutate custom resource with pruning")
def test_mutations_are_pruned(api, namespace, register, serve_schema):
    text = {"type": "string"}
    data = {"type": "object", "properties": {"mutation-start": text, "mutation-stage-1": text}}
    resource = serve_schema({"type": "object", "properties": {"data": data}})
    rules = _rule(resource.plural, group=resource.group)
    register(MUTATING, ("/first", rules, {}), ("/second", rules, {}))
    made = api.create(resource, _config_map(**{"mutation-start": "yes"}), namespace)
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


@case(name=f"{HOOK} should mutate custom resource with different stored version")
def test_mutations_whatever_version_is_stored(api, namespace, register, definition, serve, version):
    made = definition([version("v1", ANYTHING), version("v2", ANYTHING, storage=False)])
    resource, _ = serve(made)
    rules = _rule(resource.plural, "CREATE", "UPDATE", group=resource.group)
    register(MUTATING, ("/first", rules, {}), ("/second", rules, {}))
    api.create(resource, _config_map(**{"mutation-start": "yes"}), namespace)

    def store_second(crd):
        for one in crd["spec"]["versions"]:
            one["storage"] = one["name"] == "v2"

    api.change(kinds.CUSTOM_RESOURCE_DEFINITIONS, resource.key, store_second)
    patched = api.patch(resource, "c", {"dummy": "test"}, namespace)
    assert patched["dummy"] == "test"
    assert "mutation-stage-2" in patched["data"]


@case(name=f"{HOOK} should deny crd creation")
def test_definitions_are_denied(api, register, definition, version, refused):
    selector = {"objectSelector": {"matchLabels": {"deny-this": "yes"}}}
    rules = _rule("customresourcedefinitions", group="apiextensions.k8s.io")
    register(VALIDATING, ("/always-deny", rules, selector), everywhere=True)
    made = definition([version("v1", ANYTHING)])
    made["metadata"]["labels"] = {"deny-this": "yes"}
    with refused(400, saying="denies all requests"):
        api.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, made)


@case(name=f"{HOOK} should honor timeout")
@pytest.mark.parametrize(
    ("path", "seconds", "policy", "fails"),
    [
        ("/hang", 1, "Fail", True),
        ("/hang", 1, "Ignore", False),
        ("/slow", 30, "Fail", False),
        ("/slow", None, "Fail", False),
    ],
)
def test_timeouts_are_honored(api, namespace, register, refused, path, seconds, policy, fails):
    fields = {"failurePolicy": policy, "timeoutSeconds": seconds}
    register(VALIDATING, (path, _rule("configmaps"), fields))
    if fails:
        with refused(500, "InternalError", "failed calling webhook"):
            api.create(kinds.CONFIG_MAPS, _config_map(), namespace)
    else:
        api.create(kinds.CONFIG_MAPS, _config_map(), namespace)


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        pytest.param(
            VALIDATING,
            "/deny",
            marks=case(name=f"{HOOK} patching/updating a validating webhook should work"),
        ),
        pytest.param(
            MUTATING,
            "/first",
            marks=case(name=f"{HOOK} patching/updating a mutating webhook should work"),
        ),
    ],
    ids=["validating", "mutating"],
)
def test_changed_rules_hold(api, namespace, register, resource, path):
    name = register(resource, (path, _rule("configmaps"), {}))

    def acts():
        data = {**BAD, "mutation-start": "yes"}
        answer = api.call(
            "POST",
            kinds.CONFIG_MAPS.path(namespace),
            {"apiVersion": "v1", "kind": "ConfigMap", **_config_map(**data)},
            dryRun="All",
        )
        return answer.code == 400 or "mutation-stage-1" in answer.text

    assert acts()

    def only_updates(obj):
        obj["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]

    api.change(resource, name, only_updates)
    eventually(lambda: not acts())
    change = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
    api.patch(resource, name, change, type_="application/json-patch+json")
    eventually(acts)


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        pytest.param(
            VALIDATING, "/deny", marks=case(name=f"{HOOK} listing validating webhooks should work")
        ),
        pytest.param(
            MUTATING, "/first", marks=case(name=f"{HOOK} listing mutating webhooks should work")
        ),
    ],
    ids=["validating", "mutating"],
)
def test_many_are_listed_and_deleted(api, namespace, register, unique, resource, path):
    for number in range(10):
        name = f"{unique}-{number}"
        register(resource, (path, _rule("configmaps"), {}), name=name, labels={"case": unique})
    assert len(api.names(resource, labelSelector=f"case={unique}")) == 10
    data = {**BAD, "mutation-start": "yes"}
    path = kinds.CONFIG_MAPS.path(namespace)
    body = {"apiVersion": "v1", "kind": "ConfigMap", **_config_map(**data)}

    def acts():
        answer = api.call("POST", path, body, dryRun="All")
        return answer.code == 400 or "mutation-stage-1" in answer.text

    assert acts()
    api.delete_collection(resource, labelSelector=f"case={unique}")
    eventually(lambda: not acts())


CONDITIONS = [{"name": "expression-1", "expression": "object.metadata.name != 'skip-me'"}]


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(
            VALIDATING,
            marks=case(
                name=(
                    f"{HOOK} should be able to create and update validating webhook configurations "
                    "with match conditions"
                )
            ),
        ),
        pytest.param(
            MUTATING,
            marks=case(
                name=f"{HOOK} should be able to create and update mutating webhook configurations with match conditions"
            ),
        ),
    ],
    ids=["validating", "mutating"],
)
def test_conditions_are_kept(api, register, resource):
    name = register(resource, ("/deny", _rule("configmaps"), {"matchConditions": CONDITIONS}))
    assert api.get(resource, name)["webhooks"][0]["matchConditions"] == CONDITIONS
    more = [*CONDITIONS, {"name": "expression-2", "expression": "true"}]

    def edit(obj):
        obj["webhooks"][0]["matchConditions"] = more

    api.change(resource, name, edit)
    assert api.get(resource, name)["webhooks"][0]["matchConditions"] == more


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(
            VALIDATING,
            marks=case(
                name=f"{HOOK} should reject validating webhook configurations with invalid match conditions"
            ),
        ),
        pytest.param(
            MUTATING,
            marks=case(
                name=f"{HOOK} should reject mutating webhook configurations with invalid match conditions"
            ),
        ),
    ],
    ids=["validating", "mutating"],
)
def test_conditions_that_are_none_are_refused(register, refused, resource):
    wrong = [{"name": "invalid-expression-1", "expression": "... [] bad expression"}]
    with refused(422, "Invalid", "compilation failed"):
        register(resource, ("/deny", _rule("configmaps"), {"matchConditions": wrong}))


@case(name=f"{HOOK} should mutate everything except 'skip-me' configmaps")
def test_conditions_skip_objects(api, namespace, register):
    register(MUTATING, ("/first", _rule("configmaps"), {"matchConditions": CONDITIONS}))
    data = {"mutation-start": "yes"}
    skipped = api.create(kinds.CONFIG_MAPS, _config_map("skip-me", **data), namespace)
    mutated = api.create(kinds.CONFIG_MAPS, _config_map("mutate-me", **data), namespace)
    assert skipped["data"] == data
    assert mutated["data"] == {**data, "mutation-stage-1": "yes"}
