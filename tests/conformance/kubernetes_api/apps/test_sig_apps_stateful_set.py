"""StatefulSets, as upstream's sig-apps cases have them."""

from pathlib import Path
from typing import Any

import pytest

from wherry.objects import conditions, kinds

SETS = kinds.STATEFUL_SETS
SELECTOR = "foo=bar"
LABELS = {"foo": "bar"}
OTHER_IMAGE = "python:3.11"
POD_LABEL = "controller-revision-hash"
NAMES = ("ss-0", "ss-1", "ss-2")


def case(name: str) -> pytest.MarkDecorator:
    full = f"StatefulSet Basic StatefulSet functionality [StatefulSetBasic] {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def stateful_set(make: Any, replicas: int = 1, **spec: Any) -> Any:
    fields = {"replicas": replicas, "serviceName": "test", **spec}
    made = make.workload("StatefulSet", "ss", labels=LABELS, **fields)
    made["metadata"]["labels"] = LABELS
    return made


def created(space: Any, make: Any, replicas: int = 1, **spec: Any) -> None:
    service = {"selector": LABELS, "clusterIP": "None", "ports": [{"port": 80}]}
    space.create(kinds.SERVICES, {"metadata": {"name": "test"}, "spec": service})
    space.create(SETS, stateful_set(make, replicas, **spec))


def pods(space: Any) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in space.list(kinds.PODS, SELECTOR)}


def images(space: Any) -> dict[str, str]:
    """The images of the pods that are ready and stay, by the pods' names."""
    return {
        name: pod["spec"]["containers"][0]["image"]
        for name, pod in pods(space).items()
        if conditions.is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]
    }


def scale(space: Any, replicas: int) -> None:
    space.patch(SETS, "ss", {"spec": {"replicas": replicas}})
    generation = space.get(SETS, "ss")["metadata"]["generation"]
    space.until(
        lambda: space.get(SETS, "ss")["status"].get("observedGeneration") == generation,
        what="the controller has seen the change",
    )


class Health:
    """Pods are ready while a file of theirs is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def probed(self, made: Any) -> Any:
        command = ["sh", "-c", f"test -e {self.folder}/$HOSTNAME"]
        probe = {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 1}
        made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
        return made

    def mend(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def spoil(self, *names: str) -> None:
        for name in names:
            (self.folder / name).unlink()


def unhealthy(space: Any, name: str) -> bool:
    pod = pods(space).get(name)
    if pod is None or pod["status"].get("phase") != "Running":
        return False
    return not conditions.is_true(pod, "Ready")


@case("Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow]")
def test_ordered_scaling(space: Any, make: Any, tmp_path: Path) -> None:
    health = Health(tmp_path)
    with space.watching(kinds.PODS, SELECTOR) as seen:
        space.create(SETS, health.probed(stateful_set(make)))
        space.until(lambda: unhealthy(space, "ss-0"), what="the first pod runs and is not ready")
        scale(space, 3)
        assert list(pods(space)) == ["ss-0"], "an unhealthy pod halts the growth"
        health.mend(*NAMES)
        space.ready_pods(SELECTOR, 3)
        health.spoil(*NAMES)
        space.until(lambda: all(unhealthy(space, one) for one in NAMES), what="none is ready")
        scale(space, 0)
        assert sorted(pods(space)) == list(NAMES), "it halts the shrinking too"
        health.mend(*NAMES)
        seen.until("DELETED", lambda pod: pod["metadata"]["name"] == "ss-0")
    orders = {
        type_: [pod["metadata"]["name"] for kind, pod in seen.events if kind == type_]
        for type_ in ("ADDED", "DELETED")
    }
    assert orders == {"ADDED": ["ss-0", "ss-1", "ss-2"], "DELETED": ["ss-2", "ss-1", "ss-0"]}


@case("Burst scaling should run to completion even with unhealthy pods [Slow]")
def test_burst_scaling(space: Any, make: Any, tmp_path: Path) -> None:
    health = Health(tmp_path)
    space.create(SETS, health.probed(stateful_set(make, podManagementPolicy="Parallel")))
    space.until(lambda: unhealthy(space, "ss-0"), what="the first pod runs and is not ready")
    scale(space, 3)
    space.until(lambda: all(unhealthy(space, one) for one in NAMES), what="three unready pods run")
    health.mend(*NAMES)
    space.ready_pods(SELECTOR, 3)
    health.spoil("ss-0")
    space.until(lambda: unhealthy(space, "ss-0"), what="one is not ready again")
    scale(space, 0)
    space.until(lambda: not pods(space), what="all are gone")


@case("Should recreate evicted statefulset")
def test_recreate(space: Any, make: Any) -> None:
    port = {"containerPort": 21017, "hostPort": 21017}
    blocker = make.pod("test-pod", nodeName=space.node)
    blocker["spec"]["containers"][0]["ports"] = [port]
    space.create(kinds.PODS, blocker)
    space.until(
        lambda: space.get(kinds.PODS, "test-pod")["status"].get("phase") == "Running",
        what="the port is taken",
    )
    made = stateful_set(make, template={"nodeName": space.node})
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [port]
    with space.watching(kinds.PODS, SELECTOR) as seen:
        space.create(SETS, made)
        seen.until("MODIFIED", lambda pod: pod["status"].get("phase") == "Failed")
        seen.until("DELETED")
    space.delete(kinds.PODS, "test-pod")
    space.ready_pods(SELECTOR, 1)


@case("should have a working scale subresource")
def test_scale(space: Any, make: Any) -> None:
    created(space, make)
    space.ready_pods(SELECTOR, 1)
    space.check_scale(SETS, "ss")


@case("should validate Statefulset Status endpoints")
def test_status(space: Any, make: Any) -> None:
    created(space, make)
    space.ready_pods(SELECTOR, 1)
    space.check_status_endpoints(SETS, "ss")


@case("should list, patch and delete a collection of StatefulSets")
def test_collection(space: Any, make: Any) -> None:
    created(space, make)
    space.ready_pods(SELECTOR, 1)
    assert len(space.everywhere(SETS, SELECTOR)) == 1
    patch = {
        "metadata": {"labels": {"test-ss": "patched"}},
        "spec": {"replicas": 2, "template": {"spec": {"terminationGracePeriodSeconds": 0}}},
    }
    patched = space.patch(SETS, "ss", patch)
    assert patched["metadata"]["labels"]["test-ss"] == "patched"
    space.ready_pods(SELECTOR, 2)
    assert len(space.everywhere(SETS, "test-ss=patched")) == 1
    space.delete_collection(SETS, "test-ss=patched")
    space.until(lambda: not space.list(SETS), what="the set is gone")


def settled(space: Any, image: str) -> bool:
    """Say whether all three pods have an image, and the status says so."""
    status = space.get(SETS, "ss")["status"]
    alike = status.get("currentRevision") == status.get("updateRevision")
    return alike and images(space) == dict.fromkeys(NAMES, image)


@case("should perform rolling updates and roll backs of template modifications")
def test_rolling_update(space: Any, make: Any) -> None:
    created(space, make, 3)
    space.ready_pods(SELECTOR, 3)
    [old] = set(images(space).values())
    first = space.get(SETS, "ss")["status"]["currentRevision"]
    for image, revision in ((OTHER_IMAGE, None), (old, first)):
        with space.watching(kinds.PODS, SELECTOR) as seen:
            space.set_image(SETS, "ss", image)
            space.until(lambda i=image: settled(space, i), what=f"all pods have {image}")
            seen.until("DELETED", lambda pod: pod["metadata"]["name"] == "ss-0")
        gone = [pod["metadata"]["name"] for type_, pod in seen.events if type_ == "DELETED"]
        assert gone == ["ss-2", "ss-1", "ss-0"]
        now = space.get(SETS, "ss")["status"]["updateRevision"]
        assert (now == first) == (revision == first)
        assert {pod["metadata"]["labels"][POD_LABEL] for pod in pods(space).values()} == {now}


@case("should perform canary updates and phased rolling updates of template modifications")
def test_canary(space: Any, make: Any) -> None:
    def partition(number: int) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}
        space.patch(SETS, "ss", {"spec": {"updateStrategy": strategy}})

    def are(*wanted: str) -> None:
        expected = {f"ss-{number}": image for number, image in enumerate(wanted)}
        space.until(lambda: images(space) == expected, what=f"the images are {wanted}")

    created(space, make, 3)
    space.ready_pods(SELECTOR, 3)
    [old] = set(images(space).values())
    partition(3)
    space.set_image(SETS, "ss", OTHER_IMAGE)

    def told() -> bool:
        status = space.get(SETS, "ss")["status"]
        return bool(status["currentRevision"] != status["updateRevision"])

    space.until(told, what="the status tells of two revisions")
    assert set(images(space).values()) == {old}, "a partition beyond the last holds all back"
    partition(2)
    are(old, old, OTHER_IMAGE)
    for name in ("ss-0", "ss-2"):
        space.delete(kinds.PODS, name)
    are(old, old, OTHER_IMAGE)
    status = space.get(SETS, "ss")["status"]
    labels = {name: pod["metadata"]["labels"][POD_LABEL] for name, pod in pods(space).items()}
    assert labels["ss-0"] == status["currentRevision"]
    assert labels["ss-2"] == status["updateRevision"]
    partition(1)
    are(old, OTHER_IMAGE, OTHER_IMAGE)
    partition(0)
    space.until(lambda: settled(space, OTHER_IMAGE), what="all pods have the new image")
