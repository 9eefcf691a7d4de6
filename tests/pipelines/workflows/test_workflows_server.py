"""Argo's server: what its calls do and answer, and who may make them."""

import contextlib
import itertools
import json
from collections.abc import Iterator

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import callers, errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.server import hosting, serving
from wherry.pipelines.workflows.server.fields import Fields
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.pipelines_api import ARGO_PROXY, PipelinesApi
from wherry.testing.waiting import eventually

_NUMBERS = itertools.count(1)
SAYS = {
    "entrypoint": "say",
    "arguments": {"parameters": [{"name": "word", "value": "hello"}]},
    "templates": [
        {
            "name": "say",
            "container": {
                "image": "python:3.11",
                "command": ["sh", "-c"],
                "args": ["echo {{workflow.parameters.word}}; echo kept > /tmp/kept.txt"],
            },
            "outputs": {"artifacts": [{"name": "kept", "path": "/tmp/kept.txt"}]},
        }
    ],
}
WAITS = {"entrypoint": "wait", "templates": [{"name": "wait", "suspend": {}}]}


@pytest.fixture
def namespace(shared_platform: InProcessPlatform) -> str:
    name = f"argo-{next(_NUMBERS)}"
    client = shared_platform.client
    shared_platform.call(client.create(core.NAMESPACES, {"metadata": {"name": name}}))
    for role in ("edit", "view"):
        subject = {"apiGroup": core.CLUSTER_ROLES.group, "kind": "User", "name": f"{role}-{name}"}
        binding = {
            "metadata": {"name": role, "namespace": name},
            "subjects": [subject],
            "roleRef": {
                "apiGroup": core.CLUSTER_ROLES.group,
                "kind": "ClusterRole",
                "name": role,
            },
        }
        shared_platform.call(client.create(core.ROLE_BINDINGS, binding))
    return name


@pytest.fixture
def argo(shared_platform: InProcessPlatform) -> Iterator[PipelinesApi]:
    made = PipelinesApi(shared_platform.connection, keeps=True, proxy=ARGO_PROXY)
    eventually(lambda: made.call("GET", "/api/v1/version").status == 200, 120)
    with contextlib.closing(made):
        yield made


def _made(argo: PipelinesApi, namespace: str, spec: Object, **head: str) -> str:
    workflow = {"metadata": {"generateName": "made-", **head}, "spec": spec}
    answer = argo.post(f"/api/v1/workflows/{namespace}", {"workflow": workflow})
    return metadata.name(answer)


def _ended(argo: PipelinesApi, namespace: str, name: str) -> Object:
    def look() -> Object:
        found = argo.get(f"/api/v1/workflows/{namespace}/{name}")
        return found if found["status"].get("finishedAt") else {}

    return eventually(look, 120)


def test_a_workflow_is_made_seen_kept_and_read(argo, namespace, shared_platform):
    where = f"/api/v1/workflows/{namespace}"
    name = _made(argo, namespace, {**SAYS, "archiveLogs": True})
    found = _ended(argo, namespace, name)
    assert found["status"]["phase"] == "Succeeded"
    assert metadata.labels(found)[kinds.CREATOR_LABEL]

    logged = argo.read(f"{where}/{name}/log?logOptions.container=main").body
    assert b'"content":"hello"' in logged
    assert argo.read(f"/artifacts/{namespace}/{name}/{name}/kept").body == b"kept\n"
    assert argo.read(f"/artifacts/{namespace}/{name}/{name}/main-logs").body == b"hello\n"
    assert argo.call("GET", f"/artifacts/{namespace}/{name}/{name}/other").status == 404

    only = argo.get(where, fields="items.metadata.name,items.status.phase")
    assert only["items"] == [{"metadata": {"name": name}, "status": {"phase": "Succeeded"}}]
    without = argo.get(f"{where}/{name}", fields="-status.nodes,spec")
    assert "nodes" not in without["status"]
    assert "spec" not in without

    kept = f"/api/v1/archived-workflows/{metadata.uid(found)}"
    eventually(lambda: argo.call("GET", kept).status == 200, 120)
    argo.delete(f"{where}/{name}")

    def gone() -> bool:
        try:
            shared_platform.call(shared_platform.client.get(kinds.WORKFLOWS, name, namespace))
        except errors.NotFoundError:
            return True
        return False

    eventually(gone, 120)
    assert argo.get(kept)["status"]["phase"] == "Succeeded"
    assert metadata.uid(argo.get(f"{where}/{name}")) == metadata.uid(found)
    listed = argo.get("/api/v1/archived-workflows", namespace=namespace)["items"]
    assert [metadata.name(each) for each in listed] == [name]
    phases = argo.get(
        "/api/v1/archived-workflows-label-values",
        namespace=namespace,
        **{"listOptions.labelSelector": kinds.PHASE_LABEL},
    )
    assert phases["items"] == ["Succeeded"]
    assert argo.read(f"/artifacts-by-uid/{metadata.uid(found)}/{name}/kept").body == b"kept\n"
    argo.delete(kept)
    assert argo.call("GET", f"{where}/{name}").status == 404


def test_workflows_wait_go_on_and_end_as_they_are_told(argo, namespace):
    where = f"/api/v1/workflows/{namespace}"
    resumed, stopped, held = (_made(argo, namespace, WAITS) for _ in range(3))
    for name in (resumed, stopped, held):

        def waits(name: str = name) -> bool:
            return bool(argo.get(f"{where}/{name}")["status"].get("nodes"))

        eventually(waits, 120)
    argo.call("PUT", f"{where}/{resumed}/resume", {})
    argo.call("PUT", f"{where}/{stopped}/stop", {"message": "enough"})
    assert _ended(argo, namespace, resumed)["status"]["phase"] == "Succeeded"
    assert _ended(argo, namespace, stopped)["status"]["phase"] == "Failed"
    assert argo.call("PUT", f"{where}/{held}/suspend", {}).body["spec"]["suspend"] is True
    argo.call("PUT", f"{where}/{held}/terminate", {})
    assert _ended(argo, namespace, held)["status"]["phase"] == "Failed"
    again = argo.call("PUT", f"{where}/{stopped}/suspend", {})
    assert (again.status, "completed" in again.body["message"]) == (400, True)


def test_templates_are_kept_and_submitted(argo, namespace):
    template = {"metadata": {"name": "says"}, "spec": SAYS}
    argo.post(f"/api/v1/workflow-templates/{namespace}", {"template": template})
    submit = {
        "resourceKind": "WorkflowTemplate",
        "resourceName": "says",
        "submitOptions": {"name": "said", "parameters": ["word=bye"], "labels": "a=b"},
    }
    made = argo.post(f"/api/v1/workflows/{namespace}/submit", submit)
    assert metadata.name(made) == "said"
    assert metadata.labels(made)[kinds.WORKFLOW_TEMPLATE_LABEL] == "says"
    _ended(argo, namespace, "said")
    logged = argo.read(f"/api/v1/workflows/{namespace}/said/log?grep=by").body
    assert b'"content":"bye"' in logged
    wrong = argo.call(
        "POST", f"/api/v1/workflows/{namespace}/submit", {**submit, "resourceKind": "Pod"}
    )
    assert (wrong.status, "want one of workflowtemplate" in wrong.body["message"]) == (400, True)


def test_events_begin_what_bindings_say(argo, namespace, shared_platform):
    template = {"metadata": {"name": "says"}, "spec": SAYS}
    argo.post(f"/api/v1/workflow-templates/{namespace}", {"template": template})
    binding = {
        "metadata": {"name": "on-push", "namespace": namespace},
        "spec": {
            "event": {"selector": "payload.branch == 'main' && discriminator == 'push'"},
            "submit": {
                "workflowTemplateRef": {"name": "says"},
                "arguments": {
                    "parameters": [{"name": "word", "valueFrom": {"event": "payload.by"}}]
                },
            },
        },
    }
    shared_platform.call(shared_platform.client.create(kinds.EVENT_BINDINGS, binding))
    where = f"/api/v1/events/{namespace}/push"
    argo.post(where, {"branch": "other", "by": "nobody"})
    assert argo.get(f"/api/v1/workflows/{namespace}")["items"] is None
    argo.post(where, {"branch": "main", "by": "somebody"})
    (made,) = argo.get(f"/api/v1/workflows/{namespace}")["items"]
    parameters = made["spec"]["arguments"]["parameters"]
    assert parameters == [{"name": "word", "value": "somebody"}]


def test_what_proves_a_front_is_not_seen_by_bindings(argo, namespace, shared_platform):
    """Who knows it can call as anybody; bindings are written by whoever may write some in a namespace."""
    template = {"metadata": {"name": "says"}, "spec": SAYS}
    argo.post(f"/api/v1/workflow-templates/{namespace}", {"template": template})
    word = {"name": "word", "valueFrom": {"event": "join(sort(keys(metadata)), ' ')"}}
    submit = {"workflowTemplateRef": {"name": "says"}, "arguments": {"parameters": [word]}}
    binding = {
        "metadata": {"name": "curious", "namespace": namespace},
        "spec": {"event": {"selector": "true"}, "submit": submit},
    }
    shared_platform.call(shared_platform.client.create(kinds.EVENT_BINDINGS, binding))
    argo.post(f"/api/v1/events/{namespace}/push", {})
    (made,) = argo.get(f"/api/v1/workflows/{namespace}")["items"]
    seen = made["spec"]["arguments"]["parameters"][0]["value"]
    assert callers.PROOF.lower() not in seen
    assert callers.USER.lower() not in seen


def test_what_is_wrong_is_said(argo, namespace):
    where = f"/api/v1/workflows/{namespace}"
    broken = {"metadata": {"generateName": "a-"}, "spec": {"entrypoint": "none", "templates": []}}
    for path in (f"{where}/lint", where):
        answer = argo.call("POST", path, {"workflow": broken})
        assert answer.status == 400
        assert "none" in answer.body["message"]
    assert argo.call("POST", where, {"workflow": "x"}).body["code"] == 3
    elsewhere = {"metadata": {"name": "a", "namespace": "other"}, "spec": SAYS}
    assert argo.call("POST", where, {"workflow": elsewhere}).status == 400
    assert argo.call("GET", where, **{"listOptions.limit": "many"}).status == 400
    assert argo.call("GET", where, nameFilter="Like").status == 400
    assert argo.call("GET", f"{where}/none").status == 404
    assert argo.call("PATCH", where, {}).status == 405


def test_limits_in_the_database_are_set_and_hold(argo, namespace):
    where = f"/api/v1/sync/{namespace}"
    limit = {"type": "DATABASE", "key": "gpus", "limit": 1}
    synchronization = {"semaphores": [{"database": {"key": "gpus"}}]}
    mutex = {"mutexes": [{"name": "gpus", "database": True}]}
    nowhere = _ended(
        argo, namespace, _made(argo, namespace, {**WAITS, "synchronization": synchronization})
    )
    assert "the database has no limit 'gpus'" in nowhere["status"]["message"]
    assert argo.post(where, limit) == {"namespace": namespace, **limit}
    assert argo.call("POST", where, limit).status == 409
    assert argo.get(f"{where}/gpus", type="DATABASE")["limit"] == 1
    assert argo.call("PUT", f"{where}/other", limit).status == 404
    assert argo.call("POST", where, {**limit, "type": "FILE"}).status == 400
    viewer = argo.call("PUT", f"{where}/gpus", limit, user=f"view-{namespace}")
    assert viewer.status == 403

    def waits(name: str, why: str) -> bool:
        status = argo.get(f"/api/v1/workflows/{namespace}/{name}").get("status") or {}
        return why in status.get("message", "") if why else bool(status.get("nodes"))

    first = _made(argo, namespace, {**WAITS, "synchronization": {**synchronization, **mutex}})
    eventually(lambda: waits(first, ""), 120)
    second = _made(argo, namespace, {**WAITS, "synchronization": synchronization})
    eventually(lambda: waits(second, f"Waiting for {namespace}/Database/gpus lock"), 120)
    argo.call("PUT", f"{where}/gpus", {**limit, "limit": 2})
    eventually(lambda: waits(second, ""), 120)
    held = argo.get(f"/api/v1/workflows/{namespace}/{first}")["status"]["synchronization"]
    assert held["mutex"]["holding"][0]["mutex"] == f"{namespace}/DatabaseMutex/gpus"
    argo.call("DELETE", f"{where}/gpus?type=DATABASE")
    assert argo.call("GET", f"{where}/gpus", type="DATABASE").status == 404


def _calls() -> list[tuple[str, str]]:
    """Return all calls that are about something of a namespace."""
    return sorted((http, path) for http, path in hosting.ROUTES if "namespace" in path)


@pytest.mark.parametrize(("http", "path"), _calls())
def test_nobody_sees_or_changes_what_is_anothers(argo, namespace, http, path):
    where = path.replace("{namespace:[^/]*}", namespace)
    for name in ("name", "pod", "node", "artifact", "key", "discriminator:[^/]*"):
        where = where.replace(f"{{{name}}}", "some")
    where = where.replace("{namespace}", namespace).replace("{kind}", "workflow")
    where = where.replace("{side}", "outputs")
    told = argo.call(http, where, {"workflow": {"metadata": {}, "spec": {}}}, user="stranger")
    assert told.status == 403, told
    if http != "GET":
        viewer = argo.call(http, where, {}, user=f"view-{namespace}")
        assert viewer.status == 403, viewer


def test_kept_workflows_of_others_are_as_if_there_were_none(argo, namespace):
    found = _ended(argo, namespace, _made(argo, namespace, SAYS))
    where = "/api/v1/archived-workflows"
    eventually(lambda: argo.call("GET", f"{where}/{metadata.uid(found)}").status == 200, 120)
    answers = [
        argo.call(http, f"{where}/{uid}{rest}", {}, user="stranger")
        for uid in (metadata.uid(found), "11111111-1111-1111-1111-111111111111")
        for http, rest in (("GET", ""), ("DELETE", ""), ("PUT", "/retry"), ("PUT", "/resubmit"))
    ]
    assert {each.status for each in answers} == {404}
    mine = argo.call("GET", where, user=f"view-{namespace}", namespace=namespace)
    assert len(mine.body["items"]) == 1
    assert argo.call("GET", where, user=f"view-{namespace}").status == 403
    deletes = argo.call("DELETE", f"{where}/{metadata.uid(found)}", user=f"view-{namespace}")
    assert deletes.status == 403


_KEYS = st.sampled_from("abc")
_JSON = st.recursive(
    st.integers(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner)
)


@given(_JSON, st.lists(st.lists(_KEYS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_fields_that_are_chosen_and_those_that_are_left_out_are_all(value, paths):
    text = ",".join(".".join(path) for path in paths)
    chosen, left = Fields(text).of(value), Fields(f"-{text}").of(value)
    assert _leaves(chosen) | _leaves(left) == _leaves(value)
    assert Fields("").of(value) == value


def _leaves(value: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the paths of what is no map, lists left out."""
    if isinstance(value, dict):
        return {leaf for key, each in value.items() for leaf in _leaves(each, (*path, key))}
    if isinstance(value, list):
        return {leaf for each in value for leaf in _leaves(each, path)}
    return {path}


def test_a_browser_sends_its_token_in_a_cookie_among_others(argo, namespace, shared_platform):
    asked = {"metadata": {"namespace": namespace}, "spec": {"expirationSeconds": 3600}}

    def token() -> str:
        made = shared_platform.client.create(
            core.SERVICE_ACCOUNTS, asked, subresource="token", name="default"
        )
        with contextlib.suppress(errors.NotFoundError):  # it is made a moment after its namespace
            return str(shared_platform.call(made)["status"]["token"])
        return ""

    service = shared_platform.call(
        shared_platform.client.get(core.SERVICES, serving.NAME, serving.NAMESPACE)
    )
    server = f"http://{service['spec']['clusterIP']}:2746"
    assert urllib3.request("GET", f"{server}/oauth2/redirect").status == 501
    url = f"{server}/api/v1/userinfo"
    cookie = f"authorization=other; authorization=Bearer {eventually(token)}; authorization=more"
    told = urllib3.request("GET", url, headers={"Cookie": cookie})
    assert (told.status, told.json()["serviceAccountName"]) == (200, "default")
    assert told.headers["Grpc-Metadata-Argo-Version"]
    refused = urllib3.request("GET", url, headers={"Authorization": "Bearer x", "Cookie": cookie})
    assert refused.status == 401
    assert "Grpc-Metadata-Argo-Version" not in refused.headers
    # Other sites have browsers send the cookie, too, and may not change anything by that.
    changes = f"{server}/api/v1/workflows/{namespace}"
    body = json.dumps({"workflow": {"metadata": {"name": "mine"}, "spec": {}}})

    def status(**said: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in said.items()}
        kind = {"Cookie": cookie, "Content-Type": "text/plain"}
        return urllib3.request("POST", changes, body=body, headers={**kind, **headers}).status

    for foreign in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": server},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
    ):
        assert status(**foreign) == 401, foreign
    for own in ({}, {"Origin": server}, {"Sec_Fetch_Site": "same-origin", "Origin": "http://x"}):
        assert status(**own) == 403, own


def test_what_is_only_looked_at_has_no_uid(argo, namespace):
    where, workflow = f"/api/v1/workflows/{namespace}", {"metadata": {"name": "dry"}, "spec": SAYS}
    dry = argo.post(where, {"workflow": workflow, "createOptions": {"dryRun": ["All"]}})
    assert not {"uid", "creationTimestamp"} & {*dry["metadata"]}
    assert argo.call("GET", f"{where}/dry").status == 404


def test_workflows_say_when_they_are_kept_and_are_chosen_by_fields(argo, namespace):
    name = _made(argo, namespace, SAYS)

    def label() -> str:
        found = argo.get(f"/api/v1/workflows/{namespace}/{name}")
        return metadata.labels(found).get(kinds.ARCHIVING_LABEL, "")

    eventually(lambda: label() == "Archived", 120)
    [listed] = argo.get(f"/api/v1/workflows/{namespace}")["items"]
    assert metadata.labels(listed)[kinds.ARCHIVING_LABEL] == "Persisted"

    def chosen(selector: str, **more: str) -> list[str]:
        given = {"listOptions.fieldSelector": selector, "namespace": namespace, **more}
        found = argo.get("/api/v1/archived-workflows", **given)["items"]
        return [metadata.name(each) for each in found or ()]

    assert chosen("metadata.name=made", nameFilter="Contains") == [name]
    assert chosen("metadata.name=made", nameFilter="Exact") == []
    assert chosen(f"metadata.name!={name}") == []
    assert chosen("metadata.name=made", nameFilter="Prefix", namePrefix="other") == []
    assert chosen(f"metadata.namespace={namespace},spec.startedAt>2001-01-01T00:00:00Z") == [name]
    assert chosen("spec.startedAt<2001-01-01T00:00:00Z") == []
    for wrong in ("spec.startedAt>then", "status.phase=Failed", "metadata.name>a"):
        asked = {"listOptions.fieldSelector": wrong}
        assert argo.call("GET", "/api/v1/archived-workflows", **asked).status == 400
    everywhere = argo.get(
        "/api/v1/workflows/", **{"listOptions.fieldSelector": f"metadata.namespace!={namespace}"}
    )
    assert name not in [metadata.name(each) for each in everywhere["items"] or ()]


def test_a_selector_that_is_no_text_is_told(argo, namespace, shared_platform):
    binding = {
        "metadata": {"name": "odd", "namespace": namespace},
        "spec": {"event": {"selector": True}},
    }
    shared_platform.call(shared_platform.client.create(kinds.EVENT_BINDINGS, binding))
    assert argo.call("POST", f"/api/v1/events/{namespace}/", {}).status == 400
