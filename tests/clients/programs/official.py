"""What the official client has beyond calls: a leader's election, informers, retries, applied YAML."""

import json
import os
import sys
import threading
import time

from kubernetes import client, config, dynamic, utils
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.utils import retry

NAMESPACE = os.environ["NAMESPACE"]
seen: dict[str, object] = {}


def until(check) -> None:
    deadline = time.monotonic() + 80
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def elected(lock: object, seconds: float = 60) -> bool:
    """Stand for election; tell whether this one came to lead."""
    leading = threading.Event()
    settings = electionconfig.Config(
        lock,
        lease_duration=60,
        renew_deadline=40,
        retry_period=1,
        onstarted_leading=leading.set,
        onstopped_leading=lambda: None,
    )
    election = leaderelection.LeaderElection(settings)
    threading.Thread(target=election.run, daemon=True).start()
    return leading.wait(seconds)


def informed(core: client.CoreV1Api) -> None:
    told: list[list[str]] = []
    informer = SharedInformer(core.list_namespaced_config_map, NAMESPACE, label_selector="a=b")
    for event in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(
            event, lambda found, event=event: told.append([event, found.metadata.name])
        )
    body = {"metadata": {"name": "first", "labels": {"a": "b"}}}
    core.create_namespaced_config_map(NAMESPACE, body)
    informer.start()
    until(informer.cache.list_keys)
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "other"}})
    body["metadata"]["name"] = "second"
    core.create_namespaced_config_map(NAMESPACE, body)
    core.patch_namespaced_config_map("first", NAMESPACE, {"data": {"x": "1"}})
    core.delete_namespaced_config_map("second", NAMESPACE)
    until(lambda: ["DELETED", "second"] in told)
    informer.stop()
    seen["told"] = told
    seen["cached"] = [found.data for found in informer.cache.list()]


def retried(core: client.CoreV1Api) -> None:
    """Count from four threads: each write that comes too late is made again."""
    core.create_namespaced_config_map(
        NAMESPACE, {"metadata": {"name": "count"}, "data": {"n": "0"}}
    )

    def one_more() -> None:
        found = core.read_namespaced_config_map("count", NAMESPACE)
        found.data = {"n": str(int(found.data["n"]) + 1)}
        core.replace_namespaced_config_map("count", NAMESPACE, found)

    def count() -> None:
        for _ in range(5):
            retry.retry_on_conflict(
                one_more, retry.Backoff(steps=60, duration=0.005, factor=1.2, jitter=0.5)
            )

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen["count"] = core.read_namespaced_config_map("count", NAMESPACE).data["n"]


def applied(api: client.ApiClient, core: client.CoreV1Api) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    service["spec"] = {"ports": [{"port": 80}], "clusterIP": "None"}
    for port in (80, 81):
        service["spec"]["ports"] = [{"port": port}]
        utils.create_from_dict(api, service, namespace=NAMESPACE, apply=True)
    found = core.read_namespaced_service("s", NAMESPACE)
    seen["ports"] = [port.port for port in found.spec.ports]
    boats = dynamic.DynamicClient(api).resources.get(api_version="example.org/v1", kind="Boat")
    boat = {"apiVersion": "example.org/v1", "kind": "Boat", "metadata": {"name": "b"}}
    boat["spec"] = {"oars": 2}
    made = boats.server_side_apply(body=boat, namespace=NAMESPACE, field_manager="me")
    seen["oars"] = made.spec.oars
    seen["managers"] = [entry.manager for entry in made.metadata.managedFields]
    boats.delete(name="b", namespace=NAMESPACE)


config.load_kube_config()
with client.ApiClient() as api:
    core = client.CoreV1Api(api)
    seen["leads"] = elected(LeaseLock("lead", NAMESPACE, "one"))
    informed(core)
    retried(core)
    applied(api, core)
    seen["leads too"] = elected(LeaseLock("lead", NAMESPACE, "two"), 2)
    seen["leads by map"] = elected(ConfigMapLock("lead", NAMESPACE, "three"))
sys.stdout.write(json.dumps(seen))
sys.stdout.flush()
os._exit(0)  # the elections would go on
