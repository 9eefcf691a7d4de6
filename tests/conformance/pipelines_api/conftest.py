"""The service, and pipelines kept by it, for upstream's cases of its API."""

import functools
import http.server
import io
import json
import threading
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.pipelines_api import Answer, PipelinesApi
from wherry.testing.waiting import eventually

__all__ = ["platform", "running", "shared_platform"]

SECONDS = 120
HELLO: Object = {
    "components": {"comp-say": {"executorLabel": "exec-say"}},
    "deploymentSpec": {
        "executors": {
            "exec-say": {"container": {"image": "python:3.11", "command": ["echo", "hello"]}}
        }
    },
    "pipelineInfo": {"name": "say"},
    "root": {
        "dag": {
            "tasks": {
                "say": {
                    "cachingOptions": {"enableCache": True},
                    "componentRef": {"name": "comp-say"},
                    "taskInfo": {"name": "say"},
                }
            }
        }
    },
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
}


class Kept:
    """Pipelines of a namespace, as upstream's cases make and look at them."""

    hello = HELLO

    def __init__(self, api: PipelinesApi, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.name = f"apitest-{uuid.uuid4().hex[:8]}"

    def upload(self, name: str = "", *, tags: Any = None, **query: Any) -> Object:
        """Upload a pipeline with one version, and return it."""
        answer = self.try_upload(name, tags=tags, **query)
        assert answer.status == 200, answer
        made: Object = answer.body
        return made

    def try_upload(
        self,
        name: str = "",
        data: bytes = b"",
        filename: str = "hello_world.yaml",
        *,
        tags: Any = None,
        **query: Any,
    ) -> Answer:
        """Upload a file."""
        return self.api.upload(
            "/pipelines/upload",
            filename,
            data or yaml.safe_dump(HELLO).encode(),
            name=name or self.name,
            namespace=self.namespace,
            tags=_told(tags),
            **query,
        )

    def upload_version(self, pipeline: Object, name: str, **query: Any) -> Object:
        """Upload a version of a pipeline, and return it."""
        answer = self.try_upload_version(pipeline["pipeline_id"], name, **query)
        assert answer.status == 200, answer
        made: Object = answer.body
        return made

    def try_upload_version(
        self,
        pipeline_id: str,
        name: str | None,
        data: bytes = b"",
        filename: str = "hello_world.yaml",
        *,
        tags: Any = None,
        **query: Any,
    ) -> Answer:
        """Upload a file as a version."""
        return self.api.upload(
            "/pipelines/upload_version",
            filename,
            data or yaml.safe_dump(HELLO).encode(),
            name=name,
            pipelineid=pipeline_id,
            tags=_told(tags),
            **query,
        )

    def create(self, name: str = "", **fields: Any) -> Object:
        """Make a pipeline without a version."""
        answer = self.try_create(name, **fields)
        assert answer.status == 200, answer
        made: Object = answer.body
        return made

    def try_create(self, name: str = "", **fields: Any) -> Answer:
        """Ask for a pipeline without a version."""
        body = {"name": name or self.name, "namespace": self.namespace, **fields}
        return self.api.call("POST", "/pipelines", body)

    def get(self, pipeline: Object) -> Object:
        """Return a pipeline as it is now."""
        return self.api.get(f"/pipelines/{pipeline['pipeline_id']}")

    def list(self, *predicates: Object, **query: Any) -> Answer:
        """List the pipelines."""
        chosen = _filter(predicates)
        return self.api.call("GET", "/pipelines", namespace=self.namespace, filter=chosen, **query)

    def list_versions(self, pipeline: Object, *predicates: Object, **query: Any) -> Answer:
        """List the versions of a pipeline."""
        path = f"/pipelines/{pipeline['pipeline_id']}/versions"
        return self.api.call("GET", path, filter=_filter(predicates), **query)

    def versions(self, pipeline: Object) -> Sequence[Object]:
        """Return the versions of a pipeline, the oldest first."""
        answer = self.list_versions(pipeline, sort_by="created_at")
        assert answer.status == 200, answer
        found: Sequence[Object] = answer.body.get("pipeline_versions", ())
        return found


def _told(tags: Any) -> str | None:
    return tags if tags is None or isinstance(tags, str) else json.dumps(tags)


def _filter(predicates: Sequence[Object]) -> str | None:
    return json.dumps({"predicates": predicates}) if predicates else None


@pytest.fixture(scope="session")
def api(shared_platform: InProcessPlatform) -> Iterator[PipelinesApi]:
    """The shared platform's pipelines service, once it answers."""
    made = PipelinesApi(shared_platform.connection, keeps=True)
    eventually(lambda: made.call("GET", "/healthz").status == 200, SECONDS)
    yield made
    made.close()


@pytest.fixture
def namespace(shared_platform: InProcessPlatform) -> str:
    """A namespace of the test's own."""
    body = {"metadata": {"generateName": "cases-"}}
    made = shared_platform.call(shared_platform.client.create(core.NAMESPACES, body))
    return metadata.name(made)


@pytest.fixture
def kept(api: PipelinesApi, namespace: str) -> Kept:
    """Pipelines of that namespace."""
    return Kept(api, namespace)


@pytest.fixture
def hello() -> Object:
    """A pipeline of one step."""
    return HELLO


@pytest.fixture
def taking(hello: Object) -> Object:
    """A pipeline of two parameters."""
    texts = {name: {"parameterType": "STRING"} for name in ("param1", "param2")}
    return {**hello, "root": {**hello["root"], "inputDefinitions": {"parameters": texts}}}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder of files, and the URL at which they are."""
    folder = tmp_path_factory.mktemp("elsewhere")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def package() -> Object:
    """What KFP's first version compiles, a workflow of Argo: of two parameters, of which one has a value."""
    names = ("param1", "param2")
    said = "-".join(f"{{{{inputs.parameters.{name}}}}}" for name in names)
    step = {
        "name": "whalesay",
        "inputs": {"parameters": [{"name": name} for name in names]},
        "container": {"image": "python:3.11", "command": ["echo"], "args": [said]},
    }
    given = [{"name": "param1", "value": "hello"}, {"name": "param2"}]
    return workflow_of(step, "arguments-parameters-", arguments={"parameters": given})


def workflow_of(step: Object, generate_name: str, **fields: Any) -> Object:
    """Return a package of one step."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": generate_name},
        "spec": {
            "entrypoint": step["name"],
            "serviceAccountName": "pipeline-runner",
            "templates": [step],
            **fields,
        },
    }


@pytest.fixture
def hello_package() -> Object:
    """Another one, without parameters."""
    container = {"image": "python:3.11", "command": ["echo"], "args": ["hello world"]}
    return workflow_of({"name": "whalesay", "container": container}, "hello-world-")


@pytest.fixture
def package_files(
    elsewhere: tuple[Path, str], package: Object, hello_package: Object
) -> Mapping[str, bytes]:
    """Packages as files, called as upstream's cases call them: they are elsewhere, too."""
    text = yaml.safe_dump(package).encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("arguments-parameters.yaml", text)
    made = {
        "arguments-parameters.yaml": text,
        "arguments_parameters.zip": held.getvalue(),
        "hello-world.yaml": yaml.safe_dump(hello_package).encode(),
        "sequential.yaml": json.dumps(HELLO).encode(),
    }
    for name, data in made.items():
        (elsewhere[0] / name).write_bytes(data)
    return made
