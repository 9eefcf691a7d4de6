"""Templates that do something themselves."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects import documents
from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking import cycles, named
from wherry.pipelines.workflows.checking.findings import (
    FORBIDDEN,
    REQUIRED,
    UNSUPPORTED,
    Findings,
)
from wherry.pipelines.workflows.leaves import Action, ContainerSet, ResourceTemplate
from wherry.pipelines.workflows.messages import Template, TemplateType

_RESERVED: Final = frozenset({"wait", "supervisor", "init"})
_RESERVED_START: Final = "artifact-plugin-"
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def check(found: Findings, where: str, template: Template, defaults: Template | None) -> None:
    """Check a template that does something itself.

    Args:
        found: Where what is wrong is written down.
        where: Its place.
        template: The template.
        defaults: What the workflow says for all templates.
    """
    if template.container is not None:
        own = defaults.container if defaults else None
        _image(found, f"{where}.container", template.container, own)
        _mounts(found, where, template)
    if template.script is not None:
        own = defaults.script.container if defaults and defaults.script else None
        _image(found, f"{where}.script", template.script.container, own)
    if template.container_set is not None:
        _set(found, f"{where}.containerSet", template.container_set, template)
    if template.resource is not None:
        _resource(found, f"{where}.resource", template.resource, template)
    if template.http is not None and not template.http.url:
        found.add(f"{where}.http.url", "a URL is missing", REQUIRED)
    if template.parallelism is not None:
        message = "only templates of steps and dag have one"
        found.add(f"{where}.parallelism", message, FORBIDDEN)
    for part, containers in (
        ("sidecars", template.sidecars),
        ("initContainers", template.init_containers),
    ):
        _containers(found, f"{where}.{part}", [each.container for each in containers])
    _deadline(found, where, template)


def _image(
    found: Findings, where: str, container: Mapping[str, Any], defaults: Mapping[str, Any] | None
) -> None:
    if not container.get("image") and not (defaults or {}).get("image"):
        found.add(f"{where}.image", "an image is missing", REQUIRED)


def _mounts(found: Findings, where: str, template: Template) -> None:
    seen: dict[str, str] = {}
    mounts = (template.container or {}).get("volumeMounts")
    for place, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        path = mount.get("mountPath") if isinstance(mount, Mapping) else None
        if isinstance(path, str):
            _once(found, f"{where}.container.volumeMounts[{place}].mountPath", path, seen)
    for place, artifact in enumerate(template.inputs.artifacts):
        if artifact.path:
            _once(found, f"{where}.inputs.artifacts[{place}].path", artifact.path, seen)


def _once(found: Findings, where: str, path: str, seen: dict[str, str]) -> None:
    if path in seen:
        found.add(where, f"{shown(path)} is already mounted by {seen[path]}")
    seen.setdefault(path, where)


def _containers(found: Findings, where: str, containers: Iterable[Mapping[str, Any]]) -> None:
    for place, container in enumerate(containers):
        name = container.get("name")
        if not name:
            found.add(f"{where}[{place}].name", "a name is missing", REQUIRED)
        else:
            _reserved(found, f"{where}[{place}].name", str(name))


def _reserved(found: Findings, where: str, name: str) -> None:
    if name in _RESERVED or name.startswith(_RESERVED_START):
        message = f"{shown(name)} is what the engine's own containers are called; use another"
        found.add(where, message, FORBIDDEN)


def _set(found: Findings, where: str, containers: ContainerSet, template: Template) -> None:
    below = f"{where}.containers"
    if not containers.containers:
        found.add(below, "at least one container is wanted", REQUIRED)
    named.nodes(found, below, containers.containers)
    names = {each.name for each in containers.containers}
    for place, each in enumerate(containers.containers):
        _reserved(found, f"{below}[{place}].name", each.name)
        for dependency in each.dependencies:
            if dependency not in names:
                message = f"there is no container {shown(dependency)} here"
                found.add(f"{below}[{place}].dependencies", message)
    cycle = cycles.find({each.name: each.dependencies for each in containers.containers})
    if cycle:
        found.add(below, f"these wait for one another: {' → '.join(cycle)}")
    files = (*template.inputs.artifacts, *template.outputs.artifacts, *template.outputs.parameters)
    if files and "main" not in names:
        message = "a container called main is wanted: inputs and outputs are its files"
        found.add(below, message, REQUIRED)


def _resource(found: Findings, where: str, resource: ResourceTemplate, template: Template) -> None:
    action = resource.action
    if "{{" not in action and action not in set(Action):
        accepted = ", ".join(Action)
        found.add(f"{where}.action", f"{shown(action)}: use one of {accepted}", UNSUPPORTED)
    if action in {Action.DELETE, Action.GET}:
        return
    if not resource.manifest and resource.manifest_from is None:
        found.add(where, "one of manifest, manifestFrom is wanted", REQUIRED)
    elif resource.manifest and resource.manifest_from is not None:
        found.add(where, "only one of manifest, manifestFrom may be given", FORBIDDEN)
    elif resource.manifest_from is not None:
        name = resource.manifest_from.artifact.name
        if name not in {each.name for each in template.inputs.artifacts}:
            message = f"the template has no input artifact {shown(name)}"
            found.add(f"{where}.manifestFrom.artifact", message)
    else:
        _manifest(found, f"{where}.manifest", resource.manifest)


def _manifest(found: Findings, where: str, manifest: str) -> None:
    # A variable may stand where YAML has something else, so that a word takes its place.
    for each in documents.read(_EXPRESSION.sub("x", manifest)):
        if isinstance(each, documents.DocumentError):
            found.add(where, f"is no YAML: {each}")


def _deadline(found: Findings, where: str, template: Template) -> None:
    text = template.active_deadline_seconds
    if text is None or "{{" in text:
        return
    if not text.isdecimal():
        message = f"{shown(text)}: use a whole number of seconds above 0, or a variable"
        found.add(f"{where}.activeDeadlineSeconds", message)


LEAVES: Final = frozenset(TemplateType) - {TemplateType.STEPS, TemplateType.DAG}
"""What does something itself."""
