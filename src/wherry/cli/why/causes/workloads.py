"""Deployments, ReplicaSets, StatefulSets, DaemonSets: too few pods, or pods that are not ready. Pure."""

import re

from wherry.cli.targets import short
from wherry.cli.why.causes import others
from wherry.cli.why.finding import Finding, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.objects import conditions, kinds, metadata

_REVISION = "deployment.kubernetes.io/revision"
_MOST = 20


def look_at_deployment(look: Look) -> Finding:
    """Return what holds a deployment's pods back."""
    wanted = int(look.spec.get("replicas", 1))
    have = int(look.status.get("availableReplicas") or 0)
    updated = int(look.status.get("updatedReplicas") or 0)
    generation = int(look.obj["metadata"].get("generation") or 0)
    if int(look.status.get("observedGeneration") or 0) < generation:
        return _unseen(look)
    if have >= wanted and updated >= wanted:
        return _all(look, wanted, "available")
    if look.spec.get("paused"):
        mend = f"kubectl rollout resume {look.name}"
        return Finding(look.name, "is paused: a change is not rolled out", "waiting", mend=mend)
    statement = f"{have} of {wanted} pods are available"
    if updated < wanted:
        statement += f", {updated} of the newest revision"
    return Finding(
        look.name,
        statement,
        "failed" if others.wrong(look.status.get("conditions") or []) else "waiting",
        _conditions(look),
        causes=_sets(look),
    )


def _conditions(look: Look) -> tuple[str, ...]:
    told = []
    failure = conditions.get(look.obj, "Progressing")
    if failure is not None and failure.get("status") == "False":
        told.append(others.told_by(failure))
    return tuple(told)


def _sets(look: Look) -> tuple[Finding, ...]:
    """Return what is wrong with the newest ReplicaSet, else with an older one that still has pods."""
    owned = look.world.owned(kinds.REPLICA_SETS, look.obj, kinds.REPLICA_SETS)
    owned.sort(key=lambda one: int(metadata.annotations(one).get(_REVISION) or 0), reverse=True)
    for replica_set in owned:
        found = look.descend(kinds.REPLICA_SETS, replica_set)
        if found.holds_back:
            return (found,)
    failure = conditions.get(look.obj, "ReplicaFailure")
    if failure is not None and failure.get("status") == "True":
        return (refusal(look.name, str(failure.get("message") or "")),)
    return ()


def look_at_replicas(look: Look) -> Finding:
    """Return what holds the pods of a ReplicaSet, StatefulSet or ReplicationController back."""
    return _look_at_pods(look, int(look.spec.get("replicas", 1)))


def look_at_daemon_set(look: Look) -> Finding:
    """Return what holds a daemon set's pods back."""
    wanted = int(look.status.get("desiredNumberScheduled") or 0)
    if not wanted:
        nodes = look.world.objects(kinds.NODES)
        mend = "" if nodes else "no node is registered: wherry status"
        return Finding(
            look.name, f"none of the {len(nodes)} nodes is to run it", "waiting", mend=mend
        )
    return _look_at_pods(look, wanted)


def _look_at_pods(look: Look, wanted: int) -> Finding:
    pods = look.world.owned(look.resource, look.obj, kinds.PODS)
    living = [pod for pod in pods if (pod.get("status") or {}).get("phase") != "Failed"]
    ready = sum(conditions.is_true(pod, "Ready") for pod in living)
    if ready >= wanted:
        return _all(look, wanted, "ready")
    below = list(grouped(look.descend(kinds.PODS, pod) for pod in pods[:_MOST]))
    if len(living) < wanted:
        said = look.warning("FailedCreate")
        if said:
            below.insert(0, refusal(look.name, said))
    statement = f"has {len(living)} of {wanted} pods, {ready} of them ready"
    if not below and not pods:
        return Finding(
            look.name,
            statement,
            "waiting",
            mend="they are about to be made; if that stays so, is the controller alive? wherry status",
        )
    return Finding(look.name, statement, worst(below), causes=tuple(below))


def _all(look: Look, wanted: int, how: str) -> Finding:
    if not wanted:
        mend = f"if that is not meant: kubectl scale {look.name} --replicas=1"
        return Finding(look.name, "is scaled to 0, so it has no pods", "fine", mend=mend)
    return fine(
        look.name, f"its only pod is {how}" if wanted == 1 else f"all {wanted} pods are {how}"
    )


def _unseen(look: Look) -> Finding:
    return Finding(
        look.name,
        "its last change has not been looked at by its controller yet",
        "waiting",
        mend="if that stays so, is the control plane well? wherry status",
    )


_QUOTA = re.compile(r"exceeded quota: ([\w.-]+)")
_MISSING = re.compile(
    r'(serviceaccount|priorityclass|persistentvolumeclaim)s?[^"]*"([^"]+)" (?:was )?not found'
)


def refusal(owner: str, message: str) -> Finding:
    """Return the finding that the API refused a pod, with the mend for why.

    Args:
        owner: Who wanted the pod.
        message: What the API said.
    """
    evidence = (message,) if message else ()
    quota = _QUOTA.search(message)
    if quota is not None:
        name = short(kinds.RESOURCE_QUOTAS, quota[1])
        mend = f"raise spec.hard of {name}, lower what the pods request, or delete others"
        return Finding(name, "does not allow another pod", evidence=evidence, mend=mend)
    gone = _MISSING.search(message.lower())
    if gone is not None:
        name = f"{gone[1]}/{gone[2]}"
        return Finding(
            name, "does not exist", evidence=evidence, mend=f"create {name}, or name another"
        )
    mend = "mend the pod's template as the message says"
    return Finding(owner, "its pods are refused by the API", evidence=evidence, mend=mend)
