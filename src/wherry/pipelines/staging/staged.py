"""Artifacts in a store: copied to a step before it begins, and from it when it has ended.

A container that runs first brings the inputs; one beside the step, which is told to end after it, brings
the outputs away and says what they are. The step itself sees folders, as upstream: `/s3/…`, `/gcs/…`.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wherry
from wherry.client.functions.carrying import REQUIREMENTS
from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.providers import Providers
from wherry.metadata.artifacts.storage import NEEDED
from wherry.objects.requests import Object
from wherry.pipelines.staging import agent
from wherry.pipelines.steps.draft import DELIVER, FETCH, MAIN, Draft, StepError, volume_name
from wherry.pipelines.steps.order import Order

GRACE_SECONDS: Final = 24 * 3600
"""How long outputs may take to be brought away once the step has ended."""
_LONGEST_PLAN: Final = 120 * 1024
"""Bytes; Linux takes 128 KiB with the name."""
_STATE: Final = "wherry-stage"
READY: Final = "/run/wherry-stage/ready"
"""What a container beside a step makes once it can be told to end."""
_WAIT: Final = f"until [ -e {READY} ]; do sleep 0.05; done"
_CODE: Final = "wherry-agent"
_CODE_PATH: Final = "/wherry/agent"
_IMAGE: Final = "python:3.11"
_MODULE: Final = "wherry.pipelines.staging.agent"
PRESENT: Final = {"name": "WHERRY_ARTIFACTS", "value": "direct"}
"""Tells the runtime in a step that what it leaves in its outputs' folders is all that is kept."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What runs beside steps.

    Attributes:
        image: That holds Wherry and what it needs for stores; empty: this installation is mounted
            into an environment that is made for it, which only pods on this machine can have.
    """

    image: str = ""

    def container(
        self,
        draft: Draft,
        name: str,
        words: Sequence[str],
        wanted: Collection[str],
        *,
        module: str = _MODULE,
    ) -> Object:
        """Return a container that runs the agent; the pod is made ready for it.

        Args:
            draft: The pod; changed in place.
            name: Of the container.
            words: What the agent is told.
            wanted: Packages that it needs; see `packages`.
            module: The program.
        """
        made: Object = {
            "name": name,
            "image": self.image or _IMAGE,
            "command": ["python3", "-m", module, *words],
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
            if wanted:
                draft.annotations[f"{REQUIREMENTS}.{name}"] = "\n".join(sorted(wanted))
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
        container = self._agent.container(draft, FETCH, ["fetch"], packages(sources))
        container["env"] += [plan(_fetching(wanted)), *self._providers.variables(sources)]
        container["volumeMounts"] += mounts
        draft.init_container(container)

    def fetch_alone(self, draft: Draft, uri: str, path: str) -> None:
        """Have the pod do nothing but bring one artifact."""
        mounts = draft.container.get("volumeMounts") or []
        made = self._agent.container(draft, MAIN, ["fetch"], packages([uri]))
        made["env"] += [plan(_fetching([(uri, path)])), *self._providers.variables([uri])]
        made["volumeMounts"] += mounts
        draft.container.update(made)

    def remove_alone(self, draft: Draft, gone: Sequence[str], keep: Sequence[str]) -> None:
        """Have the pod do nothing but remove what is at URIs, but for what is at others.

        Args:
            draft: The pod; changed in place.
            gone: What is removed, with all that is below it.
            keep: What is not.
        """
        mount_claims(draft, gone)
        mounts = draft.container.get("volumeMounts") or []
        made = self._agent.container(draft, MAIN, ["remove"], packages(gone))
        told = {"remove": [*gone], "keep": [*keep]}
        made["env"] += [plan(told), *self._providers.variables(gone)]
        made["volumeMounts"] += mounts
        draft.container.update(made)

    def deliver(self, draft: Draft, told: Object, root: str, mounts: list[Object]) -> None:
        """Have outputs be brought away, and told, when the step has ended."""
        container = self._agent.container(draft, DELIVER, ["deliver", READY], packages([root]))
        container["env"] += [plan(_delivery(told)), *self._providers.variables([root])]
        container["volumeMounts"] += mounts
        keep_beside(draft, container)


def keep_beside(draft: Draft, container: Object) -> None:
    """Have a pod keep a container beside the step, until this has ended; it makes the file `READY`."""
    container["restartPolicy"] = "Always"
    # Told to end while its interpreter starts, it would just be gone.
    container["lifecycle"] = {"postStart": {"exec": {"command": ["sh", "-c", _WAIT]}}}
    state = {"name": _STATE, "mountPath": str(Path(READY).parent)}
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), state]
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
        draft.container.setdefault("env", []).append(dict(PRESENT))


def _own_paths(order: Order) -> list[str]:
    uri = uris.parse(order.task_root)
    return [] if uri.scheme == "pvc" else [uris.path(order.task_root)]


def _claims(draft: Draft, order: Order) -> list[Object]:
    """Mount the claims that hold inputs or outputs; return how."""
    named = [order.task_root]
    named += [each.uri for listed in order.inputs.artifacts.values() for each in listed]
    return mount_claims(draft, named)


def mount_claims(draft: Draft, named: Iterable[str]) -> list[Object]:
    """Mount the claims that are in URIs; return how."""
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


def plan(told: Object) -> Object:
    """Return the variable that tells an agent what to do.

    Raises:
        StepError: it is too long for a variable.
    """
    # In a variable's value `$(NAME)` would be replaced, and `$$` be one dollar.
    value = json.dumps(told).replace("$", "\\u0024")
    if len(value) > _LONGEST_PLAN:
        raise StepError(
            f"what the agent of the pod is to do has {len(value)} bytes, and it can be told "
            f"{_LONGEST_PLAN}: give it fewer or smaller things"
        )
    return {"name": agent.VARIABLE, "value": value}


def packages(found: Iterable[str]) -> set[str]:
    """Return what an agent needs beside Wherry to reach URIs."""
    schemes = {uris.parse(each).scheme for each in found}
    return {"fsspec", "pyyaml", *(NEEDED[each] for each in schemes if each in NEEDED)}
