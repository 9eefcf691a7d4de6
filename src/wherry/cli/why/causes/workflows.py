"""Argo's workflows: the steps that failed, and those that wait. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from wherry.cli.why.finding import Finding, State, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds as workflow_kinds
from wherry.pipelines.workflows import nodes, showing

KEY: Final = workflow_kinds.WORKFLOWS.key
_BAD: Final = frozenset({"Failed", "Error"})
_OPEN: Final = frozenset({"Pending", "Running", ""})
_LEAVES: Final = frozenset({"Pod", "Suspend", "HTTP", "Plugin", "Skipped"})


def look(look: Look) -> Finding:
    """Return what holds a workflow back, or has ended it."""
    phase, message = str(look.status.get("phase") or ""), str(look.status.get("message") or "")
    evidence = (message,) if message else ()
    name = look.obj["metadata"]["name"]
    if phase in _BAD:
        failed = grouped(_found(look, _BAD))
        mend = f"mend the cause, then `wherry workflows retry {name}`: what is done stays"
        return Finding(look.name, "has failed", evidence=evidence, mend=mend, causes=failed)
    if phase not in _OPEN:
        return fine(look.name, f"has ended: {phase}", *evidence)
    if look.spec.get("suspend"):
        mend = f"wherry workflows resume {name}"
        return Finding(look.name, "is suspended", "waiting", mend=mend)
    below = grouped(_found(look, _OPEN))
    progress = str(look.status.get("progress") or "")
    said = f"is at work, {progress} steps have ended" if progress else "has not begun"
    if below or message:
        return Finding(
            look.name, said, worst(below) if below else "waiting", evidence, causes=below
        )
    return fine(look.name, said)


def _found(look: Look, phases: frozenset[str]) -> Iterator[Finding]:
    """Yield what is found of the steps in some phases: at their pods, where they have some."""
    every = nodes.stored(look.obj)
    chosen = {key: each for key, each in every.items() if each.get("phase") in phases}
    leaves = {key: each for key, each in chosen.items() if each.get("type") in _LEAVES}
    pods = _pods(look) if leaves else {}
    # Steps and DAGs say in other words what their steps say; they are told where these say nothing.
    for key, node in (
        leaves or {key: each for key, each in chosen.items() if not each.get("children")}
    ).items():
        found = look.descend(kinds.PODS, pods[key]) if key in pods else None
        name, message = f"step {node.get('displayName')}", str(node.get("message") or "")
        state: State = "failed" if node.get("phase") in _BAD else "waiting"
        if found is not None and found.holds_back:
            yield Finding(name, _said(state), found.state, causes=(found,))
        elif message or state == "failed":
            yield Finding(name, f"{_said(state)}: {message}" if message else _said(state), state)
        elif node.get("type") == "Suspend":
            mend = f"wherry workflows resume {look.obj['metadata']['name']}"
            yield Finding(name, "waits for somebody", "waiting", mend=mend)


def _said(state: State) -> str:
    return "has failed" if state == "failed" else "waits"


def _pods(look: Look) -> Mapping[str, Object]:
    label = f"{workflow_kinds.WORKFLOW_LABEL}={look.obj['metadata']['name']}"
    found = {
        each["metadata"]["name"]: each
        for each in look.world.objects(kinds.PODS, look.namespace, label)
    }
    named = showing.pods(found.values(), workflow_kinds.NODE_ID_ANNOTATION)
    return {key: found[name] for key, name in named.items()}
