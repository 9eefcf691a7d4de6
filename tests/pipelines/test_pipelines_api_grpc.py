"""The service by gRPC: the same methods, the same answers, the same rights."""

import json
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool

from wherry.objects import kinds as core
from wherry.pipelines.api import methods, reflection, rpc
from wherry.testing.waiting import eventually

CLASSES = rpc.classes()


@pytest.fixture
def channel(shared_platform) -> Iterator[grpc.Channel]:
    def service():
        found = shared_platform.call(shared_platform.client.list(core.SERVICES, "kubeflow"))
        return next((each for each in found if each["metadata"]["name"] == "ml-pipeline"), None)

    address = eventually(service)["spec"]["clusterIP"]
    with grpc.insecure_channel(f"{address}:8887") as opened:
        yield opened


@pytest.fixture
def token(shared_platform, runs):
    """Return the token of an account that may do everything in the namespace of the test."""
    account = {"metadata": {"name": "a", "namespace": runs.namespace}}
    role = {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {
        "metadata": {"name": "a", "namespace": runs.namespace},
        "roleRef": role,
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": runs.namespace}],
    }
    call, client = shared_platform.call, shared_platform.client
    call(client.create(core.SERVICE_ACCOUNTS, account))
    call(client.create(core.ROLE_BINDINGS, binding))
    asked = {**account, "spec": {"audiences": ["pipelines.kubeflow.org"]}}
    made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    return made["status"]["token"]


def ask(channel, service, name, token="", **fields):
    method = next(each for each in methods.METHODS if each.key == f"{service}.{name}")
    empty = method.response == methods.EMPTY
    asked = channel.unary_unary(
        f"/{rpc.name(method)}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes if empty else CLASSES[method.response].FromString,
    )
    request = CLASSES[method.request](**fields)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return asked(request, metadata=metadata, timeout=60, wait_for_ready=True)


def test_calls_by_grpc_and_by_rest_are_about_the_same_things(channel, token, api, runs):
    wanted = CLASSES["Experiment"](display_name="by grpc", namespace=runs.namespace)
    made = ask(channel, "ExperimentService", "CreateExperiment", token, experiment=wanted)
    seen = api.get(f"/experiments/{made.experiment_id}")
    assert seen["display_name"] == "by grpc"
    assert made.created_at.ToJsonString() == seen["created_at"]

    listed = ask(
        channel,
        "ExperimentService",
        "ListExperiments",
        token,
        namespace=runs.namespace,
        page_size=5,
    )
    assert [each.experiment_id for each in listed.experiments] == [made.experiment_id]
    assert listed.total_size == 1
    ask(
        channel,
        "ExperimentService",
        "ArchiveExperiment",
        token,
        experiment_id=made.experiment_id,
    )
    assert api.get(f"/experiments/{made.experiment_id}")["storage_state"] == "ARCHIVED"


def test_a_pipeline_travels_as_it_is(channel, token, api, runs, two_steps):
    group = api.post("/experiments", {"display_name": "e", "namespace": runs.namespace})
    wanted = CLASSES["Run"](display_name="r", experiment_id=group["experiment_id"])
    wanted.pipeline_spec.update(two_steps.spec()["pipelineSpec"])
    wanted.runtime_config.parameters.clear()
    made = ask(channel, "RunService", "CreateRun", token, run=wanted)
    run = ask(channel, "RunService", "GetRun", token, run_id=made.run_id)
    assert dict(run.pipeline_spec["pipelineInfo"]) == {"name": "test-pipeline"}
    assert run.state in range(1, 9)


def test_what_is_refused_has_the_code_of_grpc(channel, token, runs):
    for fields, sent, code in (
        ({"namespace": runs.namespace}, "", grpc.StatusCode.UNAUTHENTICATED),
        ({"namespace": runs.namespace}, "no token", grpc.StatusCode.UNAUTHENTICATED),
        ({"namespace": "default"}, token, grpc.StatusCode.PERMISSION_DENIED),
        (
            {"namespace": runs.namespace, "page_token": "x"},
            token,
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            ask(channel, "RunService", "ListRuns", sent, **fields)
        assert refused.value.code() is code
    with pytest.raises(grpc.RpcError) as refused:
        ask(channel, "RunService", "GetRun", token, run_id="nobody's")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_first_version_is_about_the_same_things(channel, token, api, runs, two_steps):
    owner = CLASSES["V1ResourceReference"](
        key=CLASSES["V1ResourceKey"](type="NAMESPACE", id=runs.namespace), relationship="OWNER"
    )
    wanted = CLASSES["V1Experiment"](name="first", resource_references=[owner])
    group = ask(channel, "ExperimentService", "CreateExperimentV1", token, experiment=wanted)
    assert api.get(f"/experiments/{group.id}")["display_name"] == "first"
    listed = ask(
        channel,
        "ExperimentService",
        "ListExperimentsV1",
        token,
        resource_reference_key=owner.key,
    )
    assert [(each.id, each.storage_state) for each in listed.experiments] == [(group.id, 1)]

    of_group = CLASSES["V1ResourceReference"](
        key=CLASSES["V1ResourceKey"](type="EXPERIMENT", id=group.id), relationship="OWNER"
    )
    spec = CLASSES["V1PipelineSpec"](pipeline_manifest=json.dumps(two_steps.spec()["pipelineSpec"]))
    job = CLASSES["V1Job"](
        name="j", pipeline_spec=spec, resource_references=[of_group], max_concurrency=1
    )
    made = ask(channel, "JobService", "CreateJob", token, job=job)
    assert made.mode == 2
    assert api.get(f"/recurringruns/{made.id}")["status"] == "DISABLED"
    ask(channel, "JobService", "DeleteJob", token, id=made.id)
    with pytest.raises(grpc.RpcError) as refused:
        ask(channel, "JobService", "GetJob", token, id=made.id)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("RunService.GetRun", "kubeflow.pipelines.backend.api.v2beta1.RunService/GetRun"),
        ("RunService.GetRunV1", "api.RunService/GetRunV1"),
        ("TaskService.ListTasksV1", "api.TaskService/ListTasksV1"),
        (
            "VisualizationServiceV1.CreateVisualization",
            "api.VisualizationService/CreateVisualizationV1",
        ),
        ("PipelineUploadService.UploadPipeline", ""),
        ("RunLogService.ReadRunLogV1", ""),
        ("CacheService.ListCached", ""),
    ],
)
def test_names_are_upstreams(key, name):
    method = next(each for each in methods.METHODS if each.key == key)
    assert rpc.name(method) == name


def reflected(channel, service, **asked):
    """Return the answer of reflection to one question."""
    known = reflection.classes()
    ask = channel.stream_stream(
        f"/{service}/{reflection.METHOD}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=known["ServerReflectionResponse"].FromString,
    )
    request = known["ServerReflectionRequest"](**asked)
    (answer,) = ask(iter([request]), timeout=60, wait_for_ready=True)
    return answer


@pytest.mark.parametrize("service", reflection.SERVICES)
def test_clients_are_told_what_there_is(channel, service):
    listed = reflected(channel, service, list_services="").list_services_response.service
    names = {each.name for each in listed}
    assert {f"{rpc.PACKAGE}.RunService", "api.JobService", "api.TaskService"} <= names
    pool = descriptor_pool.DescriptorPool()
    told = reflected(channel, service, file_containing_symbol="api.RunService.GetRunV1")
    for content in reversed(told.file_descriptor_response.file_descriptor_proto):
        pool.AddSerializedFile(content)
    method = pool.FindMethodByName("api.RunService.GetRunV1")
    assert [field.name for field in method.input_type.fields] == ["run_id"]
    assert [field.name for field in method.output_type.fields] == ["run", "pipeline_runtime"]
    for wrong in ({"file_containing_symbol": "api.No"}, {"all_extension_numbers_of_type": "x"}):
        refused = reflected(channel, service, **wrong).error_response
        assert refused.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_who_asks_what_there_is_leaves_room_for_calls(channel, token, runs):
    known = reflection.classes()
    ask = channel.stream_stream(
        f"/{reflection.SERVICES[0]}/{reflection.METHOD}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=known["ServerReflectionResponse"].FromString,
    )
    released = threading.Event()

    def slow():
        yield known["ServerReflectionRequest"](list_services="")
        released.wait(60)

    held = [ask(slow(), timeout=120, wait_for_ready=True) for _ in range(20)]
    try:
        codes = set()
        for each in held:
            try:
                next(each)
            except grpc.RpcError as error:
                codes.add(error.code())
        assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert ask_runs(channel, token, runs).total_size == 0
    finally:
        released.set()
        for each in held:
            each.cancel()


def ask_runs(channel, token, runs):
    return ask(channel, "RunService", "ListRuns", token, namespace=runs.namespace)
