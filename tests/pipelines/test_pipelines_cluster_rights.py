"""What the account of the controllers may do on a cluster for the pipelines service, and that it is enough."""

import contextlib
import dataclasses

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.cluster import registration
from wherry.controller.surroundings import Surroundings
from wherry.metadata.artifacts import defaults, providers
from wherry.metadata.records import Artifact
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import kinds, product
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.contents.signing import Signer
from wherry.pipelines.definitions.kinds import SHARED
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

SYSTEM = "wherry-system"
TEAM = "team"
STORE = "gs: {default: {credentials: {fromEnv: false, secretRef: {secretName: NAME, tokenKey: t}}}}"


@pytest.fixture
def account(platform: InProcessPlatform) -> InProcessPlatform:
    """Give a platform on which the access that we ship has been granted."""
    call, client = platform.call, platform.client
    for obj in registration.access((product.COMPONENT,), SYSTEM):
        resource = core.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        # Ours are there already, for here we are the cluster.
        with contextlib.suppress(errors.AlreadyExistsError):
            call(client.create(resource, obj))
    call(client.create(core.NAMESPACES, {"metadata": {"name": TEAM}}))
    return platform


def client_of(platform: InProcessPlatform) -> Client:
    """Return a client that calls as the account."""
    request = {"metadata": {"namespace": SYSTEM}, "spec": {"expirationSeconds": 3600}}
    made = platform.client.create(
        core.SERVICE_ACCOUNTS, request, subresource="token", name=registration.NAME
    )
    token = platform.call(made)["status"]["token"]
    shown = dataclasses.replace(
        platform.connection, client_certificate=None, client_key=None, token=token
    )
    return Client(HttpTransport(shown))


def may(platform: InProcessPlatform, **wanted: str) -> bool:
    """Return whether the account may do something with Secrets."""
    spec = {
        "user": f"system:serviceaccount:{SYSTEM}:{registration.NAME}",
        "resourceAttributes": {"resource": "secrets", **wanted},
    }
    made = platform.client.create(core.SUBJECT_ACCESS_REVIEWS, {"spec": spec})
    return bool(platform.call(made)["status"]["allowed"])


def test_of_secrets_it_may_read_two_names_and_make_its_own(account):
    for namespace in (TEAM, SHARED, SYSTEM, "default"):
        for verb in ("list", "watch", "update", "patch", "delete"):
            assert not may(account, verb=verb, namespace=namespace), (verb, namespace)
        assert not may(account, verb="get", namespace=namespace)
        assert not may(account, verb="get", namespace=namespace, name="other")
        assert may(account, verb="get", namespace=namespace, name=defaults.SECRET)
        own = namespace in (SHARED, SYSTEM)
        assert may(account, verb="create", namespace=namespace) is own, namespace
    assert may(account, verb="get", namespace=SHARED, name=kinds.URLS_SECRET)
    assert not may(account, verb="get", namespace=TEAM, name=kinds.URLS_SECRET)


async def _refusal(contents: Contents, artifact: Artifact) -> str:
    with pytest.raises(errors.BadRequestError) as caught:
        await contents.open(artifact)
    return caught.value.message


def test_it_signs_and_reads_a_namespaces_keys_where_that_lets_it(account):
    call, admin = account.call, account.client
    client = client_of(account)
    call(Signer(client, SHARED).sign(Artifact(id=1, namespace=TEAM, uri="s3://b/x"), 1))
    for name in (defaults.SECRET, "own"):
        body = {"metadata": {"name": name, "namespace": TEAM}, "stringData": {"t": "no JSON"}}
        call(admin.create(core.SECRETS, body))
    contents = Contents(client, Surroundings(), None)
    artifact = Artifact(id=7, namespace=TEAM, uri="gs://bucket/x")

    def told(name: str) -> str:
        head = {"name": providers.CONFIG_MAP, "namespace": TEAM}
        data = {"providers": STORE.replace("NAME", name)}
        with contextlib.suppress(errors.NotFoundError):
            call(admin.delete(core.CONFIG_MAPS, providers.CONFIG_MAP, TEAM))
        call(admin.create(core.CONFIG_MAPS, {"metadata": head, "data": data}))
        return str(call(_refusal(contents, artifact)))

    assert "the account's token is no JSON" in told(defaults.SECRET)
    assert "may not read Secret own of namespace team; grant" in told("own")
    call(admin.create(core.ROLES, _role("own")))
    call(admin.create(core.ROLE_BINDINGS, _binding()))
    assert eventually(lambda: "the account's token is no JSON" in told("own"))
    call(client.close())


def _role(secret: str) -> Object:
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret]}
    head = {"name": "wherry-store", "namespace": TEAM}
    return {"metadata": head, "rules": [{**rule, "verbs": ["get"]}]}


def _binding() -> Object:
    group = core.ROLES.group
    return {
        "metadata": {"name": "wherry-store", "namespace": TEAM},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "wherry-store"},
        "subjects": [{"kind": "ServiceAccount", "name": registration.NAME, "namespace": SYSTEM}],
    }
