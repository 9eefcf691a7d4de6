"""The manifests that training-operator, mpi-operator and trainer come with, applied unmodified.

They are read from checkouts that WHERRY_TRAINING_OPERATOR (branch release-1.9), WHERRY_MPI_OPERATOR
and WHERRY_TRAINER name; nothing of them is kept. What their images hold is not run: pods are played,
each ends well once it runs, and the job has to come to its end from there.
"""

import dataclasses
import functools
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import played
from wherry.testing.played import World
from wherry.training import component

NAMES = Path(__file__).parent / "names"
CHECKOUTS = {
    name: os.environ.get(f"WHERRY_{name.upper().replace('-', '_')}", "")
    for name in ("training-operator", "mpi-operator", "trainer")
}
FOLDERS = {
    "training-operator": ("examples",),
    "mpi-operator": ("examples",),
    "trainer": ("examples", "manifests/base/runtimes"),
}
GROUPS = {"kubeflow.org", "trainer.kubeflow.org"}
RUNTIMES = {"TrainingRuntime", "ClusterTrainingRuntime"}
PLAYED = re.compile(r"^kind:\s*\"?\w*(Job|Runtime)\"?\s*$", re.MULTILINE)


def _cases() -> Iterator[Any]:
    for path in sorted(NAMES.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row.get("notApplicable"):
                continue
            mark = pytest.mark.conformance("training", group=path.stem, name=row["name"])
            missing = pytest.mark.skipif(
                not CHECKOUTS[path.stem],
                reason=f"WHERRY_{path.stem.upper().replace('-', '_')} names no checkout",
            )
            yield pytest.param(path.stem, row["name"], marks=[mark, missing], id=row["name"])


@functools.cache
def _manifests(project: str) -> dict[str, list[Object]]:
    """Return the documents of each file that holds a job or a runtime of ours."""
    found = {}
    root = Path(CHECKOUTS[project])
    for folder in FOLDERS[project]:
        for path in sorted((root / folder).rglob("*.y*ml")):
            text = path.read_text(encoding="utf-8")
            if PLAYED.search(text) is None:
                continue
            documents = [one for one in yaml.safe_load_all(text) if one]
            if any(_is_ours(one) for one in documents):
                found[str(path.relative_to(root))] = documents
    return found


def _is_ours(document: Any) -> bool:
    return str(document.get("apiVersion", "")).partition("/")[0] in GROUPS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The controllers of training, and Kubernetes' own, with pods that are played."""
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1000.0
    )
    async with played.world((component.COMPONENT,), settings=settings) as made:
        large = {"cpu": "1000", "memory": "10Ti", "pods": "2000", "nvidia.com/gpu": "100"}
        status = {"allocatable": large, "capacity": large}
        await made.client.patch(kinds.NODES, "node", {"status": status}, subresource="status")
        yield made


def resource_of(document: Object) -> Resource:
    """Return the resource of a document, in the version that it is written in."""
    group, _, version = document["apiVersion"].rpartition("/")
    for kind in component.COMPONENT.kinds:
        if (kind.resource.group, kind.resource.kind) == (group, document["kind"]):
            assert version in {each.name for each in kind.versions}
            return dataclasses.replace(kind.resource, version=version)
    found = kinds.by_kind(document["apiVersion"], document["kind"])
    assert found is not None, f"{document['apiVersion']} {document['kind']} is not served"
    return found


async def applied(world: World, document: Object) -> Object:
    """Create an object, or make one that is there the same, as `kubectl apply` does."""
    resource = resource_of(document)
    namespace = metadata.namespace(document)
    if namespace and resource.namespaced and await world.find(kinds.NAMESPACES, namespace) is None:
        await world.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
    if "generateName" in document["metadata"]:
        document["metadata"].setdefault("name", document["metadata"].pop("generateName") + "x")
    try:
        return await world.create(resource, document)
    except errors.AlreadyExistsError:
        where = namespace or "default" if resource.namespaced else None
        return await world.client.patch(resource, metadata.name(document), document, where)


async def make_claims(world: World, namespace: str) -> None:
    """Make the volume claims that pods wait for and that manifests leave to their users."""
    for pod in (await world.client.list(kinds.PODS, namespace)).items:
        for volume in pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name and await world.find(kinds.PERSISTENT_VOLUME_CLAIMS, name, namespace) is None:
                asked = {
                    "accessModes": ["ReadWriteMany"],
                    "resources": {"requests": {"storage": "1Gi"}},
                }
                meta = {"name": name, "namespace": namespace}
                await world.create(
                    kinds.PERSISTENT_VOLUME_CLAIMS, {"metadata": meta, "spec": asked}
                )


async def make_place(world: World, namespace: str) -> None:
    """Make the accounts and the nodes that pods ask for and that manifests leave to their users."""
    for job in (await world.client.list(kinds.JOBS, namespace)).items:
        spec = job["spec"]["template"]["spec"]
        account = spec.get("serviceAccountName")
        if account and await world.find(kinds.SERVICE_ACCOUNTS, account, namespace) is None:
            meta = {"name": account, "namespace": namespace}
            await world.create(kinds.SERVICE_ACCOUNTS, {"metadata": meta})
        if spec.get("nodeSelector"):
            labels = {"metadata": {"labels": spec["nodeSelector"]}}
            await world.client.patch(kinds.NODES, "node", labels)


async def end(world: World, namespace: str) -> None:
    """End every pod that runs, well."""
    for pod in (await world.client.list(kinds.PODS, namespace)).items:
        if pod.get("status", {}).get("phase") == "Running" and not metadata.is_deleting(pod):
            await world.kubelet.finish(metadata.name(pod), namespace)


@pytest.mark.parametrize(("project", "name"), list(_cases()))
async def test_the_manifest_is_taken_and_comes_to_its_end(world, project, name):
    for document in _manifests(project)[name]:
        made = await applied(world, document)
        if not _is_ours(document) or document["kind"] in RUNTIMES:
            continue
        namespace = metadata.namespace(made)
        resource = resource_of(document)

        async def ended(
            made: Object = made, namespace: str = namespace, resource: Any = resource
        ) -> bool:
            await make_place(world, namespace)
            await make_claims(world, namespace)
            await end(world, namespace)
            obj = await world.client.get(resource, metadata.name(made), namespace)
            return any(conditions.is_true(obj, type_) for type_ in ("Succeeded", "Complete"))

        await world.until(ended, f"{made['kind']} {metadata.name(made)} succeeded", 60)


@pytest.mark.parametrize("project", list(CHECKOUTS))
def test_no_manifest_is_left_out(project):
    if not CHECKOUTS[project]:
        pytest.skip(f"no checkout of {project}")
    listed = {row["name"] for row in json.loads((NAMES / f"{project}.json").read_text())}
    assert sorted(_manifests(project).keys() - listed) == []
