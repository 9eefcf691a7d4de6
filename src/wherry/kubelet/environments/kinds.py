"""The kind `Environment`: what stands for a container image where there are no images.

Its definition is made from what stands here, in `definition`: apart, because commands that only read
environments start without it.
"""

from dataclasses import dataclass
from typing import Final

from wherry.objects.declared import reading
from wherry.objects.declared.fields import about
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

ENVIRONMENTS = Resource(
    group="wherry.dev",
    version="v1",
    plural="environments",
    kind="Environment",
    singular="environment",
    namespaced=False,
    short_names=("envs",),
    categories=("wherry",),
    subresources=("status",),
)

BUILD_ANNOTATION = "wherry.dev/build"
"""Of an Environment: a new value asks for a build now, `status.answers` repeats it afterwards."""

READY = "Ready"
BUILDING = "Building"

_VERSION = r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?"
_BOUND = rf" *(==|!=|>=|<=|>|<) *{_VERSION} *"
_PYTHON = rf"^$|^{_VERSION}$|^{_BOUND}(,{_BOUND})*$"
_TEXT: Final = {"type": "string", "maxLength": 4096}
"""An item of a list."""


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an image holds."""

    images: tuple[str, ...] = about(
        "Image names that this environment stands for. * ? and [...] match within a name; "
        "docker.io/library/ may be left out; a name without a tag means latest. "
        "Where several environments cover an image, the narrowest pattern wins.",
        (),
        required=True,
        items=_TEXT,
        minItems=1,
        maxItems=256,
    )
    python: str = about(
        "Python version, such as 3.12, or a range, such as >=3.10,<3.13. Empty: the version "
        "that the tag of an image called python names, else the one that Wherry itself runs on.",
        "",
        pattern=_PYTHON,
    )
    requirements: tuple[str, ...] = about(
        "Packages to install, each as in a requirements file, such as numpy>=2.",
        (),
        items=_TEXT,
        maxItems=1024,
    )
    constraints: tuple[str, ...] = about(
        "Versions for packages that are installed only because others require them, also those "
        "that others are built with, such as scipy<1.16 or setuptools<70.",
        (),
        items=_TEXT,
        maxItems=1024,
    )
    lock: str = about(
        "The exact content instead of requirements: the text of a pylock.toml, or of a "
        "requirements file with hashes.",
        "",
        maxLength=1024 * 1024,
    )
    index_url: str = about(
        "Package index to use instead of the node's default. Credentials belong into the "
        "node's .netrc or UV_INDEX_… variables, not here, where all may read them.",
        "",
        maxLength=2048,
    )
    extra_index_urls: tuple[str, ...] = about(
        "Package indexes that are looked into before that one.", (), items=_TEXT, maxItems=16
    )
    find_links: tuple[str, ...] = about(
        "Folders of the node, or pages, that list package files.", (), items=_TEXT, maxItems=16
    )
    env: dict[str, str] = about("Variables that containers get unless the pod sets them.", dict)
    files: dict[str, str] = about(
        "Small text files that containers see: absolute path to content. What begins with #! is a program.",
        dict,
    )
    working_dir: str = about(
        "Where containers start that say nothing else. Empty: a folder of their own.", ""
    )
    entrypoint: tuple[str, ...] = about(
        "What runs where a container has no command. Empty: the Python interpreter.",
        (),
        items=_TEXT,
    )
    preload: tuple[str, ...] = about(
        "Modules that containers find imported already when their command is the environment's "
        "Python, such as numpy or sklearn.linear_model. Programs see no other difference; a "
        "module that cannot be imported beforehand is left out.",
        (),
        items=_TEXT,
        maxItems=64,
    )


def spec_of(obj: Object) -> EnvironmentSpec:
    """Read the spec of an `Environment` that the API has checked."""
    return reading.read(EnvironmentSpec, obj.get("spec"))


def default_environment() -> Object:
    """Return the `Environment` that covers the official Python images."""
    return {
        "apiVersion": ENVIRONMENTS.api_version,
        "kind": ENVIRONMENTS.kind,
        "metadata": {"name": "python"},
        "spec": {"images": ["python:*"]},
    }
