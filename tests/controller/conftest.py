"""A tiny API in memory, so that the loop is tested without the server that stands on it."""

import asyncio
import copy
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.objects import errors, requests
from wherry.objects.requests import Object, WatchEvent
from wherry.testing.clock import FakeClock

Key = tuple[str, str, str]


class TinyApi:
    """Objects, one revision counter, a history, and faults on demand. Conforms to `Transport`."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.revision = 100
        self.history: list[tuple[int, str, WatchEvent]] = []
        self.oldest = 0
        self.down = False
        self.refuse: Callable[[requests.Request], None] = lambda _: None
        self.requests: list[requests.Request] = []
        self.watchers = 0
        self.watch_lag_seconds = 0.0
        self._changed = asyncio.Condition()
        self._epoch = 0

    async def send(self, request: requests.Request) -> Object:
        await asyncio.sleep(0)
        self._check()
        self.requests.append(request)
        self.refuse(request)
        answer: Object = await getattr(self, f"_{request.verb}")(request)
        return copy.deepcopy(answer)

    def chunks(self, request: requests.Request) -> AsyncIterator[bytes]:
        raise errors.not_found(request.resource.plural, str(request.name))

    async def watch(self, request: requests.Request) -> AsyncIterator[WatchEvent]:
        await asyncio.sleep(0)
        self._check()
        since = int(request.options["resourceVersion"])
        if since < self.oldest:
            raise errors.GoneError("too old resource version")
        if since > self.revision:
            raise errors.ServerTimeoutError("Too large resource version")
        epoch, position = self._epoch, 0
        self.watchers += 1
        try:
            while epoch == self._epoch:
                while position < len(self.history):
                    revision, key, event = self.history[position]
                    position += 1
                    if revision > since and key == request.resource.key:
                        if self.watch_lag_seconds:
                            await asyncio.sleep(self.watch_lag_seconds)
                        yield copy.deepcopy(event)
                async with self._changed:
                    if epoch == self._epoch and position == len(self.history):
                        await self._changed.wait()
        finally:
            self.watchers -= 1
        if self.down:
            raise errors.ServiceUnavailableError("the connection was lost")

    async def close(self) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        """End every watch."""
        async with self._changed:
            self._epoch += 1
            self._changed.notify_all()

    async def compact(self) -> None:
        """Forget the history, and end every watch."""
        self.oldest = self.revision
        await self.hang_up()

    def put(self, resource: Any, obj: Object) -> None:
        """Place an object without an event, as if it had always been there."""
        obj = copy.deepcopy(obj)
        obj["metadata"].setdefault("uid", str(uuid.uuid4()))
        obj["metadata"]["resourceVersion"] = self._next()
        fields = obj["metadata"]
        self.objects[resource.key, fields.get("namespace", ""), fields["name"]] = obj

    def _check(self) -> None:
        if self.down:
            raise errors.ServiceUnavailableError("nobody answers")

    def _next(self) -> str:
        self.revision += 1
        return str(self.revision)

    def _key(self, request: requests.Request) -> Key:
        name = request.name or request.body["metadata"]["name"]
        return (request.resource.key, request.namespace or "", name)

    def _there(self, request: requests.Request) -> Object:
        key = self._key(request)
        if key not in self.objects:
            raise errors.not_found(request.resource.plural, key[2])
        return self.objects[key]

    async def _store(self, kind: Any, key: Key, obj: Object) -> Object:
        obj["metadata"]["resourceVersion"] = self._next()
        if kind == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = obj
        async with self._changed:
            self.history.append((self.revision, key[0], WatchEvent(kind, copy.deepcopy(obj))))
            self._changed.notify_all()
        return obj

    async def _get(self, request: requests.Request) -> Object:
        return self._there(request)

    async def _list(self, request: requests.Request) -> Object:
        items = [
            {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}
            for key, obj in sorted(self.objects.items())
            if key[0] == request.resource.key and request.namespace in (None, key[1])
        ]
        start = int(request.options.get("continue", 0))
        end = start + int(request.options.get("limit", len(items) or 1))
        metadata = {"resourceVersion": str(self.revision)}
        if end < len(items):
            metadata["continue"] = str(end)
        return {"kind": "List", "metadata": metadata, "items": items[start:end]}

    async def _create(self, request: requests.Request) -> Object:
        key = self._key(request)
        if key in self.objects:
            raise errors.already_exists(request.resource.plural, key[2])
        obj = copy.deepcopy(request.body)
        obj["metadata"]["uid"] = str(uuid.uuid4())
        return await self._store("ADDED", key, obj)

    async def _update(self, request: requests.Request) -> Object:
        there, obj = self._there(request), copy.deepcopy(request.body)
        self._match(request, there, obj["metadata"].get("resourceVersion"))
        if request.subresource == "status":
            obj = {**there, "metadata": {**there["metadata"]}, "status": obj.get("status")}
        obj["metadata"]["uid"] = there["metadata"]["uid"]
        return await self._store("MODIFIED", self._key(request), obj)

    async def _patch(self, request: requests.Request) -> Object:
        there = self._there(request)
        version = request.body.get("metadata", {}).get("resourceVersion")
        self._match(request, there, version)
        return await self._store("MODIFIED", self._key(request), _merge(there, request.body))

    async def _delete(self, request: requests.Request) -> Object:
        there = copy.deepcopy(self._there(request))
        uid = ((request.body or {}).get("preconditions") or {}).get("uid")
        if uid not in (None, there["metadata"]["uid"]):
            raise errors.conflict(request.resource.plural, str(request.name), "uid")
        await self._store("DELETED", self._key(request), there)
        return {"kind": "Status", "details": {"uid": there["metadata"]["uid"]}}

    def _match(self, request: requests.Request, there: Object, version: str | None) -> None:
        if version not in (None, there["metadata"]["resourceVersion"]):
            raise errors.conflict(request.resource.plural, there["metadata"]["name"])


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


@pytest.fixture
def api() -> TinyApi:
    return TinyApi()


@pytest.fixture
def client(api: TinyApi) -> Client:
    return Client(api)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    async def wait(condition: Callable[[], Any], seconds: float = 60) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.002)

    return wait
