"""What products change in new pods: it is held to the same rules as what a webhook changes."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wherry.apiserver.server import Extensions
from wherry.client.client import Client
from wherry.embedded import in_memory
from wherry.objects import errors, kinds
from wherry.objects.copies import copied
from wherry.objects.declared.kind import Reference
from wherry.objects.declared.pods import PodHook
from wherry.testing import builders

DONE = "example.org/done"


@contextlib.asynccontextmanager
async def adding(container: dict[str, Any]) -> AsyncIterator[Client]:
    """Give a client of an API whose pods get a container where there is a ConfigMap ``more``."""

    def change(pod: Any, _: Any) -> Any:
        made = copied(pod)
        made["metadata"].setdefault("labels", {})[DONE] = ""
        made["spec"]["containers"].append(container)
        return made

    hook = PodHook(
        labels=(DONE,),
        namespaces=(),
        done=DONE,
        references=lambda pod: [Reference(kinds.CONFIG_MAPS, "more", pod["metadata"]["namespace"])],
        change=change,
    )
    async with in_memory.api(extensions=Extensions(pod_hooks=[hook])) as server:
        client = Client(server.transport(in_memory.ADMIN))
        await client.create(kinds.NAMESPACES, builders.namespace("default"))
        yield client


async def make(client: Client, *, wanted: bool = True) -> Any:
    if wanted:
        about = {"name": "more", "namespace": "default"}
        await client.create(kinds.CONFIG_MAPS, {"metadata": about})
    pod = builders.pod("p", containers=[builders.container("main")])
    pod["metadata"]["namespace"] = "default"
    return await client.create(kinds.PODS, pod)


async def test_what_comes_in_has_defaults_and_nothing_unknown() -> None:
    added = {"name": "more", "image": "i", "ports": [{"containerPort": 80}], "nothing": 1}
    async with adding(added) as client:
        made = await make(client)
    container = made["spec"]["containers"][1]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert "nothing" not in container


@pytest.mark.parametrize(
    ("field", "value"), [("args", "one"), ("ports", [{}]), ("ports", [{"containerPort": 0}])]
)
async def test_what_is_no_pod_is_not_stored(field: str, value: Any) -> None:
    async with adding({"name": "more", "image": "i", field: value}) as client:
        with pytest.raises((errors.InvalidError, errors.BadRequestError), match=field):
            await make(client)
        assert not (await client.list(kinds.PODS)).items


async def test_pods_without_what_it_depends_on_stay_as_they_are() -> None:
    async with adding({"name": "more", "image": "i"}) as client:
        made = await make(client, wanted=False)
    assert [each["name"] for each in made["spec"]["containers"]] == ["main"]
