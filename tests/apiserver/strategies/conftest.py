"""A real registry state, and writes as the registry makes them but for schema and store."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wherry.apiserver import allocators, strategies
from wherry.apiserver.core import Core
from wherry.apiserver.identity import User
from wherry.apiserver.resources import ResourceMap
from wherry.apiserver.strategy import Context, Strategy
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.store import Key, Store

UID = "0a1b2c3d-0000-4000-8000-000000000001"


class Writer:
    """Puts objects through a kind's strategy."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def context(self, resource: Resource, **extra: Any) -> Context:
        user = User("ann", groups=("system:authenticated",))
        return Context(
            resource=resource,
            user=user,
            lookup=self.core,
            cluster_ips=self.core.cluster_ips,
            node_ports=self.core.node_ports,
            clock=self.core.clock,
            **extra,
        )

    def strategy(self, resource: Resource) -> Strategy:
        return strategies.BUILTIN[resource.key]

    def default(self, resource: Resource, obj: Object) -> Object:
        obj = _complete(resource, obj)
        self.strategy(resource).default(obj)
        return obj

    def create(self, resource: Resource, obj: Object, **extra: Any) -> tuple[Object, list[Cause]]:
        obj = self.default(resource, obj)
        context = self.context(resource, **extra)
        self.strategy(resource).prepare_create(obj, context)
        return obj, self.strategy(resource).validate(obj, None, context)

    def good(self, resource: Resource, obj: Object) -> Object:
        created, found = self.create(resource, obj)
        assert found == []
        return created

    def update(
        self, resource: Resource, obj: Object, old: Object, **extra: Any
    ) -> tuple[Object, list[Cause]]:
        obj = copy.deepcopy(obj)
        before = copy.deepcopy(old)
        context = self.context(resource, **extra)
        strategy = self.strategy(resource)
        strategy.default(obj)
        strategy.prepare_update(obj, old, context)
        found = strategy.validate(obj, old, context)
        assert old == before, "the stored object was changed"
        return obj, found

    def release(self, resource: Resource, obj: Object) -> None:
        self.strategy(resource).release(obj, self.context(resource))

    async def store(self, resource: Resource, obj: Object) -> None:
        meta = obj["metadata"]
        place = meta.get("namespace", "") if resource.namespaced else ""
        await self.core.store.create(Key(resource.key, place, meta["name"]), obj)


def _complete(resource: Resource, obj: Object) -> Object:
    obj = copy.deepcopy(obj)
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    meta = obj["metadata"] = {"name": "thing", "uid": UID, **(obj.get("metadata") or {})}
    if resource.namespaced:
        meta.setdefault("namespace", "default")
    return obj


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    store = Store.in_memory()
    await store.start()
    resources = ResourceMap.of_builtin(strategies.BUILTIN)
    yield Writer(Core(store, resources, allocators.ClusterIPs(), allocators.NodePorts()))
    await store.close()
