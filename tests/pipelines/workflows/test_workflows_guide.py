"""What the guide shows runs, and ends well."""

from pathlib import Path

import pytest
import yaml

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "workflows.md"
FINAL = ("Succeeded", "Failed", "Error")


def shown() -> list[Object]:
    """The workflows of the guide."""
    parts = GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    found = [yaml.safe_load(part.partition("```")[0]) for part in parts]
    return [each for each in found if each["kind"] == kinds.WORKFLOWS.kind]


@pytest.mark.parametrize("workflow", shown(), ids=lambda each: each["metadata"]["generateName"])
def test_an_example_of_the_guide(shared_platform: InProcessPlatform, workflow: Object) -> None:
    platform, client = shared_platform, shared_platform.client
    body = {"metadata": {"generateName": "guide-"}}
    namespace = metadata.name(platform.call(client.create(core.NAMESPACES, body)))
    placed = {**workflow, "metadata": {**workflow["metadata"], "namespace": namespace}}
    name = metadata.name(platform.call(client.create(kinds.WORKFLOWS, placed)))

    def ended() -> Object:
        found = platform.call(client.get(kinds.WORKFLOWS, name, namespace))
        return found if (found.get("status") or {}).get("phase") in FINAL else {}

    status = eventually(ended, 120, what=f"the end of {name}")["status"]
    assert status["phase"] == "Succeeded", status
