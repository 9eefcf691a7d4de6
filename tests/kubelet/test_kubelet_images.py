import pytest

from wherry.kubelet import images


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", "python:latest"),
        ("docker.io/library/python:3.12", "python:3.12"),
        ("index.docker.io/python:3.12", "python:3.12"),
        ("localhost:5000/team/model", "localhost:5000/team/model:latest"),
        ("localhost:5000/team/model:v1@sha256:abc", "localhost:5000/team/model:v1"),
    ],
)
def test_names_have_one_short_form(text: str, expected: str) -> None:
    assert images.parse(text).text == expected


@pytest.mark.parametrize(
    ("pattern", "image", "covered"),
    [
        ("python:*", "docker.io/library/python:3.12-slim", True),
        ("docker.io/library/python:*", "python:3.12", True),
        ("python:*", "mypython:3.12", False),
        ("python", "python", True),
        ("python", "python:3.12", False),
        ("kubeflow/*", "kubeflow/notebook:v1", False),
        ("kubeflow/*:*", "docker.io/kubeflow/notebook:v1", True),
        ("*", "anything/at/all:v1", True),
    ],
)
def test_patterns(pattern: str, image: str, covered: bool) -> None:
    assert images.matches(pattern, images.parse(image)) is covered


def test_the_narrowest_pattern_ranks_highest() -> None:
    patterns = ["*", "python:*", "python:3.*", "python:3.12"]
    assert sorted(patterns, key=images.specificity) == patterns


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("python:3.12-slim", "3.12"),
        ("python:3.11.4", "3.11"),
        ("python:slim", None),
        ("python", None),
        ("registry.access.redhat.com/ubi9/python-311:latest", "3.11"),
        ("registry.access.redhat.com/ubi9/python-312-minimal:9.6", "3.12"),
        ("team/python-tools:3.12", None),
        ("tensorflow/tensorflow:2.15", None),
    ],
)
def test_only_python_images_name_a_version(image: str, version: str | None) -> None:
    assert images.python_version(images.parse(image)) == version


@pytest.mark.parametrize("text", ["", "  ", ":tag", "two words"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="image name"):
        images.parse(text)
