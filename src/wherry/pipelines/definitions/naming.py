"""Names of pipelines and versions: what people call them, and what their objects are called. Pure.

In the REST API a name is any text. An object's name is that text where it can be one; else a like one
with an ending that depends on the text alone, and the text stands in an annotation.
"""

import re
from typing import Final

from wherry.objects import metadata, names
from wherry.objects.requests import Object
from wherry.pipelines.definitions import kinds

_OTHER: Final = re.compile(r"[^a-z0-9]+")
_LIKE: Final = 60
_LONGEST: Final = 253


def object_name(name: str) -> str:
    """Return what a pipeline's object is called."""
    return name if _fits(name, kinds.MAX_NAME) else _like(name)


def version_name(name: str) -> str:
    """Return a version's name as `spec.versionName` may have it."""
    return name if _fits(name, kinds.MAX_VERSION_NAME) else _like(name)


def version_object_name(pipeline: str, name: str) -> str:
    """Return what a version's object is called; upstream's form.

    Args:
        pipeline: Name of its pipeline's object.
        name: What the version is called.
    """
    version = version_name(name)
    made = version if version == pipeline else f"{pipeline}-{version}"
    return made if len(made) <= _LONGEST else other_name(pipeline, name)


def other_name(pipeline: str, name: str) -> str:
    """Return another name for a version's object, where that of `version_object_name` is taken."""
    return f"{_short(pipeline)}-{_short(name)}-{names.suffix(f'{pipeline}/{name}', 10)}"


def annotations(name: str, shown: str) -> dict[str, str]:
    """Return the annotations of an object that was given a name.

    Args:
        name: What it is called.
        shown: What the object itself says that it is called.
    """
    return {} if name == shown else {kinds.NAME_ANNOTATION: name}


def name_of(pipeline: Object) -> str:
    """Return what a pipeline is called."""
    return metadata.annotations(pipeline).get(kinds.NAME_ANNOTATION) or metadata.name(pipeline)


def name_of_version(version: Object) -> str:
    """Return what a version is called."""
    told = metadata.annotations(version).get(kinds.NAME_ANNOTATION)
    return told or (version.get("spec") or {}).get("versionName") or metadata.name(version)


def _fits(name: str, most: int) -> bool:
    return len(name) <= most and not names.dns_subdomain(name)


def _like(name: str) -> str:
    return f"{_short(name)}-{names.suffix(name, 10)}"


def _short(name: str) -> str:
    return _OTHER.sub("-", name.lower()).strip("-")[:_LIKE].strip("-") or "pipeline"
