"""A step's pod in the making, and what of its settings is handed to its code instead.

A component may ask to be told the settings of its pod (a parameter of type TASK_CONFIG), so that it can
start pods of its own with them; each setting then reaches the code, the pod, or both.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver`` (``TaskConfig``, ``getTaskConfigOptions``).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects.requests import Object

RESOURCES: Final = "RESOURCES"
ENV: Final = "ENV"
AFFINITY: Final = "KUBERNETES_AFFINITY"
TOLERATIONS: Final = "KUBERNETES_TOLERATIONS"
NODE_SELECTOR: Final = "KUBERNETES_NODE_SELECTOR"
VOLUMES: Final = "KUBERNETES_VOLUMES"

MAIN: Final = "main"
"""The container that runs the component; upstream's name."""
FETCH: Final = "wherry-fetch"
"""The one that brings inputs, where a step cannot reach them itself."""
DELIVER: Final = "wherry-deliver"
"""The one that brings outputs away, likewise."""

_LONGEST_ARGUMENT: Final = 128 * 1024 - 1
"""What Linux takes, with the zero at its end."""
_VOLUME_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class StepError(Exception):
    """A step cannot be made into a pod; the message names the setting, its value and what is wanted."""


class Draft:
    """A pod in the making.

    Attributes:
        spec: Of the pod.
        container: The one that runs the component.
        labels: Of the pod.
        annotations: Of the pod.
        task_config: What the code is handed of the settings, as upstream spells it.
    """

    def __init__(self, passthroughs: Mapping[str, bool]) -> None:
        """Begin with nothing.

        Args:
            passthroughs: Fields that the code is handed; the value says whether the pod has them too.
        """
        self.container: Object = {"name": MAIN}
        self.spec: Object = {"restartPolicy": "Never", "containers": [self.container]}
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self.task_config: dict[str, Any] = {}
        self._passthroughs = passthroughs

    def env(self, entries: Iterable[Object]) -> None:
        """Add variables; one of the same name is replaced."""
        self._extend(ENV, "env", [*entries], self.container)

    def volume(self, volume: Object, mount: Object) -> None:
        """Add a volume with its place in the container; the code may be handed it instead."""
        if VOLUMES in self._passthroughs:
            _add(self.task_config, "volumes", [volume])
            _add(self.task_config, "volumeMounts", [mount], key="mountPath")
        if self._on_pod(VOLUMES):
            self.own_volume(volume, mount)

    def own_volume(self, volume: Object, mount: Object) -> None:
        """Add a volume that is the pod's alone."""
        _add(self.spec, "volumes", [volume])
        _add(self.container, "volumeMounts", [mount], key="mountPath")

    def resources(self, resources: Object) -> None:
        """Set requests and limits."""
        self._set(RESOURCES, "resources", resources, self.container)

    def node_selector(self, labels: Mapping[str, str]) -> None:
        """Set the labels of nodes that will do."""
        self._set(NODE_SELECTOR, "nodeSelector", dict(labels), self.spec)

    def tolerations(self, tolerations: list[Object]) -> None:
        """Set what it tolerates."""
        self._set(TOLERATIONS, "tolerations", tolerations, self.spec)

    def affinity(self, kind: str, terms: Object) -> None:
        """Set ``nodeAffinity``, ``podAffinity`` or ``podAntiAffinity``."""
        if AFFINITY in self._passthroughs:
            self.task_config.setdefault("affinity", {})[kind] = terms
        if self._on_pod(AFFINITY):
            self.spec.setdefault("affinity", {})[kind] = terms

    def init_container(self, container: Object) -> None:
        """Add a container that runs before the component's, or beside it.

        Raises:
            StepError: one of that name is there.
        """
        present: list[Object] = self.spec.setdefault("initContainers", [])
        names = {each["name"] for each in (*present, *self.spec["containers"])}
        if container["name"] in names:
            raise StepError(
                f"initContainers: name {container['name']!r} is taken; the pod has "
                f"{', '.join(sorted(names))}"
            )
        present.append(container)

    def check_arguments(self) -> None:
        """See that commands can be executed.

        Raises:
            StepError: an argument is longer than Linux takes.
        """
        for container in self.spec["containers"]:
            for text in (*(container.get("command") or ()), *(container.get("args") or ())):
                length = len(str(text).encode())
                if length > _LONGEST_ARGUMENT:
                    raise StepError(
                        f"container {container['name']}: an argument has {length} bytes, and Linux "
                        f"takes {_LONGEST_ARGUMENT}: pass large values as artifacts"
                    )

    def _on_pod(self, field: str) -> bool:
        return self._passthroughs.get(field, True)

    def _set(self, field: str, name: str, value: Any, holder: Object) -> None:
        if field in self._passthroughs:
            self.task_config[name] = value
        if self._on_pod(field):
            holder[name] = value

    def _extend(self, field: str, name: str, values: list[Object], holder: Object) -> None:
        if field in self._passthroughs:
            _add(self.task_config, name, values)
        if self._on_pod(field):
            _add(holder, name, values)


def volume_name(name: str) -> str:
    """Return a name for the volume of something so named: the same, where it may be a volume's."""
    if _VOLUME_NAME.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())[:40].strip('-')}-{digest}".lstrip("-")


def _add(holder: Object, name: str, values: list[Object], key: str = "name") -> None:
    if not values:
        return
    replaced = {each[key] for each in values}
    kept = [each for each in holder.get(name) or () if each[key] not in replaced]
    holder[name] = [*kept, *values]
