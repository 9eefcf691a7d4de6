"""The artifact repository of a Workflow: that of a ConfigMap of the namespace, else the pipelines' root.

It is looked up once, and stands in the Workflow's status from then on: a ConfigMap that changes, or goes,
makes no difference to Workflows that have begun.

Source: argoproj/argo-workflows v4, ``workflow/artifactrepositories``.
"""

import dataclasses
import posixpath
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from wherry.client.client import Client
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import locations, one_document
from wherry.pipelines.workflows.artifacts.repository import DEFAULT_KEY, STATUS, Repository

CONFIG_MAP: Final = "artifact-repositories"
DEFAULT: Final = "workflows.argoproj.io/default-artifact-repository"
"""Annotation of the ConfigMap: which of its keys counts where none is named."""
_SAID: Final = "artifactRepository"
_NOT_OF_STORE: Final = ("keyFormat", "keyPrefix")


async def find(client: Client, root: Root, workflow: Object, spec: Object) -> Repository:
    """Return where a Workflow's artifacts go.

    Args:
        client: Reads the ConfigMap.
        root: The pipelines' root of the namespace.
        workflow: The object; what its status says counts.
        spec: What it runs.

    Raises:
        StepError: the repository that is named is not there, or cannot be read.
        ApiError: it cannot be asked for.
    """
    known = (workflow.get("status") or {}).get(STATUS)
    if isinstance(known, Mapping) and known.get(_SAID) is not None:
        repository = _of(known[_SAID], f"status.{STATUS}.{_SAID}", root)
        return dataclasses.replace(repository, told=known)
    if isinstance(known, Mapping) and known.get("default"):
        return Repository(root=root)
    reference = spec.get("artifactRepositoryRef") or {}
    name = str(reference.get("configMap") or CONFIG_MAP)
    try:
        found = await client.get(core.CONFIG_MAPS, name, metadata.namespace(workflow))
    except errors.NotFoundError as error:
        if reference:
            raise StepError(f"artifactRepositoryRef: there is no ConfigMap {name}") from error
        return Repository(root=root)
    key = str(reference.get("key") or metadata.annotations(found).get(DEFAULT, ""))
    if not key and not reference:
        return Repository(root=root)
    text = (found.get("data") or {}).get(key)
    if text is None:
        raise StepError(f"artifactRepositoryRef: ConfigMap {name} has no key {key!r}")
    told = {"configMap": name, "key": key, "namespace": metadata.namespace(workflow)}
    return read(text, f"ConfigMap {name}: {key}", root, told)


def read(
    text: str, where: str, root: Root, told: Mapping[str, str] = MappingProxyType({})
) -> Repository:
    """Return the repository that a key of the ConfigMap describes.

    Args:
        text: What is there.
        where: The place, for people.
        root: The pipelines' root of the namespace.
        told: The place, for the Workflow's status.

    Raises:
        StepError: it cannot be read, or is of a kind that is not done.
    """
    said = one_document.read(text, where)
    return dataclasses.replace(_of(said, where, root), told={**told, _SAID: said})


def _of(said: Any, where: str, root: Root) -> Repository:
    if not isinstance(said, dict):
        raise StepError(f"{where} is {said!r}; want an object with s3 or gcs")
    kind = locations.kind(said, where)
    store = said.get(kind)
    if kind not in locations.STORES or not isinstance(store, dict) or not store.get("bucket"):
        raise StepError(f"{where}: want s3 or gcs with a bucket")
    return Repository(
        root=root,
        store={kind: {each: value for each, value in store.items() if each not in _NOT_OF_STORE}},
        key_format=_key_format(store),
        archive_logs=said.get("archiveLogs") is True,
    )


def _key_format(store: Mapping[str, Any]) -> str:
    told = str(store.get("keyFormat") or "")
    return told or posixpath.join(str(store.get("keyPrefix") or ""), DEFAULT_KEY)
