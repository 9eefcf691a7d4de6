"""Every method of `kfp.Client`, as users call it; tells of each whether it did what it says.

A method is tried by the step of its name; a step that has failed tells why, and the others go on.
"""

import datetime
import json
import os
import pathlib
import sys
import traceback
import warnings

warnings.simplefilter("ignore")

import kfp  # noqa: E402 - it warns as soon as it is imported
import kfp_server_api  # noqa: E402 - likewise
from kfp import compiler, dsl  # noqa: E402 - likewise

NAMESPACE = os.environ["NAMESPACE"]
NOW = datetime.datetime.now(datetime.UTC)
SHARED = f"shared-of-{NAMESPACE}"
FILE = str(pathlib.Path("adder.yaml").resolve())
OUTCOMES = {}


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def wait():
    import time  # noqa: PLC0415 - only its source travels

    time.sleep(600)


@dsl.pipeline(name="adder")
def adder(a: int = 1):
    add(a=add(a=a, b=2).output, b=3)


@dsl.pipeline(name="waiter")
def waiter():
    wait()


def named(key, value):
    """Return a filter as the documentation of the client writes it."""
    predicate = {"operation": 1, "key": key, "stringValue": value}
    return json.dumps({"predicates": [predicate]})


def refused(status, call, *arguments, **keywords):
    told = None
    try:
        call(*arguments, **keywords)
    except kfp_server_api.ApiException as error:
        told = error.status
    assert told == status, (call.__name__, told)


class Steps:
    """A step for each method. What one made is used by those after it."""

    def __init__(self, client):
        self.client = client

    def get_kfp_healthz(self):
        assert self.client.get_kfp_healthz().multi_user is True

    def set_user_namespace(self):
        self.client.set_user_namespace(NAMESPACE)

    def get_user_namespace(self):
        assert self.client.get_user_namespace() == NAMESPACE

    def create_experiment(self):
        self.experiment = self.client.create_experiment("first", "words", NAMESPACE)
        assert self.experiment.display_name == "first"
        assert self.experiment.namespace == NAMESPACE
        again = self.client.create_experiment("first", "other words", NAMESPACE)
        assert again.experiment_id == self.experiment.experiment_id

    def get_experiment(self):
        by_name = self.client.get_experiment(experiment_name="first", namespace=NAMESPACE)
        by_id = self.client.get_experiment(experiment_id=self.experiment.experiment_id)
        assert by_name.to_dict() == by_id.to_dict() == self.experiment.to_dict()

    def list_experiments(self):
        self.client.create_experiment("second", namespace=NAMESPACE)
        names, token = [], ""
        while True:
            page = self.client.list_experiments(
                page_token=token, page_size=1, sort_by="name desc", namespace=NAMESPACE
            )
            assert page.total_size == 2
            names += [each.display_name for each in page.experiments]
            token = page.next_page_token
            if not token:
                break
        assert names == ["second", "first"]
        found = self.client.list_experiments(namespace=NAMESPACE, filter=named("name", "first"))
        assert [each.display_name for each in found.experiments] == ["first"]

    def archive_experiment(self):
        self.client.archive_experiment(self.experiment.experiment_id)
        found = self.client.get_experiment(self.experiment.experiment_id)
        assert found.storage_state == "ARCHIVED"

    def unarchive_experiment(self):
        self.client.unarchive_experiment(self.experiment.experiment_id)
        found = self.client.get_experiment(self.experiment.experiment_id)
        assert found.storage_state == "AVAILABLE"

    def upload_pipeline(self):
        compiler.Compiler().compile(adder, FILE)
        self.pipeline = self.client.upload_pipeline(FILE, "adder", "adds", NAMESPACE)
        assert (self.pipeline.display_name, self.pipeline.description) == ("adder", "adds")
        refused(409, self.client.upload_pipeline, FILE, "adder", namespace=NAMESPACE)

    def get_pipeline(self):
        found = self.client.get_pipeline(self.pipeline.pipeline_id)
        assert found.to_dict() == self.pipeline.to_dict()
        refused(404, self.client.get_pipeline, "nobody")

    def get_pipeline_id(self):
        # It asks for those that everyone may use: it names no namespace.
        self.shared = self.client.upload_pipeline(FILE, SHARED)
        assert self.client.get_pipeline_id(SHARED) == self.shared.pipeline_id
        assert self.client.get_pipeline_id("nobody") is None

    def list_pipelines(self):
        listed = self.client.list_pipelines(namespace=NAMESPACE, sort_by="created_at desc")
        assert [each.pipeline_id for each in listed.pipelines] == [self.pipeline.pipeline_id]

    def upload_pipeline_from_pipeline_func(self):
        made = self.client.upload_pipeline_from_pipeline_func(
            waiter, "waiter", "waits", namespace=NAMESPACE
        )
        assert made.display_name == "waiter"

    def upload_pipeline_version(self):
        self.version = self.client.upload_pipeline_version(
            FILE, "second", pipeline_id=self.pipeline.pipeline_id, description="again"
        )
        assert self.version.display_name == "second"
        assert self.version.pipeline_id == self.pipeline.pipeline_id

    def upload_pipeline_version_from_pipeline_func(self):
        for keywords, pipeline in (
            ({"pipeline_id": self.pipeline.pipeline_id}, self.pipeline),
            ({"pipeline_name": SHARED}, self.shared),
        ):
            made = self.client.upload_pipeline_version_from_pipeline_func(
                adder, "third", **keywords
            )
            assert made.pipeline_id == pipeline.pipeline_id

    def get_pipeline_version(self):
        found = self.client.get_pipeline_version(
            self.pipeline.pipeline_id, self.version.pipeline_version_id
        )
        assert found.display_name == "second"
        assert found.pipeline_spec["pipelineInfo"]["name"] == "adder"

    def list_pipeline_versions(self):
        listed = self.client.list_pipeline_versions(
            self.pipeline.pipeline_id, sort_by="created_at desc"
        )
        assert listed.total_size == 3
        assert {each.display_name for each in listed.pipeline_versions} >= {"second", "third"}

    def run_pipeline(self):
        by_version = self.client.run_pipeline(
            self.experiment.experiment_id,
            "of a version",
            params={"a": 5},
            pipeline_id=self.pipeline.pipeline_id,
            version_id=self.version.pipeline_version_id,
            enable_caching=False,
        )
        reference = by_version.pipeline_version_reference
        assert reference.pipeline_version_id == self.version.pipeline_version_id
        self.run = self.client.run_pipeline(
            self.experiment.experiment_id, "of a file", FILE, {"a": 7}, enable_caching=False
        )
        assert self.run.runtime_config.parameters == {"a": 7}

    def get_run(self):
        found = self.client.get_run(self.run.run_id)
        assert found.display_name == "of a file"
        assert found.experiment_id == self.experiment.experiment_id
        assert found.pipeline_spec["pipelineInfo"]["name"] == "adder"

    def wait_for_run_completion(self):
        done = self.client.wait_for_run_completion(self.run.run_id, 120, sleep_duration=1)
        assert done.state == "SUCCEEDED", done.error
        names = {each.display_name for each in done.run_details.task_details}
        assert names >= {"add", "add-2"}

    def list_runs(self):
        listed = self.client.list_runs(
            experiment_id=self.experiment.experiment_id, sort_by="created_at desc"
        )
        assert {each.display_name for each in listed.runs} == {"of a version", "of a file"}
        found = self.client.list_runs(
            namespace=NAMESPACE, filter=named("display_name", "of a file"), page_size=10
        )
        assert [each.run_id for each in found.runs] == [self.run.run_id]

    def create_run_from_pipeline_func(self):
        result = self.client.create_run_from_pipeline_func(
            adder, {"a": 1}, experiment_name="third", namespace=NAMESPACE
        )
        done = result.wait_for_run_completion(120)
        assert done.state == "SUCCEEDED"
        group = self.client.get_experiment(experiment_name="third", namespace=NAMESPACE)
        assert done.experiment_id == group.experiment_id

    def create_run_from_pipeline_package(self):
        result = self.client.create_run_from_pipeline_package(
            FILE, {"a": 2}, run_name="named", experiment_id=self.experiment.experiment_id
        )
        assert self.client.get_run(result.run_id).display_name == "named"

    def archive_run(self):
        self.client.archive_run(self.run.run_id)
        assert self.client.get_run(self.run.run_id).storage_state == "ARCHIVED"

    def unarchive_run(self):
        self.client.unarchive_run(self.run.run_id)
        assert self.client.get_run(self.run.run_id).storage_state == "AVAILABLE"

    def terminate_run(self):
        started = self.client.create_run_from_pipeline_func(
            waiter, {}, experiment_id=self.experiment.experiment_id
        )
        self.client.terminate_run(started.run_id)
        states = ("CANCELING", "CANCELED")
        assert self.client.get_run(started.run_id).state in states

    def delete_run(self):
        self.client.delete_run(self.run.run_id)
        refused(404, self.client.get_run, self.run.run_id)

    def create_recurring_run(self):
        self.recurring = self.client.create_recurring_run(
            self.experiment.experiment_id,
            "each year",
            "for tests",
            start_time=(NOW + datetime.timedelta(days=300)).isoformat().replace("+00:00", "Z"),
            cron_expression="0 0 0 1 1 *",
            max_concurrency=2,
            no_catchup=True,
            params={"a": 3},
            pipeline_id=self.pipeline.pipeline_id,
            version_id=self.version.pipeline_version_id,
        )
        assert self.recurring.display_name == "each year"
        assert self.recurring.status == "ENABLED"
        assert self.recurring.trigger.cron_schedule.cron == "0 0 0 1 1 *"
        periodic = self.client.create_recurring_run(
            self.experiment.experiment_id,
            "each day",
            interval_second=86400,
            pipeline_package_path=FILE,
            enabled=False,
        )
        assert periodic.status == "DISABLED"
        assert periodic.trigger.periodic_schedule.interval_second == "86400"

    def get_recurring_run(self):
        found = self.client.get_recurring_run(self.recurring.recurring_run_id)
        assert found.max_concurrency == "2"
        assert found.no_catchup is True
        assert found.runtime_config.parameters == {"a": 3}

    def list_recurring_runs(self):
        listed = self.client.list_recurring_runs(experiment_id=self.experiment.experiment_id)
        assert {each.display_name for each in listed.recurring_runs} == {"each year", "each day"}

    def disable_recurring_run(self):
        self.client.disable_recurring_run(self.recurring.recurring_run_id)
        found = self.client.get_recurring_run(self.recurring.recurring_run_id)
        assert found.status == "DISABLED"

    def enable_recurring_run(self):
        self.client.enable_recurring_run(self.recurring.recurring_run_id)
        found = self.client.get_recurring_run(self.recurring.recurring_run_id)
        assert found.status == "ENABLED"

    def disable_job(self):
        self.client.disable_job(self.recurring.recurring_run_id)
        found = self.client.get_recurring_run(self.recurring.recurring_run_id)
        assert found.status == "DISABLED"

    def enable_job(self):
        self.client.enable_job(self.recurring.recurring_run_id)
        found = self.client.get_recurring_run(self.recurring.recurring_run_id)
        assert found.status == "ENABLED"

    def delete_recurring_run(self):
        listed = self.client.list_recurring_runs(experiment_id=self.experiment.experiment_id)
        daily = next(e for e in listed.recurring_runs if e.display_name == "each day")
        self.client.delete_recurring_run(daily.recurring_run_id)
        refused(404, self.client.get_recurring_run, daily.recurring_run_id)

    def delete_job(self):
        self.client.delete_job(self.recurring.recurring_run_id)
        refused(404, self.client.get_recurring_run, self.recurring.recurring_run_id)

    def delete_pipeline_version(self):
        self.client.delete_pipeline_version(
            self.pipeline.pipeline_id, self.version.pipeline_version_id
        )
        listed = self.client.list_pipeline_versions(self.pipeline.pipeline_id)
        assert listed.total_size == 2

    def delete_pipeline(self):
        refused(400, self.client.delete_pipeline, self.pipeline.pipeline_id)
        for pipeline in (self.pipeline.pipeline_id, self.shared.pipeline_id):
            for version in self.client.list_pipeline_versions(pipeline).pipeline_versions:
                self.client.delete_pipeline_version(pipeline, version.pipeline_version_id)
            self.client.delete_pipeline(pipeline)
            refused(404, self.client.get_pipeline, pipeline)

    def delete_experiment(self):
        self.client.delete_experiment(self.experiment.experiment_id)
        refused(404, self.client.get_experiment, self.experiment.experiment_id)


def main():
    host, token = sys.argv[1:3] or (None, None)
    steps = Steps(kfp.Client(host, existing_token=token))
    for name in [name for name in vars(Steps) if not name.startswith("_")]:
        try:
            getattr(steps, name)()
        except Exception:  # noqa: BLE001 - whatever it is, it is told of this method
            OUTCOMES[name] = traceback.format_exc()[-1500:]
        else:
            OUTCOMES[name] = ""
    methods = [name for name in dir(kfp.Client) if not name.startswith("_")]
    print(json.dumps({"methods": methods, "outcomes": OUTCOMES}))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
