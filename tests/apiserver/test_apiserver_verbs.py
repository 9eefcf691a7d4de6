import asyncio
from typing import Any

import pytest

from wherry.apiserver.identity import User
from wherry.objects import errors, kinds, requests


async def send_to(
    api: Any, verb: Any, name: Any, resource: Any = kinds.CONFIG_MAPS, **fields: Any
) -> Any:
    where = "default" if resource.namespaced else None
    return await api.send(verb, resource, namespace=where, name=name, **fields)


async def test_create_get_update_delete(api: Any) -> None:
    created = await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    assert created["kind"] == "ConfigMap"
    assert created["metadata"]["uid"]
    assert created["metadata"]["resourceVersion"]
    assert await api.get(kinds.CONFIG_MAPS, "a") == created
    created["data"] = {"k": "w"}
    updated = await send_to(api, "update", "a", body=created)
    assert updated["data"] == {"k": "w"}
    with pytest.raises(errors.ConflictError, match="the object has been modified"):
        await send_to(api, "update", "a", body=created)
    gone = await send_to(api, "delete", "a")
    assert gone["status"] == "Success"
    assert gone["details"]["uid"] == created["metadata"]["uid"]
    with pytest.raises(errors.NotFoundError, match='configmaps "a" not found'):
        await api.get(kinds.CONFIG_MAPS, "a")


async def test_create_refuses_what_exists(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.AlreadyExistsError, match='configmaps "a" already exists'):
        await api.create(kinds.CONFIG_MAPS, "a")


async def test_generate_name_gives_distinct_names(api: Any) -> None:
    bodies = [{"metadata": {"generateName": "x-"}} for _ in range(5)]
    made = [
        await api.send("create", kinds.CONFIG_MAPS, namespace="default", body=body)
        for body in bodies
    ]
    names = {each["metadata"]["name"] for each in made}
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


async def test_create_in_missing_and_terminating_namespaces(api: Any) -> None:
    with pytest.raises(errors.NotFoundError, match='namespaces "nowhere" not found'):
        await api.create(kinds.CONFIG_MAPS, "a", "nowhere")
    await api.create(kinds.NAMESPACES, "leaving")
    going = await api.send("delete", kinds.NAMESPACES, name="leaving")
    assert going["status"]["phase"] == "Terminating"
    with pytest.raises(errors.ForbiddenError, match="being terminated") as caught:
        await api.create(kinds.CONFIG_MAPS, "a", "leaving")
    assert caught.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    assert going["spec"]["finalizers"] == ["kubernetes"]
    going["spec"]["finalizers"] = []
    await api.send("update", kinds.NAMESPACES, name="leaving", subresource="finalize", body=going)
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.NAMESPACES, "leaving")


async def test_ordinary_update_does_not_touch_namespace_finalizers(api: Any) -> None:
    namespace = await api.create(kinds.NAMESPACES, "n")
    namespace["spec"]["finalizers"] = []
    updated = await api.send("update", kinds.NAMESPACES, name="n", body=namespace)
    assert updated["spec"]["finalizers"] == ["kubernetes"]


async def test_dry_run_stores_nothing(api: Any) -> None:
    options = {"dryRun": "All"}
    body = {"metadata": {"name": "dry"}, "data": {"a": "b"}}
    made = await api.send(
        "create", kinds.CONFIG_MAPS, namespace="default", body=body, options=options
    )
    assert made["metadata"]["uid"]
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.CONFIG_MAPS, "dry")
    before = await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    patched = await send_to(api, "patch", "a", body={"data": {"k": "w"}}, options=options)
    assert patched["data"] == {"k": "w"}
    await send_to(api, "delete", "a", options=options)
    assert await api.get(kinds.CONFIG_MAPS, "a") == before


async def test_system_metadata_cannot_be_written(api: Any) -> None:
    made = await api.create(
        kinds.CONFIG_MAPS,
        "a",
        metadata={"uid": "mine", "creationTimestamp": "1999-01-01T00:00:00Z", "generation": 7},
    )
    assert made["metadata"]["uid"] != "mine"
    assert not made["metadata"]["creationTimestamp"].startswith("1999")
    changed = {
        **made,
        "metadata": {**made["metadata"], "creationTimestamp": "1999-01-01T00:00:00Z"},
    }
    after = await send_to(api, "update", "a", body=changed)
    assert after == made


async def test_put_of_another_uid_conflicts(api: Any) -> None:
    made = await api.create(kinds.CONFIG_MAPS, "a")
    made["metadata"]["uid"] = "another"
    del made["metadata"]["resourceVersion"]
    with pytest.raises(errors.ConflictError, match="UID in precondition: another"):
        await send_to(api, "update", "a", body=made)


async def test_put_on_nothing_is_not_found(api: Any) -> None:
    with pytest.raises(errors.NotFoundError):
        await send_to(api, "update", "none", body={"metadata": {"name": "none"}})


async def test_unchanged_object_keeps_its_version(api: Any) -> None:
    made = await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    again = await send_to(api, "patch", "a", body={"data": {"k": "v"}})
    assert again == made


def deployment(name: Any = "d") -> Any:
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "python"}]},
            },
        },
    }


async def make_deployment(api: Any, name: Any = "d") -> Any:
    return await api.send("create", kinds.DEPLOYMENTS, namespace="default", body=deployment(name))


async def test_status_and_spec_are_written_apart(api: Any) -> None:
    made = await make_deployment(api)
    assert made["metadata"]["generation"] == 1
    changed = {**made, "status": {"replicas": 9}}
    changed["spec"] = {**made["spec"], "replicas": 3}
    after = await send_to(api, "update", "d", kinds.DEPLOYMENTS, body=changed)
    assert after["metadata"]["generation"] == 2
    assert after.get("status", {}).get("replicas") is None
    changed["metadata"] = after["metadata"]
    changed["spec"]["replicas"] = 8
    status = await send_to(
        api, "update", "d", kinds.DEPLOYMENTS, subresource="status", body=changed
    )
    assert status["spec"]["replicas"] == 3
    assert status["status"]["replicas"] == 9
    assert status["metadata"]["generation"] == 2


async def test_a_status_may_come_without_the_rest_of_its_object(api: Any) -> None:
    made = await make_deployment(api)
    body = {name: made[name] for name in ("apiVersion", "kind", "metadata")}
    body["status"] = {"replicas": 9}
    body["metadata"].pop("managedFields")
    after = await send_to(api, "update", "d", kinds.DEPLOYMENTS, subresource="status", body=body)
    assert after["spec"] == made["spec"]
    assert after["status"]["replicas"] == 9
    assert after["metadata"]["generation"] == 1
    owners = {each.get("subresource", ""): each for each in after["metadata"]["managedFields"]}
    assert set(owners) == {"", "status"}
    assert owners["status"]["fieldsV1"] == {"f:status": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("change", "where"),
    [({"paused": 1}, "paused"), ({"replicas": "2"}, "replicas"), ({"replicas": -1}, "replicas")],
)
async def test_what_differs_from_what_is_stored_is_checked(
    api: Any, change: Any, where: str
) -> None:
    body = deployment()
    body["spec"]["paused"] = True  # which to Python is the same as 1
    stored = await api.send("create", kinds.DEPLOYMENTS, namespace="default", body=body)
    changed = {**stored, "spec": {**stored["spec"], **change}}
    with pytest.raises((errors.BadRequestError, errors.InvalidError), match=where):
        await send_to(api, "update", "d", kinds.DEPLOYMENTS, body=changed)
    wrong = {**stored, "status": {"replicas": "two"}}
    with pytest.raises(errors.BadRequestError, match="replicas"):
        await send_to(api, "update", "d", kinds.DEPLOYMENTS, body=wrong, subresource="status")
    assert await api.get(kinds.DEPLOYMENTS, "d") == stored


async def test_scale_reads_and_writes_replicas(api: Any) -> None:
    await make_deployment(api)
    scale = await send_to(api, "get", "d", kinds.DEPLOYMENTS, subresource="scale")
    assert scale["kind"] == "Scale"
    assert scale["status"]["selector"] == "app=d"
    scale["spec"]["replicas"] = 4
    await send_to(api, "update", "d", kinds.DEPLOYMENTS, subresource="scale", body=scale)
    with pytest.raises(errors.ConflictError):
        await send_to(api, "update", "d", kinds.DEPLOYMENTS, subresource="scale", body=scale)
    patched = await send_to(
        api, "patch", "d", kinds.DEPLOYMENTS, subresource="scale", body={"spec": {"replicas": 5}}
    )
    assert patched["spec"]["replicas"] == 5
    assert (await api.get(kinds.DEPLOYMENTS, "d"))["spec"]["replicas"] == 5
    with pytest.raises(errors.InvalidError, match="greater than or equal to 0"):
        await send_to(
            api,
            "patch",
            "d",
            kinds.DEPLOYMENTS,
            subresource="scale",
            body={"spec": {"replicas": -1}},
        )


async def test_three_kinds_of_patch(api: Any) -> None:
    await make_deployment(api)
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    after = await send_to(
        api, "patch", "d", kinds.DEPLOYMENTS, body=operations, content_type=requests.JSON_PATCH
    )
    assert after["spec"]["replicas"] == 2
    containers = [{"name": "c", "env": [{"name": "A", "value": "1"}]}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    after = await send_to(
        api, "patch", "d", kinds.DEPLOYMENTS, body=body, content_type=requests.STRATEGIC_MERGE_PATCH
    )
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "python"
    after = await send_to(api, "patch", "d", kinds.DEPLOYMENTS, body={"spec": {"replicas": 7}})
    assert after["spec"]["replicas"] == 7


async def test_a_strategic_patch_whose_result_is_no_object_of_the_kind_is_invalid(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.InvalidError) as caught:
        await api.send(
            "patch",
            kinds.CONFIG_MAPS,
            namespace="default",
            name="a",
            body={"metadata": {"labels": "invalid"}},
            content_type=requests.STRATEGIC_MERGE_PATCH,
        )
    [cause] = caught.value.details["causes"]
    assert cause["field"] == "patch"
    assert "cannot restore map from string" in cause["message"]


async def test_retrying_a_conflict_in_a_loop_lets_the_other_write_happen(
    server: Any, api: Any
) -> None:
    made = await api.create(kinds.CONFIG_MAPS, "a")
    transport = server.transport(User("admin", groups=("system:masters",)))
    other = asyncio.create_task(
        transport.send(
            requests.Request(
                "patch", kinds.CONFIG_MAPS, namespace="default", name="a", body={"data": {"k": "v"}}
            )
        )
    )
    body = {"metadata": {**made["metadata"], "resourceVersion": "1"}, "data": {}}
    for _ in range(10_000):
        with pytest.raises(errors.ConflictError):
            await transport.send(
                requests.Request(
                    "update", kinds.CONFIG_MAPS, namespace="default", name="a", body=dict(body)
                )
            )
        if other.done():
            return
    raise AssertionError("it has never come in")


async def test_json_patch_whose_test_fails_is_invalid(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    operations = [{"op": "test", "path": "/data/k", "value": "other"}]
    with pytest.raises(errors.InvalidError):
        await send_to(api, "patch", "a", body=operations, content_type=requests.JSON_PATCH)


async def test_patch_with_stale_version_conflicts(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.ConflictError):
        await send_to(api, "patch", "a", body={"metadata": {"resourceVersion": "1"}})


async def test_finalizers_hold_an_object(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a", metadata={"finalizers": ["example.com/hold"]})
    going = await send_to(api, "delete", "a")
    assert going["metadata"]["deletionTimestamp"]
    again = await send_to(api, "delete", "a")
    assert again["metadata"]["resourceVersion"] == going["metadata"]["resourceVersion"]
    with pytest.raises(errors.InvalidError, match="no new finalizers can be added"):
        await send_to(
            api,
            "patch",
            "a",
            body={"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}},
        )
    await send_to(api, "patch", "a", body={"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.CONFIG_MAPS, "a")


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
async def test_propagation_leaves_a_finalizer(api: Any, policy: Any, finalizer: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    going = await send_to(api, "delete", "a", body={"propagationPolicy": policy})
    assert going["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize("precondition", [{"uid": "x"}, {"resourceVersion": "1"}])
async def test_delete_preconditions(api: Any, precondition: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.ConflictError, match="Precondition failed"):
        await send_to(api, "delete", "a", body={"preconditions": precondition})
    await api.get(kinds.CONFIG_MAPS, "a")


async def test_pods_are_deleted_gracefully(api: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "python"}]}
    await api.create(kinds.PODS, "p", spec=spec)
    target = {"kind": "Node", "name": "n"}
    await send_to(api, "create", "p", kinds.PODS, subresource="binding", body={"target": target})
    with pytest.raises(errors.ConflictError, match="already assigned"):
        await send_to(
            api, "create", "p", kinds.PODS, subresource="binding", body={"target": target}
        )
    going = await send_to(api, "delete", "p", kinds.PODS)
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    shorter = await send_to(api, "delete", "p", kinds.PODS, options={"gracePeriodSeconds": "5"})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    longer = await send_to(api, "delete", "p", kinds.PODS, body={"gracePeriodSeconds": 60})
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    await send_to(api, "delete", "p", kinds.PODS, body={"gracePeriodSeconds": 0})
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.PODS, "p")


async def test_eviction_deletes_a_pod(api: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "python"}]}
    await api.create(kinds.PODS, "p", spec=spec)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    answer = await send_to(api, "create", "p", kinds.PODS, subresource="eviction", body=body)
    assert answer["status"] == "Success"
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.PODS, "p")


async def test_deletecollection_by_label(api: Any) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        await api.create(kinds.CONFIG_MAPS, name, metadata={"labels": {"color": color}})
    await api.send(
        "deletecollection",
        kinds.CONFIG_MAPS,
        namespace="default",
        options={"labelSelector": "color=red"},
    )
    left = await api.send("list", kinds.CONFIG_MAPS, namespace="default")
    assert [each["metadata"]["name"] for each in left["items"]] == ["b"]


async def test_dry_run_of_a_deletion_may_stand_in_the_body(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    await send_to(api, "delete", "a", body={"dryRun": ["All"]})
    await api.get(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.InvalidError):
        await send_to(api, "delete", "a", body={"dryRun": ["Some"]})


async def test_ephemeral_containers_change_nothing_else(api: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "python"}]}
    pod = await api.create(kinds.PODS, "p", spec=spec)
    pod["spec"]["ephemeralContainers"] = [{"name": "e", "image": "busybox"}]
    pod["spec"]["containers"][0]["image"] = "other"
    after = await send_to(
        api, "update", "p", kinds.PODS, subresource="ephemeralcontainers", body=pod
    )
    assert after["spec"]["ephemeralContainers"][0]["name"] == "e"
    assert after["spec"]["containers"][0]["image"] == "python"


async def test_service_addresses_are_unique_and_given_back(api: Any) -> None:
    ports = {"ports": [{"port": 80}]}
    first = await api.create(kinds.SERVICES, "a", spec=dict(ports))
    address = first["spec"]["clusterIP"]
    with pytest.raises(errors.ApiError, match="already allocated"):
        await api.create(kinds.SERVICES, "b", spec={**ports, "clusterIP": address})
    await send_to(api, "delete", "a", kinds.SERVICES)
    again = await api.create(kinds.SERVICES, "b", spec={**ports, "clusterIP": address})
    assert again["spec"]["clusterIP"] == address


async def test_events_are_one_in_both_groups(api: Any) -> None:
    body = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "message": "hello",
        "reason": "Greeted",
        "type": "Normal",
    }
    await api.send("create", kinds.EVENTS, namespace="default", body=body)
    other = await api.get(kinds.EVENTS_K8S_IO, "e")
    assert other["apiVersion"] == "events.k8s.io/v1"
    assert (other["note"], other["regarding"]["name"]) == ("hello", "p")
    listed = await api.send(
        "list",
        kinds.EVENTS,
        namespace="default",
        options={"fieldSelector": "involvedObject.name=p"},
    )
    assert len(listed["items"]) == 1
    none = await api.send(
        "list",
        kinds.EVENTS,
        namespace="default",
        options={"fieldSelector": "involvedObject.name=q"},
    )
    assert none["items"] == []


async def test_autoscalers_in_both_versions(api: Any) -> None:
    spec = {
        "maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "targetCPUUtilizationPercentage": 70,
    }
    await api.create(kinds.HORIZONTAL_POD_AUTOSCALERS_V1, "h", spec=spec)
    newer = await api.get(kinds.HORIZONTAL_POD_AUTOSCALERS, "h")
    target = newer["spec"]["metrics"][0]["resource"]["target"]
    assert target == {"type": "Utilization", "averageUtilization": 70}
    older = await api.get(kinds.HORIZONTAL_POD_AUTOSCALERS_V1, "h")
    assert older["spec"]["targetCPUUtilizationPercentage"] == 70


async def test_writes_of_many_tasks_are_not_lost(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a")
    await asyncio.gather(
        *(send_to(api, "patch", "a", body={"data": {f"k{index}": "v"}}) for index in range(40))
    )
    assert len((await api.get(kinds.CONFIG_MAPS, "a"))["data"]) == 40
