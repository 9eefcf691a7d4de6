"""Image names: what they mean and which pattern covers them. Pure.

`python:3.12`, `docker.io/library/python:3.12` and `index.docker.io/python:3.12` are one image.
"""

import fnmatch
import re
from typing import NamedTuple

_HUBS = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
_VERSION = re.compile(r"(\d+\.\d+)(?:[.\-_a-z].*)?")
_NAMED_PYTHON = re.compile(r"python-(3)(\d+)(?:-.*)?")


class Image(NamedTuple):
    """A name in its shortest form, and its tag (``latest`` where none is given)."""

    repository: str
    tag: str

    @property
    def text(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"


def parse(text: str) -> Image:
    """Read an image name, or a pattern for names; a digest is left out.

    Raises:
        ValueError: there is no name in it.
    """
    name = text.strip().split("@", 1)[0]
    for hub in _HUBS:
        name = name.removeprefix(hub)
    name = name.removeprefix("library/")
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    repository, tag = (name[:colon], name[colon + 1 :]) if colon >= 0 else (name, "")
    if not repository or any(character.isspace() for character in name):
        raise ValueError(f"{text!r} is not an image name: want [registry/]name[:tag]")
    return Image(repository, tag or "latest")


def matches(pattern: str, image: Image) -> bool:
    """Return whether a pattern with `*`, `?` and `[…]` covers the image.

    Without a tag a pattern covers `latest` only, as a name does; a pattern of `*` alone covers all.
    """
    if pattern.strip() == "*":
        return True
    return fnmatch.fnmatchcase(image.text, parse(pattern).text)


def specificity(pattern: str) -> tuple[int, int]:
    """Return how narrow a pattern is: the larger wins where several cover an image."""
    text = pattern.strip()
    wildcards = sum(text.count(character) for character in "*?[")
    return (0 if wildcards else 1, len(text) - wildcards)


def python_version(image: Image) -> str | None:
    """Return ``3.12`` for `python:3.12-slim` and `ubi9/python-312`; None where no version is named.

    Only an image that is called `python` says with its tag which Python it holds.
    """
    name = image.repository.rsplit("/", 1)[-1]
    if named := _NAMED_PYTHON.fullmatch(name):
        return f"{named[1]}.{named[2]}"
    if name != "python":
        return None
    match = _VERSION.fullmatch(image.tag)
    return match[1] if match else None
