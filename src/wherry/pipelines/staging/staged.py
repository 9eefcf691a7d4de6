"""Artifacts in a store: copied to a step before it begins, and from it when it has ended.

A container that runs first brings the inputs; one beside the step, which is told to end after it, brings
the outputs away and says what they are. The step itself sees folders, as upstream: `/s3/…`, `/gcs/…`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wherry
from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.providers import Providers
from wherry.objects.requests import Object
from wherry.pipelines.staging import agent
from wherry.pipelines.steps.draft import DELIVER, FETCH, MAIN, Draft, StepError, volume_name
from wherry.pipelines.steps.order import Order

GRACE_SECONDS: Final = 24 * 3600
"""How long outputs may take to be brought away once the step has ended."""
_STATE: Final = "wherry-stage"
_READY: Final = "/run/wherry-stage/ready"
_WAIT: Final = f"until [ -e {_READY} ]; do sleep 0.05; done"
_CODE: Final = "wherry-agent"
_CODE_PATH: Final = "/wherry/agent"
_IMAGE: Final = "python:3.11"
_MODULE: Final = "wherry.pipelines.staging.agent"
_NEEDS: Final = {
    "s3": "s3fs",
    "minio": "s3fs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
}
_REQUIREMENTS: Final = "wherry.dev/requirements"
_PRESENT: Final = {"name": "WHERRY_ARTIFACTS", "value": "direct"}


@dataclass(frozen=True, slots=True)
class Agent:
    """What runs beside steps.

    Attributes:
        image: That holds Wherry and what it needs for stores; empty: this installation is mounted
            into an environment that is made for it, which only pods on this machine can have.
    """

    image: str = ""

    def container(self, draft: Draft, name: str, words: Sequence[str], schemes: set[str]) -> Object:
        """Return a container that runs the agent; the pod is made ready for it."""
        made: Object = {
            "name": name,
            "image": self.image or _IMAGE,
            "command": ["python3", "-m", _MODULE, *words],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [],
            "env": [],
        }
        if not self.image:
            folder = str(Path(wherry.__file__).parent)
            volumes = draft.spec.setdefault("volumes", [])
            if not any(each["name"] == _CODE for each in volumes):
                volumes.append({"name": _CODE, "hostPath": {"path": folder, "type": "Directory"}})
            mount = {"name": _CODE, "mountPath": f"{_CODE_PATH}/wherry", "readOnly": True}
            made["volumeMounts"].append(mount)
            made["env"].append({"name": "PYTHONPATH", "value": _CODE_PATH})
            packages = {"fsspec", "pyyaml", *(_NEEDS[each] for each in schemes if each in _NEEDS)}
            draft.annotations[f"{_REQUIREMENTS}.{name}"] = "\n".join(sorted(packages))
        return made


class Stage:
    """What is brought to and from one step."""

    def __init__(self, agent_: Agent, providers: Providers) -> None:
        """Take who does it, and how stores are reached."""
        self._agent = agent_
        self._providers = providers

    def fetch(self, draft: Draft, wanted: Sequence[tuple[str, str]], mounts: list[Object]) -> None:
        """Have inputs be brought before the step begins.

        Args:
            draft: The pod; changed in place.
            wanted: URI and path of each.
            mounts: Where the volumes of these paths are mounted.
        """
        sources = [uri for uri, _ in wanted]
        container = self._agent.container(draft, FETCH, ["fetch"], _schemes(sources))
        container["env"] += [_plan(_fetching(wanted)), *self._providers.variables(sources)]
        container["volumeMounts"] += mounts
        draft.init_container(container)

    def fetch_alone(self, draft: Draft, uri: str, path: str) -> None:
        """Have the pod do nothing but bring one artifact."""
        mounts = draft.container.get("volumeMounts") or []
        made = self._agent.container(draft, MAIN, ["fetch"], _schemes([uri]))
        made["env"] += [_plan(_fetching([(uri, path)])), *self._providers.variables([uri])]
        made["volumeMounts"] += mounts
        draft.container.update(made)

    def deliver(self, draft: Draft, told: Object, root: str, mounts: list[Object]) -> None:
        """Have outputs be brought away, and told, when the step has ended."""
        words = ["deliver", _READY]
        container = self._agent.container(draft, DELIVER, words, _schemes([root]))
        container["restartPolicy"] = "Always"
        # Told to end while its interpreter starts, it would just be gone.
        container["lifecycle"] = {"postStart": {"exec": {"command": ["sh", "-c", _WAIT]}}}
        container["env"] += [_plan(_delivery(told)), *self._providers.variables([root])]
        state = {"name": _STATE, "mountPath": str(Path(_READY).parent)}
        container["volumeMounts"] += [*mounts, state]
        draft.spec.setdefault("volumes", []).append({"name": _STATE, "emptyDir": {}})
        draft.spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
        draft.init_container(container)


def remote(order: Order) -> list[tuple[str, str]]:
    """Return URI and path of the inputs that have to be brought.

    Raises:
        StepError: one is of a kind that no step can see.
    """
    found = {}
    for listed in order.inputs.artifacts.values():
        for artifact in listed:
            if uris.is_direct(artifact.uri) or artifact.metadata.get("_kfp_workspace") is True:
                continue
            uri = uris.parse(artifact.uri)
            if uri.scheme == "oci":
                raise StepError(f"{artifact.uri}: models in images are not brought to steps")
            if uri.scheme not in {"http", "https"}:
                found[artifact.uri] = uris.path(artifact.uri, type=artifact.type)
    return sorted(found.items())


def share(draft: Draft, paths: Iterable[str]) -> list[Object]:
    """Have the folders at the top of paths be volumes that all containers of a pod share."""
    mounts = []
    for top in sorted({Path(path).parts[1] for path in paths}):
        name = volume_name(f"{_STATE}-{top}")
        mount = {"name": name, "mountPath": f"/{top}"}
        draft.own_volume({"name": name, "emptyDir": {}}, mount)
        mounts.append(dict(mount))
    return mounts


class StagedPlaces:
    """A store, or a claim: outputs are brought there by the agent, and told by it."""

    def __init__(self, stage: Stage) -> None:
        """Take how things are brought."""
        self._stage = stage

    def prepare(self, draft: Draft, order: Order, told: Object) -> None:
        """Have inputs be brought, and outputs be brought away."""
        wanted = remote(order)
        claims = _claims(draft, order)
        brought = [*(path for _, path in wanted), *_own_paths(order)]
        shared = share(draft, brought)
        if wanted:
            self._stage.fetch(draft, wanted, shared)
        self._stage.deliver(draft, told, order.task_root, [*shared, *claims])
        draft.container.setdefault("env", []).append(dict(_PRESENT))


def _own_paths(order: Order) -> list[str]:
    uri = uris.parse(order.task_root)
    return [] if uri.scheme == "pvc" else [uris.path(order.task_root)]


def _claims(draft: Draft, order: Order) -> list[Object]:
    """Mount the claims that hold inputs or outputs; return how."""
    named = [order.task_root]
    named += [each.uri for listed in order.inputs.artifacts.values() for each in listed]
    mounts = []
    for claim in sorted({uris.parse(each).place for each in named if each.startswith("pvc://")}):
        name = volume_name(f"pvc-{claim}")
        mount = {"name": name, "mountPath": f"{uris.CLAIMS}/{claim}"}
        draft.own_volume({"name": name, "persistentVolumeClaim": {"claimName": claim}}, mount)
        mounts.append(dict(mount))
    return mounts


def _delivery(told: Object) -> Object:
    outputs = told["outputs"]
    return {
        "metadata": outputs["outputFile"],
        "parameters": {name: each["outputFile"] for name, each in outputs["parameters"].items()},
        "outputs": [
            {"name": name, "uri": uris.normal(listed["artifacts"][0]["uri"])}
            for name, listed in outputs["artifacts"].items()
        ],
    }


def _fetching(wanted: Sequence[tuple[str, str]]) -> Object:
    return {"inputs": [{"uri": uri, "path": path} for uri, path in wanted]}


def _plan(told: Object) -> Object:
    return {"name": agent.VARIABLE, "value": json.dumps(told)}


def _schemes(found: Iterable[str]) -> set[str]:
    return {uris.parse(each).scheme for each in found}
