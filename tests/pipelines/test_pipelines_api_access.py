"""Who may do what in many namespaces at once."""

from collections.abc import AsyncIterator

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.pipelines.api.access import Access, User
from wherry.testing.counting import CountingTransport
from wherry.testing.in_process import InProcessPlatform

NAMESPACES = [f"many-{number}" for number in range(40)]
OPEN = NAMESPACES[::3]
RIGHT = {"resource": "runs", "verb": "get"}


@pytest.fixture
async def counting(shared_platform: InProcessPlatform) -> AsyncIterator[CountingTransport]:
    made = CountingTransport(HttpTransport(shared_platform.connection))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def anna(shared_platform: InProcessPlatform) -> User:
    """Give somebody who may view some namespaces."""
    call, client, group = shared_platform.call, shared_platform.client, core.ROLES.group
    for namespace in OPEN:
        binding = {
            "metadata": {"name": "anna", "namespace": namespace},
            "subjects": [{"kind": "User", "apiGroup": group, "name": "anna"}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        }
        call(client.create(core.NAMESPACES, {"metadata": {"name": namespace}}))
        call(client.create(core.ROLE_BINDINGS, binding))
    return User("anna")


async def test_many_namespaces_are_asked_about_at_once_but_not_all(
    counting: CountingTransport, anna: User
) -> None:
    access = Access(Client(counting))
    assert await access.allowed_in(anna, NAMESPACES, **RIGHT) == set(OPEN)
    assert counting.sent == len(NAMESPACES)
    assert 1 < counting.most <= 16
    assert await access.allowed_in(anna, (), **RIGHT) == set()


async def test_no_answer_is_no_permission(counting: CountingTransport, anna: User) -> None:
    counting.refuses = lambda request: f"'{OPEN[-1]}'" in str(request.body)
    access = Access(Client(counting))
    with pytest.raises(errors.ServiceUnavailableError):
        await access.allowed_in(anna, NAMESPACES, **RIGHT)
    counting.refuses = lambda _: False
    assert await access.allowed_in(anna, NAMESPACES, **RIGHT) == set(OPEN)
