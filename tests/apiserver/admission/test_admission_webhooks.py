"""Webhooks against a real server of webhooks."""

import asyncio
from typing import Any

import pytest

from wherry.apiserver.identity import User
from wherry.client.client import Client
from wherry.objects import errors, kinds
from wherry.objects.requests import MERGE_PATCH, Request

MAPS = {
    "operations": ["CREATE", "UPDATE", "DELETE"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
}


def hook(config: Any, name: str = "hook.example.com", **more: Any) -> Any:
    return {
        "name": name,
        "clientConfig": config,
        "rules": [MAPS],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }


async def configure(api: Any, *webhooks: Any, mutating: bool = False, name: str = "hooks") -> None:
    resource = (
        kinds.MUTATING_WEBHOOK_CONFIGURATIONS
        if mutating
        else kinds.VALIDATING_WEBHOOK_CONFIGURATIONS
    )
    body = {"metadata": {"name": name}, "webhooks": list(webhooks)}
    await api.send("create", resource, body=body)


async def test_a_webhook_sees_the_write_and_may_refuse_it(
    api: Any, hooks: Any, allowing: Any
) -> None:
    def judge(request: Any) -> Any:
        if request["operation"] == "CREATE" and request["object"].get("data", {}).get("bad"):
            return {"allowed": False, "status": {"message": "bad data", "code": 403}}
        return allowing(warnings=["mind the gap"])

    await configure(api, hook(hooks.config("v", judge)))
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.CONFIG_MAPS, "a", data={"bad": "1"})
    text = 'admission webhook "hook.example.com" denied the request: bad data'
    assert refused.value.message == text
    await api.create(kinds.CONFIG_MAPS, "a", data={"good": "1"})
    asked = hooks.asked[-1]
    assert asked["userInfo"]["username"] == "admin"
    assert (asked["name"], asked["namespace"], asked["dryRun"]) == ("a", "default", False)
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert asked["oldObject"] is None
    assert asked["object"]["metadata"]["uid"]
    body = {"data": {"good": "2"}}
    where = {"namespace": "default", "name": "a"}
    await api.send("patch", kinds.CONFIG_MAPS, body=body, content_type=MERGE_PATCH, **where)
    assert hooks.asked[-1]["oldObject"]["data"] == {"good": "1"}
    await api.send("delete", kinds.CONFIG_MAPS, **where)
    assert (hooks.asked[-1]["operation"], hooks.asked[-1]["object"]) == ("DELETE", None)
    await api.create(kinds.SECRETS, "s")
    assert len(hooks.asked) == 4


async def test_webhooks_change_objects_in_their_order(api: Any, hooks: Any, allowing: Any) -> None:
    def label(name: str) -> Any:
        def judge(request: Any) -> Any:
            labels = request["object"]["metadata"].get("labels") or {}
            seen = ".".join(sorted(labels))
            patch = [{"op": "add", "path": "/metadata/labels", "value": {**labels, name: seen}}]
            return allowing(patch)

        return judge

    first = hook(hooks.config("a", label("a")), "a.x.com", reinvocationPolicy="IfNeeded")
    second = hook(hooks.config("b", label("b")), "b.x.com")
    await configure(api, first, second, mutating=True)
    made = await api.create(kinds.CONFIG_MAPS, "x")
    assert made["metadata"]["labels"] == {"a": "a.b", "b": "a"}
    assert (await api.get(kinds.CONFIG_MAPS, "x")) == made


async def test_a_pod_that_a_webhook_changes_is_completed_and_checked(
    api: Any, hooks: Any, allowing: Any
) -> None:
    sidecar = {"name": "side", "image": "python"}

    def judge(request: Any) -> Any:
        wrong = request["object"]["metadata"]["name"] == "wrong"
        added = {"name": "Bad Name"} if wrong else sidecar
        return allowing([{"op": "add", "path": "/spec/containers/-", "value": added}])

    rules = [{**MAPS, "operations": ["CREATE"], "resources": ["pods"]}]
    await configure(api, hook(hooks.config("m", judge), rules=rules), mutating=True)
    spec = {"containers": [{"name": "c", "image": "python"}]}
    made = await api.create(kinds.PODS, "p", spec=spec)
    added = made["spec"]["containers"][1]
    assert added["terminationMessagePath"] == "/dev/termination-log"
    assert added["volumeMounts"][0]["mountPath"].endswith("serviceaccount")
    with pytest.raises(errors.InvalidError, match="Bad Name"):
        await api.create(kinds.PODS, "wrong", spec=spec)


async def test_a_webhook_that_cannot_be_asked(api: Any, hooks: Any) -> None:
    async def slow(_: Any) -> Any:
        await asyncio.sleep(3)

    config = hooks.config("slow", slow)
    await configure(api, hook(config, timeoutSeconds=1, failurePolicy="Ignore"), name="lenient")
    await api.create(kinds.CONFIG_MAPS, "a")
    await configure(api, hook({**config, "url": "https://127.0.0.1:1/x"}), name="strict")
    with pytest.raises(errors.InternalError, match="failed calling webhook"):
        await api.create(kinds.CONFIG_MAPS, "b")
    # Whoever configures webhooks can always take them away.
    for name in ("strict", "lenient"):
        await api.send("delete", kinds.VALIDATING_WEBHOOK_CONFIGURATIONS, name=name)
    await api.create(kinds.CONFIG_MAPS, "b")


async def test_selectors_and_conditions_decide_who_is_asked(
    api: Any, hooks: Any, allowing: Any
) -> None:
    config = hooks.config("v", lambda _: allowing())
    conditions = [{"name": "x", "expression": "object.metadata.name.startsWith('x')"}]
    chosen: Any = {"objectSelector": {"matchLabels": {"ask": "yes"}}, "matchConditions": conditions}
    elsewhere: Any = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}
    }
    await configure(api, hook(config, **chosen), hook(config, "other.example.com", **elsewhere))
    labels = {"labels": {"ask": "yes"}}
    await api.create(kinds.CONFIG_MAPS, "x1")
    await api.create(kinds.CONFIG_MAPS, "y1", metadata=labels)
    assert not hooks.asked
    await api.create(kinds.CONFIG_MAPS, "x2", metadata=labels)
    await api.send("create", kinds.NAMESPACES, body={"metadata": {"name": "other"}})
    await api.create(kinds.CONFIG_MAPS, "z", "other")
    assert [each["name"] for each in hooks.asked] == ["x2", "z"]


async def test_dry_runs_ask_only_webhooks_without_side_effects(
    api: Any, hooks: Any, allowing: Any
) -> None:
    config = hooks.config("v", lambda _: allowing())
    await configure(api, hook(config, sideEffects="NoneOnDryRun"))
    request = {"namespace": "default", "options": {"dryRun": "All"}}
    await api.send("create", kinds.CONFIG_MAPS, body={"metadata": {"name": "a"}}, **request)
    assert hooks.asked[-1]["dryRun"] is True


async def test_services_are_found_and_their_name_is_checked(
    api: Any, hooks: Any, allowing: Any
) -> None:
    config = hooks.config("v", lambda _: allowing(warnings=["from the service"]))
    spec = {"type": "ExternalName", "externalName": "127.0.0.1"}
    for name in ("hooks", "wrong"):
        await api.create(kinds.SERVICES, name, spec=spec)
    service = {"namespace": "default", "path": "/v", "port": hooks.port}
    right = {"service": {**service, "name": "hooks"}, "caBundle": config["caBundle"]}
    await configure(api, hook(right))
    await api.create(kinds.CONFIG_MAPS, "a")
    assert len(hooks.asked) == 1
    wrong = {"service": {**service, "name": "wrong"}, "caBundle": config["caBundle"]}
    await configure(api, hook(wrong), name="wrong")
    with pytest.raises(errors.InternalError, match="certificate"):
        await api.create(kinds.CONFIG_MAPS, "b")


async def test_a_patch_is_built_anew_when_the_object_changes_meanwhile(
    api: Any, hooks: Any, allowing: Any
) -> None:
    go = asyncio.Event()

    async def judge(request: Any) -> Any:
        if request["userInfo"]["username"] == "slow":
            await go.wait()
        return allowing()

    await api.create(kinds.CONFIG_MAPS, "a", data={"n": "0"})
    await configure(api, hook(hooks.config("v", judge)))
    slow = Client(api.server.transport(User("slow", groups=("system:authenticated",))))
    writing = asyncio.create_task(
        slow.patch(kinds.CONFIG_MAPS, "a", {"data": {"slow": "1"}}, "default")
    )
    async with asyncio.timeout(60):
        await hooks.called.wait()
    quick = Client(api.server.transport(User("quick", groups=("system:authenticated",))))
    await quick.patch(kinds.CONFIG_MAPS, "a", {"data": {"quick": "1"}}, "default")
    held = await quick.get(kinds.CONFIG_MAPS, "a", "default")
    go.set()
    assert (await writing)["data"] == {"n": "0", "quick": "1", "slow": "1"}
    # Whoever names a version hears of the conflict instead.
    stale = Request("update", kinds.CONFIG_MAPS, namespace="default", name="a", body=held)
    with pytest.raises(errors.ConflictError):
        await api.server.transport(User("quick")).send(stale)
