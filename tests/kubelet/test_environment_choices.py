"""The catalogue, ranges of versions, and packages that pods add; all through what a pod sees."""

from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet import images
from wherry.kubelet.environments import (
    catalogue,
    choosing,
    definition,
    interpreters,
    kinds,
    recipe,
    requirements,
)
from wherry.kubelet.environments.interpreters import Interpreter
from wherry.objects import schemas

OWN = interpreters.own()
ELEVEN = Interpreter(Path("/opt/py/bin/python3.11"), (3, 11, 2))
TWELVE = Interpreter(Path("/opt/py/bin/python3.12"), (3, 12))


@pytest.mark.parametrize(
    ("image", "name", "lines"),
    [
        ("python:3.11-slim", "python", ()),
        ("tensorflow/tensorflow:1.14.0-py3", "tensorflow", ("tensorflow-cpu==1.14.0",)),
        ("docker.io/tensorflow/tensorflow", "tensorflow", ("tensorflow-cpu",)),
        ("tensorflow/tensorflow:2.15.0-gpu", "tensorflow-gpu", ("tensorflow[and-cuda]==2.15.0",)),
        ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", "pytorch", ("torch==2.1.0",)),
        ("brightfly/kubeflow-jupyter-lab:tf2.0-gpu", "jupyter-tensorflow", ()),
        ("brightfly/katib-job:handson", "tensorflow-mnist", ("tensorflow-cpu",)),
        ("docker.io/kubeflowkatib/pytorch-mnist:v1beta1-45c5727", "pytorch-mnist", ("torch",)),
        ("docker.io/kubeflowkatib/simple-pbt:latest", "katib", ("numpy",)),
        ("ghcr.io/kubeflow/katib/pytorch-mnist-cpu:v0.17.0", "pytorch-mnist", ("torch",)),
        ("gcr.io/kubeflow-ci/katib/anything:v1", "katib", ("numpy",)),
        ("kubeflow/tf-mnist-with-summaries:latest", "tensorflow-mnist", ("numpy",)),
        ("kubeflow/tf-dist-mnist-test:1.0", "tensorflow-mnist", ()),
        (
            "gcr.io/ml-pipeline/google-cloud-pipeline-components:1.0.44",
            "google-cloud-pipeline-components",
            (),
        ),
        ("gcr.io/ml-pipeline/sample", "pipelines", ("kfp",)),
        ("kubeflownotebookswf/jupyter-scipy:v1.8.0", "jupyter-scipy", ("scipy",)),
        (
            "ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-pytorch-full:v1.9.0",
            "jupyter-pytorch",
            ("torch",),
        ),
        ("quay.io/jupyter/base-notebook:latest", "jupyter", ("jupyterlab",)),
        ("busybox", "shell", ()),
        ("registry.k8s.io/e2e-test-images/busybox:1.29", "shell", ()),
        ("curlimages/curl:8.1.0", "curl", ()),
        ("jetbrainsinfra/jq", "jq", ()),
        ("registry.access.redhat.com/ubi9/python-311:latest", "python", ()),
    ],
)
def test_images_of_the_examples_are_covered(image: str, name: str, lines: tuple[str, ...]) -> None:
    choice = choosing.choose(image, [], among=[OWN])
    assert choice.name == name
    assert set(lines) <= set(choice.recipe.requirements)
    assert not any("{" in line for line in choice.recipe.requirements)


def test_the_catalogue_is_made_of_valid_environments() -> None:
    version = definition.crd()["spec"]["versions"][0]
    schema = schemas.Schema.compile(version["schema"]["openAPIV3Schema"])
    names = [entry.name for entry in catalogue.entries()]
    assert len(set(names)) == len(names)
    known = set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])
    for entry in catalogue.entries():
        assert entry.about
        assert set(entry.spec) <= known, entry.name
        assert schema.check(entry.environment()) == []
        recipe.make(kinds.spec_of(entry.environment("1.2.3")), OWN)
        for pattern in entry.images:
            images.parse(pattern)


def test_objects_go_before_the_catalogue() -> None:
    mine = {"metadata": {"name": "mine"}, "spec": {"images": ["*tensorflow*:*"]}}
    choice = choosing.choose("tensorflow/tensorflow:2.15.0", [mine], among=[OWN])
    assert (choice.name, choice.entry) == ("mine", None)
    with pytest.raises(choosing.UnknownImageError):
        choosing.choose("team/model:v1", [], among=[OWN])


def test_a_version_that_does_not_exist_has_a_fallback() -> None:
    choice = choosing.choose("tensorflow/tensorflow:1.14.0-py3", [], among=[OWN])
    assert choice.warning == ""
    assert choice.fallback is not None
    assert choice.fallback.recipe.requirements == ("tensorflow-cpu",)
    assert "version 1.14.0 cannot be had for Python" in choice.fallback.warning
    assert choosing.choose("busybox", [], among=[OWN]).is_stand_in


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (">=3.10,<3.12", ELEVEN),
        ("> 3.11", TWELVE),
        ("==3.12", TWELVE),
        ("!=3.12,>=3.11", ELEVEN),
        ("<=3.11", ELEVEN),
        ("3.11.2", ELEVEN),
    ],
)
def test_ranges_of_python(wanted: str, found: Interpreter) -> None:
    assert interpreters.find(wanted, [ELEVEN, TWELVE]) == found
    assert schema_takes(wanted)


def schema_takes(python: str) -> bool:
    version = definition.crd()["spec"]["versions"][0]
    schema = schemas.Schema.compile(version["schema"]["openAPIV3Schema"])
    return not schema.check({"spec": {"images": ["x"], "python": python}})


def test_ranges_that_nothing_is_in() -> None:
    with pytest.raises(interpreters.InterpreterMissingError, match=r"3\.12, 3\.11"):
        interpreters.find(">=3.13", [ELEVEN, TWELVE])
    for text in (">=three", ">=3.10,", "~=3.10", ">=3"):
        assert not schema_takes(text)


def test_an_annotation_lists_packages_by_lines_and_commas() -> None:
    text = "numpy>=2,<3, pandas[excel,sql]>=2\n\n tabulate ;python_version>'3'\nx @ https://h/x,y.whl\nnumpy>=2,<3"
    assert requirements.of_annotation(text) == (
        "numpy>=2,<3",
        "pandas[excel,sql]>=2",
        "tabulate ;python_version>'3'",
        "x @ https://h/x,y.whl",
    )
    assert requirements.of_annotation(" \n") == ()


def test_a_pod_may_say_where_its_packages_come_from() -> None:
    text = "--index-url https://one.example/simple\n--extra-index-url https://two.example\nnumpy"
    assert requirements.of_annotation(text) == ("numpy",)
    assert requirements.indexes(text) == requirements.Indexes(
        "https://one.example/simple", ("https://two.example",)
    )
    # PyPI is what the node's default stands for, which may be a mirror.
    assert requirements.indexes("--index-url https://pypi.org/simple/") == requirements.Indexes()


@pytest.mark.parametrize(
    "text",
    [
        "-r /etc/passwd",
        "--index-url=https://x",
        "/tmp/x",
        "./x",
        "x @ file:///etc",
        "a b/c",
        "$(id)",
        "x" * 600,
    ],
)
def test_an_annotation_takes_no_options_and_no_paths(text: str) -> None:
    with pytest.raises(requirements.RequirementError, match=r"wherry\.dev/requirements: "):
        requirements.of_annotation(text)
    with pytest.raises(requirements.RequirementError, match="at most"):
        requirements.of_annotation("\n".join(f"p{number}" for number in range(101)))


async def test_a_pod_adds_packages_to_one_container(
    node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_wheel: Any
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    links = tiny_wheel(tmp_path / "links", "delta", "3.0").parent
    spec = {"images": ["layered:*"], "findLinks": [str(links)]}
    body = {
        "apiVersion": kinds.ENVIRONMENTS.api_version,
        "kind": "Environment",
        "metadata": {"name": "layered"},
        "spec": spec,
    }
    await node.client.create(kinds.ENVIRONMENTS, body)
    code = "import importlib.util; print(importlib.util.find_spec('delta') is not None)"
    command = ["python", "-c", code]
    pod = await node.pod_of(
        [{"name": name, "image": "layered:v1", "command": command} for name in ("with", "without")],
        metadata={"annotations": {"wherry.dev/requirements.with": "delta>=3"}},
    )
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod, "with") == "True\n"
    assert await node.log(pod, "without") == "False\n"
    first, second = (await node.get(pod))["status"]["containerStatuses"]
    assert first["imageID"] != second["imageID"]


async def test_a_layer_that_fails_names_what_was_asked_for(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    for asked, message in (
        ("nosuchpackage>=7", "cannot add nosuchpackage>=7 to environment"),
        ("-e /tmp", "'-e /tmp' is not accepted"),
    ):
        metadata = {"annotations": {"wherry.dev/requirements": asked}}
        pod = await node.pod("python", "-c", "1", metadata=metadata)
        waiting = await node.wait(
            pod, lambda p: p["status"]["containerStatuses"][0]["state"]["waiting"].get("message")
        )
        assert message in waiting["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        assert message in (await node.events(pod))["Failed"]


async def test_an_image_of_the_catalogue_runs_and_warns(node: Any) -> None:
    # Where an OCI runtime is installed it would run the real image.
    metadata = {"annotations": {"wherry.dev/runtime": "environment"}}
    container = {"image": "busybox:1.36"}
    pod = await node.pod("sh", "-c", "echo hello", container=container, metadata=metadata)
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "hello\n"
    image = (await node.get(pod))["status"]["containerStatuses"][0]["imageID"]
    assert image.startswith("wherry.dev/catalogue/shell@")
    assert "its programs are those of this machine" in (await node.events(pod))["ImageSubstituted"]
    assert [one["metadata"]["name"] for one in await node.client.list(kinds.ENVIRONMENTS)] == [
        "python"
    ]


async def test_a_version_that_cannot_be_had_runs_the_newest(
    node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_wheel: Any
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    links = str(tiny_wheel(tmp_path / "links", "delta", "3.0").parent)
    spec = {"images": ["delta:*"], "requirements": ["delta=={version}"], "findLinks": [links]}
    entry = catalogue.Entry("delta", "a test", spec)
    monkeypatch.setattr(catalogue, "entries", lambda: (entry,))
    code = "import delta; print(delta.VERSION)"
    pod = await node.pod("python", "-c", code, container={"image": "delta:9.1-py3"})
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "3.0\n"
    warning = (await node.events(pod))["ImageSubstituted"]
    assert "version 9.1 cannot be had" in warning
    again = await node.pod("python", "-c", code, container={"image": "delta:9.1-py3"})
    await node.wait_phase(again, "Succeeded")
    assert "already present" in (await node.events(again))["Pulled"]
