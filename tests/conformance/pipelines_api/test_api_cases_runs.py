"""Upstream's cases of runs: of each of its pipelines, archived, taken up again, by a service that is replaced."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from wherry.objects import metadata
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.schedules import kinds as schedules
from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
VALID = Path(CHECKOUT, "test_data", "sdk_compiled_pipelines", "valid")
SECONDS = 120
RUNS = "pipeline_run_api_test.go: Verify Pipeline Run > "
CREATED = f"{RUNS}Create a valid pipeline and verify the created run > "
WITH_CACHE = "' pipeline with cacheEnabled={} and verify run"
ARGO = "argo_compatibility_api_test.go: Argo runtime compatibility > "
PREPARED = "upgrade_api_test.go: Upgrade Test Preparation > Prepare test data > "
VERIFIED = "upgrade_api_test.go: Upgrade Test Verification > Verify resources after upgrade > "
UNDERWAY = ("PENDING", "RUNNING")
TAKING_ARTIFACTS = (
    "component_with_metadata_fields.yaml",
    "input_artifact.yaml",
    "pipeline_with_metadata_fields.yaml",
    "pipeline_with_various_io_types.yaml",
)
REFUSED = (
    "on purpose: the pipeline takes an artifact that runs cannot be given by REST, so it could not run; "
    "it is refused at once, where upstream has it fail"
)
VALUES = {
    ParameterType.NUMBER_INTEGER: 7,
    ParameterType.NUMBER_DOUBLE: 0.5,
    ParameterType.BOOLEAN: True,
    ParameterType.STRUCT: {"A": "0.25"},
    ParameterType.LIST: ["one"],
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs_checkout = pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout")


def case(name):
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


def files():
    """Yield each of upstream's pipelines: there is a case for it with the cache, and one without."""
    rows = json.loads((HERE / "names" / "api-cases.json").read_text(encoding="utf-8"))
    names = {row["name"] for row in rows if "notApplicable" not in row}
    for name in sorted(names):
        for cache in (True, False):
            head, tail = f"{CREATED}Create a '", WITH_CACHE.format(str(cache).lower())
            if name.startswith(head) and name.endswith(tail):
                file = name.removeprefix(head).removesuffix(tail)
                refused = pytest.mark.xfail(file in TAKING_ARTIFACTS, reason=REFUSED, strict=True)
                yield pytest.param(file, cache, marks=[case(name), refused], id=f"{file}-{cache}")


def read(file):
    """Return both documents of a file."""
    path = VALID / file
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return documents.parse(archive.read(archive.namelist()[0]).decode())
    return documents.parse(path.read_text(encoding="utf-8"))


def inputs(found):
    """Return values for the parameters that must be given."""
    defined = Pipeline(found.spec, found.platform).spec.root.input_definitions.parameters
    return {
        name: VALUES.get(each.parameter_type, "some-text")
        for name, each in defined.items()
        if each.default_value is None and not each.is_optional
    }


def uncached(spec):
    """Return a pipeline's spec of which no step is taken from the cache."""
    if isinstance(spec, dict):
        return {
            key: {} if key == "cachingOptions" else uncached(each) for key, each in spec.items()
        }
    return [uncached(each) for each in spec] if isinstance(spec, list) else spec


class Runs:
    """Runs in an experiment."""

    def __init__(self, api, namespace, name="experiment"):
        self.api = api
        body = {"display_name": name, "namespace": namespace}
        self.experiment = api.post("/experiments", body)["experiment_id"]

    def start(self, version, **parameters):
        reference = {key: version[key] for key in ("pipeline_id", "pipeline_version_id")}
        body = {
            "display_name": "API Test Run",
            "description": "API Test Run",
            "experiment_id": self.experiment,
            "service_account": "pipeline-runner",
            "pipeline_version_reference": reference,
        }
        made = self.api.post("/runs", {**body, "runtime_config": {"parameters": parameters}})
        assert made["run_id"]
        assert {key: made[key] for key in body} == body
        assert made["storage_state"] == "AVAILABLE"
        told = self.get(made)
        assert (told.get("runtime_config") or {}).get("parameters", {}) == parameters
        same = (*body, "created_at", "storage_state")
        assert {key: told.get(key) for key in same} == {key: made.get(key) for key in same}
        return made

    def get(self, run):
        return self.api.get(f"/runs/{run['run_id']}")

    def post(self, run, what):
        return self.api.post(f"/runs/{run['run_id']}:{what}")

    def end(self, run):
        return self.api.delete(f"/runs/{run['run_id']}")


@pytest.fixture
def runs(api, namespace):
    return Runs(api, namespace)


@needs_checkout
@pytest.mark.parametrize(("file", "cache"), [*files()])
def test_a_run_of_each_pipeline(kept, runs, file, cache):
    found = read(file)
    spec = found.spec if cache else uncached(found.spec)
    texts = [json.dumps(each) for each in (spec, found.platform) if each]
    answer = kept.try_upload("", "\n---\n".join(texts).encode())
    assert answer.status == 200, answer
    (version,) = kept.versions(answer.body)
    runs.end(runs.start(version, **inputs(found)))


@case(
    f"{CREATED}Create a 'of the first file' pipeline, create an experiement and verify run with "
    "associated experiment"
)
@case(
    f"{RUNS}Associate a single experiment with multiple pipeline runs > "
    "Create an experiment and associate it multiple pipeline runs of the same pipeline"
)
@case(
    f"{RUNS}Associate a single experiment with multiple pipeline runs > "
    "Create an experiment and associate it pipeline runs of different pipelines"
)
def test_runs_of_an_experiment(kept, runs, api):
    made = []
    for name in (kept.name, f"{kept.name}2"):
        (version,) = kept.versions(kept.upload(name))
        made += [runs.start(version)["run_id"] for _ in range(2)]
    found = api.get("/runs", experiment_id=runs.experiment)
    assert {each["run_id"] for each in found["runs"]} == set(made)
    assert found["total_size"] == 4


@needs_checkout
@case(
    f"{RUNS}Create a pipeline run with HTTP proxy > "
    "Create a pipeline run with http proxy, using specs: env-var.yaml"
)
def test_a_run_with_the_name_of_a_variable(kept, runs):
    data = (VALID / "env-var.yaml").read_bytes()
    (version,) = kept.versions(kept.try_upload("", data).body)
    made = runs.start(version, env_var="http_proxy")
    assert made["runtime_config"]["parameters"] == {"env_var": "http_proxy"}
    runs.end(made)


@case(
    f"{RUNS}Archive pipeline run(s) > Create a pipeline run, wait for the run state to be reported, "
    "archive it and verify that archiving keeps the runtime state reported"
)
@case(
    f"{RUNS}Archive pipeline run(s) > Create a pipeline run, wait for the run to move to RUNNING or "
    "PENDING, archive it and verify that the run state is still RUNNING or PENDING on archiving"
)
@case(
    f"{RUNS}Unarchive pipeline run(s) > "
    "Create a pipeline run, archive it and unarchive it and verify the storage state"
)
def test_a_run_is_archived_and_taken_back(kept, runs, api):
    waiting = {**kept.hello, "deploymentSpec": sleeping(300)}
    answer = kept.try_upload("", json.dumps(waiting).encode())
    (version,) = kept.versions(answer.body)
    reference = {key: version[key] for key in ("pipeline_id", "pipeline_version_id")}
    body = {"display_name": "waits", "experiment_id": runs.experiment}
    made = api.post("/runs", {**body, "pipeline_version_reference": reference})
    assert runs.get(made)["state"] in UNDERWAY
    runs.post(made, "archive")
    archived = runs.get(made)
    assert archived["state"] in UNDERWAY
    assert archived["storage_state"] == "ARCHIVED"
    runs.post(made, "unarchive")
    assert runs.get(made)["storage_state"] == "AVAILABLE"
    runs.end(made)


def sleeping(seconds):
    container = {"image": "python:3.11", "command": ["sleep", str(seconds)]}
    return {"executors": {"exec-say": {"container": container}}}


@case(f"{ARGO}creates a disabled recurring run and its ScheduledWorkflow")
def test_a_disabled_recurring_run_is_a_schedule(kept, runs, api, shared_platform):
    (version,) = kept.versions(kept.upload())
    reference = {key: version[key] for key in ("pipeline_id", "pipeline_version_id")}
    body = {
        "display_name": "at new year",
        "description": "Why",
        "experiment_id": runs.experiment,
        "service_account": "pipeline-runner",
        "pipeline_version_reference": reference,
        "runtime_config": {"parameters": {}},
        "trigger": {"cron_schedule": {"cron": "0 0 1 1 *"}},
        "mode": "DISABLE",
        "max_concurrency": "1",
        "no_catchup": True,
    }
    made = api.post("/recurringruns", body)
    path = f"/recurringruns/{made['recurring_run_id']}"
    told = api.get(path)
    assert told["mode"] == "DISABLE"
    assert told["trigger"]["cron_schedule"]["cron"] == "0 0 1 1 *"
    listed = shared_platform.client.list(schedules.SCHEDULED_WORKFLOWS, kept.namespace)
    (schedule,) = shared_platform.call(listed).items
    assert metadata.uid(schedule) == made["recurring_run_id"]
    assert schedule["spec"]["enabled"] is False
    assert schedule["spec"]["pipelineId"] == version["pipeline_id"]
    assert schedule["spec"]["pipelineVersionId"] == version["pipeline_version_id"]
    api.delete(path)


@case(f"{ARGO}retries a failed run through the run API")
def test_a_failed_run_is_taken_up_again(kept, runs, api):
    failing = {"image": "python:3.11", "command": ["false"]}
    spec = {**kept.hello, "deploymentSpec": {"executors": {"exec-say": {"container": failing}}}}
    body = {"display_name": "fails", "experiment_id": runs.experiment, "pipeline_spec": spec}
    made = api.post("/runs", body)

    def failed():
        found = runs.get(made)
        return found if found["state"] == "FAILED" else None

    before = len(eventually(failed, SECONDS)["state_history"])
    runs.post(made, "retry")

    def failed_again():
        found = runs.get(made)
        return (
            found if found["state"] == "FAILED" and len(found["state_history"]) > before else None
        )

    history = eventually(failed_again, SECONDS)["state_history"]
    assert "RUNNING" in [each["state"] for each in history[before:]]


@case(f"{PREPARED}Upload pipelines and create experiments")
@case(f"{PREPARED}Create pipeline run")
@case(f"{PREPARED}Create pipeline run and wait it to go to RUNNING state")
@case(f"{PREPARED}Create scheduled pipeline run")
@case(f"{VERIFIED}Verify that Pipelines & experiments should persist correctly")
@case(f"{VERIFIED}Verify pipeline run")
@case(f"{VERIFIED}Verify you can create a pipeline run after upgrade")
@case(f"{VERIFIED}Verify pipeline run that was in RUNNING state, still exists after the upgrade")
@case(f"{VERIFIED}Verify scheduled pipeline run")
@case(f"{VERIFIED}Verify you can create scheduled pipeline run after upgrade")
def test_what_was_made_is_there_when_the_service_has_been_replaced(running, hello):
    api = PipelinesApi(running.connection)

    def answers():
        try:
            return api.call("GET", "/healthz").status == 200
        except OSError:
            return False

    eventually(answers, SECONDS)
    before = Prepared(api, hello)
    before.make("1")
    told = before.told()
    running.restart()
    eventually(answers, SECONDS)
    after = before.told()
    assert after == told
    before.make("2")
    assert {key: len(each) for key, each in before.told().items()} == {
        "/experiments": 3,  # With the one called Default.
        "/pipelines": 2,
        "/runs": 2,
        "/recurringruns": 2,
    }


class Prepared:
    """One of each kind, and what is told of all of them."""

    def __init__(self, api, hello):
        self.api = api
        self.hello = hello

    def make(self, name):
        spec = {**self.hello, "deploymentSpec": sleeping(600)}
        answer = self.api.upload(
            "/pipelines/upload",
            "p.json",
            json.dumps(spec).encode(),
            name=name,
            display_name=f"Pipeline {name}",
            description="Why",
        )
        assert answer.status == 200, answer
        runs = Runs(self.api, "default", f"Experiment-{name}")
        path = f"/pipelines/{answer.body['pipeline_id']}/versions"
        (version,) = self.api.get(path)["pipeline_versions"]
        body = {
            "display_name": f"Run {name}",
            "description": "This is a run",
            "experiment_id": runs.experiment,
            "pipeline_version_reference": {
                key: version[key] for key in ("pipeline_id", "pipeline_version_id")
            },
        }
        made = self.api.post("/runs", body)
        eventually(lambda: runs.get(made)["state"] == "RUNNING", SECONDS)
        trigger = {"cron_schedule": {"cron": "0 0 1 1 *"}}
        self.api.post(
            "/recurringruns", {**body, "trigger": trigger, "mode": "ENABLE", "max_concurrency": "1"}
        )

    def told(self):
        fields = {
            "/experiments": ("experiment_id", "display_name", "description", "created_at"),
            "/pipelines": ("pipeline_id", "name", "display_name", "description", "created_at"),
            "/runs": ("run_id", "display_name", "description", "experiment_id", "state"),
            "/recurringruns": (
                "recurring_run_id",
                "display_name",
                "description",
                "mode",
                "trigger",
            ),
        }
        found = {}
        for path, names in fields.items():
            listed = self.api.get(path).get(path[1:].replace("ringruns", "ringRuns"), [])
            found[path] = [{name: each.get(name) for name in names} for each in listed]
        return found
