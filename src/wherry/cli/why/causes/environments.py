"""Environments: what stands for images, and why one cannot be built. Pure."""

import re

from wherry.cli.why.finding import Finding, fine
from wherry.cli.why.look import Look
from wherry.kubelet import images
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import conditions
from wherry.objects.requests import Object

KEY = environment_kinds.ENVIRONMENTS.key
_HINT = re.compile(r"^hint: (.*)$", re.MULTILINE)


def look(look: Look) -> Finding:
    """Return how far an environment is."""
    condition = conditions.get(look.obj, environment_kinds.READY)
    if condition is None:
        return Finding(look.name, "has not been looked at by the node yet", "waiting")
    if condition.get("status") == "True":
        return fine(look.name, f"is built (Python {look.status.get('python', '?')})")
    message = str(condition.get("message") or "")
    building = conditions.get(look.obj, environment_kinds.BUILDING) or {}
    if building.get("status") == "True":
        return Finding(look.name, f"is being built: {building.get('message') or '…'}", "waiting")
    hint = _HINT.search(message)
    lines = [line for line in message.splitlines() if line.strip() and not line.startswith("hint:")]
    reason = str(condition.get("reason") or "")
    statement = "its spec cannot be used" if reason == "InvalidSpec" else "cannot be built"
    edit = f"then change it: kubectl edit {look.name}, or apply its file again"
    mend = f"{hint[1]}; {edit}" if hint else f"mend its spec; {edit}"
    return Finding(look.name, statement, evidence=tuple(lines), mend=mend)


def covering(image: str, environments: list[Object]) -> Object | None:
    """Return the environment that stands for an image: the one with the narrowest pattern."""
    best: tuple[tuple[int, int], Object] | None = None
    try:
        wanted = images.parse(image)
    except ValueError:
        return None
    for environment in sorted(environments, key=lambda obj: str(obj["metadata"]["name"])):
        for pattern in environment_kinds.spec_of(environment).images:
            try:
                matches = images.matches(pattern, wanted)
            except ValueError:
                continue
            if matches and (best is None or images.specificity(pattern) > best[0]):
                best = (images.specificity(pattern), environment)
    return best[1] if best else None
