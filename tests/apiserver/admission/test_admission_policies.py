"""Admission policies, and the levels of pod security."""

from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import MERGE_PATCH

RULE = {
    "operations": ["CREATE", "UPDATE"],
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "resources": ["deployments"],
}


def deployment(replicas: int) -> Any:
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "python"}]},
    }
    selector = {"matchLabels": {"app": "a"}}
    return {"spec": {"replicas": replicas, "selector": selector, "template": template}}


async def policy(api: Any, validations: Any, binding: Any = None, **spec: Any) -> None:
    body = {
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [RULE]},
            "validations": validations,
            **spec,
        },
    }
    await api.send("create", kinds.VALIDATING_ADMISSION_POLICIES, body=body)
    bound = {"policyName": "p", "validationActions": ["Deny"], **(binding or {})}
    body = {"metadata": {"name": "b"}, "spec": bound}
    await api.send("create", kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, body=body)


async def test_a_policy_refuses_in_kubernetes_words(api: Any) -> None:
    await policy(api, [{"expression": "object.spec.replicas <= 5"}])
    with pytest.raises(errors.InvalidError) as refused:
        await api.create(kinds.DEPLOYMENTS, "d", **deployment(6))
    assert refused.value.message == (
        "deployments.apps \"d\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
        "request: failed expression: object.spec.replicas <= 5"
    )
    await api.create(kinds.DEPLOYMENTS, "d", **deployment(5))
    with pytest.raises(errors.InvalidError):
        await api.send(
            "patch",
            kinds.DEPLOYMENTS,
            namespace="default",
            name="d",
            body={"spec": {"replicas": 9}},
            content_type=MERGE_PATCH,
        )


async def test_variables_parameters_messages_and_reasons(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "limits", data={"max": "3"})
    await policy(
        api,
        [
            {
                "expression": "object.spec.replicas <= variables.most",
                "messageExpression": "'at most ' + string(variables.most) + ' for ' + request.userInfo.username",
                "reason": "Forbidden",
            }
        ],
        binding={"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        variables=[{"name": "most", "expression": "int(params.data.max)"}],
        matchConditions=[{"name": "named", "expression": "object.metadata.name != 'free'"}],
    )
    with pytest.raises(errors.ForbiddenError, match="denied request: at most 3 for admin"):
        await api.create(kinds.DEPLOYMENTS, "d", **deployment(4))
    await api.create(kinds.DEPLOYMENTS, "free", **deployment(4))
    await api.send("delete", kinds.CONFIG_MAPS, namespace="default", name="limits")
    with pytest.raises(errors.InvalidError, match="no params found"):
        await api.create(kinds.DEPLOYMENTS, "d", **deployment(1))


async def test_a_policy_may_only_warn(api: Any) -> None:
    binding = {"validationActions": ["Warn"]}
    await policy(api, [{"expression": "false", "message": "not nice"}], binding=binding)
    path = kinds.DEPLOYMENTS.path("default", None, None)
    body = {"metadata": {"name": "d"}, **deployment(1)}
    async with api.session.post(path, json=body) as response:
        assert response.status == 201
        expected = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not nice"
        assert response.headers.getall("Warning") == [f'299 - "{expected}"']


async def test_an_expression_that_is_none_is_refused(api: Any) -> None:
    with pytest.raises(errors.InvalidError, match=r"spec.validations\[0\].expression"):
        await policy(api, [{"expression": "object.spec.replicas <="}])


LABEL = "pod-security.kubernetes.io"


async def secure(api: Any, **levels: str) -> None:
    labels = {f"{LABEL}/{mode}": level for mode, level in levels.items()}
    body = {"metadata": {"name": "safe", "labels": labels}}
    await api.send("create", kinds.NAMESPACES, body=body)


async def test_a_restricted_namespace_names_every_rule_that_is_broken(api: Any) -> None:
    await secure(api, enforce="restricted")
    container = {"name": "c", "image": "python"}
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.PODS, "a", "safe", spec={"containers": [container]})
    assert refused.value.message == (
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "c" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
        '(container "c" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")'
    )
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    good = {**container, "securityContext": context}
    await api.create(kinds.PODS, "a", "safe", spec={"containers": [good]})
    unconfined = {"seccompProfile": {"type": "Unconfined"}}
    spec = {"securityContext": unconfined, "containers": [good]}
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.PODS, "b", "safe", spec=spec)
    assert refused.value.message.endswith(
        '"restricted:latest": seccompProfile (pod must not set securityContext.seccompProfile.type '
        'to "Unconfined")'
    )


async def test_a_baseline_namespace_refuses_privileges_only(api: Any) -> None:
    await secure(api, enforce="baseline")
    container = {"name": "c", "image": "python"}
    await api.create(kinds.PODS, "a", "safe", spec={"containers": [container]})
    spec = {
        "hostNetwork": True,
        "containers": [{**container, "securityContext": {"privileged": True}}],
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    }
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.PODS, "b", "safe", spec=spec)
    assert refused.value.message.endswith(
        '"baseline:latest": host namespaces (hostNetwork=true), hostPath volumes (volume "v"), '
        'privileged (container "c" must not set securityContext.privileged=true)'
    )


async def test_workloads_are_warned_about(api: Any) -> None:
    await secure(api, warn="restricted")
    path = kinds.DEPLOYMENTS.path("safe", None, None)
    body = {"metadata": {"name": "d"}, **deployment(1)}
    async with api.session.post(path, json=body) as response:
        assert response.status == 201
        (warning,) = response.headers.getall("Warning")
    assert "would violate PodSecurity" in warning
