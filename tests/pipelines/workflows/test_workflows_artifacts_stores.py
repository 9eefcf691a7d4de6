"""How the stores of artifacts are reached, and where in them things are. No server is asked."""

import pytest

from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import finding, locations, stores
from wherry.pipelines.workflows.artifacts.repository import Repository

ROOT = Root("file:///artifacts")
KEYS = {
    "accessKeySecret": {"name": "s", "key": "a"},
    "secretKeySecret": {"name": "s", "key": "b"},
}


def _s3(**fields):
    return {"s3": {"bucket": "b", "key": "k", **fields}}


def test_each_place_is_reached_as_its_location_says():
    told = [
        _s3(endpoint="one:9000", insecure=True, **KEYS),
        _s3(key="k/deeper", endpoint="two", region="r", useSDKCreds=True),
        {"gcs": {"bucket": "g", "key": "x", "serviceAccountKeySecret": {"name": "n", "key": "j"}}},
    ]
    found = stores.providers(ROOT, told)
    one, two = found.of("s3://b/k"), found.of("s3://b/k/deeper")
    assert (one.url, one.secret, one.keys) == ("http://one:9000", "s", ("a", "b"))
    assert (two.url, two.region, two.secret) == ("https://two", "r", "")
    assert found.of("gs://g/x").keys == ("j",)
    assert found.of("s3://elsewhere/k").url == ""


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([_s3(endpoint="one"), _s3(endpoint="two")], "is given twice in one pod"),
        ([_s3(**KEYS | {"secretKeySecret": {"name": "t", "key": "b"}})], "into one Secret"),
        ([_s3(roleARN="arn")], r"s3.roleARN is not supported"),
    ],
)
def test_what_cannot_be_reached_is_told(told, why):
    with pytest.raises(StepError, match=why):
        stores.providers(ROOT, told)


def test_a_repository_is_read_and_completes_keys():
    text = "s3: {bucket: b, endpoint: e, keyPrefix: pre}"
    made = finding.read(text, "ConfigMap x: y", ROOT)
    assert made.key_format == "pre/{{workflow.name}}/{{pod.name}}"
    whole = locations.completed({"s3": {"key": "/a/b"}}, made, "inputs.artifacts.x")
    assert locations.uri(whole, "inputs.artifacts.x") == "s3://b/a/b"
    bare = locations.completed({"s3": {"key": "a/b"}}, Repository(root=ROOT), "inputs.artifacts.x")
    assert bare == {"uri": "file:///artifacts/keys/a/b"}


@pytest.mark.parametrize("key", ["", "/", "..", "../x", "a/../../x"])
def test_keys_do_not_go_up(key):
    with pytest.raises(StepError, match="want a path below the bucket"):
        locations.key_of({"s3": {"key": key}}, "x")


@pytest.mark.parametrize("text", ["[", "1", "oss: {bucket: b}", "s3: {}", "a: 1\n---\nb: 2"])
def test_repositories_that_are_none_are_told(text):
    with pytest.raises(StepError, match="ConfigMap x: y"):
        finding.read(text, "ConfigMap x: y", ROOT)
