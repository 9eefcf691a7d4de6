"""Pipelines of shell commands, written down in a few lines, and runs of them by real pods."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from wherry.cli import main
from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, status
from wherry.testing import environments, object_stores
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.object_stores import ObjectStore
from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

__all__ = ["platform", "running", "shared_platform"]

SECONDS = 120
ROOT = Path(__file__).resolve().parents[2]
OUT = "{{$.outputs.parameters['out'].output_file}}"
PROVIDERS = """
s3:
  default:
    endpoint: {endpoint}
    disableSSL: true
    region: us-east-1
    credentials:
      fromEnv: false
      secretRef: {{secretName: keys, accessKeyKey: access, secretKeyKey: secret}}
"""
_ARTIFACT = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}


class Spec:
    """A pipeline in the making, as the compiler of kfp would write it."""

    def __init__(self, name: str = "test-pipeline", **inputs: str) -> None:
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self._name = name
        self._inputs = inputs

    def step(
        self,
        name: str,
        script: str,
        *,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        reads: Sequence[str] = (),
        makes: Sequence[str] = (),
        **container: Any,
    ) -> None:
        """Add a component that runs a script of the shell."""
        self.executors[f"exec-{name}"] = {
            "container": {"image": "python:3.11", "command": ["sh", "-ec", script], **container}
        }
        self.component(name, inputs, outputs, reads, makes)["executorLabel"] = f"exec-{name}"

    def component(
        self,
        name: str,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        reads: Sequence[str] = (),
        makes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Add a component with its definitions."""
        made: dict[str, Any] = {"inputDefinitions": _definitions(inputs, reads)}
        made["outputDefinitions"] = _definitions(outputs, makes)
        made = {key: each for key, each in made.items() if each}
        self.components[f"comp-{name}"] = made
        return made

    def task(
        self,
        name: str,
        component: str = "",
        *,
        needs: Sequence[str] = (),
        cache: bool = False,
        inside: dict[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, tuple[str, str]] | None = None,
        **fields: Any,
    ) -> None:
        """Add a task. Inputs are values, ``(task, output)``, or names of inputs of the graph in a set."""
        made: dict[str, Any] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": f"comp-{component or name}"},
            "cachingOptions": {"enableCache": True} if cache else {},
            **fields,
        }
        given = {key: _source(each) for key, each in (parameters or {}).items()}
        read = {key: _artifact(each) for key, each in (artifacts or {}).items()}
        inputs = {"parameters": given, "artifacts": read}
        made["inputs"] = {key: each for key, each in inputs.items() if each}
        sources = [*(parameters or {}).values(), *(artifacts or {}).values()]
        named = {each[0] for each in sources if isinstance(each, tuple)}
        made["dependentTasks"] = sorted({*needs, *named})
        (self.tasks if inside is None else inside)[name] = {k: v for k, v in made.items() if v}

    def output(self, name: str, task: str, key: str, kind: str = "STRING") -> None:
        """Have the pipeline give an output parameter of a task."""
        self.outputs[name] = (task, key, kind)

    def spec(self, **fields: Any) -> Object:
        """Return the spec of a run of it."""
        root: dict[str, Any] = {"dag": {"tasks": self.tasks}}
        if self._inputs:
            root["inputDefinitions"] = _definitions(self._inputs, ())
        if self.outputs:
            root["outputDefinitions"] = _definitions(
                {name: kind for name, (_, _, kind) in self.outputs.items()}, ()
            )
            root["dag"]["outputs"] = {
                "parameters": {
                    name: {
                        "valueFromParameter": {"producerSubtask": task, "outputParameterKey": key}
                    }
                    for name, (task, key, _) in self.outputs.items()
                }
            }
        made: Object = {
            "pipelineInfo": {"name": self._name},
            "schemaVersion": "2.1.0",
            "sdkVersion": "kfp-2.17.0",
            "components": self.components,
            "deploymentSpec": {"executors": self.executors},
            "root": root,
        }
        result: Object = {"pipelineSpec": made, **fields}
        if self.settings or self.config:
            kubernetes: Object = {
                "deploymentSpec": {
                    "executors": {f"exec-{name}": each for name, each in self.settings.items()}
                }
            }
            if self.config:
                kubernetes["pipelineConfig"] = self.config
            result["platformSpec"] = {"platforms": {"kubernetes": kubernetes}}
        return result


def _definitions(parameters: Mapping[str, str] | None, artifacts: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if parameters:
        made["parameters"] = {name: {"parameterType": each} for name, each in parameters.items()}
    if artifacts:
        made["artifacts"] = dict.fromkeys(artifacts, _ARTIFACT)
    return made


def _source(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple):
        task, key = value
        return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}
    if isinstance(value, set):
        return {"componentInputParameter": next(iter(value))}
    return {"runtimeValue": {"constant": value}}


def _artifact(source: tuple[str, str]) -> dict[str, Any]:
    task, key = source
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


class Runs:
    """Runs on a platform, in a namespace of their own."""

    def __init__(self, on: InProcessPlatform, namespace: str, database: str = "") -> None:
        self.platform = on
        self.namespace = namespace
        self.client = on.client
        self._database = database or on.directory / "products" / "metadata" / "metadata.db"

    @classmethod
    def apart(cls, on: InProcessPlatform, database: str = "") -> "Runs":
        """Return runs in a new namespace; their rows are in the platform's database, or in another."""
        body = {"metadata": {"generateName": "pipelines-"}}
        made = on.call(on.client.create(core.NAMESPACES, body))
        return cls(on, metadata.name(made), database)

    def start(self, spec: Object, name: str = "run") -> Object:
        """Create a run."""
        body = {"metadata": {"name": name, "namespace": self.namespace}, "spec": spec}
        return self.platform.call(self.client.create(kinds.PIPELINE_RUNS, body))

    def get(self, name: str = "run") -> Object:
        """Return a run as it is now."""
        return self.platform.call(self.client.get(kinds.PIPELINE_RUNS, name, self.namespace))

    def patch(self, change: Object, name: str = "run") -> None:
        """Change the spec of a run."""
        patch = {"spec": change}
        self.platform.call(self.client.patch(kinds.PIPELINE_RUNS, name, patch, self.namespace))

    def ended(self, name: str = "run") -> Object:
        """Return a run once it has ended."""

        def look() -> Object:
            run = self.get(name)
            return run if status.is_finished(run) else {}

        return eventually(look, SECONDS, what=f"the end of {name}")

    def run(self, spec: Object, name: str = "run") -> Object:
        """Return the run of a spec, once it has ended."""
        self.start(spec, name)
        return self.ended(name)

    def pods(self, name: str = "run") -> list[Object]:
        """Return the pods of a run."""
        labels = f"{kinds.RUN_LABEL}={name}"
        return self.platform.call(self.client.list(core.PODS, self.namespace, labels=labels)).items

    def rows(self, run: Object) -> dict[str, Execution]:
        """Return what the database holds of a run, by path."""
        return asyncio.run(rows(self._database, metadata.uid(run)))

    def keep_in(self, store: ObjectStore, secret: str = object_stores.SECRET_KEY) -> None:
        """Have the namespace keep its artifacts in a store."""
        keys = {"access": object_stores.ACCESS_KEY, "secret": secret}
        held = {"metadata": {"name": "keys", "namespace": self.namespace}, "stringData": keys}
        self.platform.call(self.client.create(core.SECRETS, held))
        providers = PROVIDERS.format(endpoint=store.url.removeprefix("http://"))
        data = {"defaultPipelineRoot": "s3://bucket/root", "providers": providers}
        body = {"metadata": {"name": "kfp-launcher", "namespace": self.namespace}, "data": data}
        self.platform.call(self.client.create(core.CONFIG_MAPS, body))


async def rows(database: str | Path, run: str) -> dict[str, Execution]:
    """Return what a metadata database holds of a run, by path."""
    store = Metadata(database)
    try:
        return {row.path: row for row in await store.of_run(run)}
    finally:
        await store.close()


@pytest.fixture
def pipeline() -> Callable[..., Spec]:
    """What makes pipelines."""
    return Spec


@pytest.fixture
def runs(shared_platform: InProcessPlatform, request: pytest.FixtureRequest) -> Runs:
    """Runs in a namespace of the test's own."""
    return Runs.apart(shared_platform)


@pytest.fixture
def wherry(
    api: PipelinesApi, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """What runs `wherry pipelines` in the namespace, and returns the exit code and what was said."""

    def run(*words: str) -> tuple[int, str]:
        where = ["--kubeconfig", str(runs.platform.kubeconfig), "-n", runs.namespace]
        capsys.readouterr()
        code = main(["pipelines", *words, *where])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


@pytest.fixture
def runs_on() -> Callable[..., Runs]:
    """What makes runs in a new namespace of a platform; see `Runs.apart`."""
    return Runs.apart


@pytest.fixture
def own_runs(platform: InProcessPlatform) -> Runs:
    """Runs on a platform of the test's own."""
    return Runs(platform, "default")


@pytest.fixture
def here(
    shared_platform: InProcessPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the platform be the one that kubectl would use; no other runs for this home."""
    monkeypatch.setenv("WHERRY_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(shared_platform.kubeconfig))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A server that checks keys and keeps everything in files."""
    pins = ROOT / "requirements" / "stores.txt"
    environment = environments.environment(pins, ROOT / "build" / "clients")
    made = object_stores.rclone(environment, tmp_path_factory.mktemp("store"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def two_steps() -> Spec:
    """A pipeline whose second step reads what the first one made."""
    made = Spec()
    path = "{{$.outputs.artifacts['data'].path}}"
    made.step(
        "make",
        f"mkdir -p {path}; echo kept > {path}/file; "
        f"echo {{{{$.outputs.artifacts['data'].uri}}}} > {OUT}",
        outputs={"out": "STRING"},
        makes=["data"],
    )
    made.step(
        "read",
        f"cat {{{{$.inputs.artifacts['data'].path}}}}/file > {OUT}",
        outputs={"out": "STRING"},
        reads=["data"],
    )
    made.task("make", cache=True)
    made.task("read", cache=True, artifacts={"data": ("make", "data")})
    made.output("kept", "read", "out")
    made.output("uri", "make", "out")
    return made


@pytest.fixture(scope="session")
def api(shared_platform: InProcessPlatform) -> Iterator[PipelinesApi]:
    """The shared platform's pipelines service, once it answers."""
    made = PipelinesApi(shared_platform.connection, keeps=True)
    eventually(lambda: made.call("GET", "/healthz").status == 200, SECONDS)
    yield made
    made.close()
