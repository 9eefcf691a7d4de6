"""A kind of several versions beside an API that does not know it: the API asks our webhook to convert."""

import asyncio
import contextlib
import dataclasses

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.cluster import running
from wherry.controller import installing
from wherry.embedded.settings import Settings
from wherry.objects import conditions, errors, kinds
from wherry.testing.in_process import InProcessPlatform
from wherry.training import component
from wherry.training.frameworks.mpi import MPI, WRITTEN_AS

V1 = MPI.resource
V2 = dataclasses.replace(MPI.resource, version="v2beta1")


def job(resource, name, **policy):
    """Return a job whose launcher has nothing to do, and is alone."""
    container = {"name": "mpi", "image": "python:3", "command": ["python", "-c", "pass"]}
    launcher = {"template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": resource.api_version,
        "kind": "MPIJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"mpiReplicaSpecs": {"Launcher": launcher}, "runPolicy": policy},
    }


@pytest.fixture
def platform(tmp_path):
    """Give an API that knows no product."""
    made = InProcessPlatform(Settings(directory=tmp_path / "platform", port=0, components=()))
    made.start()
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def controllers(client):
    """Run the controllers of MPI jobs beside the API while the block runs."""
    settings = running.Settings(
        namespace="default",
        identity="a",
        webhooks=running.WebhookSettings(port=0),
        lease=(90.0, 60.0, 0.2),
    )
    work = asyncio.create_task(running.run(client, [component.of([MPI()])], settings))
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


@pytest.fixture
async def client(platform):
    """Give a client over HTTPS, while the controllers run."""
    over_https = Client(HttpTransport(platform.connection))
    async with controllers(over_https):
        yield over_https
    await over_https.close()


async def create(client, resource, obj):
    """Create a job once the kind is there and its webhooks answer."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await client.create(resource, obj)
            except (errors.NotFoundError, errors.InternalError):
                await asyncio.sleep(0.05)


async def until(client, resource, name, condition):
    """Wait until a job has a condition; return it."""
    async with asyncio.timeout(90):
        while True:
            found = await client.get(resource, name, "default")
            if conditions.is_true(found, condition):
                return found
            await asyncio.sleep(0.05)


async def write_back(client, resource, name):
    """Read a job, resume it and write it whole, as often as it takes."""
    async with asyncio.timeout(90):
        while True:
            found = await client.get(resource, name, "default")
            found["spec"]["runPolicy"]["suspend"] = False
            with contextlib.suppress(errors.ConflictError):
                return await client.update(resource, found)


async def noted(client, resource, name):
    """Wait until a job says which version it was written in."""
    async with asyncio.timeout(90):
        while True:
            found = await client.get(resource, name, "default")
            if WRITTEN_AS in found["metadata"].get("annotations", {}):
                return found["metadata"]["annotations"][WRITTEN_AS]
            await asyncio.sleep(0.05)


async def registered(client):
    """Wait until the API asks our webhooks."""
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(errors.NotFoundError):
                return await client.get(kinds.VALIDATING_WEBHOOK_CONFIGURATIONS, "wherry")
            await asyncio.sleep(0.05)


async def test_mpijobs_are_converted_and_run_as_they_were_written(client):
    await registered(client)
    await create(client, V2, job(V2, "new", suspend=True))
    await create(client, V1, job(V1, "old", suspend=True))
    definition = await client.get(kinds.CUSTOM_RESOURCE_DEFINITIONS, "mpijobs.kubeflow.org")
    assert definition["spec"]["conversion"]["strategy"] == "Webhook"
    for resource in (V1, V2):
        listed = (await client.list(resource, "default")).items
        assert {each["apiVersion"] for each in listed} == {resource.api_version}
        written = {
            each["metadata"]["name"]: each["metadata"]["annotations"][WRITTEN_AS] for each in listed
        }
        assert written == {"new": V2.api_version, "old": V1.api_version}
    # Written back in the other version, and resumed there: it stays what it was.
    as_v1 = await write_back(client, V1, "new")
    assert as_v1["spec"]["launcherCreationPolicy"] == "AtStartup"
    patch = {"spec": {"runPolicy": {"suspend": False}}}
    await client.patch(V2, "old", patch, "default")
    await until(client, V1, "new", "Succeeded")
    await until(client, V2, "old", "Succeeded")
    assert await client.get(kinds.JOBS, "new-launcher", "default")
    assert await client.get(kinds.PODS, "old-launcher-0", "default")
    wrong = job(V2, "wrong")
    wrong["spec"]["mpiReplicaSpecs"]["Launcher"]["restartPolicy"] = "ExitCode"
    with pytest.raises(errors.InvalidError, match="want one of Never, OnFailure"):
        await client.create(V2, wrong)


async def test_mpijobs_from_before_the_webhooks_run_as_they_were_written(platform):
    """Kinds are there first: what is written then is stored as v1 without a word."""
    client = Client(HttpTransport(platform.connection))
    (kind,) = component.of([MPI()]).kinds
    await installing.define(client, [kind.definition()])
    await create(client, V2, job(V2, "new"))
    await create(client, V1, job(V1, "old"))
    async with controllers(client):
        assert await noted(client, V1, "new") == V2.api_version
        assert await noted(client, V2, "old") == V1.api_version
        await until(client, V1, "new", "Succeeded")
        await until(client, V2, "old", "Succeeded")
        assert await client.get(kinds.JOBS, "new-launcher", "default")
        assert await client.get(kinds.PODS, "old-launcher-0", "default")
    await client.close()
