"""ResourceQuotas: what is counted, what is refused, what is given back."""

import functools
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

QUOTA = "ResourceQuota should"
HARD = {
    "cpu": "1",
    "memory": "500Mi",
    "pods": "5",
    "services": "10",
    "services.nodeports": "1",
    "services.loadbalancers": "1",
    "replicationcontrollers": "10",
    "resourcequotas": "1",
    "configmaps": "10",
    "secrets": "10",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "requests.ephemeral-storage": "50Gi",
    "count/replicasets.apps": "5",
    "requests.example.com/dongle": "3",
}


def _quota(name="q", scopes=(), **hard):
    spec: dict[str, Any] = {"hard": hard or HARD}
    if scopes:
        spec["scopes"] = list(scopes)
    return {"metadata": {"name": name}, "spec": spec}


def _used(api, namespace, name="q"):
    return api.get(kinds.RESOURCE_QUOTAS, name, namespace).get("status", {}).get("used", {})


def _comes_to(api, namespace, name="q", **used):
    eventually(lambda: used.items() <= _used(api, namespace, name).items(), what=str(used))


@pytest.fixture
def quota(api, namespace):
    """Give a namespace with a quota whose usage is known."""
    eventually(lambda: api.get(kinds.SERVICE_ACCOUNTS, "default", namespace).get("secrets"))
    api.create(kinds.RESOURCE_QUOTAS, _quota(), namespace)
    _comes_to(api, namespace, pods="0", resourcequotas="1", secrets="1", configmaps="1")
    return namespace


def _pod(name, requests=None, limits=None, **spec):
    container = builders.container()
    if requests:
        container["resources"] = {"requests": requests, "limits": limits or {}}
    return builders.pod(name, containers=[container], nodeSelector={"no": "where"}, **spec)


@case(name=f"{QUOTA} create a ResourceQuota and ensure its status is promptly calculated.")
def test_its_status_is_there_at_once(api, namespace):
    api.create(kinds.RESOURCE_QUOTAS, _quota(), namespace)
    _comes_to(api, namespace, resourcequotas="1", services="0", cpu="0")
    assert api.get(kinds.RESOURCE_QUOTAS, "q", namespace)["status"]["hard"] == HARD


def _counts(api, quota, resource, obj, key):
    before = int(_used(api, quota)[key])
    api.create(resource, obj, quota)
    _comes_to(api, quota, **{key: str(before + 1)})
    api.delete(resource, obj["metadata"]["name"], quota)
    _comes_to(api, quota, **{key: str(before)})


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a configMap.")
def test_config_maps(api, quota):
    _counts(api, quota, kinds.CONFIG_MAPS, builders.config_map("c"), "configmaps")


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a secret.")
def test_secrets(api, quota):
    _counts(api, quota, kinds.SECRETS, builders.secret("s"), "secrets")


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a replica set.")
def test_replica_sets(api, quota):
    made = builders.deployment("r", replicas=0)
    obj = {"metadata": {"name": "r"}, "spec": made["spec"]}
    _counts(api, quota, kinds.REPLICA_SETS, obj, "count/replicasets.apps")


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a replication controller.")
def test_replication_controllers(api, quota):
    template = builders.deployment("r")["spec"]["template"]
    spec = {"replicas": 0, "selector": {"app": "r"}, "template": template}
    obj = {"metadata": {"name": "r"}, "spec": spec}
    _counts(api, quota, kinds.REPLICATION_CONTROLLERS, obj, "replicationcontrollers")


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a service.")
def test_services(api, quota, refused):
    api.create(kinds.SERVICES, builders.service("plain"), quota)
    api.create(kinds.SERVICES, builders.service("node", type="NodePort"), quota)
    counted = {"services.nodeports": "1", "services.loadbalancers": "0"}
    _comes_to(api, quota, services="2", **counted)
    balanced = builders.service("balanced", type="LoadBalancer", allocateLoadBalancerNodePorts=True)
    with refused(403, "Forbidden", "exceeded quota: q"):
        api.create(kinds.SERVICES, balanced, quota)
    for name in ("plain", "node"):
        api.delete(kinds.SERVICES, name, quota)
    _comes_to(api, quota, services="0", **{"services.nodeports": "0"})


@case(name=f"{QUOTA} create a ResourceQuota and capture the life of a pod.")
def test_pods(api, quota, refused):
    dongle = {"requests.example.com/dongle": "2"}
    amounts = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi"}
    special = {"example.com/dongle": "2"}
    api.create(kinds.PODS, _pod("p", {**amounts, **special}, special), quota)
    used = {"cpu": "500m", "memory": "252Mi", "requests.ephemeral-storage": "30Gi"}
    _comes_to(api, quota, pods="1", **used, **dongle)
    small = {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "1Gi"}
    with refused(403, "Forbidden", "exceeded quota: q, requested: cpu=600m"):
        api.create(kinds.PODS, _pod("more", {**small, "cpu": "600m"}), quota)
    with refused(403, "Forbidden", "requests.example.com/dongle"):
        api.create(kinds.PODS, _pod("dongle", {**small, **special}, special), quota)

    def grow(pod):
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "100m"

    with refused(422, "Invalid"):
        api.change(kinds.PODS, "p", grow, quota)
    api.delete(kinds.PODS, "p", quota)
    _comes_to(api, quota, pods="0", cpu="0", memory="0")


@case(name=f"{QUOTA} be able to update and delete ResourceQuota.")
def test_it_is_updated_and_deleted(api, namespace):
    api.create(kinds.RESOURCE_QUOTAS, _quota(cpu="1", memory="500Mi"), namespace)

    def edit(quota):
        quota["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}

    updated = api.change(kinds.RESOURCE_QUOTAS, "q", edit, namespace)
    assert updated["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    read = api.get(kinds.RESOURCE_QUOTAS, "q", namespace)
    assert read["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    api.delete(kinds.RESOURCE_QUOTAS, "q", namespace)
    api.wait_gone(kinds.RESOURCE_QUOTAS, "q", namespace)


@case(name=f"{QUOTA} manage the lifecycle of a ResourceQuota")
def test_its_lifecycle(api, namespace, unique):
    made = _quota(cpu="1", memory="500Mi")
    made["metadata"]["labels"] = {"case": unique}
    api.create(kinds.RESOURCE_QUOTAS, made, namespace)
    (found,) = api.items(kinds.RESOURCE_QUOTAS, labelSelector=f"case={unique}")
    assert found["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}
    change = {
        "metadata": {"labels": {"q": "patched"}},
        "spec": {"hard": {"memory": "750Mi"}},
    }
    patched = api.patch(kinds.RESOURCE_QUOTAS, "q", change, namespace)
    assert patched["spec"]["hard"]["memory"] == "750Mi"
    api.delete_collection(kinds.RESOURCE_QUOTAS, namespace, labelSelector="q=patched")
    api.wait_gone(kinds.RESOURCE_QUOTAS, "q", namespace)


@case(name=f"{QUOTA} apply changes to a resourcequota status")
def test_its_status_is_changed(api, namespace):
    api.create(kinds.RESOURCE_QUOTAS, _quota(cpu="500m", memory="500Mi"), namespace)

    def hard():
        return api.get(kinds.RESOURCE_QUOTAS, "q", namespace, "status")["status"].get("hard")

    eventually(lambda: hard() == {"cpu": "500m", "memory": "500Mi"})

    def raise_(quota):
        quota["status"]["hard"] = {"cpu": "1", "memory": "1Gi"}

    updated = api.change(kinds.RESOURCE_QUOTAS, "q", raise_, namespace, "status")
    assert updated["status"]["hard"] == {"cpu": "1", "memory": "1Gi"}
    # The controller puts right what is not as the spec says.
    eventually(lambda: hard() == {"cpu": "500m", "memory": "500Mi"})
    api.patch(kinds.RESOURCE_QUOTAS, "q", {"spec": {"hard": {"cpu": "2"}}}, namespace)
    eventually(lambda: hard() == {"cpu": "2", "memory": "500Mi"})
    change = {"status": {"hard": {"cpu": "1"}}, "spec": {"hard": {"cpu": "9"}}}
    patched = api.patch(kinds.RESOURCE_QUOTAS, "q", change, namespace, subresource="status")
    assert patched["status"]["hard"]["cpu"] == "1"
    assert patched["spec"]["hard"]["cpu"] == "2"
    eventually(lambda: hard() == {"cpu": "2", "memory": "500Mi"})


def _scoped(api, namespace, one, other, hard):
    for name, scope in (("one", one), ("other", other)):
        api.create(kinds.RESOURCE_QUOTAS, _quota(name, [scope], **hard), namespace)
        _comes_to(api, namespace, name, pods="0")


def _falls_to(api, namespace, pod, quota, **used):
    """Create a pod that counts for one quota and not for the other; delete it again."""
    (other,) = {"one", "other"} - {quota}
    api.create(kinds.PODS, pod, namespace)
    _comes_to(api, namespace, quota, pods="1", **used)
    assert _used(api, namespace, other)["pods"] == "0"
    api.delete(kinds.PODS, pod["metadata"]["name"], namespace)
    _comes_to(api, namespace, quota, pods="0")


@case(name=f"{QUOTA} verify ResourceQuota with best effort scope.")
def test_best_effort(api, namespace):
    _scoped(api, namespace, "BestEffort", "NotBestEffort", {"pods": "5"})
    _falls_to(api, namespace, _pod("best"), "one")
    amounts = {"cpu": "500m", "memory": "200Mi"}
    _falls_to(api, namespace, _pod("burst", amounts, {"cpu": "1"}), "other")


@case(name=f"{QUOTA} verify ResourceQuota with terminating scopes.")
def test_terminating(api, namespace):
    hard = {"pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2"}
    _scoped(api, namespace, "Terminating", "NotTerminating", hard)
    amounts = {"cpu": "500m", "memory": "200Mi"}
    used = {"requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1"}
    limits = {"cpu": "1"}
    _falls_to(api, namespace, _pod("long", amounts, limits), "other", **used)
    brief = _pod("brief", amounts, limits, activeDeadlineSeconds=3600)
    _falls_to(api, namespace, brief, "one", **used)
