"""Who may call what: every method, by users who each have one right, in one of two namespaces."""

import asyncio
import dataclasses
import itertools
import json
import uuid

import pytest

from wherry.metadata.records import Artifact, Execution, Values
from wherry.metadata.store import Metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines import kinds
from wherry.pipelines.api import hosting, messages, methods, transcoding, uploading
from wherry.testing.waiting import eventually

GROUP = "pipelines.kubeflow.org"
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ANSWERED = {key for some in (*hosting.HANDLERS, *hosting.STREAMS) for key in some}
GUARDED = [each for each in methods.METHODS if each.resource and each.key in ANSWERED]
SAID = {
    *("CreateExperiment", "ListExperiments", "ListRuns", "ListRecurringRuns"),
    *("CreatePipeline", "CreatePipelineAndVersion", "UploadPipeline", "ListPipelines"),
    *("GetPipelineByName", "ListCached", "ForgetCached"),
    *("CreateExperimentV1", "ListExperimentsV1", "ListRunsV1", "ListJobs"),
    *("CreatePipelineV1", "UploadPipelineV1", "ListPipelinesV1", "GetPipelineByNameV1"),
    *("ReportWorkflow", "ReportScheduledWorkflow", "CreateVisualizationV1", "ListArtifacts"),
    *("ReportWorkflowV1", "ReportScheduledWorkflowV1", "CreateVisualization"),
    *("CreateTaskV1", "ListTasksV1"),
}
"""Of these the caller says the namespace; what the others are about is found by its id."""
IDS = {
    "ExperimentService": "experiment_id",
    "RunService": "run_id",
    "JobService": "recurring_run_id",
    "PipelineService": "pipeline_id",
}
"""What `id` means in the first version of the API."""
RAN = ("LineageService", "CacheService", "StepService", "RunLogService", "TaskService")
"""Are about what a run has done; one that has done nothing has nothing of that."""
READING = ("VisualizationService", "VisualizationServiceV1")
"""Take the right to read artifacts, too."""
RIGHTS = sorted({(method.resource, method.verb) for method in GUARDED})
SECRET = "secret-plan"
_NUMBERS = itertools.count()


@dataclasses.dataclass
class Things:
    """One of each kind, in one namespace."""

    namespace: str
    spec: Object
    experiment_id: str = ""
    run_id: str = ""
    pipeline_id: str = ""
    pipeline_version_id: str = ""
    recurring_run_id: str = ""
    artifact_id: int = 0
    name: str = ""

    def message(self, method):
        """Return a request that is about these things, and right but for who sends it."""
        new = f"new-{next(_NUMBERS)}"
        known = {**dataclasses.asdict(self), "pipelineid": self.pipeline_id}
        known |= {
            "id": known.get(IDS.get(method.service, "")),
            "version_id": self.pipeline_version_id,
            "node_id": "made",
            "artifact_name": "data",
        }
        if method.name == "CreatePipelineAndVersion":
            pipeline = {"name": new, "display_name": new, "namespace": self.namespace}
            version = {"display_name": new, "pipeline_spec": self.spec}
            return {"pipeline": pipeline, "pipeline_version": version}
        if method.http == "PATCH":
            ids = {name: known[name] for name in methods.fields(method.path)}
            return {method.body: {**ids, "display_name": new}}
        fields = {name: known[name] for name in methods.fields(method.path)}
        wanted = {field.name for field in messages.MESSAGES[method.request]}
        if "namespace" in wanted:
            fields["namespace"] = self.namespace
        if "resource_reference_key" in wanted:
            fields["resource_reference_key"] = {"type": "NAMESPACE", "id": self.namespace}
        if "resource_key" in wanted:
            fields["resource_key"] = {"type": "PIPELINE", "id": self.pipeline_id}
        if method.name in ("GetLineage", "ListReasons"):
            fields |= {"run_id": self.run_id, "namespace": ""}
        if method.body and method.body != "*":
            fields[method.body] = self.body(method, new)
        return fields

    def body(self, method, name):
        """Return what a method is to make."""
        manifest = {"pipeline_manifest": json.dumps(self.spec)}
        nowhere = {"pipeline_url": "https://127.0.0.1:1/p.yaml"}

        def of(kind, identity):
            key = {"type": kind, "id": identity}
            return {"name": name, "resource_references": [{"key": key, "relationship": "OWNER"}]}

        group = of("EXPERIMENT", self.experiment_id)
        plain = {"display_name": name}
        return {
            "CreateExperiment": {**plain, "namespace": self.namespace},
            "CreatePipeline": {**plain, "name": name, "namespace": self.namespace},
            "CreatePipelineVersion": {**plain, "pipeline_spec": self.spec},
            "CreateRun": {**plain, "experiment_id": self.experiment_id, "pipeline_spec": self.spec},
            "CreateRecurringRun": self.recurring_run(name),
            "ReportWorkflow": self.reported(),
            "ReportWorkflowV1": self.reported(),
            "ReportScheduledWorkflow": self.reported(),
            "ReportScheduledWorkflowV1": self.reported(),
            "CreateVisualizationV1": {"type": "TABLE", "source": "file:///nowhere"},
            "CreateVisualization": {"type": "TABLE", "source": "file:///nowhere"},
            "CreateTaskV1": {
                "pipelineName": f"namespace/{self.namespace}/pipeline/test",
                "runId": self.run_id,
                "mlmdExecutionID": "1",
                "fingerprint": "f",
                "created_at": "2026-01-01T00:00:00Z",
            },
            "CreateExperimentV1": of("NAMESPACE", self.namespace),
            "CreatePipelineV1": {**of("NAMESPACE", self.namespace), "url": nowhere},
            "CreatePipelineVersionV1": {**of("PIPELINE", self.pipeline_id), "package_url": nowhere},
            "CreateRunV1": {**group, "pipeline_spec": manifest},
            "CreateJob": {
                **group,
                "pipeline_spec": manifest,
                "max_concurrency": "1",
                "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}},
            },
        }[method.name]

    def reported(self):
        """Return an object as an agent reports it."""
        head = {"name": self.name, "namespace": self.namespace, "uid": "u"}
        return json.dumps({"metadata": head})

    def recurring_run(self, name):
        """Return one that never starts a run."""
        return {
            "display_name": name,
            "experiment_id": self.experiment_id,
            "pipeline_spec": self.spec,
            "mode": "DISABLE",
            "max_concurrency": "1",
            "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}},
        }


@pytest.fixture
def things(api, runs, pipeline):
    """Return what makes one of each kind, all of the same secret name."""
    made = pipeline(SECRET)
    made.step("wait", "sleep 600")
    made.task("wait")
    spec = made.spec()

    def make():
        held = Things(runs.namespace, spec["pipelineSpec"])
        held.name = f"{SECRET}-{next(_NUMBERS)}"
        body = {"display_name": held.name, "namespace": runs.namespace}
        held.experiment_id = api.post("/experiments", body)["experiment_id"]
        labels = {kinds.EXPERIMENT_LABEL: held.experiment_id}
        run = {
            "metadata": {"name": held.name, "namespace": runs.namespace, "labels": labels},
            "spec": {**spec, "suspend": True},
        }
        run = runs.platform.call(runs.client.create(kinds.PIPELINE_RUNS, run))
        held.run_id = run["metadata"]["uid"]
        eventually(lambda: api.call("GET", f"/runs/{held.run_id}").status == 200, 120)
        both = api.post(
            "/pipelines/create",
            {
                "pipeline": {**body, "name": held.name},
                "pipeline_version": {"display_name": held.name, "pipeline_spec": held.spec},
            },
        )
        held.pipeline_id = both["pipeline_id"]
        (version,) = api.get(f"/pipelines/{held.pipeline_id}/versions")["pipeline_versions"]
        held.pipeline_version_id = version["pipeline_version_id"]
        recurring = api.post("/recurringruns", held.recurring_run(held.name))
        held.recurring_run_id = recurring["recurring_run_id"]
        held.artifact_id = asyncio.run(artifact_of(runs, held))
        return held

    return make


async def artifact_of(runs, held):
    """Store a task of a run that has made an artifact of a secret name; return the artifact's id."""
    made = Artifact(namespace=held.namespace, name=held.name, uri=f"file:///{held.name}")
    task = Execution(
        namespace=held.namespace,
        name="made",
        run=held.run_id,
        path="root/made",
        state="SUCCEEDED",
        outputs=Values(artifacts={"data": (made,)}),
    )
    store = Metadata(runs.platform.directory / "products" / "metadata" / "metadata.db")
    try:
        (stored,) = await store.save([task])
    finally:
        await store.close()
    return stored.outputs.artifacts["data"][0].id


@pytest.fixture
def holders(shared_platform, runs):
    """Return what gives users rights: each one of them, in one namespace; return their names."""

    def bind(namespace, rights, user):
        name = user.replace(":", "-").lower()
        rules = [
            {"apiGroups": [GROUP], "resources": [resource], "verbs": [verb]}
            for resource, verb in rights
        ]
        head = {"metadata": {"name": name, "namespace": namespace}}
        reference = {"apiGroup": ROLES.group, "kind": "Role", "name": name}
        subject = {"apiGroup": ROLES.group, "kind": "User", "name": user}
        call, client = shared_platform.call, shared_platform.client
        call(client.create(ROLES, {**head, "rules": rules}))
        binding = {**head, "roleRef": reference, "subjects": [subject]}
        call(client.create(core.ROLE_BINDINGS, binding))
        return user

    mark = uuid.uuid4().hex[:8]
    other = runs.apart(shared_platform).namespace
    elsewhere = bind(other, RIGHTS, f"elsewhere-{mark}")
    single = {
        right: bind(runs.namespace, [right], f"{right[1]}-{right[0]}-{mark}") for right in RIGHTS
    }
    return single, elsewhere


def ask(api, method, held, user):
    if uploading.is_upload(method):
        spec = json.dumps(held.spec)
        body = f'--b\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.yaml"\r\n\r\n{spec}\r\n--b--\r\n'
        query = {"name": f"new-{next(_NUMBERS)}"}
        if method.name in SAID:
            query["namespace"] = held.namespace
        else:
            query["pipelineid"] = held.pipeline_id
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return api.call("POST", method.path, body.encode(), user=user, headers=kind, **query)
    call = transcoding.rest_call(method, held.message(method))
    return api.call(call.http, call.target, call.body or None, user=user)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_done_or_told_without_the_right_to_it(api, things, holders):
    single, elsewhere = holders
    held = things()
    before = state(api, held)
    users = {user: right for right, user in single.items()}
    users |= {elsewhere: None, f"nobody-{uuid.uuid4().hex[:8]}": None}
    for method in GUARDED:
        for user, right in users.items():
            if right == (method.resource, method.verb):
                continue
            status, body = ask(api, method, held, user)
            told = (method.key, user, status, body)
            may_see = right == (method.resource, "get")
            assert status == (403 if may_see or method.name in SAID else 404), told
            text = json.dumps(body)
            assert may_see or SECRET not in text, told
            assert "total_size" not in text, told
    assert state(api, held) == before


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_right_to_a_method_is_all_that_it_takes(api, things, holders):
    single, _ = holders
    for method in [each for each in GUARDED if each.service not in (*RAN, *READING)]:
        status, body = ask(api, method, things(), single[method.resource, method.verb])
        assert status in (200, 400, 405, 501), (method.key, status, body)


def state(api, held):
    """Return all that is in the namespace, but for what goes on by itself."""
    lists = ("experiments", "runs", "pipelines", "recurringruns")
    return {
        **{name: api.get(f"/{name}", namespace=held.namespace) for name in lists},
        "versions": api.get(f"/pipelines/{held.pipeline_id}/versions"),
    }
