"""ReplicaSets and ReplicationControllers, as upstream's sig-apps cases have them."""

from typing import Any

import pytest

from wherry.objects import conditions, kinds, metadata

SERVER = """
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = socket.gethostname().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("0.0.0.0", 9376), Handler).serve_forever()
"""
REPLICA_SETS, CONTROLLERS = kinds.REPLICA_SETS, kinds.REPLICATION_CONTROLLERS


def case(name: str, kind: str = "ReplicaSet") -> pytest.MarkDecorator:
    full = f"{kind} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def of_controllers(name: str) -> pytest.MarkDecorator:
    return case(name, "ReplicationController")


def replica_set(make: Any, name: str, replicas: int = 1, **spec: Any) -> Any:
    labels = {"name": name}
    made = make.workload("ReplicaSet", name, replicas=replicas, labels=labels, **spec)
    made["metadata"]["labels"] = labels
    return made


def replication_controller(make: Any, name: str, replicas: int = 1, **spec: Any) -> Any:
    made = replica_set(make, name, replicas, **spec)
    made |= {"apiVersion": "v1", "kind": "ReplicationController"}
    made["spec"]["selector"] = made["spec"]["selector"]["matchLabels"]
    return made


def bare_pod(make: Any, name: str) -> Any:
    pod = make.pod(name)
    pod["metadata"]["labels"] = {"name": name}
    return pod


def owner(space: Any, pod: str) -> str | None:
    found = space.find(kinds.PODS, pod)
    reference = found and metadata.controller_of(found)
    return reference["name"] if reference else None


def check_serving(space: Any, made: Any, resource: Any, make: Any) -> None:
    """Create replicas that answer with their names, and ask each."""
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-c", SERVER]
    container["readinessProbe"] = {"httpGet": {"port": 9376}, "periodSeconds": 1}
    name = space.create(resource, made)["metadata"]["name"]
    for pod in space.ready_pods(f"name={name}", 2):
        path = f"{kinds.PODS.path(space.name, pod)}:9376/proxy/"
        assert space.api.call("GET", path).text == pod


@case("should serve a basic image on each replica with a public image")
def test_serve(space: Any, make: Any) -> None:
    check_serving(space, replica_set(make, "served", 2), REPLICA_SETS, make)


@case("should adopt matching pods on creation and release no longer matching pods")
def test_adopt_and_release(space: Any, make: Any) -> None:
    space.create(kinds.PODS, bare_pod(make, "orphan"))
    space.create(REPLICA_SETS, replica_set(make, "orphan"))
    space.until(lambda: owner(space, "orphan") == "orphan", what="the pod is adopted")
    space.patch(kinds.PODS, "orphan", {"metadata": {"labels": {"name": "other"}}})
    space.until(lambda: owner(space, "orphan") is None, what="the pod is released")
    space.until(lambda: len(space.list(kinds.PODS, "name=orphan")) == 1, what="it is replaced")


@case("Replicaset should have a working scale subresource")
def test_scale(space: Any, make: Any) -> None:
    space.create(REPLICA_SETS, replica_set(make, "scaled"))
    space.ready_pods("name=scaled", 1)
    space.check_scale(REPLICA_SETS, "scaled")


@case("Replace and Patch tests")
def test_replace_and_patch(space: Any, make: Any) -> None:
    space.create(REPLICA_SETS, replica_set(make, "changed"))
    space.ready_pods("name=changed", 1)

    def grow(one: Any) -> None:
        one["spec"]["replicas"] = 2

    space.edit(REPLICA_SETS, "changed", grow)
    space.ready_pods("name=changed", 2)
    patch = {
        "metadata": {"labels": {"test-rs": "patched"}},
        "spec": {"replicas": 3, "template": {"spec": {"terminationGracePeriodSeconds": 1}}},
    }
    space.patch(REPLICA_SETS, "changed", patch)
    space.ready_pods("name=changed", 3)
    assert space.get(REPLICA_SETS, "changed")["metadata"]["labels"]["test-rs"] == "patched"


@case("should list and delete a collection of ReplicaSets")
def test_collection(space: Any, make: Any) -> None:
    space.create(REPLICA_SETS, replica_set(make, "several", 3))
    space.ready_pods("name=several", 3)
    assert len(space.everywhere(REPLICA_SETS, "name=several")) == 1
    space.delete_collection(REPLICA_SETS, "name=several")
    space.until(lambda: not space.list(REPLICA_SETS), what="the set is gone")


@case("should validate Replicaset Status endpoints")
def test_status(space: Any, make: Any) -> None:
    space.create(REPLICA_SETS, replica_set(make, "reported"))
    space.ready_pods("name=reported", 1)
    space.check_status_endpoints(REPLICA_SETS, "reported")


@of_controllers("should serve a basic image on each replica with a public image")
def test_controllers_serve(space: Any, make: Any) -> None:
    check_serving(space, replication_controller(make, "served", 2), CONTROLLERS, make)


@of_controllers("should adopt matching pods on creation")
def test_controllers_adopt(space: Any, make: Any) -> None:
    space.create(kinds.PODS, bare_pod(make, "orphan"))
    space.create(CONTROLLERS, replication_controller(make, "orphan"))
    space.until(lambda: owner(space, "orphan") == "orphan", what="the pod is adopted")
    assert space.names(kinds.PODS) == ["orphan"]


@of_controllers("should release no longer matching pods")
def test_controllers_release(space: Any, make: Any) -> None:
    space.create(CONTROLLERS, replication_controller(make, "release"))
    [pod] = space.ready_pods("name=release", 1)
    space.patch(kinds.PODS, pod, {"metadata": {"labels": {"name": "other"}}})
    space.until(lambda: owner(space, pod) is None, what="the pod is released")


@of_controllers("should get and update a ReplicationController scale")
def test_controllers_scale(space: Any, make: Any) -> None:
    space.create(CONTROLLERS, replication_controller(make, "scaled"))
    space.ready_pods("name=scaled", 1)
    assert space.get(CONTROLLERS, "scaled", subresource="scale")["spec"]["replicas"] == 1

    def more(scale: Any) -> None:
        scale["spec"]["replicas"] = 2

    space.api.change(CONTROLLERS, "scaled", more, space.name, "scale")
    space.ready_pods("name=scaled", 2)
    assert space.get(CONTROLLERS, "scaled")["spec"]["replicas"] == 2


@of_controllers("should surface a failure condition on a common issue like exceeded quota")
def test_controllers_and_quota(space: Any, make: Any) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    space.create(kinds.RESOURCE_QUOTAS, quota)
    space.until(
        lambda: (space.get(kinds.RESOURCE_QUOTAS, "q").get("status") or {}).get("hard"),
        what="the quota is counted",
    )
    space.create(CONTROLLERS, replication_controller(make, "many", 3))

    def fails() -> bool:
        return conditions.is_true(space.get(CONTROLLERS, "many"), "ReplicaFailure")

    space.until(fails, what="the condition says that pods cannot be made")
    space.patch(CONTROLLERS, "many", {"spec": {"replicas": 2}}, subresource="scale")
    space.until(lambda: not fails(), what="the condition is gone")


@of_controllers("should test the lifecycle of a ReplicationController")
def test_controllers_lifecycle(space: Any, make: Any) -> None:
    label = {"test-rc-static": space.name}
    made = replication_controller(make, "alive")
    made["metadata"]["labels"] |= label
    selector = f"test-rc-static={space.name}"
    with space.watching(CONTROLLERS, selector) as seen:
        space.create(CONTROLLERS, made)
        seen.until("ADDED")
        seen.until("MODIFIED", lambda one: one["status"].get("readyReplicas") == 1)
        space.patch(CONTROLLERS, "alive", {"metadata": {"labels": {"test-rc": "patched"}}})
        seen.until("MODIFIED", lambda one: one["metadata"]["labels"].get("test-rc") == "patched")
        zero = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
        space.patch(CONTROLLERS, "alive", zero, subresource="status")
        seen.until("MODIFIED", lambda one: not one["status"].get("readyReplicas"))
        status = space.get(CONTROLLERS, "alive", subresource="status")
        assert status["kind"] == "ReplicationController"
        space.patch(CONTROLLERS, "alive", {"spec": {"replicas": 2}}, subresource="scale")
        seen.until("MODIFIED", lambda one: one["status"].get("readyReplicas") == 2)

        def edited(one: Any) -> None:
            one["metadata"]["annotations"] = {"updated": "true"}

        assert space.edit(CONTROLLERS, "alive", edited)["metadata"]["annotations"]["updated"]
        assert len(space.everywhere(CONTROLLERS, selector)) == 1
        space.delete_collection(CONTROLLERS, selector)
        seen.until("DELETED")
