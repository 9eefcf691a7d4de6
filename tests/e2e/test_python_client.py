"""The official Python client, which many tools stand on: typed, dynamic, watches, files, logs."""

import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kubernetes import client as k8s
from kubernetes import config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

from wherry.embedded.settings import Settings
from wherry.objects import kinds
from wherry.store import StoreSettings
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually


def api_of(platform: InProcessPlatform) -> Any:
    return config.new_client_from_config(config_file=str(platform.kubeconfig))


@pytest.fixture
def api(shared_platform: InProcessPlatform) -> Iterator[Any]:
    with api_of(shared_platform) as made:
        yield made
        made.rest_client.pool_manager.clear()


@pytest.fixture
def core(api: Any) -> Any:
    return k8s.CoreV1Api(api)


def config_map(name: str, **data: str) -> k8s.V1ConfigMap:
    return k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name=name, labels={"a": "b"}), data=data)


def test_version(api):
    assert k8s.VersionApi(api).get_code().git_version.startswith("v1.")
    groups = {group.name for group in k8s.ApisApi(api).get_api_versions().groups}
    assert {"apps", "batch", "rbac.authorization.k8s.io", "wherry.dev"} <= groups


def test_typed(core, namespace):
    made = core.create_namespaced_config_map(namespace, config_map("c", x="1"))
    assert made.metadata.uid
    assert made.metadata.creation_timestamp.tzinfo
    listed = core.list_namespaced_config_map(namespace, label_selector="a=b")
    assert [item.metadata.name for item in listed.items] == ["c"]
    patched = core.patch_namespaced_config_map("c", namespace, {"data": {"y": "2"}})
    assert patched.data == {"x": "1", "y": "2"}
    patched.data = {"z": "3"}
    replaced = core.replace_namespaced_config_map("c", namespace, patched)
    assert replaced.data == {"z": "3"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("c", namespace, made)
    assert (stale.value.status, json.loads(str(stale.value.body))["reason"]) == (409, "Conflict")
    core.delete_namespaced_config_map("c", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("c", namespace)
    assert gone.value.status == 404


def test_pages(core, namespace):
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"c-{number}"))
    seen: list[str] = []
    token = ""
    while True:
        page = core.list_namespaced_config_map(
            namespace, limit=2, label_selector="a=b", _continue=token
        )
        seen += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
        assert len(page.items) == 2
    assert seen == [f"c-{number}" for number in range(5)]


def test_workloads(api, core, namespace, world):
    apps: Any = k8s.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, builders.deployment("d", namespace=namespace))
    world.wait_for_condition(kinds.DEPLOYMENTS, "d", "Available")
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (1, "app=d")
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 2}})
    eventually(
        lambda: apps.read_namespaced_deployment_status("d", namespace).status.ready_replicas == 2,
        20,
    )
    apps.delete_namespaced_deployment("d", namespace, propagation_policy="Foreground")
    eventually(lambda: not core.list_namespaced_pod(namespace).items)
    batch: Any = k8s.BatchV1Api(api)
    template = k8s.V1PodTemplateSpec(
        spec=k8s.V1PodSpec(
            restart_policy="Never",
            containers=[k8s.V1Container(name="c", image="python:3", command=["echo", "done"])],
        )
    )
    body = k8s.V1Job(metadata=k8s.V1ObjectMeta(name="j"), spec=k8s.V1JobSpec(template=template))
    batch.create_namespaced_job(namespace, body)
    eventually(lambda: batch.read_namespaced_job_status("j", namespace).status.succeeded == 1)
    [pod] = core.list_namespaced_pod(namespace, label_selector="job-name=j").items
    assert core.read_namespaced_pod_log(pod.metadata.name, namespace) == "done\n"
    batch.delete_namespaced_job("j", namespace, propagation_policy="Background")


def test_logs_are_followed(core, namespace, world, tmp_path):
    gate = tmp_path / "gate"
    script = f"echo one; until [ -e {gate} ]; do sleep 0.05; done; echo two"
    core.create_namespaced_pod(namespace, builders.pod("p", namespace=namespace, script=script))
    world.wait_for_phase("p", "Running")
    lines = []
    for line in watch.Watch().stream(core.read_namespaced_pod_log, name="p", namespace=namespace):
        lines.append(line)
        gate.touch()
    assert lines == ["one", "two"]


def test_watch(core, namespace):
    core.create_namespaced_config_map(namespace, config_map("first"))
    listed = core.list_namespaced_config_map(namespace)
    revision = listed.metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(namespace, config_map("second"))
        core.patch_namespaced_config_map("first", namespace, {"data": {"k": "v"}})
        core.delete_namespaced_config_map("second", namespace)

    thread = threading.Thread(target=change)
    thread.start()
    events = []
    stream_ = watch.Watch()
    for event in stream_.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=revision,
        label_selector="a=b",
        timeout_seconds=90,
    ):
        events.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            stream_.stop()
    thread.join()
    assert events == [("ADDED", "second"), ("MODIFIED", "first"), ("DELETED", "second")]
    # And again from where it began: all of it is told a second time.
    again = watch.Watch()
    told = again.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=revision,
        label_selector="a=b",
        timeout_seconds=1,
    )
    assert [(event["type"], event["object"].metadata.name) for event in told] == events


def test_a_watch_from_too_long_ago(tmp_path: Path):
    """A store that keeps little history says 410, and the client starts anew by itself."""
    store = StoreSettings(history_changes=20)
    platform = InProcessPlatform(Settings(directory=tmp_path / "p", port=0, store=store))
    platform.start()
    try:
        with api_of(platform) as api:
            core: Any = k8s.CoreV1Api(api)
            core.create_namespaced_config_map("default", config_map("c"))
            for count in range(100):
                core.patch_namespaced_config_map("c", "default", {"data": {"n": str(count)}})
            with pytest.raises(ApiException) as expired:
                for _ in watch.Watch().stream(
                    core.list_namespaced_config_map,
                    "default",
                    resource_version="1",
                    timeout_seconds=1,
                ):
                    pass
            assert expired.value.status == 410
            api.rest_client.pool_manager.clear()
    finally:
        platform.stop()
        gc.collect()  # what the server left open is told here, not of a later test


def test_dynamic(api, namespace, world):
    dynamic_client = dynamic.DynamicClient(api)
    pods = dynamic_client.resources.get(api_version="v1", kind="Pod")
    pods.create(body=builders.pod("p", namespace=namespace, script="true"), namespace=namespace)
    world.wait_for_phase("p", "Succeeded")
    assert pods.get(name="p", namespace=namespace).status.phase == "Succeeded"
    assert [pod.metadata.name for pod in pods.get(namespace=namespace).items] == ["p"]
    environments = dynamic_client.resources.get(api_version="wherry.dev/v1", kind="Environment")
    assert environments.get(name="python").spec.images
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    body = builders.config_map("c", namespace=namespace, a="1")
    maps.create(body=body, namespace=namespace)
    patch = {"data": {"b": "2"}}
    for content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        maps.patch(name="c", namespace=namespace, body=patch, content_type=content_type)
    assert maps.get(name="c", namespace=namespace).data.to_dict() == {"a": "1", "b": "2"}
    for event in maps.watch(namespace=namespace, timeout=60):
        if event["object"].metadata.name == "c":
            assert event["type"] == "ADDED"
            break
    maps.delete(name="c", namespace=namespace)
    pods.delete(namespace=namespace, field_selector="metadata.name=p")


def test_custom_objects(api, shared_platform, namespace):
    group, version, plural = "wherry.dev", "v1", "environments"
    custom: Any = k8s.CustomObjectsApi(api)
    body = {
        "apiVersion": f"{group}/{version}",
        "kind": "Environment",
        "metadata": {"name": namespace},
        "spec": {"images": [f"{namespace}:*"]},
    }
    custom.create_cluster_custom_object(group, version, plural, body)
    found = custom.get_cluster_custom_object(group, version, plural, namespace)
    assert found["spec"]["images"] == [f"{namespace}:*"]
    patch = {"metadata": {"labels": {"x": "y"}}}
    custom.patch_cluster_custom_object(
        group, version, plural, namespace, patch, _content_type="application/merge-patch+json"
    )
    listed = custom.list_cluster_custom_object(group, version, plural, label_selector="x=y")
    assert [item["metadata"]["name"] for item in listed["items"]] == [namespace]
    custom.delete_cluster_custom_object(group, version, plural, namespace)


def test_create_from_yaml(api, core, namespace, tmp_path):
    documents = [
        builders.config_map("c", namespace=namespace, a="1"),
        builders.deployment("d", namespace=namespace, replicas=0),
        builders.service("s", namespace=namespace),
    ]
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    utils.create_from_yaml(api, str(path), namespace=namespace)
    assert core.read_namespaced_service("s", namespace).spec.cluster_ip.startswith("127.")
    with pytest.raises(utils.FailToCreateError):
        utils.create_from_yaml(api, str(path), namespace=namespace)


def test_from_within_a_pod(core, namespace, world, api):
    """The service account, its token and its certificate are where the client looks for them."""
    rbac: Any = k8s.RbacAuthorizationV1Api(api)
    rbac.create_namespaced_role_binding(
        namespace,
        {
            "metadata": {"name": "view"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        },
    )
    packages = Path(kubernetes.__file__).parents[1]
    code = (
        "from kubernetes import client, config; config.load_incluster_config(); "
        "core = client.CoreV1Api(); "
        f"print(core.read_namespaced_config_map('c', '{namespace}').data['a'])"
    )
    core.create_namespaced_config_map(namespace, config_map("c", a="seen from within"))
    env = [{"name": "PYTHONPATH", "value": str(packages)}]
    main = builders.container(python=code, env=env)
    core.create_namespaced_pod(namespace, builders.pod("p", namespace=namespace, containers=[main]))
    eventually(lambda: world.phase("p") in {"Succeeded", "Failed"})
    assert core.read_namespaced_pod_log("p", namespace).splitlines()[-1] == "seen from within"
