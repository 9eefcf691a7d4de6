"""DaemonSets and ControllerRevisions, as upstream's sig-apps cases have them."""

from typing import Any

import pytest

from wherry.objects import conditions, kinds

LABELS = {"daemonset-name": "daemon-set"}
SELECTOR = "daemonset-name=daemon-set"
OTHER_IMAGE = "python:3.11"


def case(name: str, kind: str = "Daemon set") -> pytest.MarkDecorator:
    full = f"{kind} [Serial] {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def daemon_set(make: Any, **spec: Any) -> Any:
    made = make.workload("DaemonSet", "daemon-set", labels=LABELS, **spec)
    made["metadata"]["labels"] = LABELS
    return made


def running(space: Any) -> list[str]:
    """The uids of the pods that are up and not about to go."""
    return [
        pod["metadata"]["uid"]
        for pod in space.list(kinds.PODS, SELECTOR)
        if conditions.is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]
    ]


def is_replaced(space: Any, pod: Any) -> bool:
    """Say whether another pod runs in its stead."""
    found = running(space)
    return bool(found) and pod["metadata"]["uid"] not in found


@pytest.fixture
def one_pod(space: Any, make: Any) -> Any:
    """A DaemonSet whose pod runs on the one node; gives the pod."""
    space.create(kinds.DAEMON_SETS, daemon_set(make))
    space.until(lambda: running(space), what="the daemon's pod runs")
    [pod] = space.list(kinds.PODS, SELECTOR)
    return pod


@case("should run and stop simple daemon")
def test_simple(space: Any, one_pod: Any) -> None:
    assert one_pod["spec"]["nodeName"] == space.node
    space.delete(kinds.PODS, one_pod["metadata"]["name"])
    space.until(lambda: is_replaced(space, one_pod), what="a new pod runs")

    def counted() -> bool:
        status = space.get(kinds.DAEMON_SETS, "daemon-set")["status"]
        return bool(status.get("desiredNumberScheduled") == 1)

    space.until(counted, what="one is wanted")


@case("should run and stop complex daemon")
def test_complex(space: Any, make: Any) -> None:
    color = f"{space.name}.example.com/color"

    def paint(value: str | None) -> None:
        space.patch(kinds.NODES, space.node, {"metadata": {"labels": {color: value}}})

    space.create(kinds.DAEMON_SETS, daemon_set(make, template={"nodeSelector": {color: "blue"}}))
    observed = "the controller has seen the set"
    space.until(
        lambda: space.get(kinds.DAEMON_SETS, "daemon-set")["status"].get("observedGeneration") == 1,
        what=observed,
    )
    assert space.list(kinds.PODS, SELECTOR) == []
    try:
        paint("blue")
        space.until(lambda: running(space), what="a pod runs on the node that is blue now")
        paint("green")
        space.until(lambda: not space.list(kinds.PODS, SELECTOR), what="no pod on a green node")
        change = {
            "spec": {
                "template": {"spec": {"nodeSelector": {color: "green"}}},
                "updateStrategy": {"type": "RollingUpdate"},
            }
        }
        space.patch(kinds.DAEMON_SETS, "daemon-set", change)
        space.until(lambda: running(space), what="a pod runs on the green node")
    finally:
        paint(None)


@case("should retry creating failed daemon pods")
def test_failed_pods_are_replaced(space: Any, one_pod: Any) -> None:
    def fail(pod: Any) -> None:
        pod["status"]["phase"] = "Failed"

    space.edit(kinds.PODS, one_pod["metadata"]["name"], fail, subresource="status")
    space.until(lambda: is_replaced(space, one_pod), what="a new pod runs")
    space.until(lambda: len(space.list(kinds.PODS)) == 1, what="the failed pod is gone")


@case("should update pod when spec was updated and update strategy is RollingUpdate")
def test_rolling_update(space: Any, one_pod: Any) -> None:
    [first] = space.list(kinds.CONTROLLER_REVISIONS, SELECTOR)
    assert first["revision"] == 1
    space.set_image(kinds.DAEMON_SETS, "daemon-set", OTHER_IMAGE)

    def updated() -> bool:
        pods = space.list(kinds.PODS, SELECTOR)
        images = {pod["spec"]["containers"][0]["image"] for pod in pods}
        return images == {OTHER_IMAGE} and len(running(space)) == 1

    space.until(updated, what="the pod has the new image")
    revisions = sorted(
        space.list(kinds.CONTROLLER_REVISIONS, SELECTOR), key=lambda r: r["revision"]
    )
    assert [one["revision"] for one in revisions] == [1, 2]
    [pod] = space.list(kinds.PODS, SELECTOR)
    hashes = [one["metadata"]["labels"]["controller-revision-hash"] for one in revisions]
    assert pod["metadata"]["labels"]["controller-revision-hash"] == hashes[1]
    assert len(set(hashes)) == 2


@case("should list and delete a collection of DaemonSets")
def test_collection(space: Any, one_pod: Any) -> None:
    [found] = space.everywhere(kinds.DAEMON_SETS, SELECTOR)
    assert found["metadata"]["name"] == "daemon-set"
    space.delete_collection(kinds.DAEMON_SETS, SELECTOR)
    space.until(lambda: not space.list(kinds.DAEMON_SETS), what="the sets are gone")
    space.until(lambda: not space.list(kinds.PODS), what="its pods are gone")


@case("should verify changes to a daemon set status")
def test_status(space: Any, one_pod: Any) -> None:
    space.check_status_endpoints(kinds.DAEMON_SETS, "daemon-set")


@case("should manage the lifecycle of a ControllerRevision", "ControllerRevision")
def test_controller_revision(space: Any, one_pod: Any) -> None:
    resource = kinds.CONTROLLER_REVISIONS
    [initial] = space.everywhere(resource, SELECTOR)
    name = initial["metadata"]["name"]
    assert name.startswith("daemon-set-")
    patched = space.patch(resource, name, {"metadata": {"labels": {name: "patched"}}})
    assert patched["metadata"]["labels"][name] == "patched"
    meta = {
        "name": "second-revision",
        "labels": initial["metadata"]["labels"],
        "ownerReferences": initial["metadata"]["ownerReferences"],
    }
    second = {"metadata": meta, "data": initial["data"], "revision": initial["revision"] + 1}
    space.create(resource, second)
    assert len(space.list(resource, SELECTOR)) == 2
    space.delete(resource, name)
    space.until(
        lambda: space.names(resource, SELECTOR) == ["second-revision"], what="one revision is left"
    )

    def mark(revision: Any) -> None:
        revision["metadata"]["labels"]["second-revision"] = "updated"

    updated = space.edit(resource, "second-revision", mark)
    assert updated["metadata"]["labels"]["second-revision"] == "updated"
    change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 2}}}}
    space.patch(kinds.DAEMON_SETS, "daemon-set", change)
    space.until(lambda: len(space.list(resource, SELECTOR)) == 2, what="the change has a revision")
    space.delete_collection(resource, "second-revision=updated")
    space.until(lambda: len(space.list(resource, SELECTOR)) == 1, what="one revision is left")
    [last] = space.list(resource, SELECTOR)
    assert last["revision"] == 3
