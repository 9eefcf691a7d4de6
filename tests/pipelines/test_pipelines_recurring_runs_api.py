"""Recurring runs by REST, which are schedules: made, read, switched, deleted; and they make runs."""

import json
import uuid

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines import kinds as runs
from wherry.pipelines.schedules import kinds
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def spec(pipeline):
    made = pipeline(text="STRING", size="NUMBER_INTEGER")
    made.step("say", "true", inputs={"text": "STRING"})
    made.task("say", parameters={"text": {"text"}})
    return made.spec()["pipelineSpec"]


@pytest.fixture
def namespace(shared_platform):
    body = {"metadata": {"generateName": "recurring-"}}
    made = shared_platform.call(shared_platform.client.create(core.NAMESPACES, body))
    return metadata.name(made)


@pytest.fixture
def experiment(api, namespace):
    return api.post("/experiments", {"display_name": "nightly", "namespace": namespace})


@pytest.fixture
def kept(api, namespace, spec):
    """A pipeline with a version."""
    body = {
        "pipeline": {"name": "train", "namespace": namespace},
        "pipeline_version": {"pipeline_spec": spec},
    }
    return api.post("/pipelines/create", body)


@pytest.fixture
def body(experiment, spec):
    return {
        "display_name": "Every night, at 2",
        "description": "Trains",
        "experiment_id": experiment["experiment_id"],
        "pipeline_spec": spec,
        "runtime_config": {"parameters": {"text": "[[ScheduledTime.2006]]", "size": 5}},
        "trigger": {"cron_schedule": {"cron": "0 0 2 * * *"}},
        "max_concurrency": "3",
        "mode": "ENABLE",
        "no_catchup": True,
    }


def test_one_is_made_read_switched_and_deleted(api, body, experiment, namespace):
    made = api.post("/recurringruns", body)
    path = f"/recurringruns/{made['recurring_run_id']}"
    assert made["runtime_config"]["parameters"] == body["runtime_config"]["parameters"]
    assert made["trigger"] == body["trigger"]
    same = ("display_name", "description", "experiment_id", "max_concurrency", "pipeline_spec")
    assert {name: made[name] for name in same} == {name: body[name] for name in same}
    assert (made["mode"], made["status"], made["no_catchup"]) == ("ENABLE", "ENABLED", True)
    assert made["namespace"] == namespace
    assert api.get(path)["created_at"] == made["created_at"]
    api.post(f"{path}:disable")
    assert api.get(path)["status"] == "DISABLED"
    api.post(f"{path}:enable")
    assert api.get(path)["status"] == "ENABLED"
    listed = api.get("/recurringruns", experiment_id=experiment["experiment_id"])
    assert [each["recurring_run_id"] for each in listed["recurringRuns"]] == [
        made["recurring_run_id"]
    ]
    api.delete(path)
    assert api.call("GET", path).status == 404
    assert api.get("/recurringruns", namespace=namespace).get("total_size", 0) == 0


def test_it_is_the_schedule_that_kubectl_shows(api, body, namespace, shared_platform):
    made = api.post("/recurringruns", body)
    listed = shared_platform.client.list(kinds.SCHEDULED_WORKFLOWS, namespace)
    (schedule,) = shared_platform.call(listed).items
    assert metadata.uid(schedule) == made["recurring_run_id"]
    patch = {"spec": {"trigger": {"cronSchedule": {"cron": "0 0 3 * * *"}}}}
    name = metadata.name(schedule)
    changed = shared_platform.client.patch(kinds.SCHEDULED_WORKFLOWS, name, patch, namespace)
    shared_platform.call(changed)
    told = api.get(f"/recurringruns/{made['recurring_run_id']}")
    assert told["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert told["updated_at"] >= made["updated_at"]


def test_it_makes_runs_that_know_it(api, body, kept, namespace, shared_platform):
    del body["pipeline_spec"]
    body |= {
        "pipeline_version_reference": {"pipeline_id": kept["pipeline_id"]},
        "trigger": {"periodic_schedule": {"interval_second": "1"}},
        "max_concurrency": "1",
        "no_catchup": False,
    }
    body["runtime_config"]["parameters"]["text"] = "[[RunUUID]] [[Index]]"
    made = api.post("/recurringruns", body)
    assert made["pipeline_version_reference"] == {"pipeline_id": kept["pipeline_id"]}
    chosen = {
        "operation": "EQUALS",
        "key": "recurring_run_id",
        "string_value": made["recurring_run_id"],
    }

    def two():
        found = api.get(
            "/runs",
            namespace=namespace,
            filter=json.dumps({"predicates": [chosen]}),
            sort_by="scheduled_at",
        )
        ended = [run for run in found.get("runs", []) if run["state"] == "SUCCEEDED"]
        return ended if len(ended) >= 2 else None

    first, second = eventually(two, 120)[:2]
    api.post(f"/recurringruns/{made['recurring_run_id']}:disable")
    assert first["scheduled_at"] < second["scheduled_at"]
    assert first["experiment_id"] == body["experiment_id"]
    run = shared_platform.call(shared_platform.client.list(runs.PIPELINE_RUNS, namespace)).items
    uids = {metadata.uid(each) for each in run}
    assert {first["run_id"], second["run_id"]} <= uids


def test_without_a_trigger_it_makes_one_run_at_once(api, body, experiment):
    del body["trigger"]
    body["runtime_config"]["parameters"]["text"] = "once"
    made = api.post("/recurringruns", body)
    assert "trigger" not in made
    listed = {"experiment_id": experiment["experiment_id"]}
    (run,) = eventually(lambda: api.get("/runs", **listed).get("runs"), 120)
    assert run["recurring_run_id"] == made["recurring_run_id"]


def test_a_pipeline_of_another_namespace_is_not_run_at_times(api, body, spec, shared_platform):
    other = {"metadata": {"generateName": "others-"}}
    made = shared_platform.call(shared_platform.client.create(core.NAMESPACES, other))
    foreign = {
        "pipeline": {"name": "train", "namespace": metadata.name(made)},
        "pipeline_version": {"pipeline_spec": spec},
    }
    pipeline_id = api.post("/pipelines/create", foreign)["pipeline_id"]
    del body["pipeline_spec"]
    body["pipeline_version_reference"] = {"pipeline_id": pipeline_id}
    refused = api.call("POST", "/recurringruns", body)
    assert refused.status == 400
    assert "another namespace" in refused.body["message"]


def test_archiving_an_experiment_switches_its_recurring_runs_off(api, body, experiment):
    made = api.post("/recurringruns", body)
    api.post(f"/experiments/{experiment['experiment_id']}:archive")
    assert api.get(f"/recurringruns/{made['recurring_run_id']}")["status"] == "DISABLED"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"display_name": ""}, "display_name"),
        ({"max_concurrency": "11"}, "max_concurrency"),
        ({"max_concurrency": None}, "max_concurrency"),
        ({"trigger": {"cron_schedule": {}}}, "trigger.cron_schedule"),
        ({"trigger": {"periodic_schedule": {}}}, "trigger.periodic_schedule"),
        ({"trigger": {"cron_schedule": {"cron": "* * *"}}}, "3 fields"),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, "intervalSecond"),
        ({"runtime_config": {"parameters": {"text": "a", "size": "x"}}}, "size"),
        ({"runtime_config": {"parameters": {"text": "a", "other": 1}}}, "other"),
        ({"pipeline_spec": {"pipelineInfo": {"name": "x"}}}, "root"),
        ({"pipeline_spec": None}, "pipeline_spec"),
        ({"experiment_id": str(uuid.UUID(int=0))}, "experiment"),
    ],
)
def test_what_is_not_right_is_refused(api, body, namespace, change, told):
    wanted = {key: value for key, value in {**body, **change}.items() if value is not None}
    refused = api.call("POST", "/recurringruns", wanted)
    assert refused.status == (404 if "experiment_id" in change else 400), refused
    assert told in refused.body["message"]
    assert api.get("/recurringruns", namespace=namespace).get("total_size", 0) == 0


def test_others_do_not_learn_of_one(api, body, namespace):
    made = api.post("/recurringruns", body)
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", ":enable"), ("POST", ":disable")):
        found = api.call(method, f"/recurringruns/{made['recurring_run_id']}{rest}", user="other")
        nowhere = api.call(method, f"/recurringruns/{uuid.UUID(int=0)}{rest}", user="other")
        assert found.status == nowhere.status == 404
    assert api.call("GET", "/recurringruns", user="other", namespace=namespace).status == 403
    assert api.call("POST", "/recurringruns", body, user="other").status == 404


def test_runs_by_hand_know_the_time_and_their_id_too(api, body, shared_platform, namespace):
    del body["trigger"], body["max_concurrency"], body["mode"], body["no_catchup"]
    body["runtime_config"]["parameters"]["text"] = "[[CurrentTime.2006]] [[ScheduledTime]]"
    made = api.post("/runs", body)
    text = made["runtime_config"]["parameters"]["text"]
    year, rest = text.split(" ", 1)
    assert int(year) >= 2026
    assert rest == "[[ScheduledTime]]", "of which there is none"
