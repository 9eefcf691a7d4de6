"""`wherry env` against a real server: objects, the catalogue, and what node and person say."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet.environments import definition as environment_definition
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

ENVIRONMENTS = environment_kinds.ENVIRONMENTS
Env = Callable[..., Any]


@pytest.fixture
def env(typed: Any, cluster: Any) -> Iterator[Env]:
    """Return a function that runs `wherry env` against the server, which holds no environments."""
    with contextlib.suppress(errors.AlreadyExistsError):
        cluster.create(environment_definition.crd())
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            cluster.run(cluster.client.list(ENVIRONMENTS))
            break
        except errors.NotFoundError:
            time.sleep(0.05)

    def run(action: str, *words: str) -> Any:
        return typed("env", action, "--kubeconfig", str(cluster.kubeconfig), *words)

    yield run
    for each in cluster.run(cluster.client.list(ENVIRONMENTS)).items:
        cluster.run(cluster.client.delete(ENVIRONMENTS, each["metadata"]["name"]))


def get(cluster: Any, name: str) -> Object:
    found: Object = cluster.run(cluster.client.get(ENVIRONMENTS, name))
    return found


def test_the_catalogue_is_listed_and_an_object_takes_its_place(env: Env, cluster: Any) -> None:
    rows = {row["name"]: row for row in json.loads(env("list", "-o", "json").out)}
    assert rows["tensorflow"]["from"] == "catalogue"
    assert rows["tensorflow"]["state"] == "when a pod asks"
    assert env("add", "tensorflow", "--python", ">=3.10").out == "environment/tensorflow created\n"
    spec = get(cluster, "tensorflow")["spec"]
    assert spec["python"] == ">=3.10"
    assert spec["requirements"] == ["tensorflow-cpu"]
    listed = env("list").out.splitlines()
    assert listed[0].split() == ["NAME", "FROM", "STATE", "PYTHON", "PODS", "IMAGES"]
    (line,) = [each for each in listed if each.startswith("tensorflow ")]
    assert line.split()[1:4] == ["environment", "not", "looked"]
    assert "exists; change it" in env("add", "tensorflow").err


def test_add_takes_files_and_refuses_what_cannot_be_built(
    env: Env, cluster: Any, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("# ours\nnumpy>=2  # fast\n\npandas\n")
    words = ["--image", "team/x:*", "--requirements-file", str(tmp_path / "requirements.txt")]
    assert env("add", "x", *words, "--preload", "numpy").code == 0
    assert get(cluster, "x")["spec"] == {
        "images": ["team/x:*"],
        "requirements": ["numpy>=2", "pandas"],
        "preload": ["numpy"],
    }
    assert "say with --image" in env("add", "nothing").err
    wrong = env("add", "y", "--image", "y", "--requirement=-r x")
    assert (wrong.code, "spec.requirements" in wrong.err) == (2, True)
    assert env("remove", "x").out.startswith("environment/x removed")
    assert env("remove", "x").code == 1
    assert "is in the catalogue" in env("remove", "pytorch").err


def test_why_names_what_stands_for_an_image(env: Env) -> None:
    told = env("why", "tensorflow/tensorflow:2.15.0").out
    assert "the catalogue's 'tensorflow' does" in told
    assert "1 requirement: tensorflow-cpu==2.15.0" in told
    assert "where that version does not exist:" in told
    env("add", "wide", "--image", "*")
    env("add", "mine", "--image", "tensorflow/*:2.*", "--requirement", "keras")
    told = env("why", "tensorflow/tensorflow:2.15.0").out
    assert "environment/mine stands for it: pattern tensorflow/*:2.*" in told
    assert "narrower than those of wide" in told
    assert "the catalogue's 'tensorflow' gives way" in told
    assert "keras" in told
    env("remove", "wide")
    unknown = env("why", "team/model:v1")
    assert (unknown.code, "kubectl apply" in unknown.out) == (1, True)
    assert env("why", "two words").code == 2


class Node(threading.Thread):
    """Answers requests for builds, as the node does."""

    def __init__(self, cluster: Any, ready: str, message: str) -> None:
        super().__init__(daemon=True)
        self.cluster, self.ready, self.message = cluster, ready, message
        self.stopped = threading.Event()

    def run(self) -> None:
        client = self.cluster.client
        while not self.stopped.wait(0.05):
            for obj in self.cluster.run(client.list(ENVIRONMENTS)).items:
                asked = (obj["metadata"].get("annotations") or {}).get("wherry.dev/build")
                if asked and (obj.get("status") or {}).get("answers") != asked:
                    condition = {"type": "Ready", "status": self.ready, "message": self.message}
                    status = {"conditions": [condition], "answers": asked, "python": "3.11.7"}
                    patch = {"status": {**status, "path": "/built"}}
                    name = obj["metadata"]["name"]
                    self.cluster.run(client.patch(ENVIRONMENTS, name, patch, subresource="status"))

    def __enter__(self) -> "Node":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.join()


def test_build_waits_for_the_nodes_answer(env: Env, cluster: Any) -> None:
    with Node(cluster, "True", ""):
        told = env("build", "pytorch/pytorch:2.1.0-cuda")
        assert told.out.splitlines() == [
            "environment/pytorch-2.1.0-cuda created",
            "environment/pytorch-2.1.0-cuda is built (Python 3.11.7, /built)",
        ]
    assert get(cluster, "pytorch-2.1.0-cuda")["spec"]["images"] == ["pytorch/pytorch:2.1.0-cuda"]
    with Node(cluster, "False", "no such package"):
        again = env("build", "pytorch/pytorch:2.1.0-cuda")
        assert (again.code, "no such package" in again.err) == (1, True)
    assert "not built in time" in env("build", "python", "--timeout", "0.3").err
    assert env("build", "team/model:v1").code == 1
    assert cluster.run(cluster.client.list(kinds.PODS)).items == []
