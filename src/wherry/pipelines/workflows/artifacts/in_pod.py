"""How a pod gets at its inputs, and how its outputs get away: volumes, and our agent where it is needed.

On a folder of the node the volumes are folders of that, which the control plane fills and reads. Else
they are the pod's own, and a container that runs first and one beside the step do that.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.objects.requests import Object
from wherry.pipelines.staging import staged
from wherry.pipelines.staging.staged import Agent
from wherry.pipelines.steps.draft import DELIVER, FETCH, MAIN, Draft, StepError
from wherry.pipelines.workflows.artifacts import errands, plan, stores
from wherry.pipelines.workflows.artifacts.errands import STAGE, USER, Secrets
from wherry.pipelines.workflows.artifacts.layout import Layout
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Input, Plan

MODULE: Final = "wherry.pipelines.workflows.agent"
_PATHS: Final = {**plan.FOLDERS, plan.COLLECTED: plan.COLLECTED_PATH}
_FOLDER: Final = "wherry-artifacts"
Hire = Callable[[], Agent]
"""Gives the agent where a pod needs one; raises `RootError` where there is none."""


def brought_here(given: Input, order: Order) -> bool:
    """Return whether the control plane itself brings an input."""
    if not (order.repository.root.direct and given.place):
        return False
    return bool(given.on_node) or given.location.get("raw") is not None


def volumes(draft: Draft, layout: Layout) -> None:
    """Give the main container the volumes of a plan."""
    order, made = layout.order, layout.plan
    mounts: list[Object] = []
    for name in made.volumes:
        draft.spec.setdefault("volumes", []).append({"name": name, **_source(order, name)})
        if name in _PATHS:
            mounts.append({"name": name, "mountPath": _PATHS[name]})
    mounts += [
        {"name": plan.INPUTS, "mountPath": each.path, "subPath": each.place.partition("/")[2]}
        for each in made.mounted
    ]
    if mounts and draft.container["name"] == MAIN:
        draft.container["volumeMounts"] = [*(draft.container.get("volumeMounts") or ()), *mounts]


def _source(order: Order, name: str) -> Object:
    if not order.repository.root.direct:
        return {"emptyDir": {}}
    path = f"{uris.path(order.task_root)}/{name}"
    return {"hostPath": {"path": path, "type": "Directory"}}


def bring(draft: Draft, layout: Layout, agent: Hire, folder: Path | None) -> None:
    """Have the agent bring what the control plane does not, before the step begins.

    Args:
        draft: The pod; changed in place.
        layout: Of what is to run.
        agent: Gives what brings.
        folder: Of this machine, with the artifacts of the namespace; None: pods run elsewhere.

    Raises:
        StepError: something cannot be brought.
    """
    order, made = layout.order, layout.plan
    wanted = [each for each in made.inputs if not brought_here(each, order)]
    if not wanted:
        return
    for each in wanted:
        _check_writable(draft, each)
    secrets = Secrets()
    told = [errands.fetch(each, secrets) for each in wanted]
    needed = errands.needed(told)
    reached = stores.providers(order.repository.root, [each.location for each in wanted])
    container = agent().container(
        draft, FETCH, ["fetch"], staged.packages(needed) if needed else (), module=MODULE
    )
    container["env"] += [
        staged.plan({"inputs": told}),
        *reached.variables(needed),
        *secrets.variables,
    ]
    container["volumeMounts"] += _seen(draft, made, users=any(not each.place for each in wanted))
    if any(each.on_node for each in wanted):
        container["volumeMounts"].append(namespace(draft, folder))
    container["volumeMounts"] += staged.mount_claims(
        draft, [each["uri"] for each in told if "uri" in each]
    )
    draft.init_container(container)


def carry_away(draft: Draft, layout: Layout, agent: Hire) -> None:
    """Have the agent bring outputs away that cannot be read where they are.

    Raises:
        StepError: a store cannot be reached.
    """
    if not layout.carries_away:
        return
    away, made = layout.away, layout.plan
    parameters = () if layout.direct else made.parameters
    secrets = Secrets()
    told = errands.delivery(parameters, away, secrets)
    needed = errands.needed(told["outputs"])
    reached = stores.providers(layout.order.repository.root, [each.location for each in away])
    container = agent().container(
        draft,
        DELIVER,
        ["deliver", staged.READY],
        staged.packages(needed) if needed else (),
        module=MODULE,
    )
    container["env"] += [staged.plan(told), *reached.variables(needed), *secrets.variables]
    container["volumeMounts"] += _seen(draft, made, users=False)
    container["volumeMounts"] += staged.mount_claims(draft, [each.uri for each in away])
    staged.keep_beside(draft, container)


def _seen(draft: Draft, made: Plan, *, users: bool) -> list[Object]:
    """Return how an agent mounts the volumes of a plan, and those of the user's."""
    mounts: list[Object] = [{"name": name, "mountPath": f"{STAGE}/{name}"} for name in made.volumes]
    main: Sequence[Mapping[str, Any]] = draft.container.get("volumeMounts") or ()
    if users:
        mounts += [
            {**each, "mountPath": f"{STAGE}/{USER}{each['mountPath']}"}
            for each in main
            if each["name"] not in made.volumes and not each.get("readOnly")
        ]
    return mounts


def _check_writable(draft: Draft, given: Input) -> None:
    """Refuse an input in a volume of the user's that nobody can write to.

    Raises:
        StepError: it is in one.
    """
    mounts = draft.container.get("volumeMounts") or ()
    over = [each for each in mounts if plan.below(given.path, str(each["mountPath"]))]
    if not given.place and all(each.get("readOnly") for each in over):
        raise StepError(
            f"{given.where}: path {given.path} is in a volume that is mounted read-only"
        )


def namespace(draft: Draft, folder: Path | None) -> Object:
    """Return how an agent mounts the folder of the node that has the artifacts of the namespace."""
    present: list[Object] = draft.spec.setdefault("volumes", [])
    present.append({"name": _FOLDER, "hostPath": {"path": str(folder)}})
    return {"name": _FOLDER, "mountPath": str(folder), "readOnly": True}
