"""What a pod refers to by name and what may not be there. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from wherry.cli.targets import short, similar
from wherry.cli.why.finding import Finding
from wherry.cli.why.look import Look
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


class Reference(NamedTuple):
    """A name in a pod's spec.

    Attributes:
        resource: Of which kind.
        name: The name.
        keys: Keys that must be there.
        user: Who refers to it, for people.
    """

    resource: Resource
    name: str
    keys: tuple[str, ...]
    user: str


def missing(look: Look) -> list[Finding]:
    """Return a finding for each object or key that a pod needs and that does not exist."""
    found: dict[str, Finding] = {}
    for reference in _references(look.spec):
        finding = _check(look, reference)
        if finding is not None:
            found.setdefault(finding.object + finding.statement, finding)
    return [*found.values()]


def _check(look: Look, reference: Reference) -> Finding | None:
    title = short(reference.resource, reference.name)
    evidence = (f"{reference.user} refers to it",)
    if look.world.is_missing(reference.resource, look.namespace, reference.name):
        close = similar(reference.name, look.world.names(reference.resource, look.namespace))
        hint = f"did you mean {close[0]}? Otherwise " if close else ""
        mend = f"{hint}create it in namespace {look.namespace}; the pod goes on by itself then"
        statement = f"does not exist in namespace {look.namespace}"
        return Finding(title, statement, evidence=evidence, mend=mend)
    if not reference.keys:
        return None
    obj = look.world.get(reference.resource, look.namespace, reference.name)
    if obj is None:
        return None
    there = {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}
    absent = [key for key in reference.keys if key not in there]
    if not absent:
        return None
    listed = ", ".join(sorted(there)) or "none"
    return Finding(
        title,
        f"has no key {', '.join(absent)}",
        evidence=(*evidence, f"its keys: {listed}"),
        mend="add the key, or refer to one that is there",
    )


def _references(spec: dict[str, Any]) -> Iterator[Reference]:
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        yield from _of_container(container)


def _of_volume(volume: Object) -> Iterator[Reference]:
    user = f"volume {volume.get('name')}"
    for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
        for field, resource, name in (
            ("configMap", kinds.CONFIG_MAPS, "name"),
            ("secret", kinds.SECRETS, "secretName" if source is volume else "name"),
        ):
            part = source.get(field)
            if part and not part.get("optional"):
                keys = tuple(str(item.get("key")) for item in part.get("items") or [])
                yield Reference(resource, str(part.get(name, "")), keys, user)
    claim = volume.get("persistentVolumeClaim")
    if claim:
        yield Reference(kinds.PERSISTENT_VOLUME_CLAIMS, str(claim.get("claimName")), (), user)


def _of_container(container: Object) -> Iterator[Reference]:
    user = f"container {container.get('name')}"
    refers = (("configMapRef", kinds.CONFIG_MAPS), ("secretRef", kinds.SECRETS))
    for source in container.get("envFrom") or []:
        for field, resource in refers:
            part = source.get(field)
            if part and not part.get("optional"):
                yield Reference(resource, str(part.get("name")), (), f"{user}, envFrom,")
    values = (("configMapKeyRef", kinds.CONFIG_MAPS), ("secretKeyRef", kinds.SECRETS))
    for variable in container.get("env") or []:
        for field, resource in values:
            part = (variable.get("valueFrom") or {}).get(field)
            if part and not part.get("optional"):
                named = f"{user}, variable {variable.get('name')},"
                yield Reference(resource, str(part.get("name")), (str(part.get("key")),), named)
