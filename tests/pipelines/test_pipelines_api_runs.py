"""Experiments and runs by REST, from their making to their end."""

import json
import uuid

from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.testing.waiting import eventually

NEVER = "1970-01-01T00:00:00Z"


def experiment(api, runs, name="e"):
    body = {"display_name": name, "namespace": runs.namespace, "description": "for tests"}
    return api.post("/experiments", body)


def start(api, experiment, spec, name="r", **fields):
    body = {"display_name": name, "experiment_id": experiment["experiment_id"], **fields}
    return api.post("/runs", {"pipeline_spec": spec["pipelineSpec"], **body})


def ended(api, run):
    def look():
        found = api.get(f"/runs/{run['run_id']}")
        return found if found["state"] in kinds.FINAL_STATES else None

    return eventually(look, 120)


def test_an_experiment_from_its_making_to_its_end(api, runs):
    made = experiment(api, runs)
    assert made["namespace"] == runs.namespace
    assert made["storage_state"] == "AVAILABLE"
    assert made["last_run_created_at"] == NEVER
    assert str(uuid.UUID(made["experiment_id"])) == made["experiment_id"]
    path = f"/experiments/{made['experiment_id']}"
    assert api.get(path) == made

    again = api.call("POST", "/experiments", {"display_name": "e", "namespace": runs.namespace})
    assert (again.status, again.body["code"]) == (409, 6)
    assert api.post(f"{path}:archive") == {}
    assert api.get(path)["storage_state"] == "ARCHIVED"
    assert api.post(f"{path}:unarchive") == {}
    assert api.get(path)["storage_state"] == "AVAILABLE"
    assert api.delete(path) == {}
    gone = api.call("GET", path)
    assert (gone.status, gone.body["code"]) == (404, 5)
    assert made["experiment_id"] in gone.body["message"]


def test_experiments_are_listed_page_by_page(api, runs):
    names = [f"e{number}" for number in range(7)]
    for name in names:
        experiment(api, runs, name)
    seen, token = [], ""
    while True:
        page = api.get(
            "/experiments",
            namespace=runs.namespace,
            page_size=3,
            page_token=token,
            sort_by="display_name desc",
        )
        seen += [each["display_name"] for each in page["experiments"]]
        assert page["total_size"] == 7
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == names[::-1]


def test_a_filter_may_name_hundreds(api, runs):
    for name in ("a", "b"):
        experiment(api, runs, name)
    names = [f"{number:030}" for number in range(400)]
    one_of = {"operation": "IN", "key": "name", "string_values": {"values": [*names, "a"]}}
    listed = api.get(
        "/experiments", namespace=runs.namespace, filter=json.dumps({"predicates": [one_of]})
    )
    assert [each["display_name"] for each in listed["experiments"]] == ["a"]


def test_a_run_from_its_making_to_its_end(api, runs, two_steps):
    group = experiment(api, runs)
    made = start(api, group, two_steps.spec(), description="first")
    assert made["state"] == "PENDING"
    assert made["finished_at"] == NEVER
    assert made["experiment_id"] == group["experiment_id"]
    objects = runs.platform.call(runs.client.list(kinds.PIPELINE_RUNS, runs.namespace)).items
    assert [metadata.uid(each) for each in objects] == [made["run_id"]]

    run = ended(api, made)
    assert run["state"] == "SUCCEEDED", run
    assert run["description"] == "first"
    assert run["pipeline_spec"]["pipelineInfo"]["name"] == "test-pipeline"
    states = [each["state"] for each in run["state_history"]]
    assert states[0] == "PENDING"
    assert states[-1] == "SUCCEEDED"
    tasks = {each["display_name"]: each for each in run["run_details"]["task_details"]}
    assert {each["state"] for each in tasks.values()} == {"SUCCEEDED"}
    (artifact,) = tasks["make"]["outputs"]["data"]["artifact_ids"]
    assert isinstance(artifact, str)
    assert tasks["make"]["parent_task_id"] == tasks["root"]["task_id"]

    def told_alike():
        run = api.get(f"/runs/{made['run_id']}")
        (listed,) = api.get("/runs", namespace=runs.namespace)["runs"]
        left_out = ("pipeline_spec", "run_details")
        assert listed == {key: run[key] for key in run if key not in left_out}
        return listed

    listed = eventually(told_alike)
    assert api.get("/runs", experiment_id=group["experiment_id"])["runs"] == [listed]
    assert api.delete(f"/runs/{made['run_id']}") == {}
    assert api.get("/runs", namespace=runs.namespace) == {}
    assert api.call("GET", f"/runs/{made['run_id']}").status == 404


def test_a_run_is_terminated_and_taken_up_again(api, runs, pipeline):
    made = pipeline()
    made.step("wait", "sleep 600")
    made.task("wait")
    run = start(api, experiment(api, runs), made.spec())
    path = f"/runs/{run['run_id']}"
    eventually(lambda: api.get(path)["state"] == "RUNNING", 120)
    refused = api.call("POST", f"{path}:retry")
    assert refused.status == 400
    assert api.post(f"{path}:terminate") == {}
    assert ended(api, run)["state"] == "CANCELED"
    assert api.call("POST", f"{path}:terminate").status == 400
    assert api.post(f"{path}:retry") == {}
    # Whether or not it has begun by then.
    assert api.post(f"{path}:terminate") == {}
    assert ended(api, run)["state"] == "CANCELED"


def test_an_archived_run_is_out_of_the_way(api, runs, two_steps):
    group = experiment(api, runs)
    run = start(api, group, two_steps.spec())
    path = f"/runs/{run['run_id']}"
    api.post(f"{path}:archive")
    kept = {
        "predicates": [
            {"operation": "NOT_EQUALS", "key": "storage_state", "string_value": "ARCHIVED"}
        ]
    }
    assert api.get("/runs", namespace=runs.namespace, filter=json.dumps(kept)) == {}
    assert api.get(path)["storage_state"] == "ARCHIVED"
    api.post(f"/experiments/{group['experiment_id']}:archive")
    held = api.call("POST", f"{path}:unarchive")
    assert held.status == 400
    assert "archived" in held.body["message"]
    body = {"display_name": "x", "experiment_id": group["experiment_id"]}
    late = api.call("POST", "/runs", {**body, "pipeline_spec": two_steps.spec()["pipelineSpec"]})
    assert late.status == 400
    assert "archived" in late.body["message"]
    api.post(f"/experiments/{group['experiment_id']}:unarchive")
    api.post(f"{path}:unarchive")
    assert api.get(path)["storage_state"] == "AVAILABLE"


def test_what_no_run_can_be_made_of_is_refused(api, runs, two_steps):
    group = experiment(api, runs)["experiment_id"]
    spec = two_steps.spec()["pipelineSpec"]
    nowhere = str(uuid.uuid4())
    for body, told in (
        ({"experiment_id": group, "pipeline_spec": spec}, "display_name"),
        ({"experiment_id": group, "display_name": "r"}, "pipeline_spec"),
        ({"experiment_id": nowhere, "display_name": "r", "pipeline_spec": spec}, nowhere),
        ({"experiment_id": group, "display_name": "r", "pipeline_spec": {"root": {}}}, "pipeline"),
        (
            {
                "experiment_id": group,
                "display_name": "r",
                "pipeline_spec": spec,
                "pipeline_version_reference": {"pipeline_id": nowhere},
            },
            "pipeline_version_reference",
        ),
        ({"experiment_id": group, "display_nam": "r"}, "display_nam"),
    ):
        answer = api.call("POST", "/runs", body)
        assert answer.status in (400, 404), body
        assert told in answer.body["message"]
    assert api.get("/runs", namespace=runs.namespace) == {}


def test_an_archived_experiment_starts_no_more_runs(api, runs, two_steps):
    group = experiment(api, runs)["experiment_id"]
    recurring = {
        "display_name": "j",
        "experiment_id": group,
        "pipeline_spec": two_steps.spec()["pipelineSpec"],
        "mode": "ENABLE",
        "max_concurrency": "1",
        "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}},
    }
    made = api.post("/recurringruns", recurring)
    assert made["status"] == "ENABLED"
    api.post(f"/experiments/{group}:archive")
    path = f"/recurringruns/{made['recurring_run_id']}"
    assert api.get(path)["status"] == "DISABLED"
    api.post(f"/experiments/{group}:unarchive")
    assert api.get(path)["status"] == "DISABLED"
