"""An operator written with kopf: its handlers run, its marks are kept, and it takes up where it was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.kubectl import Following
from wherry.testing.waiting import eventually

PROGRAM = Path(__file__).with_name("programs") / "kopf_operator.py"
FINALIZER = "example.org/kopf"


def boat(name: str, oars: int) -> Object:
    metadata = {"name": name}
    return {
        "apiVersion": "example.org/v1",
        "kind": "Boat",
        "metadata": metadata,
        "spec": {"oars": oars},
    }


@pytest.fixture
def status(boats: Any, world: Any) -> Callable[[str], Object]:
    """Give what reads a boat's status."""
    return lambda name: (world.find(boats, name) or {}).get("status") or {}


@pytest.fixture
def start(programs: Any, namespace: str) -> Callable[[], Following]:
    """Give what starts the operator."""
    arguments = (
        "-m",
        "kopf",
        "run",
        "--verbose",
        "--standalone",
        f"--namespace={namespace}",
        str(PROGRAM),
    )
    return lambda: programs.follow(*arguments)


@pytest.fixture
def operator(start: Callable[[], Following]) -> Iterator[Following]:
    """Run the operator, and end it."""
    with start() as running:
        yield running


def waited(operator: Following, check: Callable[[], object]) -> None:
    try:
        eventually(check)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{operator.read()[-3000:]}") from error


def test_handlers(boats, world, status, operator):
    world.create(boats, boat("b", 2))
    waited(operator, lambda: status("b").get("launched") == {"oars": 2})
    assert world.find(boats, "b")["metadata"]["finalizers"] == [FINALIZER]
    waited(operator, lambda: status("b").get("painted") == {"tries": 2})
    waited(operator, lambda: status("b").get("ticks", 0) >= 2)
    assert status("b")["afloat"] is True
    world.patch(boats, "b", {"spec": {"oars": 4}})
    waited(operator, lambda: status("b").get("rigged") == "2->4")
    world.patch(boats, "b", {"metadata": {"labels": {"flag": "red"}}})
    waited(operator, lambda: status("b").get("flag") == "red")
    operator.sees("b sets sail")
    pod = world.find(kinds.PODS, "b-crew")
    assert [owner["name"] for owner in pod["metadata"]["ownerReferences"]] == ["b"]
    waited(operator, lambda: world.find(kinds.PODS, "b-crew")["status"]["phase"] == "Succeeded")
    reasons = {event["reason"] for event in world.all(kinds.EVENTS)}
    assert {"Launched", "Logging"} <= reasons

    world.delete(boats, "b")
    waited(operator, lambda: world.find(boats, "b") is None)
    assert world.find(kinds.CONFIG_MAPS, "b-wreck")
    operator.sees("b strikes sail")
    waited(operator, lambda: world.find(kinds.PODS, "b-crew") is None)


def test_a_refusal_is_told(boats, world, operator):
    world.create(boats, boat("b", -1))

    def told() -> bool:
        events = [event for event in world.all(kinds.EVENTS) if event["type"] == "Error"]
        return any("oars cannot be fewer than none" in event["message"] for event in events)

    waited(operator, told)


def test_pods_are_watched(world, operator):
    pod = builders.pod("seen", script="true", metadata={"labels": {"kopf-watched": "yes"}})
    operator.sees("Starting the watch-stream for pods")
    world.create(kinds.PODS, pod)
    operator.sees("seen pod seen ADDED")
    operator.sees("seen pod seen MODIFIED")


def test_it_takes_up_where_it_was(boats, world, status, start):
    with start() as first:
        world.create(boats, boat("b", 2))
        waited(first, lambda: status("b").get("painted"))
    # Changed while nobody looks, and by the time it is back: killed, not ended.
    world.patch(boats, "b", {"spec": {"oars": 6}})
    with start() as second:
        waited(second, lambda: status("b").get("rigged") == "2->6")
        waited(second, lambda: status("b").get("resumed") == ["b"])
        assert status("b")["painted"] == {"tries": 2}
        world.delete(boats, "b")
        waited(second, lambda: world.find(boats, "b") is None)
