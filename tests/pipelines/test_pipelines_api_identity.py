"""Who calls: what callers write into headers is not believed, whatever way they come."""

import json
import urllib.error
import urllib.request

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines.api.access import NOBODY, User
from wherry.pipelines.api.identity import AUDIENCE, Identity
from wherry.testing.waiting import eventually

SECRET = "known to the front alone"
ADMIN = {
    "X-Remote-User": "admin",
    "X-Remote-Group": "system:masters",
    "kubeflow-userid": "admin",
    "X-Wherry-Front": "guessed",
}


@pytest.fixture
def direct(shared_platform):
    """Return what asks the service without the API server between; gives status and body."""
    client, call = shared_platform.client, shared_platform.call

    def found():
        services = call(client.list(core.SERVICES, "kubeflow"))
        return next((e for e in services if metadata.name(e) == "ml-pipeline"), None)

    address = eventually(found)["spec"]["clusterIP"]

    def ask(path, method="GET", **headers):
        url = f"http://{address}:8888/apis/v2beta1{path}"
        request = urllib.request.Request(url, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    return ask


@pytest.fixture
def account(shared_platform, runs):
    """Return what makes tokens of an account that may look into the namespace of the test."""
    call, client = shared_platform.call, shared_platform.client
    made = {"metadata": {"name": "a", "namespace": runs.namespace}}
    role = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "ServiceAccount", "name": "a", "namespace": runs.namespace}
    call(client.create(core.SERVICE_ACCOUNTS, made))
    call(client.create(core.ROLE_BINDINGS, {**made, "roleRef": role, "subjects": [subject]}))

    def token(*audiences):
        asked = {**made, "spec": {"audiences": [*audiences]}}
        answer = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
        return answer["status"]["token"]

    return token


def test_headers_that_anybody_can_write_are_nobodys(api, direct, runs):
    path = f"/runs?namespace={runs.namespace}"
    status, body = direct(path, **ADMIN)
    assert (status, body["code"]) == (401, 16)
    assert direct("/healthz", **ADMIN)[0] == 200
    assert direct("/pipelines/upload", method="POST", **ADMIN)[0] == 401
    # The API server says who calls, and takes away what the caller has said.
    there = {"namespace": runs.namespace}
    assert api.call("GET", "/runs", user="mallory", headers=ADMIN, **there).status == 403
    told = api.call("GET", "/runs", user="mallory", headers=ADMIN, **there).body["message"]
    assert "'mallory'" in told
    assert api.call("GET", "/runs", headers={"X-Remote-User": "mallory"}, **there).status == 200


def test_tokens_say_who_calls(direct, account, runs):
    path = f"/runs?namespace={runs.namespace}"
    for audiences in ((AUDIENCE,), ()):
        bearer = f"Bearer {account(*audiences)}"
        assert direct(path, Authorization=bearer)[0] == 200
        assert direct("/runs?namespace=default", Authorization=bearer)[0] == 403
        # A token wins over what else is said.
        assert direct("/runs?namespace=default", Authorization=bearer, **ADMIN)[0] == 403
    for wrong in (
        f"Bearer {account('somebody.else')}",
        f"Bearer {account(AUDIENCE)}x",
        f"Basic {account(AUDIENCE)}",
        "Bearer",
        "Bearer a b",
    ):
        status, body = direct(path, Authorization=wrong)
        assert (status, body["code"]) == (401, 16), wrong
        assert wrong.split()[-1] not in body["message"] or wrong == "Bearer"


async def test_a_front_that_proves_itself_is_believed(shared_platform):
    identity = Identity(shared_platform.client, SECRET)

    async def user(*headers):
        return await identity.user(CIMultiDictProxy(CIMultiDict(headers)))

    proof = ("X-Wherry-Front", SECRET)
    everybody = "system:authenticated"
    assert await user(proof, ("kubeflow-userid", "anna")) == User("anna", (everybody,))
    groups = (("X-Remote-Group", "a"), ("X-Remote-Group", "b"))
    assert await user(proof, ("X-Remote-User", "anna"), *groups) == User("anna", ("a", "b"))
    assert await user(proof) == NOBODY
    assert await user(("X-Wherry-Front", SECRET[:-1]), ("X-Remote-User", "anna")) == NOBODY
    assert await user(("X-Wherry-Front", ""), ("X-Remote-User", "anna")) == NOBODY
