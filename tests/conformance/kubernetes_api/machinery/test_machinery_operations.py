"""Kinds that extend or protect the API support all operations, and policies do what they say."""

import functools
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

POLICY = "ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should"


def _flow_schema(name: str):
    subjects = [{"kind": "User", "user": {"name": "nobody-at-all"}}]
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    return {
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 10000,
            "priorityLevelConfiguration": {"name": "global-default"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": subjects, "resourceRules": [everything]}],
        },
    }


def _priority_level(name: str):
    limited = {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def _rule(group: str = "apps", resource: str = "deployments", *operations: str):
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "resources": [resource],
        "operations": list(operations or ("CREATE", "UPDATE")),
    }


def _policy(name: str, *validations, namespace: str = "", variables=()):
    constraints: dict[str, Any] = {"resourceRules": [_rule()]}
    if namespace:
        label = {"kubernetes.io/metadata.name": namespace}
        constraints["namespaceSelector"] = {"matchLabels": label}
    spec = {"matchConstraints": constraints, "validations": list(validations)}
    if variables:
        spec["variables"] = list(variables)
    return {"metadata": {"name": name}, "spec": spec}


def _binding(name: str, policy: str):
    return {
        "metadata": {"name": name},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }


ALWAYS = {"expression": "true"}

MUTATING = "MutatingAdmissionPolicy [Privileged:ClusterAdmin] should"
ANNOTATED = """
    Object{
        metadata: Object.metadata{
            annotations: {"mutated-by": "admission-policy"}
        }
    }
"""


def _mutating(name: str, namespace: str = ""):
    policy = _policy(name, namespace=namespace)
    del policy["spec"]["validations"]
    mutation = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": ANNOTATED},
    }
    return policy | {
        "spec": policy["spec"] | {"mutations": [mutation], "reinvocationPolicy": "Never"}
    }


def _mutating_binding(name: str, policy: str):
    return {"metadata": {"name": name}, "spec": {"policyName": policy}}


@case(name="API priority and fairness should support FlowSchema API operations")
def test_flow_schemas(supports_operations, unique):
    made = [_flow_schema(f"{unique}-{number}") for number in range(3)]
    supports_operations(kinds.FLOW_SCHEMAS, made)


@case(name="API priority and fairness should support PriorityLevelConfiguration API operations")
def test_priority_levels(supports_operations, unique):
    made = [_priority_level(f"{unique}-{number}") for number in range(3)]
    supports_operations(kinds.PRIORITY_LEVEL_CONFIGURATIONS, made)


@case(name=f"{POLICY} support ValidatingAdmissionPolicy API operations")
def test_policies(supports_operations, unique):
    made = [_policy(f"{unique}-{number}", ALWAYS) for number in range(3)]
    supports_operations(kinds.VALIDATING_ADMISSION_POLICIES, made)


@case(name=f"{POLICY} support ValidatingAdmissionPolicyBinding API operations")
def test_bindings_of_policies(supports_operations, unique):
    made = [_binding(f"{unique}-{number}", "nowhere.example.com") for number in range(3)]
    supports_operations(kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, made)


@case(name=f"{MUTATING} support MutatingAdmissionPolicy API operations")
def test_mutating_policies(supports_operations, unique):
    made = [_mutating(f"{unique}-{number}") for number in range(3)]
    supports_operations(kinds.MUTATING_ADMISSION_POLICIES, made)


@case(name=f"{MUTATING} support MutatingAdmissionPolicyBinding API operations")
def test_bindings_of_mutating_policies(supports_operations, unique):
    made = [_mutating_binding(f"{unique}-{number}", "nowhere.example.com") for number in range(3)]
    supports_operations(kinds.MUTATING_ADMISSION_POLICY_BINDINGS, made)


@case(name=f"{MUTATING} mutate a Deployment")
def test_a_policy_changes_deployments(api, namespace, unique, cleanup):
    api.create(kinds.MUTATING_ADMISSION_POLICIES, _mutating(unique, namespace))
    cleanup.callback(api.delete, kinds.MUTATING_ADMISSION_POLICIES, unique)
    api.create(kinds.MUTATING_ADMISSION_POLICY_BINDINGS, _mutating_binding(unique, unique))
    cleanup.callback(api.delete, kinds.MUTATING_ADMISSION_POLICY_BINDINGS, unique)
    made = api.create(
        kinds.DEPLOYMENTS, _bare(builders.deployment("test-deployment", replicas=2)), namespace
    )
    assert made["metadata"]["annotations"]["mutated-by"] == "admission-policy"


@pytest.fixture
def enforce(api, namespace, unique, cleanup):
    """Give what makes a policy for the case's namespace and waits until it holds."""

    def make(*validations, variables=()):
        policy = _policy(unique, *validations, namespace=namespace, variables=variables)
        api.create(kinds.VALIDATING_ADMISSION_POLICIES, policy)
        cleanup.callback(api.delete, kinds.VALIDATING_ADMISSION_POLICIES, unique)
        api.create(kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, _binding(unique, unique))
        cleanup.callback(api.delete, kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, unique)

        def denied():
            marker = builders.deployment("marker", replicas=1)
            path = kinds.DEPLOYMENTS.path(namespace)
            answer = api.call("POST", path, marker | {"metadata": {"name": "marker"}}, dryRun="All")
            return answer.code == 422 and answer.json

        return eventually(denied)

    return make


def _bare(made):
    del made["metadata"]["namespace"]
    made["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    return made


@case(name=f"{POLICY} validate against a Deployment")
def test_a_policy_judges_deployments(api, namespace, enforce):
    message = "'wants replicas > 1, got ' + string(object.spec.replicas)"
    rule = {"expression": "object.spec.replicas > 1", "messageExpression": message}
    status = enforce(rule)
    assert "wants replicas > 1, got 1" in status["message"]
    api.create(kinds.DEPLOYMENTS, _bare(builders.deployment("many", replicas=2)), namespace)
    one = _bare(builders.deployment("one", replicas=1))
    replica_set = {"metadata": {"name": "one"}, "spec": one["spec"]}
    api.create(kinds.REPLICA_SETS, replica_set, namespace)


@case(name=f"{POLICY} allow expressions to refer variables.")
def test_a_policy_has_variables(api, namespace, enforce):
    variables = (
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
    )
    rules = (
        {"expression": "variables.replicas > 1"},
        {"expression": "variables.oddReplicas"},
    )
    enforce(*rules, variables=variables)
    api.create(kinds.DEPLOYMENTS, _bare(builders.deployment("three", replicas=3)), namespace)
    two = _bare(builders.deployment("two", replicas=2))
    answer = api.call("POST", kinds.DEPLOYMENTS.path(namespace), two)
    assert answer.code == 422
    assert "variables.oddReplicas" in answer.text


@case(name=f"{POLICY} type check validation expressions")
@pytest.mark.xfail(
    strict=True, reason="policies are not type-checked: status.typeChecking is never written"
)
def test_a_policy_is_type_checked(api, unique, cleanup):
    def checked(name, rule):
        api.create(kinds.VALIDATING_ADMISSION_POLICIES, _policy(name, rule))
        cleanup.callback(api.delete, kinds.VALIDATING_ADMISSION_POLICIES, name)

        def found():
            policy = api.get(kinds.VALIDATING_ADMISSION_POLICIES, name)
            return policy.get("status", {}).get("typeChecking") is not None and policy

        return eventually(found, 2)["status"]["typeChecking"].get("expressionWarnings", [])

    assert checked(f"{unique}-right", {"expression": "object.spec.replicas > 1"}) == []
    confused = {
        "expression": "object.spec.replicas > '1'",
        "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas",
    }
    first, second = checked(f"{unique}-wrong", confused)
    assert first["fieldRef"] == "spec.validations[0].expression"
    overload = "found no matching overload for '_>_' applied to '(int, string)'"
    assert overload in first["warning"]
    assert second["fieldRef"] == "spec.validations[0].messageExpression"
