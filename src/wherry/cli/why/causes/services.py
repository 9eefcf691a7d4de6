"""Services that lead nowhere. Pure."""

from wherry.cli import owners
from wherry.cli.targets import short
from wherry.cli.why.finding import Finding, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.cli.words import counted
from wherry.objects import conditions, kinds, metadata, selectors
from wherry.objects.requests import Object

_MOST = 20


def look(look: Look) -> Finding:
    """Return why a service has no, or too few, endpoints."""
    if look.spec.get("type") == "ExternalName":
        return fine(look.name, f"stands for {look.spec.get('externalName')}")
    selector = owners.pod_selector(look.obj)
    if selector is None:
        return _without_selector(look)
    pods = look.world.objects(kinds.PODS, look.namespace)
    chosen = [pod for pod in pods if selector.matches(metadata.labels(pod))]
    for pod in chosen:
        look.world.looked_at[short(kinds.PODS, metadata.name(pod))] = None
    if not chosen:
        return _nobody(look, selector, pods)
    ready = [pod for pod in chosen if conditions.is_true(pod, "Ready")]
    if ready:
        return _ports(look, ready) or _partly(look, chosen, ready)
    below = grouped(look.descend(kinds.PODS, pod) for pod in chosen[:_MOST])
    return Finding(
        look.name,
        f"has no endpoints: its selector {selector} chooses {counted(len(chosen), 'pod')}, none of them ready",
        worst(below) if below else "waiting",
        causes=below,
    )


def _without_selector(look: Look) -> Finding:
    slices = look.world.objects(
        kinds.ENDPOINT_SLICES,
        look.namespace,
        f"kubernetes.io/service-name={metadata.name(look.obj)}",
    )
    endpoints = look.world.get(kinds.ENDPOINTS, look.namespace, metadata.name(look.obj))
    if any(each.get("endpoints") for each in slices) or (endpoints or {}).get("subsets"):
        return fine(look.name, "has endpoints that somebody else keeps")
    mend = "give it spec.selector with labels of its pods, or create Endpoints of its name"
    return Finding(look.name, "has no selector and no endpoints", mend=mend)


def _nobody(look: Look, selector: selectors.LabelSelector, pods: list[Object]) -> Finding:
    return Finding(
        look.name,
        f"has no endpoints: its selector {selector} chooses none of the {counted(len(pods), 'pod')} of "
        f"namespace {look.namespace}",
        evidence=_values(selector, pods),
        mend="make spec.selector and the labels of the pods' template the same, or create the pods",
    )


def _values(selector: selectors.LabelSelector, pods: list[Object]) -> tuple[str, ...]:
    """Return, for each label that is asked for, the values that pods have instead."""
    told = []
    for requirement in selector.requirements:
        one = selectors.LabelSelector((requirement,))
        if any(one.matches(metadata.labels(pod)) for pod in pods):
            continue
        values = sorted({metadata.labels(pod).get(requirement.key, "") for pod in pods} - {""})
        listed = ", ".join(values[:_MOST]) or "not there"
        told.append(f"it wants {requirement}; on the pods, label {requirement.key} is {listed}")
    return tuple(told)


def _ports(look: Look, ready: list[Object]) -> Finding | None:
    """Return the finding that a port leads to a name that no container has."""
    for port in look.spec.get("ports") or []:
        target = port.get("targetPort")
        if not isinstance(target, str):
            continue
        names = {
            str(each.get("name"))
            for pod in ready
            for container in pod["spec"]["containers"]
            for each in container.get("ports") or []
            if each.get("name")
        }
        if target not in names:
            return Finding(
                look.name,
                f"port {port.get('port')} leads to the container port called {target!r}, which no pod has",
                evidence=(f"names of container ports: {', '.join(sorted(names)) or 'none'}",),
                mend="name the port in the pods' template, or give targetPort a number",
            )
    return None


def _partly(look: Look, chosen: list[Object], ready: list[Object]) -> Finding:
    said = look.warning()
    if len(ready) == len(chosen) or not said:
        evidence = [f"a warning: {said}"] if said else []
        return fine(
            look.name,
            f"has {len(ready)} of {counted(len(chosen), 'pod')} ready behind it",
            *evidence,
        )
    return Finding(look.name, "is not reachable", evidence=(said,))
