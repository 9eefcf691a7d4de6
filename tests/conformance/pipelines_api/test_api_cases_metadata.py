"""Upstream's cases that look into the metadata service: results of the cache, artifacts, logs without pods."""

import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.testing import environments
from wherry.testing.waiting import eventually

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SECONDS = 180
CACHE = "v2/integration/cache_test.go: CacheTestSuite."
ARGO = "argo_compatibility_api_test.go: Argo runtime compatibility > "
AUDIENCE = "pipelines.kubeflow.org"
RBAC = "rbac.authorization.k8s.io"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def case(name):
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


@pytest.fixture
def known(shared_platform, namespace):
    """What tells the states and outputs of a run's containers, as the metadata service knows them."""
    call, client = shared_platform.call, shared_platform.client
    account = {"metadata": {"name": "robot", "namespace": namespace}}
    call(client.create(core.SERVICE_ACCOUNTS, account))
    binding = {
        **account,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
    }
    call(client.create(core.ROLE_BINDINGS, binding))
    asked = {**account, "spec": {"audiences": [AUDIENCE]}}
    made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    service = call(client.get(core.SERVICES, "metadata-grpc-service", "kubeflow"))
    pins = ROOT / "requirements" / "clients-mlmd.txt"
    python = environments.environment(pins, ROOT / "build" / "clients") / "bin" / "python"

    def tell(run_id):
        done = subprocess.run(
            [
                *(python, "-W", "ignore", HERE / "programs" / "mlmd_run.py"),
                *(f"{service['spec']['clusterIP']}:8080", run_id),
            ],
            env={"TOKEN": made["status"]["token"], "NAMESPACE": namespace},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return tell


@pytest.fixture
def experiment(api, namespace):
    made = api.post("/experiments", {"display_name": "cases", "namespace": namespace})
    return made["experiment_id"]


@pytest.fixture
def returning(hello):
    """A pipeline whose step gives back what it is told."""
    text = {"message": {"parameterType": "STRING"}}
    place = "{{$.outputs.parameters['out'].output_file}}"
    said = "{{$.inputs.parameters['message']}}"
    container = {
        "image": "python:3.11",
        "command": ["sh", "-ec", f'mkdir -p "$(dirname {place})"; printf "%s" "{said}" > {place}'],
    }
    given = {"parameters": {"message": {"componentInputParameter": "message"}}}
    task = {**hello["root"]["dag"]["tasks"]["say"], "inputs": given}
    return {
        **hello,
        "components": {
            "comp-say": {
                "executorLabel": "exec-say",
                "inputDefinitions": {"parameters": text},
                "outputDefinitions": {"parameters": {"out": {"parameterType": "STRING"}}},
            }
        },
        "deploymentSpec": {"executors": {"exec-say": {"container": container}}},
        "root": {"inputDefinitions": {"parameters": text}, "dag": {"tasks": {"say": task}}},
    }


def succeeded(api, run_id):
    def look():
        found = api.get(f"/runs/{run_id}")
        return found if found["state"] in ("SUCCEEDED", "FAILED", "CANCELED") else None

    ended = eventually(look, SECONDS)
    assert ended["state"] == "SUCCEEDED", json.dumps(ended.get("error"))
    return ended


def run(api, experiment, **fields):
    """Return the id of a run that has succeeded."""
    made = api.post("/runs", {"display_name": "r", "experiment_id": experiment, **fields})
    return succeeded(api, made["run_id"])["run_id"]


def states(known, run_id):
    return [each["state"] for each in known(run_id)]


@case(f"{CACHE}TestCacheSingleRun")
def test_a_second_run_takes_the_result_of_the_first(api, experiment, known, returning):
    given = {"pipeline_spec": returning, "runtime_config": {"parameters": {"message": "Hello"}}}
    assert states(known, run(api, experiment, **given)) == ["COMPLETE"]
    assert states(known, run(api, experiment, **given)) == ["CACHED"]


@case(f"{CACHE}TestCacheRecurringRun")
def test_a_recurring_run_takes_results_of_itself(api, experiment, known, returning):
    body = {
        "display_name": "hello world",
        "experiment_id": experiment,
        "pipeline_spec": returning,
        "runtime_config": {"parameters": {"message": "Hello"}},
        # One after the other: upstream's case gives each a minute.
        "max_concurrency": "1",
        "mode": "ENABLE",
        "trigger": {"periodic_schedule": {"interval_second": "1"}},
    }
    made = api.post("/recurringruns", body)

    def two():
        found = api.get("/runs", experiment_id=experiment, sort_by="created_at").get("runs", [])
        return [each["run_id"] for each in found[:2]] if len(found) > 1 else None

    first, second = eventually(two, SECONDS)
    api.post(f"/recurringruns/{made['recurring_run_id']}:disable")
    for each in (first, second):
        succeeded(api, each)
    assert [states(known, each) for each in (first, second)] == [["COMPLETE"], ["CACHED"]]


@case(f"{CACHE}TestCacheSingleRunWithPVC_SameName_Caches")
def test_another_claim_is_another_result(
    api, experiment, known, returning, shared_platform, namespace
):
    given = {"pvc_name": {"parameterType": "STRING"}}
    spec = json.loads(json.dumps(returning).replace("message", "pvc_name"))
    spec["deploymentSpec"]["executors"]["exec-say"]["container"]["command"][2] += "; ls /data"
    source = {"componentInputParameter": "pvc_name"}
    mount = {**source, "mountPath": "/data", "pvcNameParameter": source}
    executors = {"exec-say": {"pvcMount": [mount]}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    assert given == spec["root"]["inputDefinitions"]["parameters"]
    for name in ("one", "other"):
        claim = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "5Mi"}},
            },
        }
        made = shared_platform.client.create(core.PERSISTENT_VOLUME_CLAIMS, claim)
        shared_platform.call(made)
    found = []
    for name in ("one", "one", "other"):
        config = {"parameters": {"pvc_name": name}}
        both = {"pipeline_spec": spec, "platform_spec": platform}
        uid = run(api, experiment, pipeline_spec=both, runtime_config=config)
        found.append(states(known, uid))
    assert found == [["COMPLETE"], ["CACHED"], ["COMPLETE"]]


@case(f"{ARGO}writes execution and artifact metadata and serves archived logs after pod deletion")
def test_metadata_and_logs_outlive_a_pod(api, experiment, known, hello, shared_platform, namespace):
    path = "{{$.outputs.artifacts['output'].path}}"
    script = f'mkdir -p "$(dirname {path})"; printf foo > {path}; printf "input:  foo\\n"'
    kind = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    container = {"image": "python:3.11", "command": ["sh", "-c", script]}
    outputs = {"artifacts": {"output": kind}}
    spec = {
        **hello,
        "components": {"comp-say": {"executorLabel": "exec-say", "outputDefinitions": outputs}},
        "deploymentSpec": {"executors": {"exec-say": {"container": container}}},
    }
    uid = run(api, experiment, pipeline_spec=spec)
    ((found,),) = [known(uid)]
    assert found["state"] == "COMPLETE"
    assert len(found["outputs"]) == 1

    api.post(f"/runs/{uid}:archive")
    assert api.get(f"/runs/{uid}")["storage_state"] == "ARCHIVED"
    client = shared_platform.client
    pods = shared_platform.call(client.list(core.PODS, namespace)).items
    names = [metadata.name(each) for each in pods]
    for name in names:
        shared_platform.call(client.delete(core.PODS, name, namespace))
    eventually(lambda: not shared_platform.call(client.list(core.PODS, namespace)).items, 60)
    tasks = api.get(f"/runs/{uid}")["run_details"]["task_details"]
    (node,) = [each["pod_name"] for each in tasks if each.get("pod_name")]
    where = f"/apis/v1alpha1/runs/{uid}/nodes/{urllib.parse.quote(node)}/log"
    answer = api.call("GET", where, follow="false")
    assert (answer.status, answer.body) == (200, "input:  foo\n")
