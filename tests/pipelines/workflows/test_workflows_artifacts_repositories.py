"""The artifact repository of a Workflow: what its status says of it, and a bucket that is made for it."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds as core
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import finding, locations, stores
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.testing import environments, object_stores

ROOT = Path(__file__).resolve().parents[3]
HERE = Root("file:///artifacts")
STORE = {"bucket": "b", "endpoint": "e", "accessKeySecret": {"name": "n", "key": "k"}}


NOBODY: Any = object()
"""A client that is asked nothing."""


def _found(status, spec=None):
    workflow = {"metadata": {"name": "wf", "namespace": "ns"}, "status": status}
    return asyncio.run(finding.find(NOBODY, HERE, workflow, spec or {}))


def test_what_the_status_says_counts():
    said = {"s3": {**STORE, "keyFormat": "x/{{pod.name}}"}, "archiveLogs": True}
    told = {"configMap": "gone", "key": "it", "namespace": "ns", "artifactRepository": said}
    found = _found({"artifactRepositoryRef": told}, {"artifactRepositoryRef": {"key": "other"}})
    assert (found.store, found.key_format) == ({"s3": STORE}, "x/{{pod.name}}")
    assert (found.archive_logs, found.told) == (True, told)
    assert _found({"artifactRepositoryRef": {"default": True}}) == Repository(root=HERE)


@pytest.mark.parametrize("said", ["s3", {"oss": {"bucket": "b"}}, {"s3": {}}])
def test_a_status_that_says_nothing_sensible_is_told(said):
    with pytest.raises(StepError, match=r"status\.artifactRepositoryRef\.artifactRepository"):
        _found({"artifactRepositoryRef": {"artifactRepository": said}})


def test_statuses_tell_of_what_is_in_the_repository_the_key_alone():
    repository = Repository(root=HERE, store={"s3": STORE})
    archive: dict[str, Any] = {"archive": {"none": {}}}
    for location, told in (
        ({"s3": {**STORE, "key": "a/b"}, **archive}, {"s3": {"key": "a/b"}, **archive}),
        ({"s3": {**STORE, "bucket": "c", "key": "a"}}, None),
        ({"s3": {"bucket": "b", "key": "a"}}, None),
        ({"gcs": {"bucket": "b", "key": "a"}}, None),
        ({"http": {"url": "https://h/x"}}, None),
        ({}, None),
    ):
        assert locations.brief(location, repository) == (location if told is None else told)
    assert locations.brief({"s3": {**STORE, "key": "a"}}, Repository(root=HERE)) == {
        "s3": {**STORE, "key": "a"}
    }


def test_buckets_are_made_where_that_is_said():
    def reached(**more):
        return stores.providers(HERE, [{"s3": {"bucket": "b", "key": "k", **more}}]).of("s3://b/k")

    for more, wanted in (
        ({}, (False, False)),
        ({"createBucketIfNotPresent": {}}, (True, False)),
        ({"createBucketIfNotPresent": {"objectLocking": True}}, (True, True)),
    ):
        provider = reached(**more)
        assert (provider.create_bucket, provider.object_locking) == wanted
    for said in (True, {"objectLocking": "yes"}):
        with pytest.raises(StepError, match=r"s3\.createBucketIfNotPresent is .* want an object"):
            reached(createBucketIfNotPresent=said)


@pytest.fixture
def moto():
    """A server of S3 that has only one bucket."""
    pins = ROOT / "requirements" / "stores.txt"
    made = object_stores.moto(environments.environment(pins, ROOT / "build" / "clients"))
    made.start()
    yield made
    made.kill()


def _script(source, **fields):
    return {"script": {"image": "python:3.11", "command": ["sh", "-e"], "source": source}, **fields}


def _asked(server, what):
    with urllib.request.urlopen(f"{server.url}/fresh?{what}", timeout=60) as reply:
        return reply.read().decode()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_bucket_is_made_once_and_the_status_tells_of_it(workflows, nodes, moto):
    named = {"accessKeySecret": "access", "secretKeySecret": "secret"}
    nodes.create(core.SECRETS, "keys", {"stringData": {"access": "some", "secret": "some"}})
    store = {
        **{name: {"name": "keys", "key": key} for name, key in named.items()},
        "bucket": "fresh",
        "endpoint": moto.url.removeprefix("http://"),
        "insecure": True,
        "region": "eu-central-1",
        "createBucketIfNotPresent": {"objectLocking": True},
        "encryptionOptions": {"enableEncryption": True},
    }
    said = {"s3": {**store, "keyFormat": "argo/{{pod.name}}"}}
    nodes.create(core.CONFIG_MAPS, "mine", {"data": {"it": json.dumps(said)}})
    given = [{"name": "table", "from": "{{steps.make.outputs.artifacts.table}}"}]
    take = _script(
        "cat /tmp/table /tmp/table > /tmp/both",
        inputs={"artifacts": [{"name": "table", "path": "/tmp/table"}]},
        outputs={
            "artifacts": [{"name": "both", "path": "/tmp/both", "globalName": "all"}],
            "parameters": [{"name": "both", "valueFrom": {"path": "/tmp/both"}}],
        },
    )
    steps = [
        [{"name": "make", "template": "make"}],
        [{"name": "take", "template": "take", "arguments": {"artifacts": given}}],
    ]
    table = {"artifacts": [{"name": "table", "path": "/tmp/table"}]}
    templates = [
        {"name": "main", "steps": steps},
        {"name": "make", **_script("echo 1 > /tmp/table", outputs=table)},
        {"name": "take", **take},
    ]
    reference = {"configMap": "mine", "key": "it"}
    spec = {"entrypoint": "main", "artifactRepositoryRef": reference, "templates": templates}
    ended = workflows.ended({"metadata": {"name": "anew"}, "spec": spec})
    status = ended["status"]
    assert status["phase"] == "Succeeded", status
    made = {each["displayName"]: each for each in status["nodes"].values()}
    assert made["take"]["outputs"]["parameters"][0]["value"] == "1\n1"
    told = {**reference, "namespace": nodes.namespace, "artifactRepository": said}
    assert status["artifactRepositoryRef"] == told
    places = [
        made["make"]["outputs"]["artifacts"][0]["s3"],
        made["take"]["inputs"]["artifacts"][0]["s3"],
        made["take"]["outputs"]["artifacts"][0]["s3"],
        status["outputs"]["artifacts"][0]["s3"],
    ]
    assert [[*each] for each in places] == [["key"]] * 4
    assert places[0] == places[1]
    assert "<ObjectLockEnabled>Enabled</ObjectLockEnabled>" in _asked(moto, "object-lock")
    assert "eu-central-1" in _asked(moto, "location")
    assert "<SSEAlgorithm>AES256</SSEAlgorithm>" in _asked(moto, "encryption")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_in_no_repository_is_told_as_the_default(workflows):
    template = {"name": "main", **_script("true")}
    spec = {"entrypoint": "main", "templates": [template]}
    ended = workflows.ended({"metadata": {"name": "usual"}, "spec": spec})
    assert ended["status"]["artifactRepositoryRef"] == {"default": True}
