"""Upstream's cases that run packages of KFP's first version: of an artifact, and by a service that is replaced."""

import base64
import datetime
import gzip
import json
import re
import time

import pytest
import yaml

from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

SECONDS = 120
V1 = "/apis/v1beta1"
UPGRADE = "integration/upgrade_test.go: UpgradeTests."
ROCKS = "Kubeflow rocks!"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def case(name):
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


def refer(kind, of, relationship="OWNER"):
    return {"key": {"type": kind, "id": of}, "relationship": relationship}


def apart(made):
    """Return something, once the second is over in which it was made: lists know no shorter times."""
    second = datetime.datetime.fromisoformat(made["created_at"]).timestamp()
    eventually(lambda: time.time() > second + 1, 30)
    return made


def experiment(api, name, description="", namespace="default"):
    body = {"name": name, "description": description}
    references = [refer("NAMESPACE", namespace)]
    return apart(api.post(f"{V1}/experiments", {**body, "resource_references": references}))


@case("integration/artifact_api_test.go: ArtifactAPITest.TestV1PipelineArtifactRead")
def test_an_artifact_is_read_as_argo_packs_it(api, namespace, hello_package):
    name, path = "create-test-artifact-test", "/tmp/outputs/test/data"
    spec = hello_package["spec"]
    (step,) = spec["templates"]
    script = f"mkdir -p {path.rpartition('/')[0]}; printf '{ROCKS}' > {path}"
    step["container"] |= {"command": ["sh", "-ec"], "args": [script]}
    step["outputs"] = {"artifacts": [{"name": name, "path": path}]}
    graph = {"name": "main", "dag": {"tasks": [{"name": "create", "template": "whalesay"}]}}
    spec |= {"entrypoint": "main", "templates": [graph, step]}
    hello_package["metadata"]["generateName"] = "artifact-streaming-test-v1-"
    data = yaml.safe_dump(hello_package).encode()
    query = {"name": f"artifact-test-{namespace}", "namespace": namespace}
    pipeline = api.upload(f"{V1}/pipelines/upload", "artifact_pipeline.yaml", data, **query).body
    group = experiment(api, "artifact-test-experiment", namespace=namespace)
    body = {
        "name": "test-artifact-run",
        "pipeline_spec": {"pipeline_id": pipeline["id"]},
        "resource_references": [refer("EXPERIMENT", group["id"])],
    }
    run = f"{V1}/runs/{api.post(f'{V1}/runs', body)['run']['id']}"

    def ended():
        found = api.get(run)
        return found if found["run"]["status"] in ("Succeeded", "Failed") else None

    detail = eventually(ended, SECONDS)
    assert detail["run"]["status"] == "Succeeded", detail
    # Upstream's case looks for the id of the node in the whole of the answer.
    node = re.findall(r"artifact-streaming-test-v1-[a-z0-9]+-[0-9]+", json.dumps(detail))[0]
    answer = api.read(f"{run}/nodes/{node}/artifacts/{name}:read")
    assert answer.status == 200
    assert answer.headers.get_content_type() == "application/json"
    assert not answer.headers["Content-Encoding"]
    packed = base64.b64decode(json.loads(answer.body)["data"])
    # Behind the head of a tar, which is one block.
    assert gzip.decompress(packed)[512:].startswith(ROCKS.encode())


@pytest.fixture
def replaced(elsewhere, tmp_path):
    """A platform of the test's own, as a process, whose service may ask elsewhere."""
    allowed = {"WHERRY_PIPELINES_URL_ALLOWED": f"{elsewhere[1]}/"}
    made = RunningPlatform(tmp_path / "platform", environment=allowed)
    try:
        made.start()
        yield made
    finally:
        made.end()


def answers(api):
    try:
        return api.call("GET", "/healthz").status == 200
    except OSError:
        return False


@case(f"{UPGRADE}TestPrepare")
@case(f"{UPGRADE}TestVerify")
def test_packages_outlive_the_service(replaced, elsewhere, package, package_files):
    api = PipelinesApi(replaced.connection)
    eventually(lambda: answers(api), SECONDS)
    prepare(api, elsewhere[1], package_files)
    replaced.restart()
    eventually(lambda: answers(api), SECONDS)
    experiments = verify_experiments(api)
    pipelines = verify_pipelines(api, package)
    hello = next(each for each in pipelines if each["name"] == "hello-world.yaml")
    verify_run(api, hello, experiments[4])
    verify_job(api, hello, experiments[4])
    verify_that_more_is_made(api, pipelines[0], experiments)


def prepare(api, url, files):
    eventually(
        lambda: [each["name"] for each in listed(api, "experiments")] == ["Default"], SECONDS
    )
    for name, which in (("training", "first"), ("prediction", "second"), ("moonshot", "third")):
        experiment(api, name, f"my {which} experiment")

    def upload(file, **query):
        answer = api.upload(f"{V1}/pipelines/upload", file, files[file], **query)
        assert answer.status == 200, answer
        return apart(answer.body)

    def fetched(file, **named):
        body = {**named, "url": {"pipeline_url": f"{url}/{file}"}}
        return apart(api.post(f"{V1}/pipelines", body))

    zipped = "arguments_parameters.zip"
    assert upload("arguments-parameters.yaml")["name"] == "arguments-parameters.yaml"
    assert fetched("sequential.yaml", name="sequential")["name"] == "sequential"
    named = upload(zipped, name="zip-arguments-parameters")
    assert named["name"] == "zip-arguments-parameters"
    assert fetched(zipped)["name"] == zipped

    pipeline = upload("hello-world.yaml")
    group = experiment(api, "hello world experiment")
    body = {
        "name": "hello world",
        "description": "this is hello world",
        "pipeline_spec": {"pipeline_id": pipeline["id"]},
        "resource_references": [refer("EXPERIMENT", group["id"])],
    }
    apart(api.post(f"{V1}/runs", body)["run"])
    job = {**body, "max_concurrency": "10", "enabled": True, "no_catchup": True}
    assert api.post(f"{V1}/jobs", job)["id"]


def listed(api, kind):
    of = {"resource_reference_key.type": "NAMESPACE", "resource_reference_key.id": "default"}
    where = {} if kind == "pipelines" else of
    return api.get(f"{V1}/{kind}", sort_by="created_at", **where).get(kind, [])


def verify_experiments(api):
    found = listed(api, "experiments")
    names = ["Default", "training", "prediction", "moonshot", "hello world experiment"]
    assert [each["name"] for each in found] == names
    told = [each.get("description", "") for each in found]
    assert "without" in told[0]
    assert told[1:] == [*(f"my {which} experiment" for which in ("first", "second", "third")), ""]
    assert all(each["id"] and each["created_at"] for each in found)
    return found


def verify_pipelines(api, package):
    found = listed(api, "pipelines")
    oldest = "arguments-parameters.yaml"
    names = [oldest, "sequential", "zip-arguments-parameters", "arguments_parameters.zip"]
    assert [each["name"] for each in found[:4]] == names
    parameters = [{"name": "param1", "value": "hello"}, {"name": "param2"}]
    version = found[0]["default_version"]
    assert (version["name"], version["parameters"]) == (oldest, parameters)
    assert refer("PIPELINE", found[0]["id"]) in version["resource_references"]
    assert found[0]["parameters"] == parameters
    told = api.get(f"{V1}/pipelines/{found[0]['id']}/templates")
    assert yaml.safe_load(told["template"]) == package
    return found


def verify_run(api, pipeline, group):
    first = listed(api, "runs")[0]
    detail = api.get(f"{V1}/runs/{first['id']}")
    verify_hello(detail["run"], pipeline, group)
    assert "whalesay" in detail["pipeline_runtime"]["workflow_manifest"]


def verify_job(api, pipeline, group):
    (job,) = listed(api, "jobs")
    verify_hello(job, pipeline, group)
    assert (job["max_concurrency"], job["no_catchup"], job["enabled"]) == ("10", True, True)
    assert not job.get("trigger")


def verify_hello(made, pipeline, group):
    assert (made["name"], made["description"]) == ("hello world", "this is hello world")
    spec = made["pipeline_spec"]
    assert "whalesay" in spec.pop("workflow_manifest")
    assert spec == {"pipeline_id": pipeline["id"], "pipeline_name": "hello-world.yaml"}
    assert refer("EXPERIMENT", group["id"]) in made["resource_references"]
    # Upstream's is the one that its installation names; here it is the namespace's, where nobody names one.
    assert "service_account" not in made


def verify_that_more_is_made(api, pipeline, experiments):
    version = refer("PIPELINE_VERSION", pipeline["default_version"]["id"], "CREATOR")
    values = {"param1": "goodbye", "param2": "world"}
    given = {"parameters": [{"name": name, "value": each} for name, each in values.items()]}

    def run(name, *references):
        body = {"name": name, "pipeline_spec": given, "resource_references": [*references]}
        return api.post(f"{V1}/runs", body)

    newest, default = (refer("EXPERIMENT", experiments[index]["id"]) for index in (4, 0))
    of_pipeline = run("of a pipeline", newest, refer("PIPELINE", pipeline["id"], "CREATOR"))
    of_version = run("of its version", version)
    specs = [each["run"]["pipeline_spec"] for each in (of_pipeline, of_version)]
    assert specs[0]["workflow_manifest"]
    assert specs[0]["workflow_manifest"] == specs[1]["workflow_manifest"]
    for each, group in ((of_pipeline, newest), (of_version, default)):
        assert "arguments-parameters-" in each["pipeline_runtime"]["workflow_manifest"]
        assert "pipeline_manifest" not in each["run"]["pipeline_spec"]
        assert group in each["run"]["resource_references"]

    training = refer("EXPERIMENT", experiments[1]["id"])
    body = {
        "name": "job from a version",
        "enabled": True,
        "max_concurrency": "10",
        "resource_references": [training, version],
    }
    job = api.post(f"{V1}/jobs", body)
    assert job["pipeline_spec"]["workflow_manifest"]
    assert "pipeline_manifest" not in job["pipeline_spec"]
    assert training in job["resource_references"]
