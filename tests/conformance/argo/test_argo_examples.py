"""The examples of argoproj/argo-workflows, unmodified, run to their end by real pods.

They are read from the checkout that WHERRY_ARGO names; nothing of it is kept. What is wanted is what
upstream's own test of its examples wants: ConfigMaps, claims and templates of all files are applied,
each Workflow is made in the same namespace, and succeeds.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.embedded.settings import Settings
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds
from wherry.testing import argo_images, environments, object_stores
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.object_stores import ObjectStore
from wherry.testing.waiting import eventually

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CHECKOUT = os.environ.get("WHERRY_ARGO", "")
FOLDER = Path(CHECKOUT) / "examples"
NAMESPACE = "argo"
SECONDS = 300
FINAL = ("Succeeded", "Failed", "Error")
APPLIED = {
    resource.kind: resource
    for resource in (
        core.CONFIG_MAPS,
        core.PERSISTENT_VOLUME_CLAIMS,
        kinds.WORKFLOW_TEMPLATES,
        kinds.CLUSTER_WORKFLOW_TEMPLATES,
    )
}
"""What upstream's test applies of all files before the first workflow."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_ARGO names no checkout"),
]


def _cases() -> Iterator[Any]:
    rows = json.loads((HERE / "names" / "examples.json").read_text(encoding="utf-8"))
    for row in rows:
        if not row.get("notApplicable"):
            mark = pytest.mark.conformance("argo", group="examples", name=row["name"])
            yield pytest.param(row["name"], marks=mark, id=row["name"])


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    pins = ROOT / "requirements" / "stores.txt"
    made = object_stores.moto(environments.environment(pins, ROOT / "build" / "clients"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def platform(store: ObjectStore) -> Iterator[InProcessPlatform]:
    with tempfile.TemporaryDirectory(prefix="wherry-") as folder:
        # The images' names stand for environments and this machine's tools: nothing is fetched.
        settings = Settings(
            directory=Path(folder) / "platform", port=0, image_runtime="environment"
        )
        made = InProcessPlatform(settings)
        made.start()
        try:
            argo_images.prepare(made, Path(folder) / "tools", store, namespace=NAMESPACE)
            # Steps of several examples change objects.
            argo_images.let(made, "default", namespace=NAMESPACE)
            _apply_all(made)
            yield made
        finally:
            made.stop()


def _apply_all(platform: InProcessPlatform) -> None:
    """Make what upstream's test has made before it submits."""
    for path in sorted(FOLDER.rglob("*.yaml")):
        for found in _documents(path):
            resource = APPLIED.get(found.get("kind", ""))
            if resource is not None:
                _apply(platform, resource, found)


def _apply(platform: InProcessPlatform, resource: Resource, found: Object) -> None:
    with contextlib.suppress(errors.AlreadyExistsError):  # several files hold the same
        platform.call(platform.client.create(resource, _placed(found, resource)))


def _placed(found: Object, resource: Resource) -> Object:
    """Return an object in the one namespace."""
    place = {"namespace": NAMESPACE} if resource.namespaced else {}
    return {**found, "metadata": {**found["metadata"], **place}}


def _documents(path: Path) -> list[Object]:
    texts = path.read_text(encoding="utf-8").split("\n---")
    found = [yaml.safe_load(text) for text in texts]
    return [each for each in found if isinstance(each, dict)]


@pytest.mark.parametrize("name", list(_cases()))
def test_an_example(platform: InProcessPlatform, name: str) -> None:
    path, _, number = name.partition("#")
    found = [each for each in _documents(FOLDER / path) if each.get("kind") == "Workflow"]
    workflow = _placed(found[int(number or 1) - 1], kinds.WORKFLOWS)
    made = platform.call(platform.client.create(kinds.WORKFLOWS, workflow))
    ended = eventually(lambda: _ended(platform, made), seconds=SECONDS)
    assert ended["status"]["phase"] == "Succeeded", _told(ended)


def _ended(platform: InProcessPlatform, made: Object) -> Object:
    name = metadata.name(made)
    try:
        workflow = platform.call(platform.client.get(kinds.WORKFLOWS, name, NAMESPACE))
    except errors.NotFoundError:
        raise AssertionError(f"{name} is gone before its end was seen") from None
    return workflow if (workflow.get("status") or {}).get("phase") in FINAL else {}


def _told(workflow: Object) -> str:
    """Return what a workflow says of its end, and of the nodes that did not end well."""
    status = workflow["status"]
    nodes = (status.get("nodes") or {}).values()
    bad = [
        f"{each['displayName']}: {each['phase']}: {each.get('message', '')}"
        for each in nodes
        if each["phase"] not in ("Succeeded", "Skipped", "Omitted")
    ]
    return f"{status.get('phase')}: {status.get('message', '')}; {'; '.join(bad)}"
