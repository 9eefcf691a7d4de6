"""Webhooks and policies about what is not stored: connections, bindings, evictions."""

from typing import Any

import pytest

from wherry.objects import errors, kinds

POD = {"containers": [{"name": "c", "image": "i"}]}


def rules(*resources: str, operation: str = "CONNECT") -> list[Any]:
    versions = {"apiGroups": [""], "apiVersions": ["v1"], "resources": list(resources)}
    return [{"operations": [operation], **versions}]


async def configure(api: Any, config: Any, rules: Any) -> None:
    webhook = {
        "name": "hook.example.com",
        "clientConfig": config,
        "rules": rules,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    resource = kinds.VALIDATING_WEBHOOK_CONFIGURATIONS
    await api.send("create", resource, body={"metadata": {"name": "h"}, "webhooks": [webhook]})


async def forbid(api: Any, expression: str, rules: Any) -> None:
    validation = {"expression": expression, "message": "not here"}
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [validation]}
    await api.create(kinds.VALIDATING_ADMISSION_POLICIES, "p", spec=spec)
    binding = {"policyName": "p", "validationActions": ["Deny"]}
    await api.create(kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, "p", spec=binding)


async def connect(session: Any, path: str) -> Any:
    async with session.post(f"/api/v1/{path}") as response:
        return response.status, (await response.json())["message"]


async def test_a_webhook_sees_what_a_connection_asks_for(
    api: Any, hooks: Any, allowing: Any, session: Any
) -> None:
    await api.create(kinds.PODS, "p", spec=POD)
    refused = {"allowed": False, "status": {"message": "no shells", "code": 403}}

    def judge(request: Any) -> Any:
        return refused if "sh" in request["object"].get("command", ()) else allowing()

    await configure(api, hooks.config("v", judge), rules("pods/exec"))
    path = "namespaces/default/pods/p/exec?command=sh&command=-c&stdout=true&container=c"
    code, message = await connect(session, path)
    text = 'admission webhook "hook.example.com" denied the request: no shells'
    assert (code, message) == (403, text)
    asked = hooks.asked[-1]
    assert asked["object"] == {
        "kind": "PodExecOptions",
        "apiVersion": "v1",
        "stdout": True,
        "container": "c",
        "command": ["sh", "-c"],
    }
    assert (asked["operation"], asked["subResource"]) == ("CONNECT", "exec")
    assert (asked["name"], asked["oldObject"], asked["options"]) == ("p", None, None)
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert asked["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    # Nobody carries connections out on this server: whoever is let through comes to that.
    code, _ = await connect(session, path.replace("=sh", "=ls"))
    assert code == 501
    code, _ = await connect(session, "namespaces/default/pods/p/attach?stdout=true")
    assert (code, len(hooks.asked)) == (501, 2)


@pytest.mark.parametrize(
    ("resource", "path", "expression"),
    [
        ("pods/attach", "namespaces/default/pods/p/attach?tty=1&stdin=1", "!object.tty"),
        (
            "pods/portforward",
            "namespaces/default/pods/p/portforward?ports=1,22",
            "!(22 in object.ports)",
        ),
        ("pods/proxy", "namespaces/default/pods/p:80/proxy/admin", "object.path != '/admin'"),
        (
            "services/proxy",
            "namespaces/default/services/http:s:80/proxy/",
            "request.name != 'http:s:80'",
        ),
        ("nodes/proxy", "nodes/n/proxy/metrics/x", "object.path != '/metrics/x'"),
    ],
)
async def test_policies_hold_for_every_kind_of_connection(
    api: Any, session: Any, resource: str, path: str, expression: str
) -> None:
    await api.create(kinds.PODS, "p", spec=POD)
    await api.create(kinds.SERVICES, "s", spec={"ports": [{"port": 80}]})
    await api.create(kinds.NODES, "n")
    await forbid(api, expression, rules(resource))
    code, message = await connect(session, path)
    assert code == 422, message
    assert "denied request: not here" in message


async def test_bindings_and_evictions_are_asked_about(api: Any, hooks: Any, allowing: Any) -> None:
    await api.create(kinds.PODS, "p", spec=POD)
    refusing = True

    def judge(request: Any) -> Any:
        no = {"allowed": False, "status": {"message": "not now", "code": 403}}
        return no if refusing else allowing()

    asked_for = rules("pods/binding", "pods/eviction", operation="CREATE")
    await configure(api, hooks.config("v", judge), asked_for)
    binding: Any = {"target": {"kind": "Node", "name": "n"}}
    where: Any = {"namespace": "default", "name": "p"}
    for subresource, body in (("binding", binding), ("eviction", {})):
        with pytest.raises(errors.ForbiddenError, match="not now"):
            await api.send("create", kinds.PODS, subresource=subresource, body=body, **where)
    kinds_seen = [each["kind"] for each in hooks.asked]
    assert kinds_seen == [
        {"group": "", "version": "v1", "kind": "Binding"},
        {"group": "policy", "version": "v1", "kind": "Eviction"},
    ]
    assert hooks.asked[0]["object"]["target"] == {"kind": "Node", "name": "n"}
    refusing = False
    await api.send("create", kinds.PODS, subresource="binding", body=binding, **where)
    assert (await api.get(kinds.PODS, "p"))["spec"]["nodeName"] == "n"
    await api.send("create", kinds.PODS, subresource="eviction", body={}, **where)
    assert "deletionTimestamp" in (await api.get(kinds.PODS, "p"))["metadata"]
