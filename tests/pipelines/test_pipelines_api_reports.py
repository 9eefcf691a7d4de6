"""What others report by REST: agents their objects, steps their metrics, launchers their fingerprints."""

import functools
import json

import pytest

from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.testing.waiting import eventually

V1 = "/apis/v1beta1"
ALPHA = "/apis/v1alpha1"
MINE = "0123456789abcdef" * 4


@pytest.fixture
def ran(api, runs, pipeline):
    """Return what makes a run that has ended, and gives its id."""

    def make(name="run", **fields):
        graph = pipeline()
        graph.step("say", "echo said")
        graph.task("say", cache=True)
        run = runs.run(graph.spec(**fields), name)
        assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
        eventually(lambda: api.get(f"/runs/{metadata.uid(run)}").get("state") == "SUCCEEDED", 120)
        return metadata.uid(run)

    return make


@pytest.mark.parametrize("version", ["v1beta1", "v2beta1"])
def test_agents_are_answered_and_change_nothing(api, runs, ran, version):
    uid = ran()
    before = api.get(f"/runs/{uid}")
    head = {"name": "run", "namespace": runs.namespace, "uid": uid}
    for path in ("workflows", "scheduledworkflows"):
        where = f"/apis/{version}/{path}"
        told = json.dumps({"metadata": head, "status": {"phase": "Failed"}})
        assert api.post(where, told) == {}
        assert api.call("POST", where, told, user="stranger").status == 403
        for name in head:
            part = json.dumps({"metadata": {**head, name: ""}})
            answer = api.call("POST", where, part)
            assert (answer.status, f"metadata.{name}" in answer.body["message"]) == (400, True)
        assert api.call("POST", where, "{").status == 400
    assert api.get(f"/runs/{uid}") == before


def test_metrics_are_kept_once_and_sorted_by(api, runs, ran):
    ids = {number: ran(f"r{number}") for number in (1, 2, 3)}
    path = f"{V1}/runs/{ids[1]}"

    def report(uid, *metrics):
        return api.post(f"{V1}/runs/{uid}:reportMetrics", {"metrics": metrics})["results"]

    one = {"name": "accuracy", "node_id": "say", "number_value": 0.25, "format": "PERCENTAGE"}
    told = {"metric_name": "accuracy", "metric_node_id": "say"}
    assert report(ids[1], one) == [{**told, "status": "OK"}]
    (again,) = report(ids[1], {**one, "number_value": 1.0})
    assert again["status"] == "DUPLICATE_REPORTING"
    wrong = [{**one, "name": "1"}, {**one, "name": "x" * 65}, {**one, "node_id": ""}]
    assert {each["status"] for each in report(ids[1], *wrong)} == {"INVALID_ARGUMENT"}
    assert api.get(path)["run"]["metrics"] == [one]
    report(ids[2], {**one, "number_value": -2e300}, {**one, "node_id": "b", "number_value": 7})

    def listed(**asked):
        asked |= {
            "resource_reference_key.type": "NAMESPACE",
            "resource_reference_key.id": runs.namespace,
        }
        return api.get(f"{V1}/runs", **asked)

    def pages(order):
        token, found = "", []
        while True:
            page = listed(sort_by=order, page_size=1, page_token=token)
            found += [each["name"] for each in page["runs"]]
            assert page["total_size"] == 3
            token = page.get("next_page_token", "")
            if not token:
                return found

    assert pages("metric:accuracy") == ["r3", "r1", "r2"]
    assert pages("metric:accuracy desc") == ["r2", "r1", "r3"]
    assert [len(each.get("metrics", ())) for each in listed(sort_by="name")["runs"]] == [1, 2, 0]
    bad = api.call("GET", f"{V1}/runs", sort_by="metric:a'b")
    assert (bad.status, "sort_by" in bad.body["message"]) == (400, True)
    predicate = {"op": "EQUALS", "key": "metric:accuracy", "string_value": "1"}
    asked = {"filter": json.dumps({"predicates": [predicate]})}
    assert api.call("GET", f"{V1}/runs", **asked).status == 400
    missing = api.call("POST", f"{V1}/runs/no:reportMetrics", {"metrics": [one]})
    assert missing.status == 404
    api.delete(f"/runs/{ids[2]}")
    assert [each["name"] for each in listed(sort_by="metric:accuracy")["runs"]] == ["r3", "r1"]


def test_fingerprints_are_found_and_noted(api, runs, ran):
    uid = ran()
    row = runs.rows(runs.get())["root/say"]
    assert row.fingerprint
    pipeline = f"namespace/{runs.namespace}/pipeline/{row.pipeline}"

    def listed(**wanted):
        predicates = [
            {"op": "EQUALS", "key": key, "string_value": value} for key, value in wanted.items()
        ]
        asked = json.dumps({"predicates": predicates})
        found = api.get(f"{ALPHA}/tasks", filter=asked, sort_by="created_at desc", page_size=5)
        return found.get("tasks", [])

    (found,) = listed(pipelineName=pipeline, fingerprint=row.fingerprint)
    assert found["mlmdExecutionID"] == str(row.id)
    assert (found["runId"], found["pipelineName"]) == (uid, pipeline)
    assert listed(pipelineName=pipeline, fingerprint="0" * 64) == []
    task = {key: found[key] for key in ("pipelineName", "runId", "mlmdExecutionID", "created_at")}
    assert api.post(f"{ALPHA}/tasks", {**task, "fingerprint": row.fingerprint}) == found
    for change, status in [
        ({"fingerprint": MINE}, 409),
        ({"fingerprint": ""}, 400),
        ({"fingerprint": "mine"}, 400),
        ({"mlmdExecutionID": "1" * 18}, 404),
        ({"mlmdExecutionID": "x"}, 404),
        ({"namespace": "elsewhere"}, 400),
        ({"id": "7"}, 400),
    ]:
        body = {**task, "fingerprint": row.fingerprint, **change}
        assert api.call("POST", f"{ALPHA}/tasks", body).status == status, change
    root = runs.rows(runs.get())["root"]
    noted = {**task, "mlmdExecutionID": str(root.id), "fingerprint": MINE}
    assert api.post(f"{ALPHA}/tasks", noted)["fingerprint"] == MINE
    assert [each["id"] for each in listed(pipelineName=pipeline, fingerprint=MINE)] == [
        str(root.id)
    ]
    refused = api.call("POST", f"{ALPHA}/tasks", noted, user="stranger")
    assert refused.status == 403


def test_a_default_version_is_what_the_first_version_means(api, runs, pipeline):
    graph = pipeline()
    graph.step("say", "true")
    graph.task("say")
    spec = graph.spec()["pipelineSpec"]
    named = {"name": "p", "display_name": "p", "namespace": runs.namespace}
    body = {"pipeline": named, "pipeline_version": {"display_name": "p", "pipeline_spec": spec}}
    uid = api.post("/pipelines/create", body)["pipeline_id"]
    first = api.get(f"/pipelines/{uid}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    versions = f"/pipelines/{uid}/versions"
    later = api.post(versions, {"display_name": "q", "pipeline_spec": spec})["pipeline_version_id"]

    def default():
        return api.get(f"{V1}/pipelines/{uid}")["default_version"]["id"]

    def is_default(chosen):
        return default() == chosen

    where = f"{V1}/pipelines/{uid}/default_version"
    assert default() in (first, later)
    for chosen in (first, later):
        assert api.post(f"{where}/{chosen}") == {}
        eventually(functools.partial(is_default, chosen))
    assert api.call("POST", f"{where}/no").status == 404
    assert api.call("POST", f"{where}/{first}", user="stranger").status == 404
    api.post(f"{where}/{first}")
    eventually(functools.partial(is_default, first))
    group = api.post("/experiments", {"display_name": "e", "namespace": runs.namespace})
    key = {"type": "EXPERIMENT", "id": group["experiment_id"]}
    run = {
        "name": "r",
        "pipeline_spec": {"pipeline_id": uid},
        "resource_references": [{"key": key, "relationship": "OWNER"}],
    }
    made = api.post(f"{V1}/runs", run)["run"]
    told = api.get(f"/runs/{made['id']}")["pipeline_version_reference"]
    assert told == {"pipeline_id": uid, "pipeline_version_id": first}
    api.delete(f"{versions}/{first}")
    eventually(functools.partial(is_default, later))
