"""The pod settings that a task hands to its code, which starts pods of its own with them."""

import dataclasses
from typing import Any


@dataclasses.dataclass
class TaskConfig:
    """Parts of a pod's spec, as JSON; None: not set.

    Attributes:
        affinity: Of the pod.
        tolerations: Of the pod.
        node_selector: Of the pod.
        env: Of the container.
        volumes: Of the pod.
        volume_mounts: Of the container.
        resources: Of the container.
    """

    affinity: Any = None
    tolerations: Any = None
    node_selector: Any = None
    env: Any = None
    volumes: Any = None
    volume_mounts: Any = None
    resources: Any = None


def of(value: Any) -> TaskConfig:
    """Return settings from the JSON that the engine gives."""
    given = value or {}
    return TaskConfig(
        affinity=given.get("affinity"),
        tolerations=given.get("tolerations"),
        node_selector=given.get("nodeSelector"),
        env=given.get("env"),
        volumes=given.get("volumes"),
        volume_mounts=given.get("volumeMounts"),
        resources=given.get("resources"),
    )
