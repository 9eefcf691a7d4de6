"""The environments that come with Wherry, for images that no `Environment` object covers.

They are data (`catalogue.yaml`) and no objects: an API that starts with dozens of objects nobody made
is hard to read, and what stands there must not be in the way of what people write themselves.
"""

import functools
import importlib.resources
import re
from dataclasses import dataclass
from typing import Any

import yaml

from wherry.kubelet import images
from wherry.kubelet.environments import kinds
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_VERSION = re.compile(r"v?(\d+(?:\.\d+){1,3})(?:[-+_].*)?")
_SPECIFIER = re.compile(r"\s*[=~<>!]=?\s*\{version\}")
_OWN_FIELDS = frozenset({"name", "about", "warning", "hostTools"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One environment of the catalogue.

    Attributes:
        name: Its name.
        about: What it is.
        spec: As an `Environment` has it, `{version}` in its requirements.
        warning: What is not as in the image.
        host_tools: Whether it is nothing but this machine's programs.
    """

    name: str
    about: str
    spec: Object
    warning: str = ""
    host_tools: bool = False

    @property
    def images(self) -> tuple[str, ...]:
        """Patterns of the images it stands for."""
        return tuple(self.spec["images"])

    @property
    def has_version(self) -> bool:
        """Whether the image's tag decides versions."""
        return any("{version}" in line for line in self.spec.get("requirements") or [])

    def environment(self, version: str = "") -> Object:
        """Return it as an `Environment` object.

        Args:
            version: Of the image; empty takes the newest.
        """
        spec = copied(self.spec)
        if "requirements" in spec:
            spec["requirements"] = [_filled(line, version) for line in spec["requirements"]]
        return {
            "apiVersion": kinds.ENVIRONMENTS.api_version,
            "kind": kinds.ENVIRONMENTS.kind,
            "metadata": {"name": self.name},
            "spec": spec,
        }


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return the catalogue."""
    text = importlib.resources.files(__package__).joinpath("catalogue.yaml").read_text("utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(_entry(one) for one in yaml.load(text, loader))  # noqa: S506 - both are safe


def covering(image: images.Image) -> Entry | None:
    """Return the first entry that covers the image."""
    for entry in entries():
        if any(images.matches(pattern, image) for pattern in entry.images):
            return entry
    return None


def version_of(image: images.Image) -> str:
    """Return ``2.15.0`` for the tag `2.15.0-gpu`; empty where the tag begins with no version."""
    match = _VERSION.fullmatch(image.tag)
    return match[1] if match else ""


def _entry(one: dict[str, Any]) -> Entry:
    return Entry(
        name=one["name"],
        about=one["about"],
        spec={key: value for key, value in one.items() if key not in _OWN_FIELDS},
        warning=one.get("warning", ""),
        host_tools=one.get("hostTools", False),
    )


def _filled(line: str, version: str) -> str:
    return line.replace("{version}", version) if version else _SPECIFIER.sub("", line)
