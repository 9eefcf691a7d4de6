"""Daemons that end before what they are part of, with real pods."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.embedded.settings import Settings
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds, operations
from wherry.pipelines.workflows import nodes as stored
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

SECONDS = 100
FINAL = ("Succeeded", "Failed", "Error")
IMAGE = "python:3.11"


class Served:
    """A workflow with a daemon whose attempts end when they are told to, and a step that waits for somebody."""

    def __init__(self, nodes: Any, folder: Path) -> None:
        self._nodes, self._folder = nodes, folder

    def make(self, *tasks: Object, **daemon: Any) -> None:
        """Begin it: tasks of a DAG, and what the daemon's template has besides."""
        told = "until [ -e /told/{{retries}} ]; do sleep 0.05; done; exit 3"
        if "retryStrategy" not in daemon:
            told = told.replace("{{retries}}", "0")
        mount = {"name": "told", "mountPath": "/told"}
        container = {"image": IMAGE, "command": ["sh", "-c", told], "volumeMounts": [mount]}
        templates = [
            {"name": "main", "dag": {"tasks": [*tasks]}},
            {"name": "server", "daemon": True, "container": container, **daemon},
            {"name": "wait", "suspend": {}},
            {"name": "ask", "container": {"image": IMAGE, "command": ["true"]}},
        ]
        volume = {"name": "told", "hostPath": {"path": str(self._folder), "type": "Directory"}}
        spec = {"entrypoint": "main", "templates": templates, "volumes": [volume]}
        self._nodes.create(kinds.WORKFLOWS, "served", {"spec": spec})

    def tell(self, attempt: int) -> None:
        """Have an attempt of the daemon end."""
        (self._folder / str(attempt)).touch()

    def resume(self) -> None:
        """Have the step go on that waits."""

        def attempt() -> bool:
            change = operations.resume(self.get())
            try:
                self._nodes.platform.call(self._nodes.client.update(kinds.WORKFLOWS, change))
            except errors.ConflictError:
                return False
            return True

        eventually(attempt, SECONDS, what="no conflict")

    def get(self) -> Object:
        """Return it."""
        found: Object = self._nodes.platform.call(
            self._nodes.client.get(kinds.WORKFLOWS, "served", self._nodes.namespace)
        )
        return found

    def until(self, holds: Callable[[dict[str, Object]], object]) -> None:
        """Return once something holds of the nodes, by the names that people see."""
        eventually(lambda: bool(holds(self.named())), SECONDS, what="nodes as wanted")

    def named(self) -> dict[str, Object]:
        """Return the nodes by the names that people see."""
        return {each["displayName"]: each for each in stored.stored(self.get()).values()}

    def ended(self) -> Object:
        """Return it once it has ended."""

        def look() -> Object:
            found = self.get()
            return found if (found.get("status") or {}).get("phase") in FINAL else {}

        return eventually(look, SECONDS, what="the end")


@pytest.fixture
def served(nodes: Any, tmp_path: Path) -> Served:
    """A workflow of the test's own."""
    return Served(nodes, tmp_path)


def phase(name: str, wanted: str, **more: object) -> Callable[[dict[str, Object]], bool]:
    """Tell whether a node is in a phase, and is otherwise as wanted."""
    full = {"phase": wanted, **more}

    def holds(nodes: dict[str, Object]) -> bool:
        found = nodes.get(name) or {}
        return {key: found.get(key) for key in full} == full

    return holds


SERVER = {"name": "server", "template": "server"}
WAIT = {"name": "wait", "template": "wait"}
BEHIND = {**WAIT, "depends": "server"}


def test_a_daemon_that_fails_after_it_was_ready_is_tried_again(served: Served) -> None:
    served.make(SERVER, BEHIND, retryStrategy={"limit": "2"})
    served.until(phase("wait", "Running"))
    served.until(phase("server(0)", "Running", daemoned=True))
    served.until(phase("server", "Running", daemoned=True))
    served.tell(0)
    served.until(phase("server(1)", "Running", daemoned=True))
    served.until(phase("server", "Running", daemoned=True))
    first = served.named()["server(0)"]
    assert first["phase"] == "Failed"
    assert "(exit code 3)" in first["message"]
    served.resume()
    assert served.ended()["status"]["phase"] == "Succeeded"
    found = served.named()
    last = [found[name]["phase"] for name in ("server", "server(0)", "server(1)", "wait")]
    assert last == ["Succeeded", "Failed", "Succeeded", "Succeeded"]
    assert found["server(1)"]["podIP"] != found["server(0)"]["podIP"]


def test_a_daemon_that_fails_too_often_fails_its_dag(served: Served) -> None:
    strategy = {"limit": "1", "backoff": {"duration": "1"}}
    served.make(SERVER, WAIT, retryStrategy=strategy)
    served.until(phase("server(0)", "Running", daemoned=True))
    served.tell(0)
    served.until(phase("server(1)", "Running", daemoned=True))
    served.tell(1)
    served.until(phase("server", "Failed", message="No more retries left", daemoned=None))
    served.until(phase("server(1)", "Failed", daemoned=None))
    served.until(phase("wait", "Running"))
    served.resume()
    assert served.ended()["status"]["phase"] == "Failed"


def test_what_begins_after_the_end_of_a_daemon_is_not_done(served: Served) -> None:
    after = {"name": "ask", "template": "ask", "depends": "server && wait"}
    served.make(SERVER, BEHIND, after)
    served.until(phase("wait", "Running"))
    served.tell(0)
    served.until(phase("server", "Failed", daemoned=None))
    served.resume()
    assert served.ended()["status"]["phase"] == "Failed"
    found = served.named()
    assert [found[name]["phase"] for name in ("wait", "ask")] == ["Succeeded", "Omitted"]


def test_what_has_begun_goes_on_after_the_end_of_a_daemon(served: Served) -> None:
    served.make(SERVER, BEHIND)
    served.until(phase("wait", "Running"))
    served.tell(0)
    served.until(phase("server", "Failed", daemoned=None))
    served.resume()
    # As for upstream: what counts is what comes last.
    assert served.ended()["status"]["phase"] == "Succeeded"
    assert served.named()["server"]["phase"] == "Failed"


class Own:
    """A platform of the test's own, which is ended and begins anew."""

    namespace = "default"

    def __init__(self, folder: Path) -> None:
        self._settings = Settings(directory=folder, port=0)
        self.begin()

    def begin(self) -> None:
        """Begin, with what is there."""
        self.platform = InProcessPlatform(self._settings)
        self.platform.start()

    @property
    def client(self) -> Client:
        """Asks the API."""
        return self.platform.client

    def create(self, kind: Resource, name: str, fields: Object) -> None:
        """Make an object."""
        body = {"metadata": {"name": name, "namespace": self.namespace}, **fields}
        self.platform.call(self.client.create(kind, body))


@pytest.mark.slow
def test_a_daemon_that_fails_while_nobody_looks_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "told"
    folder.mkdir()
    own = Own(tmp_path / "platform")
    try:
        served = Served(own, folder)
        served.make(SERVER, BEHIND, retryStrategy={"limit": "9"})
        served.until(phase("wait", "Running"))
        # That ends what runs, too.
        own.platform.stop()
        own.begin()
        served.until(lambda found: again(found) and found[again(found)].get("daemoned"))
        last = again(served.named())
        served.resume()
        assert served.ended()["status"]["phase"] == "Succeeded"
        found = served.named()
        assert [found[name]["phase"] for name in ("server(0)", last)] == ["Failed", "Succeeded"]
    finally:
        own.platform.stop()


def again(nodes: dict[str, Object]) -> str:
    """Return the name of the latest attempt of the daemon but the first; empty: there is none."""
    return max(
        (name for name in nodes if name.startswith("server(") and "(0)" not in name), default=""
    )
