"""The kind `Environment`: what stands for a container image where there are no images.

The dataclasses are the only description of the kind; its CustomResourceDefinition is made from them.
"""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any

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

_Schema = dict[str, Any]
_VERSION = r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?"
_BOUND = rf" *(==|!=|>=|<=|>|<) *{_VERSION} *"
_PYTHON = rf"^$|^{_VERSION}$|^{_BOUND}(,{_BOUND})*$"


def _about(description: str, **limits: Any) -> dict[str, Any]:
    return {"description": description, "limits": limits}


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an image holds."""

    images: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "Image names that this environment stands for. * ? and [...] match within a name; "
            "docker.io/library/ may be left out; a name without a tag means latest. "
            "Where several environments cover an image, the narrowest pattern wins.",
            minItems=1,
            maxItems=256,
        ),
    )
    python: str = field(
        default="",
        metadata=_about(
            "Python version, such as 3.12, or a range, such as >=3.10,<3.13. Empty: the version "
            "that the tag of an image called python names, else the one that Wherry itself runs on.",
            pattern=_PYTHON,
        ),
    )
    requirements: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "Packages to install, each as in a requirements file, such as numpy>=2.", maxItems=1024
        ),
    )
    constraints: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "Versions for packages that are installed only because others require them, such as "
            "scipy<1.16.",
            maxItems=1024,
        ),
    )
    lock: str = field(
        default="",
        metadata=_about(
            "The exact content instead of requirements: the text of a pylock.toml, or of a "
            "requirements file with hashes.",
            maxLength=1024 * 1024,
        ),
    )
    indexUrl: str = field(  # noqa: N815 - the field's name in the API
        default="",
        metadata=_about(
            "Package index to use instead of the node's default. Credentials belong into the "
            "node's .netrc or UV_INDEX_… variables, not here, where all may read them.",
            maxLength=2048,
        ),
    )
    extraIndexUrls: tuple[str, ...] = field(  # noqa: N815 - the field's name in the API
        default=(),
        metadata=_about("Package indexes that are looked into before that one.", maxItems=16),
    )
    findLinks: tuple[str, ...] = field(  # noqa: N815 - the field's name in the API
        default=(),
        metadata=_about("Folders of the node, or pages, that list package files.", maxItems=16),
    )
    env: dict[str, str] = field(
        default_factory=dict,
        metadata=_about("Variables that containers get unless the pod sets them."),
    )
    files: dict[str, str] = field(
        default_factory=dict,
        metadata=_about("Small text files that containers see: absolute path to content."),
    )
    workingDir: str = field(  # noqa: N815 - the field's name in the API
        default="",
        metadata=_about(
            "Where containers start that say nothing else. Empty: a folder of their own."
        ),
    )
    entrypoint: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "What runs where a container has no command. Empty: the Python interpreter."
        ),
    )
    preload: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "Modules that containers find imported already when their command is the environment's "
            "Python, such as numpy or sklearn.linear_model. Programs see no other difference; a "
            "module that cannot be imported beforehand is left out.",
            maxItems=64,
        ),
    )


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """How far the environment is."""

    conditions: tuple[dict[str, Any], ...] = field(
        default=(),
        metadata=_about(
            "Ready: containers can start. Building: with the last line of progress as its message."
        ),
    )
    observedGeneration: int = field(  # noqa: N815 - the field's name in the API
        default=0, metadata=_about("The generation that this status describes.")
    )
    hash: str = field(
        default="", metadata=_about("Names the content; the folder of the build is called so.")
    )
    python: str = field(default="", metadata=_about("Version of the interpreter that was taken."))
    path: str = field(default="", metadata=_about("Where the built environment lies."))
    answers: str = field(
        default="",
        metadata=_about("The value of the annotation wherry.dev/build that this status answers."),
    )
    builtAt: str = field(  # noqa: N815 - the field's name in the API
        default="", metadata=_about("When the build was finished.", format="date-time")
    )


def spec_of(obj: Object) -> EnvironmentSpec:
    """Read the spec of an `Environment` that the API has checked."""
    spec = obj.get("spec") or {}
    return EnvironmentSpec(
        images=tuple(spec.get("images") or ()),
        python=str(spec.get("python") or ""),
        requirements=tuple(spec.get("requirements") or ()),
        constraints=tuple(spec.get("constraints") or ()),
        lock=str(spec.get("lock") or ""),
        indexUrl=str(spec.get("indexUrl") or ""),
        extraIndexUrls=tuple(spec.get("extraIndexUrls") or ()),
        findLinks=tuple(spec.get("findLinks") or ()),
        env=dict(spec.get("env") or {}),
        files=dict(spec.get("files") or {}),
        workingDir=str(spec.get("workingDir") or ""),
        entrypoint=tuple(spec.get("entrypoint") or ()),
        preload=tuple(spec.get("preload") or ()),
    )


def default_environment() -> Object:
    """Return the `Environment` that covers the official Python images."""
    return {
        "apiVersion": ENVIRONMENTS.api_version,
        "kind": ENVIRONMENTS.kind,
        "metadata": {"name": "python"},
        "spec": {"images": ["python:*"]},
    }


def crd() -> Object:
    """Return the CustomResourceDefinition of `Environment`."""
    names = {
        "plural": ENVIRONMENTS.plural,
        "singular": ENVIRONMENTS.singular,
        "kind": ENVIRONMENTS.kind,
        "listKind": f"{ENVIRONMENTS.kind}List",
        "shortNames": list(ENVIRONMENTS.short_names),
        "categories": list(ENVIRONMENTS.categories),
    }
    version = {
        "name": ENVIRONMENTS.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": ENVIRONMENTS.key},
        "spec": {
            "group": ENVIRONMENTS.group,
            "scope": "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def _columns() -> list[Object]:
    ready = '.status.conditions[?(@.type=="Ready")].status'
    return [
        {"name": "Ready", "type": "string", "jsonPath": ready},
        {"name": "Python", "type": "string", "jsonPath": ".status.python"},
        {"name": "Images", "type": "string", "jsonPath": ".spec.images", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _root() -> _Schema:
    spec = _object(EnvironmentSpec)
    spec["required"] = ["images"]
    return {
        "type": "object",
        "description": "A Python environment that stands for container images.",
        "required": ["spec"],
        "properties": {"spec": spec, "status": _object(EnvironmentStatus)},
    }


def _object(cls: type[Any]) -> _Schema:
    properties = {}
    for item in dataclasses.fields(cls):
        schema = _schema(item.type)
        limits = item.metadata["limits"]
        properties[item.name] = {**schema, **limits, "description": item.metadata["description"]}
    return {"type": "object", "description": cls.__doc__, "properties": properties}


def _schema(annotation: Any) -> _Schema:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is str:
        return {"type": "string"}
    if annotation is int:
        return {"type": "integer", "format": "int64"}
    if origin is tuple and arguments[0] is str:
        return {"type": "array", "items": {"type": "string", "maxLength": 4096}}
    if origin is dict and arguments[1] is str:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "type": "array",
        "items": _CONDITION,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }


_CONDITION: _Schema = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string"},
        "message": {"type": "string"},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer", "format": "int64"},
    },
}
