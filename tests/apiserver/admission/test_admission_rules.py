"""Rules of custom resource definitions."""

from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import MERGE_PATCH
from wherry.objects.resources import Resource

BOATS = Resource("example.com", "v1", "boats", "Boat", namespaced=True)


def definition(spec: Any, **root: Any) -> Any:
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec}}, **root}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": [version],
        },
    }


async def define(api: Any, spec: Any, **root: Any) -> None:
    body = definition(spec, **root)
    await api.send("create", kinds.CUSTOM_RESOURCE_DEFINITIONS, body=body)


async def change(api: Any, name: str, **spec: Any) -> Any:
    return await api.send(
        "patch",
        BOATS,
        namespace="default",
        name=name,
        body={"spec": spec},
        content_type=MERGE_PATCH,
    )


SIZES = {"min": {"type": "integer"}, "max": {"type": "integer"}, "color": {"type": "string"}}


async def test_a_broken_rule_is_a_cause_with_its_message_and_place(api: Any) -> None:
    rules = [
        {"rule": "self.min <= self.max", "message": "min must not exceed max"},
        {
            "rule": "self.color != 'red'",
            "messageExpression": "'no ' + self.color + ' boats'",
            "reason": "FieldValueForbidden",
            "fieldPath": ".color",
        },
        {"rule": "self.max < 100"},
    ]
    await define(api, {"properties": SIZES, "x-kubernetes-validations": rules})
    with pytest.raises(errors.InvalidError) as refused:
        await api.create(BOATS, "a", spec={"min": 200, "max": 150, "color": "red"})
    found = [
        (cause["field"], cause["reason"], cause["message"])
        for cause in refused.value.details["causes"]
    ]
    assert found == [
        ("spec", "FieldValueInvalid", 'Invalid value: "object": min must not exceed max'),
        ("spec.color", "FieldValueForbidden", "Forbidden: no red boats"),
        ("spec", "FieldValueInvalid", 'Invalid value: "object": failed rule: self.max < 100'),
    ]
    await api.create(BOATS, "a", spec={"min": 1, "max": 2, "color": "blue"})


async def test_transition_rules_compare_with_what_was(api: Any) -> None:
    fixed = [{"rule": "self == oldSelf", "message": "is immutable"}]
    parts = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "size": {
                    "type": "integer",
                    "x-kubernetes-validations": [{"rule": "self >= oldSelf"}],
                },
            },
        },
    }
    color = {"type": "string", "x-kubernetes-validations": fixed}
    await define(api, {"properties": {"color": color, "parts": parts}})
    made = [{"name": "sail", "size": 2}, {"name": "mast", "size": 5}]
    await api.create(BOATS, "a", spec={"color": "red", "parts": made})
    with pytest.raises(
        errors.InvalidError, match=r'spec.color: Invalid value: "string": is immutable'
    ):
        await change(api, "a", color="blue")
    await change(api, "a", parts=[made[1], {"name": "sail", "size": 3}])
    with pytest.raises(errors.InvalidError, match=r"spec.parts\[0\].size"):
        await change(api, "a", parts=[{"name": "mast", "size": 4}])


async def test_rules_see_types_optional_old_values_and_the_name(api: Any) -> None:
    properties = {
        "ratio": {"type": "number"},
        "until": {"type": "string", "format": "date-time"},
        "grows": {
            "type": "integer",
            "x-kubernetes-validations": [
                {"rule": "self > oldSelf.orValue(0)", "optionalOldSelf": True}
            ],
        },
    }
    rules = [
        {"rule": "!has(self.ratio) || self.ratio * 2.0 < 3.0"},
        {"rule": "!has(self.until) || self.until > timestamp('2024-01-01T00:00:00Z')"},
    ]
    own = [{"rule": "self.metadata.name.startsWith('b')"}]
    await define(
        api,
        {"properties": properties, "x-kubernetes-validations": rules},
        **{"x-kubernetes-validations": own},
    )
    await api.create(BOATS, "b", spec={"ratio": 1, "until": "2025-01-01T00:00:00Z", "grows": 1})
    for spec in ({"ratio": 2}, {"until": "2023-01-01T00:00:00Z"}, {"grows": 0}):
        with pytest.raises(errors.InvalidError):
            await api.create(BOATS, "bb", spec=spec)
    with pytest.raises(errors.InvalidError, match=r"failed rule: self\.metadata\.name"):
        await api.create(BOATS, "a", spec={})


async def test_what_stood_before_a_rule_may_stay(api: Any) -> None:
    await define(api, {"properties": SIZES})
    await api.create(BOATS, "a", spec={"min": 5, "color": "red"})
    stored = await api.get(kinds.CUSTOM_RESOURCE_DEFINITIONS, "boats.example.com")
    spec = stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["min"]["x-kubernetes-validations"] = [{"rule": "self < 3"}]
    await api.send(
        "update", kinds.CUSTOM_RESOURCE_DEFINITIONS, name="boats.example.com", body=stored
    )
    await change(api, "a", color="blue")
    with pytest.raises(errors.InvalidError, match="failed rule: self < 3"):
        await change(api, "a", min=6)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"rule": "self.nothing > 1"}, "undefined field 'nothing'"),
        ({"rule": "self.min =="}, "Syntax error"),
        ({"rule": "self.min == 'x'"}, "no matching overload"),
        ({"rule": "self.min"}, "must evaluate to a bool"),
        ({"rule": "self.min > 1", "messageExpression": "self.min"}, "must evaluate to a string"),
        ({"rule": "self.min > 1", "reason": "Because"}, "supported values"),
        ({"rule": " "}, "rule is not specified"),
    ],
)
async def test_a_definition_with_a_bad_rule_is_refused(api: Any, rule: Any, why: str) -> None:
    with pytest.raises(errors.InvalidError, match=why) as refused:
        await define(api, {"properties": SIZES, "x-kubernetes-validations": [rule]})
    assert "properties[spec].x-kubernetes-validations[0]" in refused.value.message


async def test_old_values_of_plain_lists_cannot_be_told(api: Any) -> None:
    items = {"type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    with pytest.raises(errors.InvalidError, match="uncorrelatable"):
        await define(api, {"properties": {"sizes": {"type": "array", "items": items}}})


async def test_a_rule_that_costs_too_much_is_stopped(api: Any) -> None:
    rule = {"rule": "self.all(x, self.all(y, self.all(z, x + y + z >= 0)))"}
    sizes = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [rule]}
    await define(api, {"properties": {"sizes": sizes}})
    with pytest.raises(errors.InvalidError, match="call cost exceeds limit"):
        await api.create(BOATS, "a", spec={"sizes": list(range(500))})
