"""Python's clients of Kubernetes, each with a program as its users write them, and real pods."""

import pytest

from wherry.objects import kinds
from wherry.testing.waiting import eventually


def test_lightkube(programs, boats, world):
    assert programs.run("lightkube_script") == {
        "merged": {"a": "2", "b": "3"},
        "patched": {"b": "3"},
        "pages": ["c", *(f"page-{number}" for number in range(5))],
        "twice": [409, "AlreadyExists"],
        "applied": {"b": "1"},
        "conflict": [409, ".data.b"],
        "owners": ["another", "script"],
        "events": [["MODIFIED", "c"], ["DELETED", "c"]],
        "log": ["2"],
        "exec": ["in", "bad\n", 3],
        "scale": 2,
        "boat": [2, True],
        "boats": 0,
    }
    assert world.find(kinds.CONFIG_MAPS, "s")["data"] == {"b": "2"}


def test_kr8s(programs, boats, world):
    assert programs.run("kr8s_script") == {
        "listed": [{"a": "1", "b": "2"}],
        "missing map": False,
        "not found": True,
        "version": "1",
        "kinds": True,
        "boat": [2, True],
        "boats": False,
        "exec": ["out\n", "err\n", 5],
        "log": True,
        "pod": 200,
        "missing": 404,
        "service": 200,
        "proxied": 200,
        "ready": True,
        "short": ["ended"],
    }
    assert world.find(kinds.PODS, "web") is None
    assert world.find(kinds.PODS, "short")["status"]["phase"] == "Succeeded"


def test_kr8s_with_await(programs, world):
    numbers = sum(len(f"{number}\n") for number in range(1, 20001))
    assert programs.run("kr8s_async") == {
        "first event": "ADDED",
        "exec": [numbers, 0],
        "answers": [200] * 10,
        "left": [],
    }
    assert world.all(kinds.PODS) == []


@pytest.mark.parametrize("package", ["kubernetes_asyncio", "kubernetes.aio"])
def test_asynchronous(programs, boats, world, package):
    assert programs.run("asynchronous", package) == {
        "phases": "Running",
        "log": ["up"],
        "exec": ["err", "out"],
        "code": 7,
        "echo": "word\n",
        "map": {"a": "1", "b": "2"},
        "gone": [404, "NotFound"],
        "allowed": True,
        "oars": 4,
        "afloat": True,
        "watched": ["ADDED", "b"],
    }
    eventually(lambda: not world.all(kinds.PODS), what="the pod has gone")


def test_official(programs, boats, world):
    assert programs.run("official") == {
        "leads": True,
        "told": [
            ["ADDED", "first"],
            ["ADDED", "second"],
            ["MODIFIED", "first"],
            ["DELETED", "second"],
        ],
        "cached": [{"x": "1"}],
        "count": "20",
        "ports": [81],
        "oars": 2,
        "managers": ["me"],
        "leads too": False,
        "leads by map": True,
    }
    assert world.find(kinds.LEASES, "lead")["spec"]["holderIdentity"] == "one"
