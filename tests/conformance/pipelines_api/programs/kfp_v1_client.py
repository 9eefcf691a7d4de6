"""Every method of the client of `kfp` 1.8, as users of version 1 call it; tells of each whether it did what it says.

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
from kfp.components import create_component_from_func  # noqa: E402 - likewise

NAMESPACE = os.environ["NAMESPACE"]
SHARED = f"shared-of-{NAMESPACE}"
NEVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FILES = {
    ending: str(pathlib.Path(f"adder.{ending}").resolve()) for ending in ("yaml", "zip", "tar.gz")
}
SECONDS = 200
OUTCOMES = {}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


add_op = create_component_from_func(add, base_image="python:3.11")


@dsl.pipeline(name="adder", description="adds")
def adder(a: int = 1):
    """Add twice."""
    add_op(add_op(a, 2).output, 3)


def named(key, value):
    """Return a filter as the documentation of the client writes it."""
    predicate = {"op": 1, "key": key, "stringValue": value}
    return json.dumps({"predicates": [predicate]})


def refused(status, call, *arguments, **keywords):
    told = None
    try:
        call(*arguments, **keywords)
    except kfp_server_api.ApiException as error:
        told = error.status
    assert told == status, (call.__name__, told)


def references(found):
    """Return what a thing refers to, by kind."""
    return {each.key.type: each.key.id for each in found.resource_references}


def given(found):
    """Return the parameters of a run or a recurring run."""
    return {each.name: each.value for each in found.pipeline_spec.parameters}


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
        assert (self.experiment.name, self.experiment.description) == ("first", "words")
        assert references(self.experiment) == {"NAMESPACE": NAMESPACE}
        again = self.client.create_experiment("first", "other words")
        assert again.id == self.experiment.id

    def get_experiment(self):
        by_name = self.client.get_experiment(experiment_name="first", namespace=NAMESPACE)
        by_id = self.client.get_experiment(experiment_id=self.experiment.id)
        assert by_name.to_dict() == by_id.to_dict() == self.experiment.to_dict()
        refused(404, self.client.get_experiment, experiment_id="nobody")

    def list_experiments(self):
        self.second = self.client.create_experiment("second", namespace=NAMESPACE)
        names, token = [], ""
        while True:
            page = self.client.list_experiments(
                page_token=token, page_size=1, sort_by="name desc", namespace=NAMESPACE
            )
            assert page.total_size == 2
            names += [each.name for each in page.experiments]
            token = page.next_page_token
            if not token:
                break
        assert names == ["second", "first"]
        found = self.client.list_experiments(namespace=NAMESPACE, filter=named("name", "first"))
        assert [each.id for each in found.experiments] == [self.experiment.id]

    def archive_experiment(self):
        self.client.archive_experiment(self.second.id)
        found = self.client.get_experiment(self.second.id)
        assert found.storage_state == "STORAGESTATE_ARCHIVED"

    def upload_pipeline(self):
        for path in FILES.values():
            compiler.Compiler().compile(adder, path)
        self.pipeline = self.client.upload_pipeline(FILES["yaml"], SHARED, "adds")
        assert (self.pipeline.name, self.pipeline.description) == (SHARED, "adds")
        assert [(each.name, each.value) for each in self.pipeline.parameters] == [("a", "1")]
        assert self.pipeline.default_version.name == SHARED
        refused(409, self.client.upload_pipeline, FILES["yaml"], SHARED)

    def get_pipeline(self):
        found = self.client.get_pipeline(self.pipeline.id)
        assert found.to_dict() == self.pipeline.to_dict()
        refused(404, self.client.get_pipeline, "nobody")

    def get_pipeline_id(self):
        assert self.client.get_pipeline_id(SHARED) == self.pipeline.id
        assert self.client.get_pipeline_id("nobody") is None

    def list_pipelines(self):
        listed = self.client.list_pipelines(filter=named("name", SHARED), sort_by="created_at desc")
        assert [each.to_dict() for each in listed.pipelines] == [self.pipeline.to_dict()]
        assert listed.total_size == 1

    def upload_pipeline_version(self):
        first = self.client.upload_pipeline_version(
            FILES["zip"], "zipped", pipeline_id=self.pipeline.id, description="smaller"
        )
        assert (first.name, first.description) == ("zipped", "smaller")
        assert references(first) == {"PIPELINE": self.pipeline.id}
        self.version = self.client.upload_pipeline_version(
            FILES["tar.gz"], "packed", pipeline_name=SHARED
        )
        refused(
            409, self.client.upload_pipeline_version, FILES["zip"], "packed", pipeline_name=SHARED
        )

    def list_pipeline_versions(self):
        listed = self.client.list_pipeline_versions(self.pipeline.id, sort_by="name")
        assert [each.name for each in listed.versions] == sorted(["zipped", "packed", SHARED])
        page = self.client.list_pipeline_versions(
            self.pipeline.id, page_size=2, sort_by="created_at desc"
        )
        assert page.versions[0].to_dict() == self.version.to_dict()
        rest = self.client.list_pipeline_versions(
            self.pipeline.id, page.next_page_token, page_size=2, sort_by="created_at desc"
        )
        assert [each.name for each in rest.versions] == [SHARED]

    def run_pipeline(self):
        run = self.client.run_pipeline
        self.run = run(
            self.experiment.id, "of a file", FILES["zip"], {"a": 5}, enable_caching=False
        )
        assert references(self.run) == {"EXPERIMENT": self.experiment.id, "NAMESPACE": NAMESPACE}
        assert given(self.run) == {"a": "5"}
        kept = run(self.experiment.id, "of a version", params={"a": 7}, version_id=self.version.id)
        assert references(kept)["PIPELINE_VERSION"] == self.version.id
        assert kept.pipeline_spec.pipeline_name == "packed"
        latest = run(self.experiment.id, "of a pipeline", pipeline_id=self.pipeline.id)
        assert latest.pipeline_spec.pipeline_id == self.pipeline.id
        assert given(latest) == {"a": "1"}
        refused(404, run, self.experiment.id, "of nothing", version_id="nobody")
        refused(404, run, "nobody", "of a file", FILES["yaml"])

    def wait_for_run_completion(self):
        self.done = self.client.wait_for_run_completion(self.run.id, SECONDS)
        assert self.done.run.status == "Succeeded", self.done.run
        # It may take less than the second that times are told in.
        assert min(self.done.run.finished_at, self.done.run.created_at) > NEVER
        for each in self.client.list_runs(experiment_id=self.experiment.id).runs:
            self.client.wait_for_run_completion(each.id, SECONDS)

    def get_run(self):
        found = self.client.get_run(self.run.id)
        assert found.to_dict() == self.done.to_dict()
        workflow = json.loads(found.pipeline_runtime.workflow_manifest)
        outputs = [
            parameter["value"]
            for node in workflow["status"]["nodes"].values()
            if node["type"] == "Pod"
            for parameter in (node.get("outputs") or {}).get("parameters") or ()
        ]
        assert outputs == ["7"], outputs
        refused(404, self.client.get_run, "nobody")

    def list_runs(self):
        names, token = [], ""
        while True:
            page = self.client.list_runs(
                page_token=token, page_size=2, sort_by="name", experiment_id=self.experiment.id
            )
            assert page.total_size == 3
            for each in page.runs:
                assert each.to_dict() == self.client.get_run(each.id).run.to_dict()
            names += [each.name for each in page.runs]
            token = page.next_page_token
            if not token:
                break
        assert names == ["of a file", "of a pipeline", "of a version"]
        assert self.client.list_runs(namespace=NAMESPACE).total_size == 3
        found = self.client.list_runs(filter=named("name", "of a file"))
        assert [each.id for each in found.runs] == [self.run.id]

    def create_run_from_pipeline_func(self):
        made = self.client.create_run_from_pipeline_func(
            adder, {"a": "2"}, run_name="of a function", experiment_name="first"
        )
        assert made.wait_for_run_completion(SECONDS).run.status == "Succeeded"
        assert references(made.run_info)["EXPERIMENT"] == self.experiment.id

    def create_run_from_pipeline_package(self):
        made = self.client.create_run_from_pipeline_package(
            FILES["tar.gz"], {}, namespace=NAMESPACE
        )
        assert made.wait_for_run_completion(SECONDS).run.status == "Succeeded"
        default = self.client.get_experiment(experiment_name="Default", namespace=NAMESPACE)
        assert references(made.run_info)["EXPERIMENT"] == default.id

    def create_recurring_run(self):
        make = self.client.create_recurring_run
        self.yearly = make(
            self.experiment.id,
            "each year",
            "at its beginning",
            cron_expression="0 0 0 1 1 *",
            max_concurrency=2,
            no_catchup=True,
            params={"a": 4},
            version_id=self.version.id,
        )
        assert self.yearly.enabled is True
        assert (self.yearly.max_concurrency, self.yearly.no_catchup) == ("2", True)
        assert self.yearly.trigger.cron_schedule.cron == "0 0 0 1 1 *"
        assert references(self.yearly)["PIPELINE_VERSION"] == self.version.id
        assert given(self.yearly) == {"a": "4"}
        daily = make(
            self.experiment.id,
            "each day",
            start_time="2100-01-01T00:00:00Z",
            end_time="2100-02-01T00:00:00Z",
            interval_second=86400,
            pipeline_package_path=FILES["yaml"],
            enabled=False,
        )
        schedule = daily.trigger.periodic_schedule
        assert (schedule.interval_second, schedule.start_time.year) == ("86400", 2100)
        assert not daily.enabled
        refused(400, make, self.experiment.id, "x", cron_expression="x", version_id=self.version.id)

    def list_recurring_runs(self):
        listed = self.client.list_recurring_runs(experiment_id=self.experiment.id, sort_by="name")
        assert [each.name for each in listed.jobs] == ["each day", "each year"]
        found = self.client.list_recurring_runs(
            experiment_id=self.experiment.id, filter=named("name", "each year")
        )
        assert [each.to_dict() for each in found.jobs] == [self.yearly.to_dict()]

    def get_recurring_run(self):
        found = self.client.get_recurring_run(self.yearly.id)
        assert found.to_dict() == self.yearly.to_dict()
        refused(404, self.client.get_recurring_run, "nobody")

    def disable_job(self):
        self.client.disable_job(self.yearly.id)
        found = self.client.get_recurring_run(self.yearly.id)
        assert (found.enabled, found.status) == (None, "Disabled")

    def delete_job(self):
        for each in self.client.list_recurring_runs(experiment_id=self.experiment.id).jobs:
            self.client.delete_job(each.id)
            refused(404, self.client.get_recurring_run, each.id)

    def delete_pipeline_version(self):
        self.client.delete_pipeline_version(self.version.id)
        listed = self.client.list_pipeline_versions(self.pipeline.id)
        assert "packed" not in [each.name for each in listed.versions]

    def delete_pipeline(self):
        self.client.delete_pipeline(self.pipeline.id)
        refused(404, self.client.get_pipeline, self.pipeline.id)
        assert self.client.get_pipeline_id(SHARED) is None

    def delete_experiment(self):
        self.client.delete_experiment(self.experiment.id)
        refused(404, self.client.get_experiment, self.experiment.id)


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
    # The rest are constants.
    methods = [name for name in dir(kfp.Client) if name.islower() and not name.startswith("_")]
    print(json.dumps({"methods": methods, "outcomes": OUTCOMES}))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
