"""Versions are listed without what they run, however large that is, and read one by one."""

import dataclasses
import gc
import json

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.objects import errors, metadata
from wherry.pipelines import product
from wherry.pipelines.definitions import kinds
from wherry.pipelines.definitions.index import Index
from wherry.pipelines.definitions.store import Definitions, Draft
from wherry.pipelines.ir.documents import Documents
from wherry.testing import played
from wherry.testing.counting import CountingTransport

LARGE = 200_000
COUNT = 45
"""More than two pages of what is too large for one."""


@pytest.fixture
async def world(tmp_path):
    """A world, and what returns the `Definitions` in it, which are others after a start."""
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    made = []

    def controllers(manager):
        pipelines = manager.cache(kinds.PIPELINES)
        made.append(Definitions(manager.client, pipelines, Index.of_manager(manager)))
        return ()

    component = dataclasses.replace(product.COMPONENT, controllers=controllers)
    async with played.world((component,), settings=settings) as world:
        yield world, lambda: made[-1]


@pytest.fixture
def documents(pipeline):
    """What a version runs, with a long text in it."""

    def make(number=0):
        made = pipeline()
        made.step("say", f"echo {number} {'x' * LARGE}")
        made.task("say")
        return Documents(made.spec()["pipelineSpec"], None)

    return make


async def filled(latest, documents):
    definitions = latest()
    pipeline = await definitions.create("default", Draft(name="train"))
    for number in range(COUNT):
        draft = Draft(name=f"v{number}", tags={"number": str(number)})
        await definitions.create_version(pipeline, draft, documents(number))
    return pipeline


def script(version):
    executors = version["spec"]["pipelineSpec"]["deploymentSpec"]["executors"]
    return executors["exec-say"]["container"]["command"][-1]


async def test_lists_know_all_versions_but_not_what_they_run(world, documents):
    world, latest = world
    pipeline = await filled(latest, documents)
    definitions = latest()
    found = await definitions.versions(pipeline)
    assert [each["spec"]["versionName"] for each in found] == [f"v{n}" for n in range(COUNT)]
    assert [each["spec"]["tags"]["number"] for each in found] == [str(n) for n in range(COUNT)]
    assert len(json.dumps(found)) < LARGE
    assert f" {COUNT - 1} " in script(await definitions.latest(pipeline))[:30]
    seventh = await definitions.version(pipeline, metadata.uid(found[7]))
    assert " 7 " in script(seventh)[:30]


async def test_a_start_keeps_nothing_of_what_they_run(world, documents):
    world, latest = world
    pipeline = await filled(latest, documents)
    await world.stop()
    await world.start()
    definitions = latest()
    found = await definitions.versions(pipeline)
    assert len(found) == COUNT
    assert all("pipelineSpec" not in each["spec"] for each in found)
    assert f" {COUNT - 1} " in script(await definitions.latest(pipeline))[:30]
    uids = frozenset(map(metadata.uid, found))
    del found
    gc.collect()
    texts = [each for each in gc.get_objects() if type(each) is dict and _is_whole(each, uids)]
    assert len(texts) < COUNT / 2


def _is_whole(found, uids):
    """Return whether it is one of these versions, with what it runs; others' tests may have some, too."""
    if found.get("kind") != kinds.PIPELINE_VERSIONS.kind or metadata.uid(found) not in uids:
        return False
    return "pipelineSpec" in found["spec"]


async def test_who_writes_reads_it(world, documents):
    _, latest = world
    definitions = latest()
    pipeline = await definitions.create("default", Draft(name="train"))
    with pytest.raises(errors.NotFoundError):
        await definitions.latest(pipeline)
    for number in range(5):
        made = await definitions.create_version(pipeline, Draft(name=f"v{number}"), documents())
        assert len(await definitions.versions(pipeline)) == 1
        assert metadata.uid(await definitions.latest(pipeline)) == metadata.uid(made)
        changed = await definitions.change(made, display_name=f"Number {number}")
        (known,) = await definitions.versions(pipeline)
        assert known["spec"]["displayName"] == changed["spec"]["displayName"] == f"Number {number}"
        await definitions.delete_version(made)
        assert not await definitions.versions(pipeline)
        with pytest.raises(errors.NotFoundError):
            await definitions.version(pipeline, metadata.uid(made))


async def test_one_name_is_given_once(world, documents):
    _, latest = world
    definitions = latest()
    pipeline = await definitions.create("default", Draft(name="train"))
    await definitions.create_version(pipeline, Draft(name="v1"), documents())
    with pytest.raises(errors.AlreadyExistsError, match="'v1' already"):
        await definitions.create_version(pipeline, Draft(name="v1"), documents())
    assert len(await definitions.versions(pipeline)) == 1


async def test_pages_of_versions_are_read_at_once_but_not_all(world, documents):
    world, latest = world
    pipeline = await filled(latest, documents)
    counting = CountingTransport(world.client.transport)
    manager = Manager(Client(counting))
    definitions = Definitions(
        manager.client, manager.cache(kinds.PIPELINES), Index.of_manager(manager)
    )
    listed = await latest().versions(pipeline)
    await latest().delete_version(listed[3])
    found = await definitions.whole_ones(listed)
    assert list(map(metadata.uid, found)) == list(map(metadata.uid, [*listed[:3], *listed[4:]]))
    assert all(script(each) for each in found)
    assert counting.sent == COUNT
    assert 1 < counting.most <= 8


async def test_default_versions_of_pipelines_are_the_chosen_ones_else_the_latest(world, documents):
    _, latest = world
    definitions, made = latest(), {}
    for name in ("chosen", "gone", "latest", "empty"):
        made[name] = await definitions.create("default", Draft(name=name))
        for number in range(0 if name == "empty" else 2):
            await definitions.create_version(
                made[name], Draft(name=f"v{number}"), documents(number)
            )
    for name in ("chosen", "gone"):
        first = (await definitions.versions(made[name]))[0]
        await definitions.set_default(made[name], metadata.uid(first))
        if name == "gone":
            await definitions.delete_version(first)
    pipelines = [await definitions.named("default", name) for name in made]
    found = [await definitions.default(each) for each in pipelines]
    names = [each and each["spec"]["versionName"] for each in found]
    assert names == ["v0", "v1", "v1", None]
