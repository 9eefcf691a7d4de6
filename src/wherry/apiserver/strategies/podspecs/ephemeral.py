"""Rules of containers that are added to a running pod for debugging.

The pod's fate does not hang on them, and nothing has been scheduled for them: so they have no ports,
probes, hooks or resources.

Source: ``validateEphemeralContainers`` of ``pkg/apis/core/validation``.
"""

from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects.errors import Cause

_ALLOWED = frozenset(
    {
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "name",
        "securityContext",
        "stdin",
        "stdinOnce",
        "targetContainerName",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    }
)
_WHY = "cannot be set for an Ephemeral Container"


def check(path: str, container: dict[str, Any], spec: dict[str, Any]) -> list[Cause]:
    """Check what is peculiar to one ephemeral container.

    Args:
        path: Where it stands.
        container: With its defaults.
        spec: The pod's.
    """
    given = {name for name, value in container.items() if value}
    found = [causes.forbidden(f"{path}.{name}", _WHY) for name in sorted(given - _ALLOWED)]
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{index}]"
        parts = [part for part in ("subPath", "subPathExpr") if mount.get(part)]
        found += [causes.forbidden(f"{where}.{part}", _WHY) for part in parts]
    target = container.get("targetContainerName")
    lists = (spec.get("containers"), spec.get("initContainers"))
    if target and target not in {one.get("name") for each in lists for one in each or ()}:
        found.append(causes.not_found(f"{path}.targetContainerName", target))
    return found
