"""How far steps say that they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, progress
from wherry.pipelines.workflows import nodes as stored
from wherry.testing.waiting import eventually

SECONDS = 100
IMAGE = "python:3.11"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0/1", "0/1"),
        (" 50/100\n", "50/100"),
        ("3/3", "3/3"),
        ("4/3", None),
        ("0/0", None),
        ("-1/3", None),
        ("1/2/3", None),
        ("", None),
        (None, None),
        (7, None),
        ("9" * 40 + "/" + "9" * 40, None),
    ],
)
def test_what_is_a_progress(text: object, wanted: str | None) -> None:
    found = progress.read(text)
    assert (None if found is None else str(found)) == wanted


class Told:
    """A workflow of one step that goes on as files say."""

    def __init__(self, nodes: Any, folder: Path) -> None:
        self._nodes, self._folder = nodes, folder

    def make(self, script: str, **template: Any) -> None:
        """Begin it: a step that may wait for files in ``/told``."""
        mount = {"name": "told", "mountPath": "/told"}
        container = {"image": IMAGE, "command": ["sh", "-ec", script], "volumeMounts": [mount]}
        templates = [
            {"name": "main", "steps": [[{"name": "work", "template": "work"}]]},
            {"name": "work", "container": container, **template},
        ]
        volume = {"name": "told", "hostPath": {"path": str(self._folder), "type": "Directory"}}
        spec = {"entrypoint": "main", "templates": templates, "volumes": [volume]}
        self._nodes.create(kinds.WORKFLOWS, "told", {"spec": spec})

    def tell(self, name: str) -> None:
        """Make a file."""
        (self._folder / name).touch()

    def get(self) -> Any:
        """Return it."""
        return self.call(self._nodes.client.get(kinds.WORKFLOWS, "told", self._nodes.namespace))

    def call(self, coroutine: Any) -> Any:
        """Ask the API."""
        return self._nodes.platform.call(coroutine)

    def annotate(self, far: str) -> None:
        """Say in the annotation of the step's pod how far it is."""
        client, namespace = self._nodes.client, self._nodes.namespace
        pods = self.call(client.list(core.PODS, namespace)).items
        change = {"metadata": {"annotations": {kinds.PROGRESS_ANNOTATION: far}}}
        for pod in pods:
            self.call(client.patch(core.PODS, metadata.name(pod), change, namespace))

    def until(self, holds: Callable[[Object], object]) -> Object:
        """Return it once something holds of it."""

        def look() -> Object:
            found = self.get()
            return found if holds(found) else {}

        return eventually(look, SECONDS, what="a workflow as wanted")

    def ended(self) -> Object:
        """Return it once it has ended."""
        return self.until(lambda found: (found.get("status") or {}).get("finishedAt"))


@pytest.fixture
def told(nodes: Any, tmp_path: Path) -> Told:
    """A workflow of the test's own."""
    return Told(nodes, tmp_path)


def named(workflow: Object) -> dict[str, Object]:
    return {each["displayName"]: each for each in stored.stored(workflow).values()}


def far(wanted: str) -> Callable[[Object], bool]:
    """Tell whether step, group, steps and workflow are so far."""

    def holds(workflow: Object) -> bool:
        found = named(workflow)
        seen = {(found.get(name) or {}).get("progress") for name in ("told", "[0]", "work")}
        return seen | {(workflow.get("status") or {}).get("progress")} == {wanted}

    return holds


UNTIL = "until [ -e /told/{} ]; do sleep 0.05; done; "
SAY = "echo {} >> $ARGO_PROGRESS_FILE; "


def test_a_step_tells_how_far_it_is_in_a_file(told: Told) -> None:
    told.make("".join([SAY.format("1/4"), UNTIL.format("a"), SAY.format("3/4"), UNTIL.format("b")]))
    told.until(far("1/4"))
    told.tell("a")
    told.until(far("3/4"))
    told.tell("b")
    assert far("4/4")(told.ended())


def test_what_a_step_that_failed_has_said_last_stays(told: Told) -> None:
    words = [SAY.format("2/5"), UNTIL.format("a"), SAY.format("4/5"), "exit 1"]
    told.make("".join(words))
    told.until(far("2/5"))
    told.tell("a")
    assert far("4/5")(told.ended())


def test_what_is_no_progress_is_passed_over(told: Told) -> None:
    told.make(SAY.format("7/5") + UNTIL.format("a"))
    told.until(lambda found: (named(found).get("work") or {}).get("phase") == "Running")
    told.tell("a")
    assert far("1/1")(told.ended())


def test_the_annotation_of_a_pod_tells_how_far_its_step_is(told: Told) -> None:
    notes = {"annotations": {kinds.PROGRESS_ANNOTATION: "0/10"}}
    told.make(UNTIL.format("a"), metadata=notes)
    told.until(far("0/10"))
    told.annotate("6/10")
    told.until(far("6/10"))
    told.tell("a")
    assert far("10/10")(told.ended())
