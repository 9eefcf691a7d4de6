"""The nodes of a container set: one for each container of its pod, below that of the pod. Pure.

Source: argo-workflows after 4.1.2, ``workflow/controller/{container_set_template,operator}.go``.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.workflows import names
from wherry.pipelines.workflows.messages import Template

CONTAINERS: Final = "containers"
"""Property of a row: how the containers of its pod have ended, by their names."""
_FINAL: Final = frozenset({"Succeeded", "Failed", "Error"})
_KEPT: Final = ("exitCode", "reason", "startedAt", "finishedAt")
_LONGEST_MESSAGE: Final = 400

_State = Mapping[str, Any]


def ended(pod: Object) -> dict[str, Object]:
    """Return how the containers of a pod have ended, by their names: what a row keeps of it."""
    return {
        name: {
            **{key: state["terminated"][key] for key in _KEPT if key in state["terminated"]},
            "message": str(state["terminated"].get("message") or "")[-_LONGEST_MESSAGE:],
        }
        for name, state in _states(pod).items()
        if state.get("terminated")
    }


def of(
    workflow: str,
    node: Object,
    template: Template,
    *,
    pod: Object | None,
    kept: Mapping[str, Object],
) -> list[Object]:
    """Return the nodes of the containers of a set, and join that of the pod to the first of them.

    Args:
        workflow: Its name.
        node: Of the pod; changed in place.
        template: That it runs.
        pod: As it is; None: it is gone, or was not made.
        kept: What the row keeps of how they have ended.
    """
    told = template.container_set
    if told is None:
        return []
    states: dict[str, _State] = dict(_states(pod or {}))
    states |= {name: {"terminated": each} for name, each in kept.items()}
    made = {
        each.name: _node(workflow, node, each.name, states.get(each.name) or {})
        for each in told.containers
    }
    for each in told.containers:
        for before in [made[name] for name in each.dependencies if name in made] or [node]:
            before.setdefault("children", []).append(made[each.name]["id"])
    return [*made.values()]


def _states(pod: Object) -> dict[str, _State]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return {str(each.get("name")): each.get("state") or {} for each in statuses}


def _node(workflow: str, node: Object, container: str, state: _State) -> Object:
    name = f"{node['name']}.{container}"
    made: Object = {
        "id": names.node_id(workflow, name),
        "name": name,
        "displayName": container,
        "type": "Container",
        "templateScope": node["templateScope"],
        "boundaryID": node["id"],
        **_stands(node["phase"], state),
    }
    if "templateName" in node:
        made["templateName"] = node["templateName"]
    made["progress"] = "1/1" if made["phase"] == "Succeeded" else "0/1"
    return made


def _stands(phase: str, state: _State) -> Object:
    """Return phase, times and message of a container; one that never began is as its pod."""
    end: _State = state.get("terminated") or {}
    if not end:
        begun: _State = state.get("running") or {}
        stands = "Running" if begun else "Pending"
        found: Object = {"phase": phase if phase in _FINAL else stands}
        return {**found, "startedAt": begun["startedAt"]} if begun.get("startedAt") else found
    times = {key: end[key] for key in ("startedAt", "finishedAt") if end.get(key)}
    code = end.get("exitCode")
    if not code:
        return {"phase": "Succeeded", **times}
    said = f": {end['message']}" if end.get("message") else ""
    return {
        "phase": "Failed",
        "message": f"{end.get('reason') or 'Error'} (exit code {code}){said}",
        **times,
    }
