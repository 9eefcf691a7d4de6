"""Upstream's longer cases of both versions of the API: a story each, of experiments, runs and schedules.

Where upstream's cases of the first version upload workflows of Argo, these upload what KFP compiles.
"""

import datetime
import functools
import json
import time
from typing import ClassVar

import pytest

from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

SECONDS = 120
UNKNOWN = "unknownfield"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def case(name):
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


class V2:
    """The words of v2beta1."""

    prefix = "/apis/v2beta1"
    jobs = "recurringruns"
    shown: ClassVar = {"recurringruns": "recurringRuns"}
    ids: ClassVar = {
        "experiments": "experiment_id",
        "runs": "run_id",
        "recurringruns": "recurring_run_id",
    }
    label, operation, archived = "display_name", "operation", "ARCHIVED"
    enable: ClassVar[dict[str, object]] = {"mode": "ENABLE"}
    disable: ClassVar[dict[str, object]] = {"mode": "DISABLE"}

    def within(self, experiment):
        return {"experiment_id": experiment}

    def of(self, namespace):
        return {"namespace": namespace}

    def asked(self, kind, value):
        return {"experiment_id" if kind == "EXPERIMENT" else "namespace": value}

    def source(self, version, spec, parameters):
        keys = ("pipeline_id", "pipeline_version_id")
        reference = {key: version[key] for key in keys if key in (version or {})}
        given = {"pipeline_spec": spec} if spec else {"pipeline_version_reference": reference}
        return {**given, "runtime_config": {"parameters": parameters}}

    def is_off(self, job):
        return job["status"] == "DISABLED"

    def wrapped(self, run):
        return run

    def change(self, kind, uid, what):
        return f"/{kind}/{uid}:{what}"


class V1(V2):
    """The words of v1beta1."""

    prefix = "/apis/v1beta1"
    jobs = "jobs"
    shown: ClassVar = {}
    ids: ClassVar = {"experiments": "id", "runs": "id", "jobs": "id"}
    label, operation, archived = "name", "op", "STORAGESTATE_ARCHIVED"
    enable: ClassVar[dict[str, object]] = {"enabled": True}
    disable: ClassVar[dict[str, object]] = {"enabled": False}

    def within(self, experiment):
        return {"resource_references": [reference("EXPERIMENT", experiment, "OWNER")]}

    def of(self, namespace):
        return {"resource_references": [reference("NAMESPACE", namespace, "OWNER")]}

    def asked(self, kind, value):
        return {"resource_reference_key.type": kind, "resource_reference_key.id": value}

    def source(self, version, spec, parameters):
        given = {"pipeline_manifest": json.dumps(spec)} if spec else {}
        config = {**given, "runtime_config": {"parameters": parameters}}
        uid = (version or {}).get("pipeline_version_id")
        return {"pipeline_spec": config, "version": uid}

    def is_off(self, job):
        return not job.get("enabled")

    def wrapped(self, run):
        return run["run"]

    def change(self, kind, uid, what):
        return f"/{kind}/{uid}{'/' if what == 'terminate' else ':'}{what}"


def reference(kind, uid, relationship):
    return {"key": {"type": kind, "id": uid}, "relationship": relationship}


class Story:
    """What a case does, in the words of one version, in a namespace."""

    def __init__(self, words, api, namespace):
        self.words = words
        self.api = api
        self.namespace = namespace

    def post(self, path, body=None):
        answer = self.api.call("POST", f"{self.words.prefix}{path}", body)
        assert answer.status == 200, answer
        return answer.body

    def get(self, kind, uid):
        found = self.api.get(f"{self.words.prefix}/{kind}/{uid}")
        return self.words.wrapped(found) if kind == "runs" else found

    def page(self, kind, experiment="", **query):
        within = ("EXPERIMENT", experiment) if experiment else ("NAMESPACE", self.namespace)
        asked = {**self.words.asked(*within), **query}
        answer = self.api.call("GET", f"{self.words.prefix}/{kind}", **asked)
        if answer.status != 200:
            return answer.status
        found = answer.body
        items = found.get(self.words.shown.get(kind, kind), [])
        names = [each[self.words.label] for each in items]
        return names, found.get("total_size", 0), found.get("next_page_token", "")

    def items(self, kind, experiment):
        query = self.words.asked("EXPERIMENT", experiment)
        found = self.api.get(f"{self.words.prefix}/{kind}", **query)
        return found.get(self.words.shown.get(kind, kind), [])

    def two_pages(self, kind, first, sort_by):
        """Return the names of a page, and of the one after it, which is the last."""
        names, total, token = self.page(kind, page_size=first, sort_by=sort_by)
        assert len(names) == first
        assert token
        rest, same_total, end = self.page(kind, page_size=first, sort_by=sort_by, page_token=token)
        assert (same_total, end) == (total, "")
        return [*names, *rest]

    def experiment(self, name, description=""):
        body = {self.words.label: name, "description": description}
        made = self.post("/experiments", {**body, **self.words.of(self.namespace)})
        return made[self.words.ids["experiments"]]

    def _made(self, kind, name, experiment, version, spec, parameters, **more):
        body = {self.words.label: name, "description": f"this is {name}", **more}
        body |= {**self.words.within(experiment), **self.words.source(version, spec, parameters)}
        if uid := body.pop("version", None):
            body["resource_references"].append(reference("PIPELINE_VERSION", uid, "CREATOR"))
        return self.post(f"/{kind}", body)

    def run(self, name, experiment, *, version=None, spec=None, **parameters):
        made = self._made("runs", name, experiment, version, spec, parameters)
        return self.words.wrapped(made)

    def job(self, name, experiment, *, version=None, spec=None, on=True, **more):
        switched = self.words.enable if on else self.words.disable
        parameters = more.pop("parameters", {})
        fields = {"max_concurrency": "10", **switched, **more}
        return self._made(self.words.jobs, name, experiment, version, spec, parameters, **fields)


@pytest.fixture
def story(request, api, namespace):
    return Story(request.param, api, namespace)


def both(v2, v1):
    """Have a test made in the words of both versions."""
    return pytest.mark.parametrize(
        "story",
        [
            pytest.param(V2(), marks=case(f"v2/integration/{v2}"), id="v2beta1"),
            pytest.param(V1(), marks=case(f"integration/{v1}"), id="v1beta1"),
        ],
        indirect=True,
    )


@case("v2/integration/healthz_api_test.go: HealthzApiTest.TestHealthzAPI")
@case("integration/healthz_api_test.go: HealthzApiTest.TestHealthzAPI")
def test_health(api):
    assert api.get("/healthz")["pipeline_store"] == "kubernetes"
    assert api.get("/apis/v1beta1/healthz")["multi_user"] is True


EXPERIMENTS = "experiment_api_test.go: ExperimentApiTest.TestExperimentAPI"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(V2(), marks=case(f"v2/integration/{EXPERIMENTS}"), id="v2beta1"),
        pytest.param(V1(), marks=case(f"integration/{EXPERIMENTS}"), id="v1beta1"),
    ],
)
def test_experiments(platform, words, hello):
    api = PipelinesApi(platform.connection)
    eventually(lambda: api.call("GET", "/healthz").status == 200, SECONDS)
    story = Story(words, api, "default")
    eventually(lambda: story.page("experiments")[:2] == (["Default"], 1), SECONDS)
    training = story.experiment("training", "my first experiment")
    told = story.get("experiments", training)
    assert (told[words.label], told["description"]) == ("training", "my first experiment")
    assert told["storage_state"] == words.archived.replace("ARCHIVED", "AVAILABLE")
    again = {words.label: "training", **words.of("default")}
    refused = api.call("POST", f"{words.prefix}/experiments", again)
    assert refused.status == 409
    assert "training" in refused.body["message"]
    for name in ("prediction", "moonshot"):
        story.experiment(name, "my second experiment")
    by_name = ["Default", "moonshot", "prediction", "training"]
    assert story.two_pages("experiments", 2, "name") == by_name
    assert story.two_pages("experiments", 2, "name desc") == by_name[::-1]
    by_age = ["Default", "training", "prediction", "moonshot"]
    assert story.two_pages("experiments", 2, "created_at") == by_age
    assert story.page("experiments", page_size=2, sort_by=UNKNOWN) == 400

    runs = [story.run("hello world", training, spec=hello)[words.ids["runs"]] for _ in range(2)]
    never = {"trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}}}
    jobs = [
        story.job("hello world", training, spec=hello, **never)[words.ids[words.jobs]]
        for _ in range(2)
    ]
    story.post(f"/experiments/{training}:archive")
    assert story.get("experiments", training)["storage_state"] == words.archived
    story_ended(story, runs, jobs)
    story.post(f"/experiments/{training}:unarchive")
    assert story.get("experiments", training)["storage_state"] == told["storage_state"]
    # What was archived with it stays so.
    story_ended(story, runs, jobs)
    api.close()


def story_ended(story, runs, jobs):
    words = story.words
    assert {story.get("runs", run)["storage_state"] for run in runs} == {words.archived}
    assert all(words.is_off(story.get(words.jobs, job)) for job in jobs)


def second_of(instant):
    """Wait until the second is over that a time is in."""
    made = datetime.datetime.fromisoformat(instant).timestamp()
    eventually(lambda: time.time() > made + 1, 30)


def since(story):
    """Wait until the second is over in which the last thing was made; return a filter of what is older."""
    now = int(time.time()) + 1
    eventually(lambda: time.time() > now + 1, 30)
    value = {"key": "created_at", story.words.operation: "LESS_THAN", "string_value": str(now)}
    return json.dumps({"predicates": [value]})


@both(
    "run_api_test.go: RunAPITestSuite.TestRunAPIs", "run_api_test.go: RunApiTestSuite.TestRunApis"
)
def test_runs(story, kept, hello, waiting, taking):
    words, api = story.words, story.api
    pipeline = kept.upload()
    version = kept.upload_version(pipeline, "hello-world-version")
    group = story.experiment("hello world experiment")
    made = story.run("hello world", group, version=version)
    uid = made[words.ids["runs"]]
    for told in (made, story.get("runs", uid)):
        assert (told[words.label], told["description"]) == ("hello world", "this is hello world")
        assert told.get("experiment_id", group) == group
    assert version["pipeline_version_id"] in json.dumps(story.get("runs", uid))
    other = story.experiment("argument parameter experiment")
    given = {"param1": "goodbye", "param2": "world"}
    second = story.run("argument parameter", other, spec=taking, **given)
    found = api.get(f"/runs/{second[words.ids['runs']]}")
    assert found["pipeline_spec"] == taking
    assert found["runtime_config"]["parameters"] == given

    names, total, _ = story.page("runs")
    assert (sorted(names), total) == (["argument parameter", "hello world"], 2)
    assert story.two_pages("runs", 1, "created_at") == ["hello world", "argument parameter"]
    assert story.two_pages("runs", 1, "name") == ["argument parameter", "hello world"]
    _, _, token = story.page("runs", page_size=1, sort_by="created_at")
    assert story.page("runs", page_size=1, page_token=token) == (["argument parameter"], 2, "")
    assert story.page("runs", page_size=2, sort_by=UNKNOWN) == 400
    assert story.page("runs", group) == (["hello world"], 1, "")
    older = since(story)
    story.run("argument parameter 2", other, spec=taking, **given)
    assert story.page("runs")[1] == 3
    assert story.page("runs", filter=older)[1] == 2

    story.post(words.change("runs", uid, "archive"))
    (listed,) = story.items("runs", group)
    assert listed["storage_state"] == words.archived
    long = story.run("long running", group, spec=waiting)[words.ids["runs"]]
    story.post(words.change("runs", long, "terminate"))
    assert api.get(f"/runs/{long}")["state"] in ("CANCELING", "CANCELED")


@pytest.fixture
def waiting(hello):
    """A pipeline whose step takes long."""
    container = {"image": "python:3.11", "command": ["sleep", "300"]}
    return {**hello, "deploymentSpec": {"executors": {"exec-say": {"container": container}}}}


@both(
    "recurring_run_api_test.go: RecurringRunApiTestSuite.TestRecurringRunApis",
    "job_api_test.go: JobApiTestSuite.TestJobApis",
)
def test_recurring_runs(story, kept, taking):
    words = story.words
    jobs = words.jobs
    version = kept.upload_version(kept.upload(), "hello-world-version")
    group = story.experiment("hello world experiment")
    made = story.job("hello world", group, version=version)
    uid = made[words.ids[jobs]]
    for told in (made, story.get(jobs, uid)):
        assert (told[words.label], told["description"]) == ("hello world", "this is hello world")
        assert told["max_concurrency"] == "10"
        assert not words.is_off(told)
        assert version["pipeline_version_id"] in json.dumps(told)
    other = story.experiment("argument parameter experiment")
    given = {"param1": "goodbye", "param2": "world"}
    # Upstream waits here, too: its objects know the second in which they were made.
    second_of(story.api.get(f"/recurringruns/{uid}")["created_at"])
    second = story.job("argument parameter", other, spec=taking, parameters=given)
    assert story.api.get(f"/recurringruns/{second[words.ids[jobs]]}")["runtime_config"] == {
        "parameters": given
    }

    names, total, _ = story.page(jobs)
    assert (sorted(names), total) == (["argument parameter", "hello world"], 2)
    assert story.two_pages(jobs, 1, "created_at") == ["hello world", "argument parameter"]
    assert story.two_pages(jobs, 1, "name") == ["argument parameter", "hello world"]
    assert story.page(jobs, page_size=2, sort_by=UNKNOWN) == 400
    assert story.page(jobs, group) == (["hello world"], 1, "")
    older = since(story)
    story.job("new hello world", group, version=version, on=False)
    assert story.page(jobs)[1] == 3
    assert story.page(jobs, filter=older)[1] == 2

    # Without a trigger, each makes one run.
    for experiment, job in ((group, uid), (other, second[words.ids[jobs]])):
        (run,) = eventually(functools.partial(story.items, "runs", experiment), SECONDS)
        found = story.api.get(f"/runs/{run[words.ids['runs']]}")
        assert found["recurring_run_id"] == job
        assert found["experiment_id"] == experiment


@case(
    "v2/integration/recurring_run_api_test.go: RecurringRunApiTestSuite.TestRecurringRunApisUseLatest"
)
def test_the_latest_version_is_run(api, namespace, kept):
    story = Story(V2(), api, namespace)
    version = kept.upload_version(kept.upload(), "hello-world-version")
    group = story.experiment("hello world experiment")
    made = story.job("hello world", group, version={"pipeline_id": version["pipeline_id"]})
    assert made["pipeline_version_reference"] == {"pipeline_id": version["pipeline_id"]}
    (run,) = eventually(lambda: story.items("runs", group), SECONDS)
    assert run["recurring_run_id"] == made["recurring_run_id"]
    reference = run["pipeline_version_reference"]
    assert reference["pipeline_version_id"] == version["pipeline_version_id"]


PAST = {"start_time": "1970-01-01T10:00:00Z", "end_time": "1970-01-01T10:02:00Z"}
TRIGGERS = {
    "periodic": {"periodic_schedule": {**PAST, "interval_second": "60"}},
    "cron": {"cron_schedule": {**PAST, "cron": "0 * * * * ?"}},
}


@both(
    "recurring_run_api_test.go: RecurringRunApiTestSuite.TestRecurringRunApis_noCatchupOption",
    "job_api_test.go: JobApiTestSuite.TestJobApis_noCatchupOption",
)
def test_slots_that_are_past(story, kept):
    version = kept.upload_version(kept.upload(), "hello-world-version")
    wanted = {}
    for name, trigger in TRIGGERS.items():
        for no_catchup, runs in ((False, 2), (True, 1)):
            group = story.experiment(f"{name} {no_catchup}")
            story.job(name, group, version=version, trigger=trigger, no_catchup=no_catchup)
            wanted[group] = runs

    def made():
        found = {group: story.page("runs", group)[1] for group in wanted}
        return found == wanted

    eventually(made, SECONDS)
