"""The first version of the API: the same things in other words."""

import json

from wherry.testing.waiting import eventually

V1 = "/apis/v1beta1"
NEVER = "1970-01-01T00:00:00Z"


def refer(kind, of, relationship="OWNER"):
    return {"key": {"type": kind, "id": of}, "relationship": relationship}


def experiment(api, runs):
    body = {"name": "e", "resource_references": [refer("NAMESPACE", runs.namespace)]}
    return api.post(f"{V1}/experiments", body)


def test_experiments(api, runs):
    made = experiment(api, runs)
    assert made["resource_references"] == [refer("NAMESPACE", runs.namespace)]
    assert made["storage_state"] == "STORAGESTATE_AVAILABLE"
    assert api.get(f"/experiments/{made['id']}")["display_name"] == "e"
    path = f"{V1}/experiments/{made['id']}"
    assert api.get(path) == made
    api.post(f"{path}:archive")
    available = {"op": "EQUALS", "key": "storage_state", "string_value": "STORAGESTATE_AVAILABLE"}
    query = {
        "resource_reference_key.type": "NAMESPACE",
        "resource_reference_key.id": runs.namespace,
        "filter": json.dumps({"predicates": [available]}),
    }
    assert api.get(f"{V1}/experiments", **query) == {}
    api.post(f"{path}:unarchive")
    assert [each["id"] for each in api.get(f"{V1}/experiments", **query)["experiments"]] == [
        made["id"]
    ]
    api.delete(path)
    assert api.call("GET", path).status == 404


def test_runs(api, runs, pipeline):
    made = pipeline(a="STRING")
    made.step("say", "echo $0")
    made.task("say")
    group = experiment(api, runs)
    spec = {
        "pipeline_manifest": json.dumps(made.spec()["pipelineSpec"]),
        "parameters": [{"name": "a", "value": "x"}],
    }
    body = {
        "name": "r",
        "pipeline_spec": spec,
        "resource_references": [refer("EXPERIMENT", group["id"])],
    }
    run = api.post(f"{V1}/runs", body)["run"]
    assert run["status"] == "Pending"
    path = f"{V1}/runs/{run['id']}"
    done = eventually(lambda: _ended(api.get(path)["run"]), 120)
    assert done["status"] == "Succeeded"
    assert done["pipeline_spec"]["runtime_config"]["parameters"] == {"a": "x"}
    runtime = api.get(path)["pipeline_runtime"]
    assert json.loads(runtime["pipeline_manifest"])["pipelineInfo"]["name"] == "test-pipeline"
    query = {"resource_reference_key.type": "EXPERIMENT", "resource_reference_key.id": group["id"]}
    listed = api.get(f"{V1}/runs", sort_by="created_at desc", **query)
    assert [each["id"] for each in listed["runs"]] == [run["id"]]
    assert listed["runs"] == [api.get(path)["run"]]
    assert listed["runs"][0]["resource_references"] == [
        refer("EXPERIMENT", group["id"]),
        refer("NAMESPACE", runs.namespace),
    ]
    refused = api.call("POST", f"{path}/terminate")
    assert refused.status == 400
    assert api.call("POST", f"{path}/retry").status == 400
    api.post(f"{path}:archive")
    assert api.get(path)["run"]["storage_state"] == "STORAGESTATE_ARCHIVED"
    api.delete(path)
    assert api.call("GET", path).status == 404
    argo = {
        "name": "r",
        "pipeline_spec": {"workflow_manifest": "{}"},
        "resource_references": [],
    }
    told = api.call("POST", f"{V1}/runs", argo)
    assert told.status == 400
    assert "run.pipeline_spec.workflow_manifest: there is nothing in it" in told.body["message"]


def test_lists_of_runs_tell_what_each_runs(api, runs, two_steps):
    """Also of a version that is kept, which has a name."""
    spec = two_steps.spec()["pipelineSpec"]
    group = experiment(api, runs)
    pipeline = api.post("/pipelines", {"display_name": "kept", "namespace": runs.namespace})
    path = f"/pipelines/{pipeline['pipeline_id']}/versions"
    version = api.post(path, {"display_name": "first", "name": "v1", "pipeline_spec": spec})
    references = [refer("EXPERIMENT", group["id"])]
    chosen = refer("PIPELINE_VERSION", version["pipeline_version_id"], "CREATOR")
    own = {"pipeline_manifest": json.dumps(spec)}
    for name, given in (
        ("a", {"pipeline_spec": own, "resource_references": references}),
        ("b", {"resource_references": [*references, chosen]}),
    ):
        api.post(f"{V1}/runs", {"name": name, **given})
    query = {"resource_reference_key.type": "EXPERIMENT", "resource_reference_key.id": group["id"]}

    def ended():
        listed = api.get(f"{V1}/runs", sort_by="name", **query)["runs"]
        return listed if all(map(_ended, listed)) else None

    listed = eventually(ended, 120)
    assert [each["name"] for each in listed] == ["a", "b"]
    assert listed == [api.get(f"{V1}/runs/{each['id']}")["run"] for each in listed]
    for each in listed:
        assert json.loads(each["pipeline_spec"]["pipeline_manifest"]) == spec
    assert [each["pipeline_spec"].get("pipeline_name") for each in listed] == [None, "first"]


def _ended(run):
    return run if run["finished_at"] != NEVER else None


def test_jobs(api, runs, two_steps):
    group = experiment(api, runs)
    job = api.post(
        f"{V1}/jobs",
        {
            "name": "j",
            "enabled": True,
            "max_concurrency": "2",
            "pipeline_spec": {"pipeline_manifest": json.dumps(two_steps.spec()["pipelineSpec"])},
            "resource_references": [refer("EXPERIMENT", group["id"])],
            "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}},
        },
    )
    path = f"{V1}/jobs/{job['id']}"
    assert (job["status"], job["enabled"], job["mode"]) == ("Enabled", True, "ENABLED")
    api.post(f"{path}/disable")
    assert "enabled" not in api.get(path)
    assert api.get(f"/recurringruns/{job['id']}")["status"] == "DISABLED"
    api.post(f"{path}/enable")
    query = {"resource_reference_key.type": "EXPERIMENT", "resource_reference_key.id": group["id"]}
    (listed,) = api.get(f"{V1}/jobs", **query)["jobs"]
    assert (listed["id"], listed["enabled"], listed["max_concurrency"]) == (job["id"], True, "2")
    api.delete(path)
    assert api.call("GET", path).status == 404


def test_pipelines_and_their_versions(api, runs, two_steps):
    spec = two_steps.spec()["pipelineSpec"]
    form = "\r\n".join(
        [
            "--b",
            'Content-Disposition: form-data; name="uploadfile"; filename="p.yaml"',
            "",
            json.dumps(spec),
            "--b--",
            "",
        ]
    ).encode()
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    there = {"name": "p", "namespace": runs.namespace}
    made = api.call("POST", f"{V1}/pipelines/upload", form, headers=kind, **there).body
    assert made["default_version"]["resource_references"] == [refer("PIPELINE", made["id"])]
    path = f"{V1}/pipelines/{made['id']}"
    assert api.get(path) == made
    assert api.get(f"{V1}/namespaces/{runs.namespace}/pipelines/p") == made
    assert json.loads(api.get(f"{path}/templates")["template"]) == spec
    version = api.call(
        "POST",
        f"{V1}/pipelines/upload_version",
        form,
        headers=kind,
        name="second",
        pipelineid=made["id"],
    ).body
    below = f"{V1}/pipeline_versions/{version['id']}"
    assert api.get(below) == version
    assert json.loads(api.get(f"{below}/templates")["template"]) == spec
    query = {"resource_key.type": "PIPELINE", "resource_key.id": made["id"]}
    listed = api.get(f"{V1}/pipeline_versions", **query)
    assert {each["id"] for each in listed["versions"]} == {
        version["id"],
        made["default_version"]["id"],
    }
    eventually(lambda: api.get(path)["default_version"]["id"] == version["id"])
    of_namespace = {
        "resource_reference_key.type": "NAMESPACE",
        "resource_reference_key.id": runs.namespace,
    }
    assert [e["id"] for e in api.get(f"{V1}/pipelines", **of_namespace)["pipelines"]] == [
        made["id"]
    ]
    api.delete(below)
    eventually(lambda: api.get(path) == made)
    api.delete(path)
    assert api.call("GET", path).status == 404


def test_the_service_itself(api):
    assert api.get(f"{V1}/healthz") == {"multi_user": True}
    assert api.get(f"{V1}/auth", namespace="default", resources="VIEWERS", verb="GET") == {}
    refused = api.call(
        "GET",
        f"{V1}/auth",
        user="mallory",
        namespace="default",
        resources="VIEWERS",
        verb="GET",
    )
    assert refused.status == 403
