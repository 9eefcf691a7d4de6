"""Artifacts in stores, on the web and in repositories, brought by the agent in the pod."""

import dataclasses
import functools
import http.server
import subprocess
import threading
from pathlib import Path

import pytest

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines.workflows.steps import collecting
from wherry.testing import object_stores
from wherry.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class _Files(http.server.SimpleHTTPRequestHandler):
    """Files, for those who bring the header and the password."""

    def do_GET(self):
        if (
            self.headers["X-Key"] == "told"
            and self.headers["Authorization"] == "Basic bWU6c2VjcmV0"
        ):
            super().do_GET()
        else:
            self.send_error(403)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def web(tmp_path):
    """A server, its URL and its folder."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Files, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def repository(nodes, s3):
    """The namespace's artifact repository in the store."""
    keys = {"access": object_stores.ACCESS_KEY, "secret": object_stores.SECRET_KEY}
    nodes.create(core.SECRETS, "keys", {"stringData": keys})
    endpoint = s3.url.removeprefix("http://")
    text = f"""
s3:
  bucket: bucket
  endpoint: {endpoint}
  insecure: true
  region: us-east-1
  keyFormat: "argo/{{{{workflow.name}}}}/{{{{pod.name}}}}"
  accessKeySecret: {{name: keys, key: access}}
  secretKeySecret: {{name: keys, key: secret}}
"""
    note = {"workflows.argoproj.io/default-artifact-repository": "store"}
    made = {"metadata": {"name": "artifact-repositories", "namespace": nodes.namespace}}
    made["metadata"]["annotations"] = note
    nodes.platform.call(nodes.client.create(core.CONFIG_MAPS, {**made, "data": {"store": text}}))
    return nodes.repository()


def test_artifacts_and_parameters_go_through_a_store(nodes, s3, repository):
    assert repository.key_format == "argo/{{workflow.name}}/{{pod.name}}"
    made = nodes.shell(
        "echo hello > /tmp/hello.txt; mkdir -p /made/deep; echo 1 > /made/deep/one; echo par > /tmp/p",
        outputs={
            "parameters": [{"name": "p", "valueFrom": {"path": "/tmp/p"}}],
            "artifacts": [
                {"name": "hello", "path": "/tmp/hello.txt"},
                {"name": "plain", "path": "/tmp/hello.txt", "archive": {"none": {}}},
                {"name": "many", "path": "/made", "archive": {"zip": {}}},
                {"name": "own", "path": "/made", "s3": {"key": "own/key"}, "archive": {"none": {}}},
                {"name": "absent", "path": "/made/absent", "optional": True},
            ],
        },
    )
    assert made.succeeded, made.why
    assert made.outputs.parameters == {"p": "par"}
    found = made.outputs.artifacts
    folder = f"s3://bucket/{made.order.key}"
    assert {name: each.uri for name, each in found.items()} == {
        "hello": f"{folder}/hello.tgz",
        "plain": f"{folder}/plain",
        "many": f"{folder}/many.zip",
        "own": "s3://bucket/own/key",
    }
    assert (s3.keeps / "bucket" / "own" / "key" / "deep" / "one").read_text() == "1\n"
    assert found["hello"].metadata["argo"]["s3"]["key"] == f"{made.order.key}/hello.tgz"
    named = {"hello": "/tmp/a", "plain": "/brought/b", "many": "/brought/c", "own": "/tmp/d"}
    read = nodes.shell(
        "cat /tmp/a /brought/b /brought/c/deep/one /tmp/d/deep/one; echo more >> /brought/c/deep/one",
        inputs={"artifacts": [{"name": name, "path": path} for name, path in named.items()]},
        inputs_given=found,
    )
    assert read.succeeded, read.why
    assert read.outputs.result == "hello\nhello\n1\n1"


def test_what_steps_say_is_an_artifact_where_that_is_wanted(nodes, s3, repository):
    spec = {"archiveLogs": True}
    script = "echo out; echo err >&2; printf 'end'; exit 3"
    made = nodes.shell(script, spec=spec)
    assert made.outputs.exit_code == 3
    assert made.outputs.result == "out\nend"
    log = made.outputs.artifacts["main-logs"]
    assert log.uri == f"s3://bucket/{made.order.key}/main.log"
    assert log.metadata["argo"]["s3"]["key"] == f"{made.order.key}/main.log"
    said = (s3.keeps / "bucket" / made.order.key / "main.log").read_text()
    assert sorted(said.replace("err\n", "").splitlines()) == ["end", "out"]
    assert "err\n" in said
    off = nodes.shell("echo x", spec=spec, archiveLocation={"archiveLogs": False})
    assert not off.outputs.artifacts
    default = dataclasses.replace(repository, archive_logs=True)
    on = nodes.shell("echo x", repository=default, archiveLocation={"archiveLogs": False})
    assert [*on.outputs.artifacts] == ["main-logs"]
    members = [
        {"name": name, "image": "python:3.11", "command": ["echo", name]} for name in ("a", "main")
    ]
    group = nodes.run({"containerSet": {"containers": members}}, spec=spec)
    assert group.succeeded, group.why
    assert [*group.outputs.artifacts] == ["a-logs", "main-logs"]
    assert (s3.keeps / "bucket" / group.order.key / "a.log").read_text() == "a\n"


def test_what_steps_say_is_an_artifact_in_a_folder_of_the_node(nodes):
    made = nodes.shell("echo out; echo err >&2; exit 3", spec={"archiveLogs": True})
    path = Path(uris.path(made.outputs.artifacts["main-logs"].uri))
    assert path.name == "main.log"
    assert sorted(path.read_text().splitlines()) == ["err", "out"]
    # The command runs as it stands.
    assert made.pod["spec"]["containers"][0]["command"][0] == "sh"
    assert "WHERRY_LOG" not in str(made.pod["spec"])


def test_a_failed_upload_and_a_missing_object_are_told(nodes, repository):
    keys = {"access": object_stores.ACCESS_KEY, "secret": "wrong"}
    nodes.create(core.SECRETS, "wrong", {"stringData": keys})
    named = {f"{key}KeySecret": {"name": "wrong", "key": key} for key in ("access", "secret")}
    nowhere = {**repository.store["s3"], **named, "key": "x"}
    made = nodes.order(
        {
            "container": {"image": "python:3.11", "command": ["sh", "-c", "echo x > /tmp/x"]},
            "outputs": {"artifacts": [{"name": "x", "path": "/tmp/x", "s3": nowhere}]},
        }
    )
    nodes.start(made)
    assert "outputs could not be stored: s3://bucket/x" in nodes.why(made)
    given = [{"name": "x", "path": "/tmp/x", "s3": {"key": "not/there"}}]
    order = nodes.order(
        {
            "container": {"image": "python:3.11", "command": ["true"]},
            "inputs": {"artifacts": given},
        }
    )
    nodes.start(order)
    pod = nodes.ended(order)
    assert pod["status"]["phase"] == "Failed"
    assert "not/there: there is nothing" in str(pod["status"])


def test_the_web_and_repositories_are_read(nodes, web, tmp_path):
    url, folder = web
    (folder / "file").write_text("from the web")
    nodes.create(core.SECRETS, "me", {"stringData": {"user": "me", "password": "secret"}})
    source = tmp_path / "source"
    _git(tmp_path, "init", "--quiet", "--initial-branch=main", str(source))
    for text in ("first", "second"):
        (source / "file").write_text(text)
        _git(source, "add", "file")
        _git(source, "commit", "--quiet", "-m", text)
        _git(source, "tag", text)
    auth = {
        "basicAuth": {
            "usernameSecret": {"name": "me", "key": "user"},
            "passwordSecret": {"name": "me", "key": "password"},
        }
    }
    asked = {"url": f"{url}/file", "headers": [{"name": "X-Key", "value": "told"}], "auth": auth}
    given = [
        {"name": "web", "path": "/brought/web", "http": asked},
        {"name": "old", "path": "/src", "git": {"repo": f"file://{source}", "revision": "first"}},
        {"name": "new", "path": "/tmp/new", "git": {"repo": f"file://{source}", "depth": 1}},
        {
            "name": "none",
            "path": "/none",
            "optional": True,
            "http": {**asked, "url": f"{url}/none"},
        },
    ]
    read = nodes.shell("cat /brought/web /src/file /tmp/new/file", inputs={"artifacts": given})
    assert read.succeeded, read.why
    assert read.outputs.result == "from the webfirstsecond"


def test_a_repository_cannot_pass_options_to_git(nodes, tmp_path):
    _git(tmp_path, "init", "--quiet", str(tmp_path / "empty"))
    for told, why in (
        ({"repo": f"ext::sh -c touch% {tmp_path}/made"}, "transport 'ext' not allowed"),
        ({"repo": "--upload-pack=touch"}, "does not exist"),
        ({"repo": str(tmp_path / "empty"), "revision": "--orphan"}, "want a name"),
    ):
        order = nodes.order(
            {
                "container": {"image": "python:3.11", "command": ["true"]},
                "inputs": {"artifacts": [{"name": "x", "path": "/src", "git": told}]},
            }
        )
        nodes.start(order)
        pod = nodes.ended(order)
        assert pod["status"]["phase"] == "Failed"
        assert why in str(pod["status"])
    assert not (tmp_path / "made").exists()


def _git(folder, *words):
    own = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *own, *words], cwd=folder, check=True, timeout=60)


class _Seen:
    """What the status of a workflow would have of the removing."""

    def __init__(self):
        self.pods, self.troubles = [], []

    async def note(self, pods):
        self.pods += pods

    async def trouble(self, message):
        self.troubles.append(message)

    def collected(self, nodes, spec, repository, **asked):
        """Look once, knowing nothing but this, as after a restart; return whether all is done."""
        progress = collecting.Progress(done=self.pods, note=self.note, trouble=self.trouble)
        collector = collecting.Collector(nodes.client, nodes.roots)
        looked = collector.collect(nodes.workflow, spec, repository, progress=progress, **asked)
        return nodes.platform.call(looked, 60)


def test_artifacts_that_are_to_go_are_removed(nodes, s3, repository):
    goes = {"artifactGC": {"strategy": collecting.ON_COMPLETION}}
    outputs = [
        {"name": "stays", "path": "/tmp/a"},
        {"name": "goes", "path": "/tmp/b", **goes},
        {"name": "same", "path": "/tmp/a", **goes},
    ]
    made, at_home = (
        nodes.shell("echo a | tee /tmp/a > /tmp/b", outputs={"artifacts": outputs}, repository=each)
        for each in (repository, dataclasses.replace(repository, store={}))
    )
    left = [*made.outputs.artifacts.values(), *at_home.outputs.artifacts.values()]
    spec = {"artifactGC": {"strategy": collecting.ON_DELETION}}
    seen = _Seen()

    def collected(when):
        return seen.collected(nodes, spec, repository, artifacts=left, when=when)

    eventually(lambda: collected(collecting.ON_COMPLETION), 180)
    folder = s3.keeps / "bucket" / made.order.key
    assert [each.name for each in folder.iterdir()] == ["stays.tgz"]
    here = {name: Path(uris.path(each.uri)) for name, each in at_home.outputs.artifacts.items()}
    assert {name: each.exists() for name, each in here.items()} == {
        "stays": True,
        "goes": False,
        "same": True,
    }
    eventually(lambda: collected(collecting.ON_DELETION), 180)
    assert not folder.exists() or not [*folder.iterdir()]
    assert not here["stays"].exists()


def test_more_artifacts_than_one_pod_is_told_of_are_removed(nodes, s3, repository, monkeypatch):
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 250)
    said = {"name": "many", "path": "/tmp/many", "s3": {"key": "many"}, "archive": {"none": {}}}
    script = "mkdir /tmp/many; for n in $(seq 1100); do echo 1 > /tmp/many/$n; done"
    assert nodes.shell(script, outputs={"artifacts": [said]}).succeeded
    folder = s3.keeps / "bucket" / "many"
    assert len([*folder.iterdir()]) == 1100
    left = []
    for number in range(1, 1101):
        key = f"many/{number}"
        said = {"argo": {"s3": {**repository.store["s3"], "key": key}}}
        left.append(Artifact(name="a", uri=f"s3://bucket/{key}", metadata=said))
    spec = {"artifactGC": {"strategy": collecting.ON_COMPLETION}}
    asked = {"artifacts": [*left, *left[:9]], "when": collecting.ON_COMPLETION}
    seen = _Seen()
    eventually(lambda: seen.collected(nodes, spec, repository, **asked), 400)
    assert not seen.troubles
    assert not folder.exists() or not [*folder.iterdir()]
    assert len(seen.pods) == len({*seen.pods}) == 5
    pods = nodes.platform.call(nodes.client.list(core.PODS, nodes.namespace)).items
    assert not [each for each in pods if metadata.name(each) in seen.pods]
    assert seen.collected(nodes, spec, repository, **asked)


def test_artifacts_go_through_a_claim(nodes):
    size = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}}
    nodes.create(core.PERSISTENT_VOLUME_CLAIMS, "shared", {"spec": size})
    data = {"defaultPipelineRoot": "pvc://shared/root"}
    nodes.create(core.CONFIG_MAPS, "kfp-launcher", {"data": data})
    made = nodes.shell(
        "echo hello > /tmp/x; echo 1 > /far; cp /tmp/x /y",
        outputs={
            "parameters": [{"name": "far", "valueFrom": {"path": "/far"}}],
            "artifacts": [{"name": "x", "path": "/tmp/x"}, {"name": "y", "path": "/y"}],
        },
    )
    assert made.succeeded, made.why
    assert made.outputs.parameters == {"far": "1"}
    assert {each.uri[:18] for each in made.outputs.artifacts.values()} == {"pvc://shared/root/"}
    read = nodes.shell(
        "cat /in/x /tmp/y",
        inputs={"artifacts": [{"name": "x", "path": "/in/x"}, {"name": "y", "path": "/tmp/y"}]},
        inputs_given=made.outputs.artifacts,
    )
    assert read.succeeded, read.why
    assert read.outputs.result == "hello\nhello"
