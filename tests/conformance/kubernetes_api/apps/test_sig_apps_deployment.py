"""Deployments, as upstream's sig-apps cases have them."""

from typing import Any

import pytest

from wherry.objects import conditions, kinds

OTHER_IMAGE = "python:3.11"
NO_IMAGE = "no-such-image:1"
REVISION = "deployment.kubernetes.io/revision"


def case(name: str) -> pytest.MarkDecorator:
    full = f"Deployment {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def deployment(make: Any, name: str, replicas: int = 1, **spec: Any) -> Any:
    made = make.workload("Deployment", name, replicas=replicas, labels={"app": name}, **spec)
    made["metadata"]["labels"] = {"app": name}
    return made


def replica_sets(space: Any, name: str) -> dict[str, Any]:
    """The ReplicaSets of a Deployment by the image they run."""
    found = space.list(kinds.REPLICA_SETS, f"app={name}")
    return {one["spec"]["template"]["spec"]["containers"][0]["image"]: one for one in found}


def is_new(pod: Any) -> bool:
    return bool(pod["spec"]["containers"][0]["image"] == OTHER_IMAGE)


def available(space: Any, name: str) -> int:
    return int(space.get(kinds.DEPLOYMENTS, name)["status"].get("availableReplicas", 0))


def complete(space: Any, name: str) -> bool:
    """Say whether nothing but pods of the newest template is left, and all of them are up."""
    found = space.get(kinds.DEPLOYMENTS, name)
    status, wanted = found["status"], found["spec"]["replicas"]
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return False
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return all(status.get(count, 0) == wanted for count in counts)


def created(space: Any, made: Any) -> str:
    """Create a Deployment and wait until it is complete; return its name."""
    name = str(space.create(kinds.DEPLOYMENTS, made)["metadata"]["name"])
    space.until(lambda: complete(space, name), what=f"{name} is complete")
    return name


@case("Deployment should have a working scale subresource")
def test_scale(space: Any, make: Any) -> None:
    name = created(space, deployment(make, "scaled"))
    space.check_scale(kinds.DEPLOYMENTS, name)


@case("should validate Deployment Status endpoints")
def test_status(space: Any, make: Any) -> None:
    name = created(space, deployment(make, "reported"))
    space.check_status_endpoints(kinds.DEPLOYMENTS, name)


@case("RollingUpdateDeployment should delete old pods and create new ones")
def test_rolling_update(space: Any, make: Any) -> None:
    revision = 3546343826724305832
    old = make.workload("ReplicaSet", "old", replicas=1, labels={"app": "rolling"})
    old["metadata"]["annotations"] = {REVISION: str(revision)}
    old["metadata"]["labels"] = {"app": "rolling"}
    space.create(kinds.REPLICA_SETS, old)
    space.ready_pods("app=rolling", 1)
    created(space, deployment(make, "rolling", image=OTHER_IMAGE))
    found = replica_sets(space, "rolling")
    new = found[OTHER_IMAGE]
    assert new["metadata"]["annotations"][REVISION] == str(revision + 1)
    adopted = next(one for image, one in found.items() if image != OTHER_IMAGE)
    assert adopted["metadata"]["name"] == "old"
    assert adopted["spec"]["replicas"] == 0
    assert adopted["metadata"]["ownerReferences"][0]["name"] == "rolling"
    space.until(lambda: len(space.list(kinds.PODS, "app=rolling")) == 1, what="one pod is left")


@case("RecreateDeployment should delete old pods and create new ones")
def test_recreate(space: Any, make: Any) -> None:
    made = deployment(make, "recreated", 2, strategy={"type": "Recreate"})
    name = created(space, made)
    with space.watching(kinds.PODS, f"app={name}") as seen:
        space.set_image(kinds.DEPLOYMENTS, name, OTHER_IMAGE)
        for _ in range(2):
            seen.until("MODIFIED", lambda pod: is_new(pod) and conditions.is_true(pod, "Ready"))
    alive: dict[str, str] = {}
    for type_, pod in seen.events:
        image = pod["spec"]["containers"][0]["image"]
        if type_ == "DELETED" or pod["status"]["phase"] in {"Succeeded", "Failed"}:
            alive.pop(pod["metadata"]["name"], None)
        else:
            alive[pod["metadata"]["name"]] = image
        assert len(set(alive.values())) <= 1, "old and new pods at the same time"
    assert set(alive.values()) == {OTHER_IMAGE}


@case("deployment should delete old replica sets")
def test_history_limit(space: Any, make: Any) -> None:
    old = make.workload("ReplicaSet", "old", replicas=1, labels={"app": "cleaned"})
    old["metadata"]["labels"] = {"app": "cleaned"}
    space.create(kinds.REPLICA_SETS, old)
    space.ready_pods("app=cleaned", 1)
    created(space, deployment(make, "cleaned", image=OTHER_IMAGE, revisionHistoryLimit=0))
    space.until(
        lambda: list(replica_sets(space, "cleaned")) == [OTHER_IMAGE], what="only one is left"
    )


@case("deployment should support rollover")
def test_rollover(space: Any, make: Any) -> None:
    old = make.workload("ReplicaSet", "old", replicas=1, labels={"app": "over"})
    old["metadata"]["labels"] = {"app": "over"}
    space.create(kinds.REPLICA_SETS, old)
    space.ready_pods("app=over", 1)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    made = deployment(make, "over", image=NO_IMAGE, minReadySeconds=1, strategy=strategy)
    space.create(kinds.DEPLOYMENTS, made)
    space.until(lambda: NO_IMAGE in replica_sets(space, "over"), what="the first rollout began")
    space.until(
        lambda: replica_sets(space, "over")[NO_IMAGE]["status"].get("replicas") == 1,
        what="its pod was made",
    )
    space.until(lambda: available(space, "over") == 1, what="the old pod stays")
    space.set_image(kinds.DEPLOYMENTS, "over", OTHER_IMAGE)
    space.until(lambda: complete(space, "over"), what="the second rollout is complete")
    counts = {image: one["spec"]["replicas"] for image, one in replica_sets(space, "over").items()}
    assert counts.pop(OTHER_IMAGE) == 1
    assert set(counts.values()) == {0}
    assert len(counts) == 2


@case("deployment should support proportional scaling")
def test_proportional_scaling(space: Any, make: Any) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    name = created(space, deployment(make, "proportional", 10, strategy=strategy))
    old = next(iter(replica_sets(space, name)))

    def sizes() -> tuple[int, int]:
        found = replica_sets(space, name)
        return found[old]["spec"]["replicas"], found.get(NO_IMAGE, {"spec": {"replicas": 0}})[
            "spec"
        ]["replicas"]

    space.set_image(kinds.DEPLOYMENTS, name, NO_IMAGE)
    space.until(lambda: sizes() == (8, 5), what="two may be away and three too many")
    space.until(lambda: available(space, name) == 8, what="eight are available")
    space.patch(kinds.DEPLOYMENTS, name, {"spec": {"replicas": 30}})
    space.until(lambda: sizes() == (20, 13), what="both grow in proportion")


@case("should run the lifecycle of a Deployment")
def test_lifecycle(space: Any, make: Any) -> None:
    mark = {"test-deployment-static": space.name}
    made = deployment(make, "alive", 2)
    made["metadata"]["labels"] = mark
    selector = f"test-deployment-static={space.name}"
    with space.watching(kinds.DEPLOYMENTS, selector) as seen:
        space.create(kinds.DEPLOYMENTS, made)
        seen.until("ADDED")
        seen.until("MODIFIED", lambda one: one["status"].get("readyReplicas") == 2)
        patch = {
            "metadata": {"labels": {"test-deployment": "patched"}},
            "spec": {"replicas": 1, "template": {"spec": {"terminationGracePeriodSeconds": 1}}},
        }
        space.patch(kinds.DEPLOYMENTS, "alive", patch)
        seen.until(
            "MODIFIED", lambda one: one["metadata"]["labels"].get("test-deployment") == "patched"
        )
        space.until(lambda: complete(space, "alive"), what="one replica is left")
        [found] = space.everywhere(kinds.DEPLOYMENTS, selector)
        assert found["spec"]["replicas"] == 1
        status = space.get(kinds.DEPLOYMENTS, "alive", subresource="status")["status"]
        assert status["readyReplicas"] == 1
        changed = space.patch(
            kinds.DEPLOYMENTS, "alive", {"status": {"readyReplicas": 0}}, subresource="status"
        )
        assert changed["status"].get("readyReplicas", 0) == 0

        def edited(one: Any) -> None:
            one["spec"]["replicas"] = 2

        space.edit(kinds.DEPLOYMENTS, "alive", edited)
        space.until(lambda: complete(space, "alive"), what="there are two again")
        assert conditions.is_true(space.get(kinds.DEPLOYMENTS, "alive"), "Available")
        space.delete_collection(kinds.DEPLOYMENTS, selector)
        seen.until("DELETED")
