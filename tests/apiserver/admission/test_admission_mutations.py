"""Mutating admission policies: what they change, in which order, and what they may not."""

from typing import Any

import pytest

from wherry.objects import errors, kinds

MAPS = kinds.CONFIG_MAPS
RULE = {
    "operations": ["CREATE", "UPDATE"],
    "apiGroups": ["", "apps"],
    "apiVersions": ["v1"],
    "resources": ["configmaps", "deployments"],
}


@pytest.fixture
def way() -> str:
    return "inprocess"


def configure(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def policy(api: Any, *mutations: Any, name: str = "p", **spec: Any) -> None:
    binding = {"policyName": name, **spec.pop("binding", {})}
    body = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [RULE]},
            "mutations": list(mutations),
            "reinvocationPolicy": "Never",
            **spec,
        },
    }
    await api.send("create", kinds.MUTATING_ADMISSION_POLICIES, body=body)
    body = {"metadata": {"name": name}, "spec": binding}
    await api.send("create", kinds.MUTATING_ADMISSION_POLICY_BINDINGS, body=body)


def deployment() -> Any:
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "python", "args": ["x"]}]},
    }
    return {
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    }


async def test_a_configuration_is_merged_as_server_side_apply_would(api: Any) -> None:
    await policy(
        api,
        configure("""
            Object{
              metadata: Object.metadata{annotations: {"a.b/c": "n" + string(object.spec.replicas)}},
              spec: Object.spec{
                replicas: object.spec.replicas + 1,
                template: Object.spec.template{
                  spec: Object.spec.template.spec{
                    containers: [
                      Object.spec.template.spec.containers{name: "c", image: "other"},
                      Object.spec.template.spec.containers{name: "side", image: "python"},
                    ]
                  }
                }
              }
            }
        """),
    )
    made = await api.create(kinds.DEPLOYMENTS, "d", **deployment())
    assert made["metadata"]["annotations"] == {"a.b/c": "n1"}
    assert made["spec"]["replicas"] == 2
    first, second = made["spec"]["template"]["spec"]["containers"]
    assert (first["image"], first["args"]) == ("other", ["x"])
    # What is added gets the kind's defaults.
    assert (second["name"], second["terminationMessagePath"]) == ("side", "/dev/termination-log")


async def test_a_patch_is_applied_step_by_step(api: Any) -> None:
    await policy(
        api,
        patch("""[
            JSONPatch{op: "test", path: "/data/k", value: "v"},
            JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("a"), value: "1"},
            JSONPatch{op: "remove", path: "/data/k"},
        ]"""),
        patch("""has(object.data.a) ? [JSONPatch{
            op: "add", path: "/metadata/labels", value: {"x/y": object.data.a}}] : []"""),
        patch("""[JSONPatch{op: "copy", from: "/data/a",
                            path: "/metadata/labels/" + jsonpatch.escapeKey("x/z")}]"""),
    )
    made = await api.create(MAPS, "m", data={"k": "v"})
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["labels"] == {"x/y": "1", "x/z": "1"}


async def test_variables_conditions_and_parameters(api: Any) -> None:
    await api.create(MAPS, "params", data={"skip": "me", "suffix": "!"})
    await policy(
        api,
        configure('Object{data: {"greeting": variables.greeting}}'),
        matchConditions=[{"name": "c", "expression": "object.metadata.name != params.data.skip"}],
        variables=[
            {"name": "who", "expression": "namespaceObject.metadata.name"},
            {"name": "greeting", "expression": "variables.who + params.data.suffix"},
        ],
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        binding={"paramRef": {"name": "params", "parameterNotFoundAction": "Deny"}},
    )
    assert (await api.create(MAPS, "m"))["data"] == {"greeting": "default!"}
    assert "data" not in await api.create(MAPS, "me")
    await api.send("delete", MAPS, namespace="default", name="params")
    with pytest.raises(errors.InvalidError, match="no params found"):
        await api.create(MAPS, "n")


async def test_a_policy_that_asks_for_it_sees_what_later_ones_have_done(api: Any) -> None:
    count = "string(has(object.data) ? size(object.data) : 0)"
    await policy(
        api,
        configure(f'Object{{data: {{"seen": {count}}}}}'),
        name="a",
        reinvocationPolicy="IfNeeded",
    )
    await policy(api, configure('Object{data: {"b": "1"}}'), name="b")
    assert (await api.create(MAPS, "m"))["data"] == {"seen": "2", "b": "1"}


async def test_what_cannot_be_applied_is_refused_or_passed_over(api: Any) -> None:
    await policy(api, patch('[JSONPatch{op: "remove", path: "/data/nothing"}]'))
    with pytest.raises(errors.InvalidError, match="policy 'p' with binding 'p' denied request"):
        await api.create(MAPS, "m")
    await api.send(
        "patch",
        kinds.MUTATING_ADMISSION_POLICIES,
        name="p",
        body={"spec": {"failurePolicy": "Ignore"}},
    )
    assert "data" not in await api.create(MAPS, "m")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("Object{nothing: 1}", "undefined field 'nothing'"),
        ('Object{apiVersion: "v2"}', "may not set apiVersion"),
        ("1", "must evaluate to Object"),
        (
            "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'a': 'b'}}}}",
            "may not mutate atomic",
        ),
    ],
)
async def test_configurations_that_are_none(api: Any, expression: str, why: str) -> None:
    await policy(api, configure(expression))
    with pytest.raises(errors.InvalidError, match=why):
        await api.create(kinds.DEPLOYMENTS, "d", **deployment())


async def test_names_and_status_cannot_be_changed(api: Any) -> None:
    await policy(api, patch('[JSONPatch{op: "replace", path: "/metadata/name", value: "other"}]'))
    assert (await api.create(MAPS, "m"))["metadata"]["name"] == "m"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"mutations": []}, "spec.mutations"),
        ({"reinvocationPolicy": "Sometimes"}, "spec.reinvocationPolicy"),
        ({"matchConstraints": None}, "spec.matchConstraints"),
        ({"mutations": [{"patchType": "Other"}]}, "spec.mutations[0].patchType"),
        ({"mutations": [{"patchType": "JSONPatch"}]}, "spec.mutations[0].jsonPatch.expression"),
        (
            {"mutations": [configure("Other{a: 1}")]},
            "spec.mutations[0].applyConfiguration.expression",
        ),
        ({"mutations": [patch("[JSONPatch{up: 1}]")]}, "spec.mutations[0].jsonPatch.expression"),
        ({"variables": [{"name": "a", "expression": "Object{}"}]}, "spec.variables[0].expression"),
    ],
)
async def test_policies_that_are_none(api: Any, spec: Any, field: str) -> None:
    whole = {
        "matchConstraints": {"resourceRules": [RULE]},
        "mutations": [configure("Object{}")],
        "reinvocationPolicy": "Never",
        **spec,
    }
    body = {"metadata": {"name": "p"}, "spec": whole}
    with pytest.raises(errors.InvalidError) as refused:
        await api.send("create", kinds.MUTATING_ADMISSION_POLICIES, body=body)
    assert [each["field"] for each in refused.value.details["causes"]] == [field]


async def test_policies_are_not_asked_about_themselves(api: Any) -> None:
    everything = {**RULE, "apiGroups": ["*"], "resources": ["*"]}
    await policy(
        api,
        configure('Object{metadata: Object.metadata{labels: {"x": "y"}}}'),
        matchConstraints={"resourceRules": [everything]},
    )
    await policy(api, configure("Object{}"), name="other")
    found = await api.send("get", kinds.MUTATING_ADMISSION_POLICIES, name="other")
    assert "labels" not in found["metadata"]
