"""Which nodes a DaemonSet runs on, and which pods to make or replace there. Pure.

Source: `pkg/controller/daemon` of Kubernetes. Differs on purpose: `maxSurge` counts as so many
pods that may be missing; two generations of a daemon never run on one machine.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from wherry.builtin import placement, replicas, revisions, rollout
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def pod(daemon_set: Object, revision: Object, node: str, name: str) -> Object:
    """Return the pod for a node.

    Args:
        daemon_set: The set.
        revision: Whose template it runs.
        node: Where it must run.
        name: What it is called.
    """
    template = copied(revisions.template_of(revision))
    made = replicas.pod_from_template(daemon_set, template, name)
    made["metadata"].setdefault("labels", {})[revisions.POD_LABEL] = revisions.hash_of(revision)
    spec = made["spec"]
    affinity = spec["affinity"] = dict(spec.get("affinity") or {})
    node_affinity = affinity["nodeAffinity"] = dict(affinity.get("nodeAffinity") or {})
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    # What the template asks of nodes has been looked at; the name stands for it.
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [here]}
    tolerated = [*_TOLERATED, *([_NETWORK] if spec.get("hostNetwork") else [])]
    spec["tolerations"] = [
        *(spec.get("tolerations") or ()),
        *({"key": key, "operator": "Exists", "effect": effect} for key, effect in tolerated),
    ]
    return made


def node_of(pod: Object) -> str:
    """Return the node that a pod runs on or is bound for, empty where it names none."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In":
                return str(field["values"][0])
    return ""


def is_eligible(daemon_set: Object, node: Object) -> bool:
    """Return whether the set has a pod on a node."""
    spec = dict(daemon_set["spec"]["template"]["spec"])
    tolerated = [*_TOLERATED, *([_NETWORK] if spec.get("hostNetwork") else [])]
    spec["tolerations"] = [
        *(spec.get("tolerations") or ()),
        *({"key": key, "operator": "Exists", "effect": effect} for key, effect in tolerated),
    ]
    return not placement.obstacles({"spec": spec}, node)


@dataclasses.dataclass
class Plan:
    """One step.

    Attributes:
        create: Names of nodes to make pods for.
        delete: Pods to delete.
    """

    create: list[str] = dataclasses.field(default_factory=list)
    delete: list[Object] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What there is to decide on.

    Attributes:
        daemon_set: The set.
        update: Hash of the present template's revision.
        nodes: Names of the nodes it is to run on.
        pods: Node name → the set's pods there, oldest first.
        now: Current time, aware.
    """

    daemon_set: Object
    update: str
    nodes: frozenset[str]
    pods: Mapping[str, Sequence[Object]]
    now: datetime.datetime

    def is_updated(self, pod: Object) -> bool:
        """Return whether a pod runs the present template."""
        return metadata.labels(pod).get(revisions.POD_LABEL) == self.update

    def is_available(self, pod: Object) -> bool:
        """Return whether a pod has been ready for long enough."""
        minimum = self.daemon_set["spec"].get("minReadySeconds", 0)
        wait = replicas.available_in(pod, minimum, self.now)
        return replicas.is_active(pod) and wait is not None and wait <= 0


def plan(scene: Scene) -> Plan:
    """Return the next step."""
    step = Plan()
    keepers: dict[str, Object] = {}
    for node, pods in scene.pods.items():
        step.delete += [one for one in pods if placement.is_finished(one)]
        active = [one for one in pods if replicas.is_active(one)]
        if node in scene.nodes and active:
            keepers[node] = active[0]
            active = active[1:]
        step.delete += active
    step.delete = [one for one in step.delete if not metadata.is_deleting(one)]
    # While a former pod is on its way out its node waits: two of them would fight over ports.
    step.create = sorted(node for node in scene.nodes if not scene.pods.get(node))
    _update(scene, keepers, step)
    return step


def _update(scene: Scene, keepers: Mapping[str, Object], step: Plan) -> None:
    strategy = scene.daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    rolling = strategy.get("rollingUpdate") or {}
    wanted = len(scene.nodes)
    budget = max(
        1,
        rollout.resolve(rolling.get("maxUnavailable", 1), wanted, up=True),
        rollout.resolve(rolling.get("maxSurge"), wanted, up=True),
    )
    available = [pod for pod in keepers.values() if scene.is_available(pod)]
    budget -= wanted - len(available)
    for pod in keepers.values():
        if scene.is_updated(pod):
            continue
        if not scene.is_available(pod):
            step.delete.append(pod)
        elif budget > 0:
            step.delete.append(pod)
            budget -= 1


def status(scene: Scene) -> Object:
    """Return the whole status."""
    first = [
        next((one for one in scene.pods.get(node, ()) if replicas.is_active(one)), None)
        for node in scene.nodes
    ]
    present = [one for one in first if one is not None]
    available = sum(map(scene.is_available, present))
    strays = sum(
        any(replicas.is_active(one) for one in pods)
        for node, pods in scene.pods.items()
        if node not in scene.nodes
    )
    result = {
        "currentNumberScheduled": len(present),
        "desiredNumberScheduled": len(scene.nodes),
        "numberMisscheduled": strays,
        "numberReady": sum(map(replicas.is_ready, present)),
        "updatedNumberScheduled": sum(map(scene.is_updated, present)),
        "numberAvailable": available,
        "numberUnavailable": len(scene.nodes) - available,
        "observedGeneration": scene.daemon_set["metadata"].get("generation", 1),
    }
    optional = {"updatedNumberScheduled", "numberAvailable", "numberUnavailable"}
    return {name: value for name, value in result.items() if value or name not in optional}
