"""Children, owners, status and finalizers, against the tiny API."""

from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller import differences, finalizers
from wherry.controller.apply import create_if_absent, create_or_update, delete_if_present
from wherry.controller.cache import Cache
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.owners import is_controlled_by, set_controller
from wherry.controller.status import write_status
from wherry.objects import errors, kinds
from wherry.objects.requests import Object


def service(**spec: Any) -> Object:
    metadata = {"name": "s", "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def owner(client: Client, name: str) -> Object:
    metadata = {"name": name, "namespace": "ns"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return await client.create(kinds.CONFIG_MAPS, obj)


async def test_created_then_left_alone_then_updated(api: Any, client: Client) -> None:
    desired = service(ports=[{"name": "web", "port": 80}], selector={"app": "a"})
    created = await create_or_update(client, None, kinds.SERVICES, desired)
    assert created.outcome == "created"
    # What a server adds is not a difference, and survives a change beside it.
    patch = {
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "web", "port": 80, "nodePort": 3}]}
    }
    await client.patch(kinds.SERVICES, "s", patch, "ns")
    writes = len(api.history)
    assert (await create_or_update(client, None, kinds.SERVICES, desired)).outcome == "unchanged"
    assert len(api.history) == writes
    changed = service(ports=[{"name": "web", "port": 81}], selector={"app": "a"})
    updated = await create_or_update(client, None, kinds.SERVICES, changed)
    assert updated.outcome == "updated"
    assert updated.object["spec"] == {
        "clusterIP": "10.0.0.1",
        "ports": [{"name": "web", "port": 81, "nodePort": 3}],
        "selector": {"app": "a"},
    }


async def test_anothers_child_is_not_touched(client: Client) -> None:
    mine, theirs = await owner(client, "mine"), await owner(client, "theirs")
    await create_or_update(client, None, kinds.SERVICES, set_controller(service(a=1), theirs))
    with pytest.raises(ForeignOwnerError, match="Service ns/s belongs to ConfigMap theirs"):
        await create_or_update(client, None, kinds.SERVICES, set_controller(service(a=2), mine))
    with pytest.raises(ForeignOwnerError):
        set_controller(set_controller(service(), theirs), mine)


async def test_nobodys_child_is_adopted_keeping_other_owners(client: Client) -> None:
    mine = await owner(client, "mine")
    plain = service()
    plain["metadata"]["ownerReferences"] = [{"uid": "x", "kind": "Node", "name": "n"}]
    await client.create(kinds.SERVICES, plain)
    applied = await create_or_update(client, None, kinds.SERVICES, set_controller(service(), mine))
    assert is_controlled_by(applied.object, mine)
    assert len(applied.object["metadata"]["ownerReferences"]) == 2


async def test_a_cache_that_is_behind_is_no_harm(client: Client) -> None:
    cache = Cache(kinds.SERVICES)
    stale = await client.create(kinds.SERVICES, service(a=1))
    assert (
        await create_if_absent(client, cache, kinds.SERVICES, service(a=1))
    ).outcome == "unchanged"
    cache.put(("ns", "s"), stale)
    await client.patch(kinds.SERVICES, "s", {"spec": {"b": 1}}, "ns")
    with pytest.raises(errors.ConflictError):
        await create_or_update(client, cache, kinds.SERVICES, service(a=2))


async def test_deleting_means_this_very_object(api: Any, client: Client) -> None:
    first = await client.create(kinds.SERVICES, service())
    await delete_if_present(client, kinds.SERVICES, first)
    await delete_if_present(client, kinds.SERVICES, first)
    await client.create(kinds.SERVICES, service())
    await delete_if_present(client, kinds.SERVICES, first)
    assert ("services", "ns", "s") in api.objects


async def test_status_is_written_once_and_only_when_it_changes(api: Any, client: Client) -> None:
    obj = await client.create(kinds.SERVICES, service())
    written = await write_status(client, kinds.SERVICES, obj, {"ready": 1})
    assert written["status"] == {"ready": 1}
    count = len(api.requests)
    assert await write_status(client, kinds.SERVICES, written, {"ready": 1}) is written
    assert len(api.requests) == count
    with pytest.raises(errors.ConflictError):
        await write_status(client, kinds.SERVICES, obj, {"ready": 2})


async def test_finalizers_hold_and_let_go(api: Any, client: Client) -> None:
    obj = await client.create(kinds.SERVICES, service())
    held = await finalizers.add_finalizer(client, kinds.SERVICES, obj, "wherry.dev/a")
    assert finalizers.has_finalizer(held, "wherry.dev/a")
    assert await finalizers.add_finalizer(client, kinds.SERVICES, held, "wherry.dev/a") is held
    free = await finalizers.remove_finalizer(client, kinds.SERVICES, held, "wherry.dev/a")
    assert not finalizers.has_finalizer(free, "wherry.dev/a")
    assert await finalizers.remove_finalizer(client, kinds.SERVICES, free, "wherry.dev/a") is free
    held["metadata"]["resourceVersion"] = None
    api.objects.clear()
    assert await finalizers.remove_finalizer(client, kinds.SERVICES, held, "wherry.dev/a") is held


@pytest.mark.parametrize(
    ("desired", "actual", "patch"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, {}),
        ({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, {"a": {"b": 1}}),
        ({"a": None}, {"a": 1}, {"a": None}),
        ({"a": None, "b": {}, "c": [], "d": ""}, {}, {}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, {}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 3, "c": 2}]}, {"a": [{"b": 1, "c": 2}]}),
        (
            {"a": [{"name": "y", "b": 1}, {"name": "x", "b": 1}]},
            {"a": [{"name": "x", "b": 1, "c": 2}, {"name": "y", "b": 1}]},
            {"a": [{"name": "y", "b": 1}, {"name": "x", "b": 1, "c": 2}]},
        ),
        ({"requests": {"cpu": "1000m"}}, {"requests": {"cpu": "1"}}, {}),
        ({"requests": {"cpu": "100m"}}, {"requests": {"cpu": "1"}}, {"requests": {"cpu": "100m"}}),
        ({"cpu": "1000m"}, {"cpu": "1"}, {"cpu": "1000m"}),
        ({"a": True}, {"a": 1}, {"a": True}),
        ({"a": {"b": 1}}, {"a": "text"}, {"a": {"b": 1}}),
        ({"status": {"a": 1}, "kind": "K"}, {}, {}),
        (
            {"metadata": {"labels": {"a": "", "b": None}}},
            {"metadata": {"labels": {"b": "x", "c": "y"}}},
            {"metadata": {"labels": {"a": "", "b": None}}},
        ),
    ],
)
def test_differences_are_of_what_is_named(desired: Object, actual: Object, patch: Object) -> None:
    assert differences.merge_patch(desired, actual) == patch
