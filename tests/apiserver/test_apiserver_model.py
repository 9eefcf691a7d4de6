"""The API against a dictionary: whatever is done, list and watch tell the same story."""

import asyncio
from contextlib import aclosing
from typing import Any

import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wherry.apiserver.identity import Decision, User
from wherry.apiserver.server import ApiServer
from wherry.objects import errors, kinds
from wherry.objects.requests import Request
from wherry.store import Store

ADMIN = User("admin", groups=("system:masters",))
NAMES = st.sampled_from("abcd")
VALUES = st.integers(0, 3).map(str)


class Nobody:
    async def authenticate(self, headers: Any, peer_certificate: Any) -> Any:
        return None


class Nothing:
    def authorize(self, attributes: Any) -> Any:
        return Decision(False)


class ListAndWatch(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.model: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        self.selected: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.store = Store.in_memory()
        await self.store.start()
        self.server = ApiServer(self.store, authenticator=Nobody(), authorizer=Nothing())
        self.transport = self.server.transport(ADMIN)
        await self._send("create", None, {"metadata": {"name": "n"}}, resource=kinds.NAMESPACES)
        self.tasks = [
            asyncio.create_task(self._follow(self.seen, {})),
            asyncio.create_task(self._follow(self.selected, {"labelSelector": "v in (1,2)"})),
        ]

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.store.close()

    async def _follow(self, state: Any, options: Any) -> None:
        request = Request("watch", kinds.CONFIG_MAPS, namespace="n", options=options)
        last = 0
        async with aclosing(self.transport.watch(request)) as events:
            async for event in events:
                metadata = event.object["metadata"]
                version = int(metadata["resourceVersion"])
                assert version > last
                last = version
                if event.type == "DELETED":
                    del state[metadata["name"]]
                else:
                    assert (event.type == "ADDED") is (metadata["name"] not in state)
                    state[metadata["name"]] = metadata["labels"]["v"]

    async def _send(
        self,
        verb: Any,
        name: Any,
        body: Any = None,
        resource: Any = kinds.CONFIG_MAPS,
        **options: Any,
    ) -> Any:
        namespace = "n" if resource.namespaced else None
        request = Request(
            verb, resource, namespace=namespace, name=name, body=body, options=options
        )
        return await self.transport.send(request)

    def send(self, *arguments: Any, **options: Any) -> Any:
        return self.runner.run(self._send(*arguments, **options))

    @rule(name=NAMES, value=VALUES)
    def create(self, name: Any, value: Any) -> None:
        body = {"metadata": {"name": name, "labels": {"v": value}}}
        try:
            made = self.send("create", None, body)
        except errors.AlreadyExistsError:
            assert name in self.model
        else:
            assert name not in self.model
            self.model[name] = value
            self.versions[name] = made["metadata"]["resourceVersion"]

    @rule(name=NAMES, value=VALUES)
    def patch(self, name: Any, value: Any) -> None:
        try:
            made = self.send("patch", name, {"metadata": {"labels": {"v": value}}})
        except errors.NotFoundError:
            assert name not in self.model
        else:
            version = made["metadata"]["resourceVersion"]
            assert (version == self.versions[name]) is (self.model[name] == value)
            self.model[name] = value
            self.versions[name] = version

    @rule(name=NAMES, value=VALUES, stale=st.booleans())
    def update(self, name: Any, value: Any, stale: Any) -> None:
        version = self.versions.get(name, "1")
        body = {"metadata": {"name": name, "labels": {"v": value}}}
        body["metadata"]["resourceVersion"] = "1" if stale else version
        try:
            made = self.send("update", name, body)
        except errors.NotFoundError:
            assert name not in self.model
        except errors.ConflictError:
            assert stale
        else:
            self.model[name] = value
            self.versions[name] = made["metadata"]["resourceVersion"]

    @rule(name=NAMES)
    def delete(self, name: Any) -> None:
        try:
            self.send("delete", name)
        except errors.NotFoundError:
            assert name not in self.model
        else:
            del self.model[name]
            del self.versions[name]

    @rule(limit=st.integers(1, 3))
    def list_in_pages(self, limit: Any) -> None:
        found: dict[str, str] = {}
        token = ""
        while True:
            page = self.send("list", None, limit=str(limit), **{"continue": token})
            found |= {
                each["metadata"]["name"]: each["metadata"]["labels"]["v"] for each in page["items"]
            }
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert found == self.model

    @invariant()
    def watchers_agree(self) -> None:
        wanted = {name: value for name, value in self.model.items() if value in {"1", "2"}}

        async def settle() -> None:
            async with asyncio.timeout(60):
                while (self.seen, self.selected) != (self.model, wanted):
                    for task in self.tasks:
                        if task.done():
                            task.result()
                    await asyncio.sleep(0)

        self.runner.run(settle())


TestListAndWatch = ListAndWatch.TestCase
TestListAndWatch.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
