"""PodDisruptionBudgets and eviction, as upstream's sig-apps cases have them."""

import datetime
from typing import Any

import pytest

from wherry.objects import kinds, metadata

BUDGETS = kinds.POD_DISRUPTION_BUDGETS
LABELS = {"pdb": "yes"}


def case(name: str) -> pytest.MarkDecorator:
    full = f"DisruptionController {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def budget(name: str = "budget", least: int | str = 1) -> Any:
    spec = {"selector": {"matchLabels": LABELS}, "minAvailable": least}
    return {"metadata": {"name": name, "labels": LABELS}, "spec": spec}


def pods(space: Any, make: Any, count: int) -> list[str]:
    """Run so many pods that budgets cover."""
    for number in range(count):
        space.create(kinds.PODS, make.pod(f"pod-{number}", metadata={"labels": LABELS}))
    return list(space.ready_pods("pdb=yes", count))


def observed(space: Any, name: str = "budget", allowed: int | None = None) -> Any:
    """Wait until the controller has seen the budget as it is now; return it."""

    def seen() -> Any:
        found = space.get(BUDGETS, name)
        status = found.get("status") or {}
        fresh = status.get("observedGeneration") == found["metadata"]["generation"]
        right = allowed is None or status.get("disruptionsAllowed") == allowed
        return found if fresh and right else None

    return space.until(seen, what=f"{name} is observed and allows {allowed}")


def evict(space: Any, pod: str) -> Any:
    at = {"name": pod, "namespace": space.name}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": at}
    return space.api.call("POST", kinds.PODS.path(space.name, pod, "eviction"), body)


@case("should create a PodDisruptionBudget")
def test_lifecycle(space: Any) -> None:
    space.create(BUDGETS, budget())
    assert observed(space)["spec"]["minAvailable"] == 1

    def grow(one: Any) -> None:
        one["spec"]["minAvailable"] = "2%"

    assert space.edit(BUDGETS, "budget", grow)["spec"]["minAvailable"] == "2%"
    observed(space)
    patched = space.patch(BUDGETS, "budget", {"spec": {"minAvailable": "3%"}})
    assert patched["spec"]["minAvailable"] == "3%"
    observed(space)
    space.delete(BUDGETS, "budget")
    assert space.find(BUDGETS, "budget") is None


@case("should observe PodDisruptionBudget status updated")
def test_status_is_kept(space: Any, make: Any) -> None:
    space.create(BUDGETS, budget())
    pods(space, make, 3)
    status = observed(space, allowed=2)["status"]
    assert (status["currentHealthy"], status["desiredHealthy"], status["expectedPods"]) == (3, 1, 3)


@case("should update/patch PodDisruptionBudget status")
def test_status_can_be_written(space: Any, make: Any) -> None:
    [pod] = pods(space, make, 1)
    space.create(BUDGETS, budget())
    observed(space, allowed=0)
    now = metadata.format_time(datetime.datetime.now(datetime.UTC))

    def disrupt(one: Any) -> None:
        one["status"]["disruptedPods"] = {pod: now}

    updated = space.edit(BUDGETS, "budget", disrupt, "status")
    assert updated["status"]["disruptedPods"] == {pod: now}
    patch = {"status": {"disruptedPods": None}}
    patched = space.patch(BUDGETS, "budget", patch, subresource="status")
    assert not patched["status"].get("disruptedPods")


@case("should block an eviction until the PDB is updated to allow it")
def test_eviction(space: Any, make: Any) -> None:
    names = pods(space, make, 3)
    space.create(BUDGETS, budget(least=3))
    observed(space, allowed=0)
    answer = evict(space, names[0])
    assert answer.code == 429
    assert answer.json["details"]["causes"][0]["reason"] == "DisruptionBudget"
    space.patch(BUDGETS, "budget", {"spec": {"minAvailable": 2}})
    observed(space, allowed=1)
    assert evict(space, names[0]).code == 201
    space.until(lambda: names[0] not in space.names(kinds.PODS), what="the pod is gone")
    observed(space, allowed=0)
    assert evict(space, names[1]).code == 429
    space.delete(BUDGETS, "budget")
    assert evict(space, names[1]).code == 201
    space.until(lambda: space.names(kinds.PODS) == [names[2]], what="the second pod is gone")


@case(
    "Listing PodDisruptionBudgets for all namespaces should list and "
    "delete a collection of PodDisruptionBudgets"
)
def test_collection(space: Any, new_namespace: Any) -> None:
    for name in ("one", "two"):
        space.create(BUDGETS, budget(name))
    other = new_namespace()
    space.api.create(BUDGETS, budget("three"), other)
    found = space.api.items(BUDGETS, labelSelector="pdb=yes")
    places = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}
    assert {(space.name, "one"), (space.name, "two"), (other, "three")} <= places
    space.delete_collection(BUDGETS, "pdb=yes")
    assert space.list(BUDGETS) == []
    assert space.api.names(BUDGETS, other) == ["three"]
