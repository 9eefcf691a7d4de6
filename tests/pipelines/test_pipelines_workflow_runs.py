"""Packages of KFP v1: Workflows of Argo that are runs, in the history and in both versions of the API."""

import base64
import io
import json
import math
import tarfile
import uuid

import pytest
import yaml

from wherry.objects import metadata
from wherry.objects.metadata import NamespacedName
from wherry.objects.resources import Resource
from wherry.pipelines import kinds, workflow_runs
from wherry.pipelines.contents import packing
from wherry.pipelines.definitions import packages
from wherry.pipelines.history import recording
from wherry.pipelines.history.records import Run
from wherry.pipelines.history.store import History
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.runs import Wish
from wherry.pipelines.schedules import kinds as schedules
from wherry.pipelines.workflows.controller import run_history
from wherry.testing.waiting import eventually

V1 = "/apis/v1beta1"
SECONDS = 90
METRICS = {"metrics": [{"name": "well", "numberValue": 0.5, "format": "RAW"}]}
WORKFLOWS: Resource = kinds.WORKFLOWS


def package(script="echo $0", **more):
    """Return what the compiler of version 1 writes, in a few lines."""
    step = {
        "name": "say",
        "container": {
            "image": "python:3.11",
            "command": ["sh", "-ec", script],
            "args": ["{{inputs.parameters.a}}"],
        },
        "inputs": {"parameters": [{"name": "a"}]},
        **more,
    }
    task = {"name": "say", "template": "say"}
    given = {"parameters": [{"name": "a", "value": "{{inputs.parameters.a}}"}]}
    graph = {
        "name": "main",
        "inputs": {"parameters": [{"name": "a"}]},
        "dag": {"tasks": [{**task, "arguments": given}]},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": "main-",
            "annotations": {"pipelines.kubeflow.org/kfp_sdk_version": "1.8.22"},
        },
        "spec": {
            "entrypoint": "main",
            "templates": [step, graph],
            "arguments": {"parameters": [{"name": "a", "value": "1"}]},
            "serviceAccountName": "pipeline-runner",
        },
    }


def workflow(phase="", **spec):
    made = workflow_runs.make(package(), Wish(display_name="r"), namespace="red", name="main-1")
    made["metadata"] |= {
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    made["spec"] |= spec
    made["status"] = {"phase": phase, "finishedAt": "2026-01-01T00:01:00Z", "message": "why"}
    return made


@pytest.mark.parametrize(
    ("phase", "spec", "state"),
    [
        ("", {}, "PENDING"),
        ("Pending", {}, "PENDING"),
        ("Running", {}, "RUNNING"),
        ("Running", {"suspend": True}, "PAUSED"),
        ("Running", {"shutdown": "Terminate"}, "CANCELING"),
        ("Failed", {"shutdown": "Terminate"}, "CANCELED"),
        ("Succeeded", {"shutdown": "Stop"}, "SUCCEEDED"),
        ("Succeeded", {}, "SUCCEEDED"),
        ("Failed", {}, "FAILED"),
        ("Error", {}, "FAILED"),
    ],
)
def test_states(phase, spec, state):
    seen = recording.seen(workflow(phase, **spec))
    assert seen.state == state
    assert bool(seen.finished_at) == (state in kinds.FINAL_STATES)


def test_what_the_history_keeps():
    seen = recording.seen(workflow("Succeeded"))
    assert (seen.run_id, seen.name, seen.display_name) == ("u", "main-1", "r")
    assert seen.resource is WORKFLOWS
    assert Run(run_id="u", namespace="red", name="x").resource is kinds.PIPELINE_RUNS
    assert seen.runtime_config == {"parameters": {"a": "1"}}
    assert seen.pipeline_spec["spec"]["entrypoint"] == "main"
    assert kinds.RUN_NAME_ANNOTATION not in seen.pipeline_spec["metadata"]["annotations"]


async def test_objects_of_both_kinds_may_have_one_name(tmp_path):
    history = History(tmp_path / "history.db")
    try:
        await history.record(recording.seen(workflow("Running")))
        own = {"name": "main-1", "namespace": "red", "uid": "p", "resourceVersion": "8"}
        run = {"metadata": own, "spec": {}, "status": {"state": "RUNNING"}}
        await history.record(recording.seen(run))
        assert await history.lost(NamespacedName("red", "main-1")) == 1
        found = [await history.run(each) for each in ("u", "p")]
        assert [each.state for each in found if each] == ["RUNNING", "CANCELED"]
        assert await history.lost(NamespacedName("red", "main-1"), kind=WORKFLOWS.kind) == 1
    finally:
        await history.close()


def test_a_run_of_a_package():
    given = package(outputs={"artifacts": [{"name": "mlpipeline-metrics", "path": "/tmp/m"}]})
    given["metadata"]["annotations"][kinds.RUN_ID_ANNOTATION] = "another"
    made = workflow_runs.make(
        given, Wish(parameters={"a": [1, 2]}, service_account="own"), namespace="red"
    )
    assert made["metadata"]["generateName"] == "main-"
    assert kinds.RUN_ID_ANNOTATION not in made["metadata"]["annotations"]
    assert made["spec"]["serviceAccountName"] == "own"
    assert made["spec"]["arguments"]["parameters"] == [{"name": "a", "value": "[1, 2]"}]
    assert made["spec"]["templates"][0]["outputs"]["artifacts"][0]["optional"] is True
    assert "optional" not in given["spec"]["templates"][0]["outputs"]["artifacts"][0]
    with pytest.raises(PipelineError, match="b: the pipeline has no such one; it has a"):
        workflow_runs.make(given, Wish(parameters={"b": 1}), namespace="red")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"apiVersion": "argoproj.io/v2"}, "apiVersion: 'argoproj.io/v2': want"),
        ({"kind": "CronWorkflow"}, "kind: 'CronWorkflow': want 'Workflow'"),
        ({"spec": {}}, "spec: is wanted"),
        ({"spec": [1]}, "spec: want an object"),
        ({"metadata": "x"}, "metadata: want an object"),
        ({"spec": {"arguments": {"parameters": {"a": 1}}}}, "parameters: want a list"),
        ({"spec": {"arguments": {"parameters": [{}]}}}, r"parameters\[0\].name: want a text"),
    ],
)
def test_what_is_no_package(change, told):
    with pytest.raises(PipelineError, match=told):
        packages.read({**package(), **change})


def test_the_spec_of_a_workflow_alone_is_a_package():
    found = packages.read(json.dumps(package()["spec"])).spec
    assert workflow_runs.is_workflow(found)
    assert found["spec"]["entrypoint"] == "main"


def test_metrics_are_read():
    told = [
        {"name": "a", "numberValue": 1, "format": "PERCENTAGE"},
        {"name": "b", "number_value": 0.5, "format": "what"},
        {"name": "c", "numberValue": "1"},
        {"name": "d", "numberValue": math.inf},
        {"name": "", "numberValue": 1},
        "e",
    ]
    found = run_history.read(json.dumps({"metrics": told}).encode(), "r", "n")
    assert [(each.name, each.number, each.format) for each in found] == [
        ("a", 1.0, "PERCENTAGE"),
        ("b", 0.5, ""),
    ]
    for wrong in (b"[]", b"{}", b"x", b'{"metrics": 1}', b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            run_history.read(wrong, "r", "n")


def test_archives_of_one_file():
    made = packing.packed("data", b"hello")
    assert packing.packed("data", b"hello") == made
    assert packing.first(made, 5) == b"hello"
    assert packing.first(b"plain", 5) == b"plain"
    for wrong in (packing.packed("data", b"longer"), made[:20], b"\x1f\x8bno"):
        with pytest.raises(ValueError, match=r"file|archive"):
            packing.first(wrong, 5)


def start(api, runs, given, name="r", **more):
    """Start a run by the first version of the API; return it."""
    body = {"name": uuid.uuid4().hex, "resource_references": [refer("NAMESPACE", runs.namespace)]}
    group = api.post(f"{V1}/experiments", body)
    references = [refer("EXPERIMENT", group["id"]), *more.pop("references", ())]
    spec = {"workflow_manifest": json.dumps(given)} if given else {}
    spec |= more
    return api.post(
        f"{V1}/runs", {"name": name, "pipeline_spec": spec, "resource_references": references}
    )["run"]


def refer(kind, of, relationship="OWNER"):
    return {"key": {"type": kind, "id": of}, "relationship": relationship}


def ended(api, run):
    def look():
        found = api.get(f"{V1}/runs/{run['id']}")
        return found if found["run"]["status"] in ("Succeeded", "Failed") else None

    return eventually(look, SECONDS)


def gone(runs):
    """Wait until there is no Workflow left."""

    def left():
        return runs.platform.call(runs.client.list(WORKFLOWS, runs.namespace)).items

    eventually(lambda: not left(), 120)


def test_a_package_runs(api, runs):
    script = f"mkdir -p /tmp/o; echo '{json.dumps(METRICS)}' > /tmp/o/m; echo said $0 [$1]"
    outputs = {"artifacts": [{"name": "mlpipeline-metrics", "path": "/tmp/o/m"}]}
    given = package(script, outputs=outputs)
    given["spec"]["templates"][0]["container"]["args"].append("{{workflow.uid}}")
    run = start(api, runs, given, parameters=[{"name": "a", "value": "id [[RunUUID]]"}])
    detail = ended(api, run)
    assert detail["run"]["status"] == "Succeeded", detail
    assert detail["run"]["metrics"][0]["number_value"] == 0.5

    whole = json.loads(detail["pipeline_runtime"]["workflow_manifest"])
    node = next(each for each in whole["status"]["nodes"].values() if each["type"] == "Pod")
    at = f"{V1}/runs/{run['id']}/nodes/{node['id']}/artifacts"
    packed = base64.b64decode(api.get(f"{at}/mlpipeline-metrics:read")["data"])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None
        assert json.load(file) == METRICS
    said = base64.b64decode(api.get(f"{at}/main-logs:read")["data"]).decode()
    assert said == f"said id {run['id']} [{run['id']}]\n"

    second = api.get(f"/runs/{run['id']}")
    assert second["state"] == "SUCCEEDED"
    assert {"say"} <= {each["display_name"] for each in second["run_details"]["task_details"]}

    # It is told of when its object is gone, and deleted with what it has left.
    name = metadata.name(whole)
    runs.platform.call(runs.client.delete(WORKFLOWS, name, runs.namespace))
    gone(runs)
    later = api.get(f"{V1}/runs/{run['id']}")
    assert later["run"]["status"] == "Succeeded"
    kept = json.loads(later["pipeline_runtime"]["workflow_manifest"])
    assert kept["status"]["nodes"] == whole["status"]["nodes"]
    api.delete(f"{V1}/runs/{run['id']}")
    assert api.call("GET", f"{V1}/runs/{run['id']}").status == 404


def test_a_package_is_ended_and_taken_up_again(api, runs, tmp_path):
    flag = tmp_path / "flag"
    run = start(api, runs, package(f"test -e {flag} || exit 3"))
    assert ended(api, run)["run"]["status"] == "Failed"
    flag.touch()
    api.post(f"{V1}/runs/{run['id']}/retry")
    assert eventually(lambda: ended(api, run)["run"]["status"] == "Succeeded", SECONDS)

    long = start(api, runs, package("sleep 600"))
    running = eventually(
        lambda: api.get(f"{V1}/runs/{long['id']}")["run"]["status"] == "Running", 60
    )
    assert running
    api.post(f"{V1}/runs/{long['id']}/terminate")
    assert ended(api, long)["run"]["status"] == "Failed"
    assert api.get(f"/runs/{long['id']}")["state"] == "CANCELED"


def test_a_failed_package_is_taken_up_again_when_its_object_is_gone(api, runs, tmp_path):
    flag = tmp_path / "flag"
    run = start(api, runs, package(f"test -e {flag} || exit 3"))
    whole = json.loads(ended(api, run)["pipeline_runtime"]["workflow_manifest"])
    runs.platform.call(runs.client.delete(WORKFLOWS, metadata.name(whole), runs.namespace))
    gone(runs)
    flag.touch()
    api.post(f"{V1}/runs/{run['id']}/retry")
    assert eventually(lambda: ended(api, run)["run"]["status"] == "Succeeded", SECONDS)


def test_a_package_is_kept_by_name_and_scheduled(api, runs):
    text = yaml.safe_dump(package()).encode()
    made = api.upload(f"{V1}/pipelines/upload", "p.yaml", text, name=f"p-{runs.namespace}").body
    assert made["parameters"] == [{"name": "a", "value": "1"}]
    template = api.get(f"{V1}/pipelines/{made['id']}/templates")["template"]
    assert yaml.safe_load(template) == package()
    version = made["default_version"]["id"]
    of = refer("PIPELINE_VERSION", version, "CREATOR")
    run = start(api, runs, None, references=[of], parameters=[{"name": "a", "value": "2"}])
    done = ended(api, run)
    assert done["run"]["status"] == "Succeeded"
    assert done["run"]["pipeline_spec"]["parameters"] == [{"name": "a", "value": "2"}]
    assert "workflow_manifest" in done["run"]["pipeline_spec"]

    references = [*done["run"]["resource_references"][:1], of]
    given = [{"name": "a", "value": "at [[Index]]"}]
    job = {
        "name": "j",
        "max_concurrency": 1,
        "enabled": True,
        "trigger": {"periodic_schedule": {"interval_second": 3600}},
        "pipeline_spec": {"parameters": given},
        "resource_references": references,
        "no_catchup": True,
    }
    spec = {"workflow_manifest": json.dumps(package()), "parameters": given}
    alone = {**job, "pipeline_spec": spec, "resource_references": references[:1]}
    for each in (job, {**alone, "trigger": {}}):
        assert api.post(f"{V1}/jobs", each)["id"]

    def scheduled():
        found = api.get("/runs", namespace=runs.namespace)["runs"]
        return [r for r in found if r.get("recurring_run_id") and r["state"] == "SUCCEEDED"]

    found = eventually(scheduled, SECONDS)
    assert found[0]["runtime_config"]["parameters"] == {"a": "at 1"}


def test_what_is_made_of_a_kept_package_tells_it(api, runs, runs_on):
    def kept(namespace):
        text, name = yaml.safe_dump(package()).encode(), f"p-{namespace}"
        return api.upload(
            f"{V1}/pipelines/upload", "p.yaml", text, name=name, namespace=namespace
        ).body

    made = kept(runs.namespace)
    run = start(api, runs, None, references=[refer("PIPELINE", made["id"], "CREATOR")])
    named = {"pipeline_id": made["id"], "pipeline_name": made["name"]}
    assert run["pipeline_spec"].items() >= named.items()
    assert json.loads(run["pipeline_spec"]["workflow_manifest"])["spec"]["entrypoint"] == "main"

    body = {"name": "j", "enabled": False, "max_concurrency": 1, "pipeline_spec": named}
    body["resource_references"] = run["resource_references"][:1]
    job = api.post(f"{V1}/jobs", body)
    (listed,) = api.get(f"{V1}/jobs", **where(run))["jobs"]
    for each in (job, api.get(f"{V1}/jobs/{job['id']}"), listed):
        assert each["pipeline_spec"].items() >= named.items()
        assert json.loads(each["pipeline_spec"]["workflow_manifest"]) == package()

    # Who writes the object may not thereby read what others keep.
    other = kept(runs_on(runs.platform).namespace)
    (schedule,) = runs.platform.call(
        runs.client.list(schedules.SCHEDULED_WORKFLOWS, runs.namespace)
    ).items
    ids = {"pipelineId": other["id"], "pipelineVersionId": other["default_version"]["id"]}
    change = {**schedule, "spec": {**schedule["spec"], **ids}}
    runs.platform.call(runs.client.update(schedules.SCHEDULED_WORKFLOWS, change))

    def changed():
        found = api.get(f"{V1}/jobs/{job['id']}")["pipeline_spec"]
        return found if found["pipeline_id"] == other["id"] else None

    told = eventually(changed, SECONDS)
    assert not told.keys() & {"workflow_manifest", "pipeline_name"}


def where(run):
    key = run["resource_references"][0]["key"]
    return {f"resource_reference_key.{name}": each for name, each in key.items()}


def test_a_package_that_cannot_run_is_refused(api, runs):
    wrong = package()
    wrong["spec"]["templates"][1]["dag"]["tasks"][0]["template"] = "missing"
    answer = api.upload(
        f"{V1}/pipelines/upload", "p.yaml", yaml.safe_dump(wrong).encode(), name="w"
    )
    assert answer.status == 400
    spec = {
        "workflow_manifest": json.dumps(package()),
        "parameters": [{"name": "b", "value": "1"}],
    }
    refused = api.call("POST", f"{V1}/runs", {"name": "r", "pipeline_spec": spec})
    assert refused.status == 400
    assert "b: the pipeline has no such one; it has a" in refused.body["error"]
