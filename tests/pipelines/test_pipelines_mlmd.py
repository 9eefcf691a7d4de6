"""The metadata service: by gRPC and by gRPC-Web, with the rights of who calls."""

import base64
import urllib.error
import urllib.request
from typing import Any

import grpc
import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines.api.mlmd import codec, frames
from wherry.testing.waiting import eventually

SERVICE = "ml_metadata.MetadataStoreService"
GRPC, WEB = ("metadata-grpc-service", 8080), ("metadata-envoy-service", 9090)
CODES = {code.value[0]: code for code in grpc.StatusCode}


@pytest.fixture
def addresses(shared_platform):
    """Return where the service is, by the name of the Service and its port."""

    def address(name, port):
        def found():
            services = shared_platform.call(shared_platform.client.list(core.SERVICES, "kubeflow"))
            return next((each for each in services if metadata.name(each) == name), None)

        return f"{eventually(found, 60)['spec']['clusterIP']}:{port}"

    return {place: address(*place) for place in (GRPC, WEB)}


@pytest.fixture
def token(shared_platform):
    """Return what makes tokens of accounts with a role in a namespace; without a role, with no rights."""
    call, client = shared_platform.call, shared_platform.client

    def make(namespace, role=""):
        made = {"metadata": {"name": role or "nobody", "namespace": namespace}}
        call(client.create(core.SERVICE_ACCOUNTS, made))
        if role:
            named = {"kind": "ClusterRole", "name": role, "apiGroup": "rbac.authorization.k8s.io"}
            subject = {"kind": "ServiceAccount", "name": role, "namespace": namespace}
            call(
                client.create(core.ROLE_BINDINGS, {**made, "roleRef": named, "subjects": [subject]})
            )
        asked = {**made, "spec": {"audiences": ["pipelines.kubeflow.org"]}}
        return call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))["status"][
            "token"
        ]

    return make


@pytest.fixture
def ask(addresses):
    """Return what calls the service by gRPC."""
    with grpc.insecure_channel(addresses[GRPC]) as channel:

        def call(method, token="", namespace="", **request):
            told = [("authorization", f"Bearer {token}")] if token else []
            told += [("kubeflow-namespace", namespace)] if namespace else []
            asked: Any = channel.unary_unary(f"/{SERVICE}/{method}")
            answer = asked(
                codec.write(f"{method}Request", request),
                metadata=told,
                timeout=120,
                wait_for_ready=True,
            )
            return codec.read(f"{method}Response", answer)

        yield call


@pytest.fixture
def ask_web(addresses):
    """Return what calls the service as browsers do."""

    def call(method, token="", kind=frames.BINARY, body=None, **request):
        text = kind == frames.TEXT
        if body is None:
            body = frames.frame(codec.write(f"{method}Request", request))
            body = base64.b64encode(body) if text else body
        headers = {"Content-Type": kind, "X-Grpc-Web": "1"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        asked = urllib.request.Request(
            f"http://{addresses[WEB]}/{SERVICE}/{method}", data=body, headers=headers
        )
        with urllib.request.urlopen(asked, timeout=120) as response:
            told = response.read()
        answer = frames.read(base64.b64decode(told) if text else told)
        return answer if answer.code else codec.read(f"{method}Response", answer.message)

    return call


def refused(call, *arguments, **request):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **request)
    return error.value.code()


def test_a_run_is_told_as_the_user_interface_asks(ask, ask_web, runs, token, two_steps):
    run = runs.run(two_steps.spec())
    uid, viewer = metadata.uid(run), token(runs.namespace, "view")
    asked = {"type_name": "system.PipelineRun", "context_name": uid}
    context = ask("GetContextByTypeAndName", viewer, **asked)["context"]
    for kind in (frames.BINARY, frames.TEXT):
        assert ask_web("GetContextByTypeAndName", viewer, kind, **asked) == {"context": context}
    told = context["custom_properties"]
    assert told["namespace"] == {"string_value": runs.namespace}
    assert told["resource_name"] == {"string_value": metadata.name(run)}
    found = ask("GetExecutionsByContext", viewer, context_id=context["id"])["executions"]
    rows = {each.id: each for each in runs.rows(run).values()}
    assert {each["id"]: each["last_known_state"] for each in found} == dict.fromkeys(rows, 3)
    assert {each["custom_properties"]["display_name"]["string_value"] for each in found} == {
        row.name for row in rows.values()
    }
    assert (
        ask_web("GetExecutionsByContext", viewer, context_id=context["id"])["executions"] == found
    )
    events = ask("GetEventsByExecutionIDs", viewer, execution_ids=[*rows]).get("events", [])
    made = {each["artifact_id"] for each in events}
    listed = ask("GetArtifactsByID", viewer, artifact_ids=[*made]).get("artifacts", [])
    assert {each["id"] for each in listed} == made


def test_what_clients_store_is_read_by_who_may_look_and_by_nobody_else(
    ask, runs, runs_on, token, shared_platform
):
    other = runs_on(shared_platform)
    editor, viewer = token(runs.namespace, "edit"), token(runs.namespace, "view")
    stranger, nobody = token(other.namespace, "edit"), token(runs.namespace)
    type_ = {"artifact_type": {"name": "Plan", "properties": {"pages": 1}}}
    number = ask("PutArtifactType", editor, **type_)["type_id"]
    plan = {"type_id": number, "uri": "s3://secret", "properties": {"pages": {"int_value": 3}}}
    (made,) = ask("PutArtifacts", editor, artifacts=[plan])["artifact_ids"]
    by_id = {"artifact_ids": [made]}
    (seen,) = ask("GetArtifactsByID", viewer, **by_id)["artifacts"]
    assert seen["properties"] == plan["properties"]
    assert ask("GetArtifacts", viewer)["artifacts"] == [seen]
    assert (
        refused(ask, "PutArtifacts", viewer, artifacts=[plan]) is grpc.StatusCode.PERMISSION_DENIED
    )
    assert ask("GetArtifactsByID", stranger, **by_id) == {}
    assert ask("GetArtifactsByURI", stranger, uris=["s3://secret"]) == {}
    assert ask("GetArtifacts", stranger) == {}
    assert refused(ask, "GetArtifactType", stranger, type_name="Plan") is grpc.StatusCode.NOT_FOUND
    changed = {"artifacts": [{"id": made, "uri": "s3://mine"}]}
    assert refused(ask, "PutArtifacts", stranger, **changed) is grpc.StatusCode.INVALID_ARGUMENT
    for who, code in (
        (stranger, grpc.StatusCode.PERMISSION_DENIED),
        (nobody, grpc.StatusCode.PERMISSION_DENIED),
        ("", grpc.StatusCode.UNAUTHENTICATED),
        ("no token", grpc.StatusCode.UNAUTHENTICATED),
    ):
        assert refused(ask, "GetArtifactsByID", who, runs.namespace, **by_id) is code
        assert refused(ask, "PutArtifacts", who, runs.namespace, **changed) is code
    for who, code in (
        (nobody, grpc.StatusCode.PERMISSION_DENIED),
        ("", grpc.StatusCode.UNAUTHENTICATED),
    ):
        assert refused(ask, "GetArtifactsByID", who, **by_id) is code


def test_who_works_in_two_namespaces_says_in_which(ask, runs, runs_on, token, shared_platform):
    other = runs_on(shared_platform)
    editor = token(runs.namespace, "edit")
    role = {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "ServiceAccount", "name": "edit", "namespace": runs.namespace}
    binding = {"metadata": {"name": "guest", "namespace": other.namespace}, "roleRef": role}
    call, client = shared_platform.call, shared_platform.client
    call(client.create(core.ROLE_BINDINGS, {**binding, "subjects": [subject]}))
    numbers = {}
    for namespace in (runs.namespace, other.namespace):
        type_ = ask("PutContextType", editor, namespace, context_type={"name": "Team"})["type_id"]
        told = {"contexts": [{"type_id": type_, "name": "t"}]}
        (numbers[namespace],) = ask("PutContexts", editor, namespace, **told)["context_ids"]
        found = ask("GetContexts", editor, namespace)["contexts"]
        assert [each["id"] for each in found] == [numbers[namespace]]
    # Who does not say it sees both, and is at home in that of the account.
    found = ask("GetContextsByType", editor, type_name="Team")["contexts"]
    assert [each["id"] for each in found] == [*numbers.values()]
    by_name = {"type_name": "Team", "context_name": "t"}
    assert (
        ask("GetContextByTypeAndName", editor, **by_name)["context"]["id"]
        == numbers[runs.namespace]
    )
    change = {"contexts": [{"id": numbers[other.namespace], "name": "u"}]}
    assert refused(ask, "PutContexts", editor, **change) is grpc.StatusCode.PERMISSION_DENIED
    assert ask("PutContexts", editor, other.namespace, **change)["context_ids"] == [
        numbers[other.namespace]
    ]


def test_what_is_refused_says_why_in_the_words_of_grpc(ask, ask_web, runs, token):
    editor = token(runs.namespace, "edit")
    assert refused(ask, "GetLineageSubgraph", editor) is grpc.StatusCode.INVALID_ARGUMENT
    long = {"artifact_type": {"name": "x" * 300}}
    assert refused(ask, "PutArtifactType", editor, **long) is grpc.StatusCode.INVALID_ARGUMENT
    type_ = ask("PutArtifactType", editor, artifact_type={"name": "T"})["type_id"]
    (made,) = ask("PutArtifacts", editor, artifacts=[{"type_id": type_}])["artifact_ids"]
    late = {"artifacts": [{"id": made}], "options": {"abort_if_latest_updated_time_changed": True}}
    assert refused(ask, "PutArtifacts", editor, **late) is grpc.StatusCode.FAILED_PRECONDITION
    for kind, body, said in (
        (frames.TEXT, b"no base64!", "the body is no base64"),
        (frames.BINARY, b"", "it is too short"),
        (frames.BINARY, b"\0\0\0\0\5abc", "with its own length"),
        (frames.BINARY, b"\1\0\0\0\0", "without compression"),
        (frames.BINARY, frames.frame(b"\xff\xff"), "the message is no GetArtifactsRequest"),
        (
            frames.BINARY,
            frames.frame(b"\x0a\x03\x1a\x01\xff"),
            "the message is no GetArtifactsRequest",
        ),
        (frames.BINARY, b"\0" * (5 * 1024 * 1024), "too large"),
    ):
        answer = ask_web("GetArtifacts", editor, kind, body)
        assert CODES[answer.code] in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        )
        assert said in answer.said
    nothing = ask_web("DropTables", editor, body=frames.frame(b""))
    assert CODES[nothing.code] is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(urllib.error.HTTPError) as wrong:
        ask_web("GetArtifacts", editor, "application/json", b"{}")
    assert wrong.value.code == 415
    wrong.value.close()
