"""Quotas at the moment of a write, over HTTP and in process."""

import asyncio
from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import JSON_PATCH


def pod(requests: Any = None, limits: Any = None, **spec: Any) -> Any:
    resources = {"requests": requests or {}, "limits": limits or {}}
    container = {"name": "c", "image": "python", "resources": resources}
    return {"spec": {"containers": [container], **spec}}


async def quota(api: Any, name: str = "q", **spec: Any) -> None:
    await api.create(kinds.RESOURCE_QUOTAS, name, spec=spec)


async def test_what_goes_beyond_a_quota_is_refused_in_kubernetes_words(api: Any) -> None:
    await quota(api, hard={"cpu": "2", "pods": "5"})
    await api.create(kinds.PODS, "a", **pod({"cpu": "1"}))
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.PODS, "b", **pod({"cpu": "2"}))
    assert refused.value.message == (
        'pods "b" is forbidden: exceeded quota: q, requested: cpu=2, used: cpu=1, limited: cpu=2'
    )
    await api.create(kinds.PODS, "c", **pod({"cpu": "1"}))


async def test_a_container_must_say_what_is_bounded(api: Any) -> None:
    await quota(api, hard={"limits.cpu": "2", "memory": "1Gi"})
    with pytest.raises(errors.ForbiddenError) as refused:
        await api.create(kinds.PODS, "a", **pod({"memory": "1Mi"}))
    assert refused.value.message == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: c'
    )


async def test_a_burst_does_not_overshoot(api: Any) -> None:
    await quota(api, hard={"count/configmaps": "3", "pods": "2"})
    made = await asyncio.gather(
        *(api.create(kinds.CONFIG_MAPS, f"c{index}") for index in range(10)),
        *(api.create(kinds.PODS, f"p{index}", **pod()) for index in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, dict) for each in made[:10]) == 3
    assert sum(isinstance(each, dict) for each in made[10:]) == 2
    assert all(isinstance(each, dict | errors.ForbiddenError) for each in made)


async def test_a_deletion_and_a_finished_pod_make_room(api: Any) -> None:
    await quota(api, hard={"pods": "1", "configmaps": "1"})
    await api.create(kinds.CONFIG_MAPS, "a")
    with pytest.raises(errors.ForbiddenError, match=r"used: configmaps=1, limited: configmaps=1"):
        await api.create(kinds.CONFIG_MAPS, "b")
    await api.send("delete", kinds.CONFIG_MAPS, namespace="default", name="a")
    await api.create(kinds.CONFIG_MAPS, "b")
    await api.create(kinds.PODS, "a", **pod())
    patch = [{"op": "add", "path": "/status/phase", "value": "Succeeded"}]
    await api.send(
        "patch",
        kinds.PODS,
        namespace="default",
        name="a",
        subresource="status",
        body=patch,
        content_type=JSON_PATCH,
    )
    await api.create(kinds.PODS, "b", **pod())


async def test_services_claims_and_scopes(api: Any) -> None:
    await quota(
        api, "s", hard={"services": "2", "services.nodeports": "1", "requests.storage": "2Gi"}
    )
    await quota(api, "best", hard={"pods": "0"}, scopes=["BestEffort"])
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    with pytest.raises(errors.ForbiddenError, match=r"requested: services.nodeports=2"):
        await api.create(kinds.SERVICES, "s", spec={"type": "NodePort", "ports": ports})
    await api.create(kinds.SERVICES, "s", spec={"ports": ports})
    patch = [{"op": "add", "path": "/spec/type", "value": "NodePort"}]
    where = {"namespace": "default", "name": "s", "content_type": JSON_PATCH}
    with pytest.raises(errors.ForbiddenError, match=r"services.nodeports=2"):
        await api.send("patch", kinds.SERVICES, body=patch, **where)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}
    with pytest.raises(errors.ForbiddenError, match=r"requested: requests.storage=3Gi"):
        await api.create(kinds.PERSISTENT_VOLUME_CLAIMS, "c", spec=claim)
    with pytest.raises(errors.ForbiddenError, match="exceeded quota: best"):
        await api.create(kinds.PODS, "a", **pod())
    await api.create(kinds.PODS, "b", **pod({"cpu": "1"}))


async def test_other_namespaces_and_dry_runs_are_free(api: Any) -> None:
    await quota(api, hard={"configmaps": "1"})
    for _ in range(2):
        body = {"metadata": {"name": "d"}}
        await api.send(
            "create", kinds.CONFIG_MAPS, namespace="default", body=body, options={"dryRun": "All"}
        )
    await api.create(kinds.CONFIG_MAPS, "a")
    await api.send("create", kinds.NAMESPACES, body={"metadata": {"name": "other"}})
    for name in "ab":
        await api.create(kinds.CONFIG_MAPS, name, "other")
