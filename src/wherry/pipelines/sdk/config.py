"""What holds for a whole pipeline, and which settings of a pod go to the code in it. The names are KFP's."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.sdk.errors import CompileError

_QUANTITY: Final = re.compile(r"(0|[1-9]\d*)(\.\d+)?(Ki|Mi|Gi|Ti|Pi|Ei|k|K|M|G|T|P|E)?")
_MOST_SECONDS: Final = 2**31 - 1


class TaskConfigField(enum.Enum):
    """A setting of a step's pod that its code may be handed."""

    RESOURCES = "RESOURCES"
    ENV = "ENV"
    KUBERNETES_AFFINITY = "KUBERNETES_AFFINITY"
    KUBERNETES_TOLERATIONS = "KUBERNETES_TOLERATIONS"
    KUBERNETES_NODE_SELECTOR = "KUBERNETES_NODE_SELECTOR"
    KUBERNETES_VOLUMES = "KUBERNETES_VOLUMES"


@dataclass(frozen=True, slots=True)
class TaskConfigPassthrough:
    """A setting that the code is handed.

    Attributes:
        field: Which.
        apply_to_task: Whether the step's own pod has it too.
    """

    field: TaskConfigField
    apply_to_task: bool = False


@dataclass(frozen=True, slots=True)
class KubernetesWorkspaceConfig:
    """What the workspace's claim has besides its size.

    Attributes:
        pvcSpecPatch: Fields of the claim's spec, such as ``{"accessModes": ["ReadWriteMany"]}``.
    """

    pvcSpecPatch: Mapping[str, Any] | None = None  # noqa: N815 - KFP's name


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """A claim that the steps of a run share.

    Attributes:
        size: Such as ``10Gi``.
        kubernetes: What it has besides.
    """

    size: str
    kubernetes: KubernetesWorkspaceConfig = KubernetesWorkspaceConfig()

    def __post_init__(self) -> None:
        if not _QUANTITY.fullmatch(str(self.size).strip()):
            raise CompileError(f"size of the workspace must be such as 10Gi, not {self.size!r}")


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What holds for a whole run; times in seconds.

    Attributes:
        workspace: What its steps share.
        ttl_seconds_after_finished: How long the run is kept when it has ended.
        ttl_seconds_after_success: The same of one that has succeeded.
        ttl_seconds_after_failure: The same of one that has failed.
        active_deadline_seconds: How long it may take.
    """

    workspace: WorkspaceConfig | None = None
    ttl_seconds_after_finished: int | None = None
    ttl_seconds_after_success: int | None = None
    ttl_seconds_after_failure: int | None = None
    active_deadline_seconds: int | None = None

    def __post_init__(self) -> None:
        for name in _SECONDS:
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is not int or not 0 <= value <= _MOST_SECONDS:
                raise CompileError(
                    f"{name} must be a whole number from 0 to {_MOST_SECONDS}, not {value!r}"
                )

    def document(self) -> Object:
        """Return it as in a compiled file's second document."""
        made: Object = {
            field: value for name, field in _SECONDS.items() if (value := getattr(self, name))
        }
        if self.workspace is not None:
            patch = dict(self.workspace.kubernetes.pvcSpecPatch or {})
            made["workspace"] = {
                "size": self.workspace.size.strip(),
                "kubernetes": {"pvcSpecPatch": patch},
            }
        return made


_SECONDS: Final = {
    "ttl_seconds_after_finished": "resourceTtlOnCompletion",
    "ttl_seconds_after_success": "resourceTtlOnSuccess",
    "ttl_seconds_after_failure": "resourceTtlOnFailure",
    "active_deadline_seconds": "activeDeadlineSeconds",
}
