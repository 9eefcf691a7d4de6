"""The clients of Argo Workflows, unchanged: `hera` and `argo-workflows`."""

import contextlib

import pytest

from wherry.objects import errors, kinds
from wherry.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def address(shared_platform):
    """Where Argo's server answers, as one on this machine reaches it."""

    def service():
        found = shared_platform.call(shared_platform.client.list(kinds.SERVICES, "argo"))
        return next((e for e in found if e["metadata"]["name"] == "argo-server"), None)

    return f"http://{eventually(service, 30)['spec']['clusterIP']}:2746"


@pytest.fixture
def token(shared_platform, namespace):
    """A token of an account that may do everything."""
    role = {"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {
        "metadata": {"name": namespace},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        "roleRef": role,
    }
    shared_platform.call(shared_platform.client.create(kinds.CLUSTER_ROLE_BINDINGS, binding))
    request = {"metadata": {"namespace": namespace}, "spec": {"expirationSeconds": 3600}}

    def told():
        made = shared_platform.client.create(
            kinds.SERVICE_ACCOUNTS, request, subresource="token", name="default"
        )
        with contextlib.suppress(errors.NotFoundError):  # it is made a moment after its namespace
            return shared_platform.call(made)["status"]["token"]

    yield eventually(told, 30)
    shared_platform.call(shared_platform.client.delete(kinds.CLUSTER_ROLE_BINDINGS, namespace))


def test_a_day_with_hera(workflow_programs, address, token):
    told = workflow_programs.run("hera_day", address, token, seconds=500)

    phase, results, pods = told["diamond"]
    assert (phase, pods) == ("Succeeded", 4)
    assert results == {"first": "2", "left": "4", "right": "4", "last": "8"}
    assert told["loops"] == ["Succeeded", ["all(0:a)", "all(1:b)", "all(2:c)"]]
    assert told["waiting"] == "Succeeded"
    assert told["again"] == ["Failed", "Failed", "Failed"]
    assert told["ending"] == ["Failed", "Failed"]
    assert told["kept"] == [["doubles"], ["100"], None]
    assert told["shared"].startswith("cluster-")
    assert told["scheduled"] == [True, False]
    assert told["limited"] == 3
    assert told["archived"]
    assert told["listed"]
    assert told["version"].startswith("v")


def test_a_day_with_the_generated_sdk(workflow_programs, address, token):
    told = workflow_programs.run("argo_sdk_day", address, token, seconds=300)

    assert told["phases"] == ["Succeeded", "Succeeded"]
    assert told["listed"] == told["made"] == told["kept"]
    assert told["templates"] is None
    assert told["user"] == "default"
